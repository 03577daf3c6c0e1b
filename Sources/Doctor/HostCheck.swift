// SPDX-License-Identifier: Apache-2.0

/// One line of a ``Diagnosis``.
package struct HostCheck: Encodable, Equatable, Sendable {
    /// How good a host is in one respect.
    package enum Status: String, Encodable, CaseIterable, Sendable {
        /// As good as can be.
        case ok
        /// A migration can run, but slower, or not in every way.
        case degraded
        /// No migration can run.
        case missing
    }

    /// What was looked at, for example `userfaultfd`; the same in every version.
    package let name: String
    /// How good it is.
    package let status: Status
    /// What was found, for a person.
    package let found: String
    /// The command that mends it, or what to do where no command does; absent when all is well.
    package let remedy: String?

    private init(_ name: String, _ status: Status, _ found: String, _ remedy: String?) {
        self.name = name
        self.status = status
        self.found = found
        self.remedy = remedy
    }

    static func ok(_ name: String, _ found: String) -> HostCheck {
        HostCheck(name, .ok, found, nil)
    }

    static func degraded(_ name: String, _ found: String, mend remedy: String) -> HostCheck {
        HostCheck(name, .degraded, found, remedy)
    }

    static func missing(_ name: String, _ found: String, mend remedy: String) -> HostCheck {
        HostCheck(name, .missing, found, remedy)
    }
}
