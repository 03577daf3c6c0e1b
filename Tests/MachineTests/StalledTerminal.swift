// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A terminal whose output is read too slowly, and then not at all.
struct StalledTerminal: ~Copyable {
    /// Of the device that programs write to.
    let path: String
    private let controller: CInt
    private let device: CInt

    /// Kernel interface: openpty(3).
    init() {
        var (controller, device): (CInt, CInt) = (-1, -1)
        var name = [CChar](repeating: 0, count: 64)
        precondition(unsafe openpty(&controller, &device, &name, nil, nil) == 0, "no terminal")
        self.controller = controller
        self.device = device
        path = String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Waits until whoever writes to it blocks: it is full, or ready for less than is written.
    func fillUp() {
        _ = Guests.wait(for: .seconds(2)) { !isReady }
        // One that found it full waits in poll(2): a little room, and it blocks, too.
        var bytes = [UInt8](repeating: 0, count: 1000)
        for _ in 0..<3 {
            _ = unsafe read(controller, &bytes, bytes.count)
            usleep(100_000)
        }
    }

    /// Whether poll(2) says that it can be written.
    private var isReady: Bool {
        var entry = pollfd(fd: device, events: Int16(POLLOUT), revents: 0)
        return unsafe poll(&entry, 1, 0) != 0
    }

    /// Whether something waits to be read.
    var holdsOutput: Bool {
        var count: CInt = 0
        return unsafe ioctl(controller, UInt(FIONREAD), &count) == 0 && count > 0
    }

    deinit {
        close(device)
        close(controller)
    }
}
