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

    /// Names of its devices, for a description.
    package var devices: [String] {
        switch self {
        case .walker: []
        case .linux: ["controllers", "serial", "power"]
        }
    }
}
