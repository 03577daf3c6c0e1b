// SPDX-License-Identifier: Apache-2.0

internal import CGuest
package import GuestMemory
package import KVM
package import LinuxSystem
package import MigrationWire

/// A guest: memory, a VM and vCPUs, each with a thread of its own.
///
/// One thread at a time controls it (`boot`, `startThreads`, `resume`, `pause`, `saveState`,
/// `loadState`, `stop`); what is only looked at may be looked at from any thread.
package final class Machine: Sendable {
    /// What the machine is; a destination builds the same from it.
    package let description: WireMachineDescription
    /// The guest's memory.
    package let memory: GuestRAM

    /// How touches of absent pages are delivered, and the switch for it.
    package let faultExits: FaultExits

    let virtualMachine: VirtualMachine
    let vcpus: [VCPUThread]
    let control: RunControl
    let walkerLayout: WalkerLayout
    let savedRegisters: SavedRegisters
    /// How the guest's TSC relates to this host's.
    let tscRate: TSCRate

    /// Name of the built-in guest in a description.
    package static let walker = "walker"
    /// Most vCPUs a machine may have.
    package static let mostVCPUs = min(CPUModel.mostVCPUs, Int(CGUEST_MOST_VCPUS))

    /// Says what machine this host would build.
    ///
    /// - Parameters:
    ///   - layout: Guest memory.
    ///   - vCPUCount: 1 to ``mostVCPUs``.
    /// - Returns: The host's CPUID, less what a machine cannot keep, and the frequency of its TSC.
    /// - Throws: Whatever keeps KVM from being used.
    ///
    /// Creates a VM with one vCPU to ask for the TSC, and drops it.
    package static func describe(
        layout: GuestLayout,
        vCPUCount: Int
    ) throws(MachineError) -> WireMachineDescription {
        guard (1...mostVCPUs).contains(vCPUCount) else {
            throw .vcpuCount(vCPUCount, most: mostVCPUs)
        }
        let system = try openKVM()
        do {
            let supported = try system.supportedCPUID()
            let vcpu = try system.makeVirtualMachine().makeVirtualCPU(index: 0)
            var description = WireMachineDescription()
            description.guest = walker
            description.vcpuCount = UInt32(vCPUCount)
            description.cpuid = CPUModel.offered(by: supported, vCPUCount: vCPUCount)
                .map { WireCPUIDEntry($0) }
            description.tscKhz = try vcpu.tscKilohertz()
            description.memory = layout.regions.map { WireMemoryRegion($0) }
            return description
        } catch {
            throw .system(error)
        }
    }

    /// Builds the machine: VM, memory, vCPUs.
    ///
    /// Nothing runs, and no thread is started. All that takes long is done here, so that it can be
    /// done before a switchover.
    ///
    /// - Parameters:
    ///   - description: What to build; may come from a peer.
    ///   - memory: The guest's memory, of the layout in the description.
    ///   - faultPath: How touches of absent pages are to be delivered; a source has no such pages.
    /// - Throws: What this host lacks, or what is wrong with the description.
    package init(
        description: WireMachineDescription,
        memory: GuestRAM,
        faultPath: FaultPathChoice = .userfault
    ) throws(MachineError) {
        let count = try Self.checkedVCPUCount(of: description, memory)
        let cpuid = description.cpuid.map { CPUIDEntry($0) }
        guard cpuid.count <= 256 else { throw .cpuidEntryCount(cpuid.count) }
        let system = try Self.openKVM()
        walkerLayout = try WalkerLayout(memory.layout, vCPUCount: count)
        do {
            let supported = try system.supportedCPUID()
            if let lack = CPUModel.firstLack(of: cpuid, on: supported) {
                throw MachineError.processorFeatures(lack)
            }
            let (virtualMachine, faultExits) = try FaultExits.probe(
                faultPath,
                on: system,
                layout: memory.layout
            )
            try virtualMachine.setMemory(memory)
            let control = try RunControl(memory: memory)
            var vcpus: [VCPUThread] = []
            var rate = TSCRate.host
            for index in 0..<count {
                let vcpu = try virtualMachine.makeVirtualCPU(index: index)
                rate = try Self.setFrequency(of: vcpu, to: description.tscKhz)
                try vcpu.setCPUID(CPUModel.entries(cpuid, forVCPU: index))
                vcpus.append(VCPUThread(vcpu, control: control, faultExits: faultExits))
            }
            savedRegisters = try SavedRegisters(of: vcpus[0].virtualCPU, in: system)
            tscRate = rate
            self.virtualMachine = virtualMachine
            self.faultExits = faultExits
            self.vcpus = vcpus
            self.control = control
        } catch {
            throw MachineError(error)
        }
        self.description = description
        self.memory = memory
    }

    deinit {
        stop()
    }

    /// Writes the built-in guest into memory and points the vCPUs at it.
    ///
    /// Only at a source, on a machine that has not run, with memory that has not been written.
    /// Takes about a second for every GiB.
    package func boot(_ options: WalkerOptions) throws(MachineError) {
        try options.validate()
        guard walkerLayout.slicePages > 0 else {
            throw .guestMemory(
                .tooSmall(
                    byteCount: memory.layout.byteCount,
                    least: Int(CGUEST_SLICES) + vcpus.count << GuestPage.shift
                )
            )
        }
        let loader = WalkerLoader(
            memory: memory,
            layout: walkerLayout,
            vCPUCount: vcpus.count,
            options: options,
            tscKilohertz: description.tscKhz
        )
        if let available = Host.availableMemoryBytes, available < loader.residentByteCount {
            throw .hostMemory(
                neededBytes: loader.residentByteCount,
                availableBytes: available
            )
        }
        loader.load()
        do {
            for (index, vcpu) in vcpus.enumerated() {
                try vcpu.virtualCPU.enterLongMode(
                    at: UInt64(CGUEST_PROGRAM),
                    pageTables: UInt64(CGUEST_PAGE_TABLES),
                    argument: UInt64(CGUEST_BLOCKS) + UInt64(index) << UInt64(GuestPage.shift)
                )
            }
        } catch {
            throw .system(error)
        }
    }

    /// Set when the guest ends by itself; `ending` says how.
    package var ended: EventFD { control.ended }

    /// How the guest ended by itself; nil as long as it has not.
    package var ending: GuestEnding? { control.ending }
}

