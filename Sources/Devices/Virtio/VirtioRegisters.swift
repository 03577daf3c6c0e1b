// SPDX-License-Identifier: Apache-2.0

/// The registers of a virtio device as a guest finds them in memory: virtio-mmio, version 2.
///
/// A value: what a write asks for beyond the registers comes out of `write`. No access can fail,
/// whatever a guest does. Virtual I/O Device 1.2, section 4.2.2.
package struct VirtioRegisters: Equatable, Sendable {
    /// What the device is.
    package let identity: VirtioIdentity
    /// Everything there is to save.
    package private(set) var state: VirtioState

    /// Bytes of the registers' space.
    package static let byteCount: UInt64 = 0x1000
    /// Where a driver says that a queue has requests.
    package static let notifyOffset: UInt64 = 0x50

    private enum Register {
        static let magic: UInt64 = 0x00
        static let version: UInt64 = 0x04
        static let kind: UInt64 = 0x08
        static let vendor: UInt64 = 0x0C
        static let offered: UInt64 = 0x10
        static let offeredHalf: UInt64 = 0x14
        static let accepted: UInt64 = 0x20
        static let acceptedHalf: UInt64 = 0x24
        static let queue: UInt64 = 0x30
        static let mostEntries: UInt64 = 0x34
        static let entries: UInt64 = 0x38
        static let queueReady: UInt64 = 0x44
        static let interrupts: UInt64 = 0x60
        static let acknowledgement: UInt64 = 0x64
        static let status: UInt64 = 0x70
        static let descriptors: UInt64 = 0x80
        static let available: UInt64 = 0x90
        static let used: UInt64 = 0xA0
        static let sharedMemory: Range<UInt64> = 0xB0..<0xC0
        static let configuration: UInt64 = 0x100
    }

    /// What a write asks for beside the registers.
    package enum Effect: Equatable, Sendable {
        /// Nothing.
        case none
        /// Queues may have requests.
        case notify
        /// The guest's mistake: the device needs a reset now, and the interrupt is to be raised.
        case broken(VirtioDefect)
    }

    /// Registers after a reset, or as they were saved.
    ///
    /// - Parameters:
    ///   - identity: What the device is.
    ///   - state: With as many queues as the device has.
    package init(_ identity: VirtioIdentity, _ state: VirtioState? = nil) {
        self.identity = identity
        self.state = state ?? VirtioState(queueCount: identity.queueCount)
    }

    /// Whether an interrupt is not acknowledged yet.
    package var interruptIsPending: Bool { state.interrupts != 0 }

    /// Features that the driver has accepted.
    package var features: UInt64 { state.features }

    /// A queue whose requests are served now; nil where none are.
    package func liveQueue(_ index: Int) -> Virtqueue? {
        guard state.isLive, state.queues.indices.contains(index), state.queues[index].isReady
        else { return nil }
        return Virtqueue(state.queues[index])
    }

    /// Takes back a queue that was served.
    ///
    /// - Parameters:
    ///   - index: Its number.
    ///   - queue: As it is now; only its indexes change by being served.
    ///   - interrupts: Whether the driver is to be interrupted.
    package mutating func served(_ index: Int, _ queue: Virtqueue, interrupts: Bool) {
        state.queues[index].nextAvailable = queue.state.nextAvailable
        state.queues[index].nextUsed = queue.state.nextUsed
        if interrupts { state.interrupts |= VirtioState.Interrupt.used }
    }

    /// The device cannot go on until the driver resets it; the interrupt is to be raised.
    package mutating func breakDown() {
        state.status |= VirtioState.Status.needsReset
        state.interrupts |= VirtioState.Interrupt.configuration
    }

    /// Whether a write stops queues, which is not possible while one of them is served.
    package func stopsQueues(_ value: UInt32, to offset: UInt64) -> Bool {
        switch offset {
        case Register.status: value == 0
        // Of this one only the lowest bit counts.
        case Register.queueReady: value & 1 == 0
        default: false
        }
    }

    /// The guest writes a register.
    ///
    /// - Parameters:
    ///   - value: All 32 bits; other widths are no register's.
    ///   - offset: Of the register, from the first one on.
    /// - Returns: What is to be done beside.
    package mutating func write(_ value: UInt32, to offset: UInt64) -> Effect {
        switch offset {
        case Register.offeredHalf: state.offeredHalf = value
        case Register.accepted: accept(value)
        case Register.acceptedHalf: state.acceptedHalf = value
        case Register.queue: state.selectedQueue = value
        case Self.notifyOffset: return .notify
        case Register.acknowledgement: state.interrupts &= ~value
        case Register.status: return setStatus(value)
        case Register.queueReady: return setReady(value)
        default: setUpQueue(value, offset)
        }
        return .none
    }

    /// The guest reads a register, or a part of the device's own.
    ///
    /// - Parameters:
    ///   - byteCount: 1 to 8.
    ///   - offset: Of the first byte.
    /// - Returns: The bytes, little-endian; zero where nothing is.
    package func read(byteCount: Int, at offset: UInt64) -> UInt64 {
        guard offset < Register.configuration else {
            return (0..<byteCount).reduce(0) { value, position in
                let index = Int(offset - Register.configuration) + position
                guard index < identity.configuration.count else { return value }
                return value | UInt64(identity.configuration[index]) << UInt64(8 * position)
            }
        }
        return byteCount == 4 ? UInt64(register(at: offset)) : 0
    }

    private func register(at offset: UInt64) -> UInt32 {
        switch offset {
        case Register.magic: 0x7472_6976  // "virt"
        case Register.version: 2
        case Register.kind: identity.kind.rawValue
        case Register.vendor: 0x5355_5041  // "APUS"
        case Register.offered: Self.half(state.offeredHalf, of: identity.features)
        case Register.mostEntries: selected == nil ? 0 : VirtqueueState.mostEntries
        case Register.queueReady: selected.map { state.queues[$0].isReady ? 1 : 0 } ?? 0
        case Register.interrupts: state.interrupts
        case Register.status: state.status
        // There is no shared memory: its length is what no length can be.
        case _ where Register.sharedMemory.contains(offset): .max
        default: 0
        }
    }
}

