// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A terminal whose output nobody reads.
struct StalledTerminal: ~Copyable {
    /// Of the device that programs write to.
    let path: String
    private let controller: CInt
    private let device: CInt

    /// Bytes that lie ready at the most, however many wait behind them.
    private static let mostReady = 4095

    /// Kernel interface: openpty(3).
    init() {
        var (controller, device): (CInt, CInt) = (-1, -1)
        var name = [CChar](repeating: 0, count: 64)
        precondition(unsafe openpty(&controller, &device, &name, nil, nil) == 0, "no terminal")
        self.controller = controller
        self.device = device
        path = String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Waits until its buffers must be full: whoever writes blocks.
    func fillsUp() -> Bool {
        let isReady = Guests.wait {
            var count: CInt = 0
            return unsafe ioctl(controller, UInt(FIONREAD), &count) == 0
                && Int(count) >= Self.mostReady
        }
        usleep(300_000)
        return isReady
    }

    deinit {
        close(device)
        close(controller)
    }
}
