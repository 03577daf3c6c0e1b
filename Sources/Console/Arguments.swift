// SPDX-License-Identifier: Apache-2.0

internal import ArgumentParser
package import GuestMemory
package import KVM
package import LinuxSystem
package import Machine
internal import Telemetry
package import Transport

extension SocketAddress: ExpressibleByArgument {
    package init?(argument: String) { self.init(argument) }
}

extension Backing: ExpressibleByArgument {}

extension FaultPathChoice: ExpressibleByArgument {}

extension TransportChoice: ExpressibleByArgument {}

extension GuestKind: ExpressibleByArgument {}

extension ConsoleTarget: ExpressibleByArgument {
    package init?(argument: String) { self.init(argument) }
}

/// An amount of memory on the command line, for example `512M`.
package struct ByteCount: ExpressibleByArgument {
    /// In bytes, not negative.
    package let bytes: Int

    /// - Parameter bytes: Not negative.
    package init(bytes: Int) { self.bytes = bytes }

    package init?(argument: String) {
        guard let bytes = HumanUnits.byteCount(from: argument) else { return nil }
        self.bytes = bytes
    }
}

/// A length of time on the command line, for example `200ms`.
package struct TimeSpan: ExpressibleByArgument {
    /// Not negative.
    package let duration: Duration

    /// - Parameter duration: Not negative.
    package init(duration: Duration) { self.duration = duration }

    package init?(argument: String) {
        guard let duration = HumanUnits.duration(from: argument) else { return nil }
        self.duration = duration
    }
}
