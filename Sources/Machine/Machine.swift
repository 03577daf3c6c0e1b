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
    let tracker: DirtyTracker
    let vcpus: [VCPUThread]
    let control: RunControl
    let kind: GuestKind
    let guest: any Guest
    let savedRegisters: SavedRegisters
    /// How the guest's TSC relates to this host's.
    let tscRate: TSCRate

    /// Most vCPUs a machine may have.
    package static let mostVCPUs = min(CPUModel.mostVCPUs, Int(CGUEST_MOST_VCPUS))

    /// Says what machine this host would build.
    ///
    /// - Parameters:
    ///   - kind: Which guest it is for.
    ///   - layout: Guest memory.
    ///   - vCPUCount: 1 to ``mostVCPUs``.
    ///   - devices: Virtio devices, for Linux.
    /// - Returns: The host's CPUID, less what a machine cannot keep, and the frequency of its TSC.
    /// - Throws: Whatever keeps KVM from being used.
    ///
    /// Creates a VM with one vCPU to ask for the TSC, and drops it.
    package static func describe(
        _ kind: GuestKind = .walker,
        layout: GuestLayout,
        vCPUCount: Int,
        devices: GuestDevices = GuestDevices()
    ) throws(MachineError) -> WireMachineDescription {
        guard (1...mostVCPUs).contains(vCPUCount) else {
            throw .vcpuCount(vCPUCount, most: mostVCPUs)
        }
        let system = try openKVM(for: kind)
        do {
            let model = CPUModel(kind, vCPUCount: vCPUCount, of: system)
            let offer = model.offer(try system.supportedCPUID())
            let vcpu = try system.makeVirtualMachine().makeVirtualCPU(index: 0)
            var description = WireMachineDescription()
            description.guest = kind.rawValue
            description.virtio = try VirtioAssembly.describe(devices)
            description.devices = kind.devices
            if !description.virtio.isEmpty { description.devices.append(LinuxGuest.virtioPart) }
            description.vcpuCount = UInt32(vCPUCount)
            description.cpuid = offer.map { WireCPUIDEntry($0) }
            description.tscKhz = try vcpu.tscKilohertz()
            description.memory = layout.regions.map { WireMemoryRegion($0) }
            return description
        } catch {
            throw MachineError(error)
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
    ///   - console: The other end of the guest's console, where it has one.
    ///   - devices: What its virtio devices are connected to; they have to be those described.
    /// - Throws: What this host lacks, or what is wrong with the description.
    package init(
        description: WireMachineDescription,
        memory: GuestRAM,
        faultPath: FaultPathChoice = .userfault,
        console: ConsoleTarget = .none,
        devices: GuestDevices = GuestDevices()
    ) throws(MachineError) {
        let kind = try Self.checkedKind(of: description)
        let assembly = try VirtioAssembly(description.virtio, devices)
        let count = try Self.checkedVCPUCount(of: description, memory)
        let cpuid = description.cpuid.map { CPUIDEntry($0) }
        guard cpuid.count <= 256 else { throw .cpuidEntryCount(cpuid.count) }
        let system = try Self.openKVM(for: kind)
        do {
            let model = CPUModel(kind, vCPUCount: count, of: system)
            if let lack = model.firstLack(of: cpuid, on: try system.supportedCPUID()) {
                throw MachineError.processorFeatures(lack)
            }
            let (virtualMachine, faultExits) = try FaultExits.probe(
                faultPath,
                on: system,
                layout: memory.layout
            )
            guest =
                switch kind {
                case .walker: try WalkerGuest(memory, vCPUCount: count)
                case .linux:
                    try LinuxGuest(
                        virtualMachine,
                        console: console,
                        bus: VirtioBus(assembly, virtualMachine, MachineMemory(memory))
                    )
                }
            if kind.hasControllers { try virtualMachine.createInterruptControllers() }
            try virtualMachine.setMemory(memory)
            let tracker = try DirtyTracker(of: virtualMachine, memory)
            let control = try RunControl(memory: memory)
            var vcpus: [VCPUThread] = []
            var rate = TSCRate.host
            for index in 0..<count {
                let vcpu = try virtualMachine.makeVirtualCPU(index: index)
                rate = try Self.setFrequency(of: vcpu, to: description.tscKhz)
                try vcpu.setCPUID(CPUModel.entries(cpuid, forVCPU: index))
                try tracker.add(vcpu)
                vcpus.append(
                    VCPUThread(
                        vcpu,
                        guest: guest,
                        control: control,
                        faultExits: faultExits,
                        tracker: tracker
                    )
                )
            }
            savedRegisters = try SavedRegisters(of: vcpus[0].virtualCPU, in: system)
            tscRate = rate
            self.kind = kind
            self.virtualMachine = virtualMachine
            self.tracker = tracker
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

    /// Set when the guest ends by itself; `ending` says how.
    package var ended: EventFD { control.ended }

    /// How the guest ended by itself; nil as long as it has not.
    package var ending: GuestEnding? { control.ending }
}

extension Machine {
    private static func openKVM(for kind: GuestKind) throws(MachineError) -> KVMSystem {
        do {
            let system = try KVMSystem()
            var needed: [KVMCapability] = [
                .immediateExit, .xsave, .xcrs, .debugRegisters, .vcpuEvents, .mpState,
                .adjustClock,
            ]
            if kind.hasControllers { needed += [.interruptControllers, .intervalTimer] }
            for capability in needed where system.check(capability) == 0 {
                throw MachineError.missingCapability(name: capability.name)
            }
            return system
        } catch {
            throw MachineError(error)
        }
    }

    /// Checks which guest a peer says it is, and that all its devices are known here.
    private static func checkedKind(
        of description: WireMachineDescription
    ) throws(MachineError) -> GuestKind {
        guard let kind = GuestKind(rawValue: description.guest) else {
            throw .unknownGuest(PeerText.word(description.guest))
        }
        let virtio = description.virtio.isEmpty ? [] : [LinuxGuest.virtioPart]
        if let device = (description.devices + virtio).first(where: { !kind.knows(part: $0) }) {
            throw .unknownDevice(PeerText.word(device))
        }
        return kind
    }

    /// Checks what a peer may have said about a machine before anything is built from it.
    private static func checkedVCPUCount(
        of description: WireMachineDescription,
        _ memory: GuestRAM
    ) throws(MachineError) -> Int {
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
