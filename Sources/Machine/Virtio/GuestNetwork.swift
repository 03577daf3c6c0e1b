// SPDX-License-Identifier: Apache-2.0

internal import Devices
internal import LinuxSystem
internal import Synchronization

/// A TAP interface as what a guest's network card is plugged into, until somebody deletes it: then a
/// person learns it, once.
final class GuestNetwork: FramePort {
    private let tap: TapInterface
    private let name: String
    private let note: @Sendable (String) -> Void
    private let isGone = Atomic(false)

    /// - Parameters:
    ///   - tap: Where frames go and come from.
    ///   - name: Of the interface, for messages.
    ///   - note: Tells a person; from the device's thread.
    init(_ tap: TapInterface, named name: String, note: @escaping @Sendable (String) -> Void) {
        self.tap = tap
        self.name = name
        self.note = note
    }

    func receive() -> FrameArrival {
        do {
            guard let frame = try tap.receive() else { return .notYet }
            return .frame(frame)
        } catch {
            if !isGone.exchange(true, ordering: .relaxed) {
                note("network \(name): \(error); the guest's card is plugged in nowhere any more")
            }
            return .closed
        }
    }

    func send(_ frame: [UInt8]) { tap.send(frame) }
}
