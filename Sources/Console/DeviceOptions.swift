// SPDX-License-Identifier: Apache-2.0

internal import ArgumentParser
internal import Glibc
package import Machine

extension DiskChoice: ExpressibleByArgument {
    package init?(argument: String) { self.init(argument) }
}

extension NetworkChoice: ExpressibleByArgument {
    package init?(argument: String) { self.init(argument) }
}

/// What a Linux guest's virtio devices are connected to, on the command line of either side.
package struct DeviceOptions: ParsableArguments {
    @Option(
        help: """
            PATH[,readonly][,direct]: a raw file or a block device that is a virtio disk of \
            Linux's; repeatable. direct passes the page cache by. Both sides need the same disks.
            """
    )
    var disk: [DiskChoice] = []

    @Option(
        help: """
            tap=NAME[,mac=ADDRESS]: a TAP interface that a virtio network card of Linux's is \
            plugged into; repeatable. Made if there is none. Each side has its own.
            """
    )
    var net: [NetworkChoice] = []

    @Option(
        help: """
            A virtio console of Linux's (hvc0), and where it goes: none, stdio, file:PATH (added \
            to) or unix:PATH.
            """
    )
    var virtioConsole: ConsoleTarget?

    package init() {}

    /// Whether there is none.
    package var isEmpty: Bool { disk.isEmpty && net.isEmpty && virtioConsole == nil }

    /// Refuses two consoles on one terminal: each would take the other's input, and wait for the
    /// next with whoever needs it.
    ///
    /// - Parameter console: Where the serial port goes.
    /// - Throws: What is said to whoever gave them.
    package func validate(beside console: ConsoleTarget) throws {
        guard virtioConsole != .standard || console != .standard else {
            throw ValidationError(
                "--virtio-console stdio and --console stdio, which is the default, are one too "
                    + "many: add --console none, for example"
            )
        }
    }

    /// All of them; what the devices have to say goes to standard error.
    package var connections: GuestDevices {
        var devices = GuestDevices()
        devices.disks = disk
        devices.networks = net
        devices.console = virtioConsole
        devices.note = { text in
            // From the thread of a device: one write, so that lines stay whole.
            let line = Array("apus: \(text)\n".utf8)
            _ = unsafe line.withUnsafeBytes { unsafe write(2, $0.baseAddress, $0.count) }
        }
        return devices
    }
}
