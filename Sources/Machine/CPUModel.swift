// SPDX-License-Identifier: Apache-2.0

internal import KVM

/// What CPUID answers in a guest.
///
/// The offer is the host's, less what a machine of this program cannot keep: there is no interrupt
/// controller, and no virtualization inside the guest (so that no nested state has to migrate).
enum CPUModel {
    /// Most vCPUs that leaf 1 can count and address.
    static let mostVCPUs = 64

    private enum Leaf {
        static let features: UInt32 = 1
        static let structuredFeatures: UInt32 = 7
        static let topology: UInt32 = 0xB
        static let vectorState: UInt32 = 0xD
        static let topologyV2: UInt32 = 0x1F
        static let extendedFeatures: UInt32 = 0x8000_0001
        static let virtualization: UInt32 = 0x8000_000A
        static let extendedTopology: UInt32 = 0x8000_001E
    }

    /// Leaf 1, ECX: VMX, x2APIC, TSC deadline timer.
    private static let withheldFeatures: UInt32 = 1 << 5 | 1 << 21 | 1 << 24
    /// Leaf 0x80000001, ECX: SVM.
    private static let withheldExtendedFeatures: UInt32 = 1 << 2

    /// What a machine offers its guest on a host.
    ///
    /// - Parameters:
    ///   - supported: What host and KVM can do.
    ///   - vCPUCount: vCPUs of the machine.
    /// - Returns: Entries that are the same for all vCPUs, see `entries(_:forVCPU:)`.
    static func offered(by supported: [CPUIDEntry], vCPUCount: Int) -> [CPUIDEntry] {
        supported.compactMap { entry in
            var entry = entry
            switch entry.function {
            case Leaf.features:
                entry.ecx &= ~withheldFeatures
                // APIC id (24 to 31) of whichever processor answered, and how many there are.
                entry.ebx = entry.ebx & 0x0000_FFFF | UInt32(vCPUCount) << 16
            case Leaf.extendedFeatures:
                entry.ecx &= ~withheldExtendedFeatures
            case Leaf.virtualization:
                return nil
            default:
                break
            }
            return entry
        }
    }

    /// The entries of one vCPU: with its own number where the leaf tells it.
    static func entries(_ common: [CPUIDEntry], forVCPU index: Int) -> [CPUIDEntry] {
        let identity = UInt32(index)
        return common.map { entry in
            var entry = entry
            switch entry.function {
            case Leaf.features:
                entry.ebx = entry.ebx & 0x00FF_FFFF | identity << 24
            case Leaf.topology, Leaf.topologyV2:
                entry.edx = identity
            case Leaf.extendedTopology:
                entry.eax = identity
            default:
                break
            }
            return entry
        }
    }

    /// Finds a feature that a guest was promised and this host does not have.
    ///
    /// A guest that goes on without it would sooner or later die of an undefined instruction.
    ///
    /// - Returns: The first register with such features, or nil when all are there.
    static func firstLack(
        of wanted: [CPUIDEntry],
        on supported: [CPUIDEntry]
    ) -> ProcessorFeatureLack? {
        for entry in wanted where isFeatureLeaf(entry) {
            let host = supported.first {
                $0.function == entry.function && $0.index == entry.index
            }
            let registers = featureRegisters(of: entry)
            let present = host.map { featureRegisters(of: $0) } ?? []
            for (position, (name, bits)) in registers.enumerated() {
                let lacking = bits & ~(position < present.count ? present[position].bits : 0)
                guard lacking == 0 else {
                    return ProcessorFeatureLack(
                        leaf: entry.function,
                        subleaf: entry.index,
                        register: name,
                        bits: lacking
                    )
                }
            }
        }
        return nil
    }

    private static func isFeatureLeaf(_ entry: CPUIDEntry) -> Bool {
        switch entry.function {
        case Leaf.features, Leaf.extendedFeatures: true
        case Leaf.structuredFeatures: entry.index <= 1
        case Leaf.vectorState: entry.index <= 1
        default: false
        }
    }

    /// The registers of a leaf in which every bit is a feature.
    private static func featureRegisters(of entry: CPUIDEntry) -> [(name: String, bits: UInt32)] {
        switch (entry.function, entry.index) {
        case (Leaf.structuredFeatures, 0):
            [("EBX", entry.ebx), ("ECX", entry.ecx), ("EDX", entry.edx)]
        case (Leaf.structuredFeatures, _):
            [("EAX", entry.eax), ("EDX", entry.edx)]
        case (Leaf.vectorState, _):
            [("EAX", entry.eax)]
        default:
            [("ECX", entry.ecx), ("EDX", entry.edx)]
        }
    }
}

/// Processor features that a guest was promised and a host does not have.
package struct ProcessorFeatureLack: Equatable, Sendable {
    /// CPUID leaf.
    package let leaf: UInt32
    /// Its subleaf.
    package let subleaf: UInt32
    /// EAX, EBX, ECX or EDX.
    package let register: String
    /// The bits that are not there.
    package let bits: UInt32
}
