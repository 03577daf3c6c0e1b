// SPDX-License-Identifier: Apache-2.0

/// The kinds of guests there are; the raw value is the name in a description.
package enum GuestKind: String, CaseIterable, Sendable {
    /// The built-in guest, which needs no device but a debug port.
    case walker
    /// A Linux kernel, with what it expects of a PC.
    case linux

    /// Whether the kernel has interrupt controllers and a timer for it: then HLT and the waiting
    /// for start-up are the kernel's, too.
    package var hasControllers: Bool { self == .linux }

    /// Names of the devices that every one of them has, for a description.
    package var devices: [String] {
        switch self {
        case .walker: []
        case .linux: ["controllers", "serial", "power"]
        }
    }

    /// Whether it can have a device, or a part of a saved state, of this name.
    func knows(part name: String) -> Bool {
        devices.contains(name) || self == .linux && name == LinuxGuest.virtioPart
    }
}
