// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import KVM
internal import Userfault

/// What this host offers tests, asked once.
package enum HostFacts {
    /// Why KVM cannot be used here; nil when it can.
    package static let missingKVM: String? = {
        do {
            _ = try KVMSystem().makeVirtualMachine()
            return nil
        } catch {
            return "\(error)"
        }
    }()

    /// Whether tests that need KVM run.
    ///
    /// With `APUS_REQUIRE_KVM=1` they run, and fail, on a host without it: there, a skipped test
    /// must not look like a passed one.
    package static let runsKVMTests: Bool = missingKVM == nil || isSet("APUS_REQUIRE_KVM")

    /// Why userfaultfd cannot be used here; nil when it can.
    package static let missingUserfaultfd: String? = {
        do {
            _ = try Userfaultfd(for: .missingAndMinor)
            return nil
        } catch {
            return "\(error)"
        }
    }()

    /// Whether tests that move a guest run; they need KVM and userfaultfd.
    package static let runsMigrationTests: Bool =
        runsKVMTests && (missingUserfaultfd == nil || isSet("APUS_REQUIRE_USERFAULTFD"))

    private static func isSet(_ name: String) -> Bool {
        unsafe getenv(name).map { unsafe String(cString: $0) == "1" } ?? false
    }
}
