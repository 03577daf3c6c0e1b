// SPDX-License-Identifier: Apache-2.0

package import Devices
internal import LinuxSystem

/// The virtio devices that a machine is to have, and what they are connected to on this host.
///
/// At a destination these have to be what the guest has had at the source.
package struct GuestDevices: Sendable {
    /// Whether there is a source of random bytes; at a destination the source says so.
    package var hasEntropy = false
    /// The other end of a virtio console, if there is one.
    package var console: ConsoleTarget?
    /// Disks, in the guest's order.
    package var disks: [DiskChoice] = []
    /// Network cards, in the guest's order.
    package var networks: [NetworkChoice] = []
    /// Tells a person what devices have to say: of mistakes of the guest.
    package var note: @Sendable (String) -> Void = { _ in }

    /// None.
    package init() {}
}

/// A file or block device that is a guest's disk.
package struct DiskChoice: Equatable, Sendable {
    /// Path of the file.
    package let path: String
    /// Whether the guest cannot write it.
    package let isReadOnly: Bool
    /// Whether the page cache is passed by.
    package let isDirect: Bool

    /// Reads `PATH[,readonly][,direct]`; nil for anything else.
    package init?(_ text: String) {
        var words = text.split(separator: ",", omittingEmptySubsequences: false)[...]
        guard let path = words.popFirst(), !path.isEmpty, !text.utf8.contains(0),
            words.allSatisfy({ $0 == "readonly" || $0 == "direct" })
        else { return nil }
        self.path = String(path)
        isReadOnly = words.contains("readonly")
        isDirect = words.contains("direct")
    }
}

/// A TAP interface that is the other end of a guest's network card.
package struct NetworkChoice: Equatable, Sendable {
    /// Name of the interface.
    package let tap: String
    /// The card's address; nil for any.
    package let address: EthernetAddress?

    /// Reads `tap=NAME[,mac=ADDRESS]`; nil for anything else.
    package init?(_ text: String) {
        let words = text.split(separator: ",", omittingEmptySubsequences: false)
        guard (1...2).contains(words.count), words[0].hasPrefix("tap="),
            (5...19).contains(words[0].utf8.count), !text.utf8.contains(0)
        else { return nil }
        tap = String(words[0].dropFirst(4))
        guard words.count == 2 else {
            address = nil
            return
        }
        guard words[1].hasPrefix("mac="),
            let address = EthernetAddress(String(words[1].dropFirst(4)))
        else { return nil }
        self.address = address
    }
}