extension VirtioRegisters {
    private var selected: Int? {
        let index = Int(state.selectedQueue)
        return state.queues.indices.contains(index) ? index : nil
    }

    private static func half(_ half: UInt32, of features: UInt64) -> UInt32 {
        half < 2 ? UInt32(truncatingIfNeeded: features >> UInt64(32 * half)) : 0
    }

    private mutating func accept(_ value: UInt32) {
        guard state.acceptedHalf < 2, state.status & VirtioState.Status.featuresAccepted == 0
        else { return }
        let shift = UInt64(32 * state.acceptedHalf)
        state.features = state.features & ~(0xFFFF_FFFF << shift) | UInt64(value) << shift
    }

    private mutating func setStatus(_ value: UInt32) -> Effect {
        guard value != 0 else {
            state = VirtioState(queueCount: identity.queueCount)
            return .none
        }
        let old = state.status
        // Bits of the driver's only, and those are only added.
        var status = old | value & VirtioState.Status.all & ~VirtioState.Status.needsReset
        // Not for one that knows only the old interface, or accepts what was not offered.
        if state.features & ~identity.features != 0
            || state.features & VirtioIdentity.version1 == 0
        {
            status &= ~(VirtioState.Status.featuresAccepted | VirtioState.Status.driverReady)
        }
        state.status = status
        let isNew = status & ~old & VirtioState.Status.driverReady != 0
        return isNew ? .notify : .none
    }

    private mutating func setReady(_ value: UInt32) -> Effect {
        guard let selected else { return .none }
        guard value & 1 != 0 else {
            state.queues[selected] = VirtqueueState()
            return .none
        }
        if let defect = state.queues[selected].defect {
            breakDown()
            return .broken(defect)
        }
        state.queues[selected].isReady = true
        return .none
    }

    private mutating func setUpQueue(_ value: UInt32, _ offset: UInt64) {
        guard let selected, !state.queues[selected].isReady else { return }
        switch offset {
        case Register.entries:
            state.queues[selected].size = value
        case Register.descriptors, Register.descriptors + 4:
            Self.set(value, offset, of: &state.queues[selected].descriptors)
        case Register.available, Register.available + 4:
            Self.set(value, offset, of: &state.queues[selected].available)
        case Register.used, Register.used + 4:
            Self.set(value, offset, of: &state.queues[selected].used)
        default: break  // read-only, or nothing
        }
    }

    /// Sets the lower or the upper half of an address.
    private static func set(_ value: UInt32, _ offset: UInt64, of address: inout UInt64) {
        let shift: UInt64 = offset & 4 == 0 ? 0 : 32
        address = address & ~(0xFFFF_FFFF << shift) | UInt64(value) << shift
    }
}