extension Machine {
    private static func openKVM() throws(MachineError) -> KVMSystem {
        do {
            let system = try KVMSystem()
            let needed: [KVMCapability] = [
                .immediateExit, .xsave, .xcrs, .debugRegisters, .vcpuEvents, .mpState,
                .adjustClock,
            ]
            for capability in needed where system.check(capability) == 0 {
                throw MachineError.missingCapability(name: capability.name)
            }
            return system
        } catch {
            throw MachineError(error)
        }
    }

    /// Checks what a peer may have said about a machine before anything is built from it.
    private static func checkedVCPUCount(
        of description: WireMachineDescription,
        _ memory: GuestRAM
    ) throws(MachineError) -> Int {
        guard description.guest == walker else {
            // A peer's word: letters only, in case a terminal shows it.
            throw .unknownGuest(description.guest.prefix(64).filter { $0.isASCII && $0.isLetter })
        }
        let count = Int(description.vcpuCount)
        guard (1...mostVCPUs).contains(count) else { throw .vcpuCount(count, most: mostVCPUs) }
        guard description.memory == memory.layout.regions.map({ WireMemoryRegion($0) }) else {
            throw .memoryLayout(
                described: "\(description.memory.count) other regions",
                found: memory.layout.description
            )
        }
        return count
    }

    /// Gives a vCPU the frequency of the guest's TSC, where it differs from the host's.
    private static func setFrequency(
        of vcpu: VirtualCPU,
        to guest: UInt32
    ) throws(MachineError) -> TSCRate {
        do {
            let host = try vcpu.tscKilohertz()
            let difference = guest > host ? guest - host : host - guest
            // The kernel takes 250 parts in a million for the same, and so do the clocks of hosts.
            if guest > 0 && UInt64(difference) * 1_000_000 <= UInt64(host) * 250 { return .host }
            do {
                try vcpu.setTSCKilohertz(guest)
            } catch {
                throw MachineError.tscFrequency(guestKilohertz: guest, hostKilohertz: host)
            }
            return .scaled
        } catch {
            throw MachineError(error)
        }
    }
}
