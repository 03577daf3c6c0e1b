// SPDX-License-Identifier: Apache-2.0

// Protocol Buffers have their bytes as `Data`; this file and the saved state next to it are the
// only ones here that see it, and none of it is on the data path.
internal import FoundationEssentials
internal import GuestMemory
internal import KVM
internal import MigrationWire

extension WireMemoryRegion {
    init(_ region: GuestLayout.Region) {
        self.init()
        guestAddress = region.guestAddress
        pageCount = UInt64(region.pageCount)
    }
}

extension WireCPUIDEntry {
    init(_ entry: CPUIDEntry) {
        self.init()
        function = entry.function
        index = entry.index
        flags = entry.flags
        eax = entry.eax
        ebx = entry.ebx
        ecx = entry.ecx
        edx = entry.edx
    }
}

extension CPUIDEntry {
    init(_ entry: WireCPUIDEntry) {
        self.init(
            function: entry.function,
            index: entry.index,
            flags: entry.flags,
            eax: entry.eax,
            ebx: entry.ebx,
            ecx: entry.ecx,
            edx: entry.edx
        )
    }
}

extension WireClockState {
    init(_ clock: VirtualMachineClock) {
        self.init()
        clockNs = clock.nanoseconds
        flags = clock.flags
        realtimeNs = clock.realtimeNanoseconds
        hostTsc = clock.hostTSC
    }
}

extension VirtualMachineClock {
    init(_ clock: WireClockState) {
        self.init(
            nanoseconds: clock.clockNs,
            flags: clock.flags,
            realtimeNanoseconds: clock.realtimeNs,
            hostTSC: clock.hostTsc
        )
    }
}

extension WireVCPUState {
    /// The bytes of a structure of fixed size.
    subscript(structure: StateStructure) -> Data {
        get {
            switch structure {
            case .registers: regs
            case .specialRegisters: sregs
            case .extendedControlRegisters: xcrs
            case .debugRegisters: debugRegisters
            case .events: events
            }
        }
        set {
            switch structure {
            case .registers: regs = newValue
            case .specialRegisters: sregs = newValue
            case .extendedControlRegisters: xcrs = newValue
            case .debugRegisters: debugRegisters = newValue
            case .events: events = newValue
            }
        }
    }
}

extension WireControllerState {
    /// The bytes of a controller's structure.
    subscript(structure: ControllerStructure) -> Data {
        get {
            switch structure {
            case .primaryPIC: primaryPic
            case .secondaryPIC: secondaryPic
            case .ioapic: ioapic
            case .pit: pit
            }
        }
        set {
            switch structure {
            case .primaryPIC: primaryPic = newValue
            case .secondaryPIC: secondaryPic = newValue
            case .ioapic: ioapic = newValue
            case .pit: pit = newValue
            }
        }
    }
}
