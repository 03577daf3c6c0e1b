// SPDX-License-Identifier: Apache-2.0

internal import Glibc
package import GuestMemory
package import KVM
internal import LinuxSystem
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

    /// Ways to memory-fault exits that this kernel has, none on most.
    package static let exitPaths: [FaultPath] = [FaultPathChoice.nowait, .attributes]
        .compactMap { choice in
            guard missingKVM == nil, missingUserfaultfd == nil,
                let layout = try? GuestLayout.pc(byteCount: 1 << 20),
                let system = try? KVMSystem()
            else { return nil }
            return try? FaultExits.probe(choice, on: system, layout: layout).exits.path
        }

    /// Whether tests of memory-fault exits run; with `APUS_REQUIRE_FAULT_EXITS=1` they must.
    package static let runsExitTests: Bool =
        !exitPaths.isEmpty || requiresFaultExits

    /// Whether a kernel without memory-fault exits is a failure.
    package static let requiresFaultExits: Bool = isSet("APUS_REQUIRE_FAULT_EXITS")

    /// Whether a host without swap is a failure.
    package static let requiresSwap: Bool = isSet("APUS_REQUIRE_SWAP")

    /// Whether a machine without python3-jsonschema is a failure.
    package static let requiresJSONSchema: Bool = isSet("APUS_REQUIRE_JSONSCHEMA")

    /// Whether a machine without the chart library is a failure.
    package static let requiresChartLibrary: Bool = isSet("APUS_REQUIRE_CHARTJS")

    /// Kinds of guest memory made of pages of 4 KiB: every host has them.
    package static let ordinaryBackings: [Backing] = [.anonymous, .memfd]

    /// Kinds of guest memory that this host has.
    package static let backings: [Backing] =
        ordinaryBackings + (runsHugePageTests ? [.hugetlb] : [])

    /// Huge pages of 2 MiB that tests need at once: those of two guests of 64 MiB.
    package static let hugePagesNeeded = 64

    /// Whether tests with huge pages run; with `APUS_REQUIRE_HUGE_PAGES=1` they must.
    package static let runsHugePageTests: Bool =
        Host.availableHugePages >= hugePagesNeeded || isSet("APUS_REQUIRE_HUGE_PAGES")

    /// Whether randomized and repeated tests run long, and all tests on each fault path:
    /// `APUS_FULL=1`.
    package static let isFullRun: Bool = isSet("APUS_FULL")

    /// The kernel of the testbed, `nowait` or `stock`; nil on any other machine.
    package static let testbedKernel: String? = value(of: "APUS_TESTBED")

    /// The fault path that migrations are tested on: `APUS_TEST_FAULT_PATH`, or else the best.
    package static let faultPath: FaultPathChoice = {
        guard let name = value(of: "APUS_TEST_FAULT_PATH") else { return .auto }
        guard let choice = FaultPathChoice(rawValue: name) else {
            let all = FaultPathChoice.allCases
            preconditionFailure("APUS_TEST_FAULT_PATH=\(name) is none of \(all)")
        }
        return choice
    }()

    private static func value(of name: String) -> String? {
        unsafe getenv(name).map { unsafe String(cString: $0) }
    }

    private static func isSet(_ name: String) -> Bool {
        value(of: name) == "1"
    }
}
