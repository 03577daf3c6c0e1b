// SPDX-License-Identifier: Apache-2.0

internal import KVM

/// What CPUID answers in a guest.
///
/// The offer is the host's, less what a machine of this program cannot keep: no virtualization
/// inside the guest (so that no nested state has to migrate), and where there are no interrupt
/// controllers, nothing that needs them.
struct CPUModel {
    /// Most vCPUs that leaf 1 can count and address.
    static let mostVCPUs = 64

    private let vCPUCount: Int
    /// Bits of leaf 1 ECX that a machine does not have, whatever its host has.
    private let withheld: UInt32
    /// Bits of leaf 1 ECX that KVM makes without offering them.
    private let added: UInt32
    /// Whether the guest is told how its processors belong together.
    private let tellsTopology: Bool

    private enum Leaf {
        static let features: UInt32 = 1
        static let caches: UInt32 = 4
        static let structuredFeatures: UInt32 = 7
        static let topology: UInt32 = 0xB
        static let vectorState: UInt32 = 0xD
        static let topologyV2: UInt32 = 0x1F
        static let hypervisorFeatures: UInt32 = 0x4000_0001
        static let extendedFeatures: UInt32 = 0x8000_0001
        static let sizes: UInt32 = 0x8000_0008
        static let virtualization: UInt32 = 0x8000_000A
        static let extendedTopology: UInt32 = 0x8000_001E
    }

    /// Bits of leaf 1 ECX.
    private enum Feature {
        static let virtualization: UInt32 = 1 << 5
        static let x2APIC: UInt32 = 1 << 21
        static let tscDeadline: UInt32 = 1 << 24
        static let hypervisor: UInt32 = 1 << 31
    }

    /// Leaf 0x80000001, ECX: SVM.
    private static let withheldExtendedFeatures: UInt32 = 1 << 2

    /// - Parameters:
    ///   - kind: The guest.
    ///   - vCPUCount: vCPUs of the machine.
    ///   - system: The host's KVM.
    init(_ kind: GuestKind, vCPUCount: Int, of system: KVMSystem) {
        self.vCPUCount = vCPUCount
        tellsTopology = kind.hasControllers
        if kind.hasControllers {
            withheld = Feature.virtualization
            let hasDeadline = system.check(.tscDeadlineTimer) > 0
            added =
                Feature.hypervisor | Feature.x2APIC | (hasDeadline ? Feature.tscDeadline : 0)
        } else {
            withheld = Feature.virtualization | Feature.x2APIC | Feature.tscDeadline
            added = 0
        }
    }

    /// What a machine offers its guest on a host.
    ///
    /// - Parameter supported: What host and KVM can do.
    /// - Returns: Entries that are the same for all vCPUs, see `entries(_:forVCPU:)`.
    func offer(_ supported: [CPUIDEntry]) -> [CPUIDEntry] {
        var entries = supported.compactMap { (entry: CPUIDEntry) -> CPUIDEntry? in
            var entry = entry
            switch entry.function {
            case Leaf.features:
                entry.ecx = entry.ecx & ~withheld | added
                // APIC id (24 to 31) of whichever processor answered, and how many there are.
                entry.ebx = entry.ebx & 0x0000_FFFF | UInt32(vCPUCount) << 16
                if tellsTopology && vCPUCount > 1 { entry.edx |= 1 << 28 }
            case Leaf.extendedFeatures:
                entry.ecx &= ~Self.withheldExtendedFeatures
            case Leaf.virtualization:
                return nil
            case Leaf.topology where tellsTopology, Leaf.topologyV2 where tellsTopology:
                return nil
            case Leaf.caches where tellsTopology:
                entry.eax = entry.eax & 0x3FFF | UInt32(vCPUCount - 1) << 26
            case Leaf.sizes where tellsTopology:
                entry.ecx = entry.ecx & ~0xFFFF | UInt32(idBits) << 12 | UInt32(vCPUCount - 1)
            case Leaf.extendedTopology where tellsTopology:
                entry.ebx = 0
                entry.ecx = 0
            default:
                break
            }
            return entry
        }
        if tellsTopology { entries += topology }
        return entries
    }

    /// Bits of an APIC id.
    private var idBits: Int { Int.bitWidth - (vCPUCount - 1).leadingZeroBitCount }

    /// One package of cores with one thread each.
    private var topology: [CPUIDEntry] {
        let levels: [(shift: Int, count: Int, kind: UInt32)] = [
            (0, 1, 1), (idBits, vCPUCount, 2), (0, 0, 0),
        ]
        return levels.enumerated().map { index, level in
            CPUIDEntry(
                function: Leaf.topology,
                index: UInt32(index),
                flags: 1,
                eax: UInt32(level.shift),
                ebx: UInt32(level.count),
                ecx: level.kind << 8 | UInt32(index),
                edx: 0
            )
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
                // Each a core of its own; in the leaf that is told to Linux only, see `offer(_:)`.
                if entry.ebx == 0 { entry.ebx = identity & 0xFF }
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
    func firstLack(
        of wanted: [CPUIDEntry],
        on supported: [CPUIDEntry]
    ) -> ProcessorFeatureLack? {
        for entry in wanted where Self.isFeatureLeaf(entry) {
            var host = supported.first {
                $0.function == entry.function && $0.index == entry.index
            }
            if entry.function == Leaf.features {
                host?.ecx |= added
                // A count of processors, which is this program's.
                host?.edx |= entry.edx & 1 << 28
            }
            let registers = Self.featureRegisters(of: entry)
            let present = host.map { Self.featureRegisters(of: $0) } ?? []
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
        case Leaf.features, Leaf.extendedFeatures, Leaf.hypervisorFeatures: true
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
        case (Leaf.vectorState, _), (Leaf.hypervisorFeatures, _):
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
