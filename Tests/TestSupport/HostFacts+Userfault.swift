// SPDX-License-Identifier: Apache-2.0

internal import Glibc

extension HostFacts {
    /// Whether tests that need userfaultfd alone run.
    ///
    /// With `APUS_REQUIRE_USERFAULTFD=1` they run, and fail, on a host without it.
    package static let runsUserfaultTests: Bool = missingUserfaultfd == nil || isRequired

    private static let isRequired: Bool = {
        let text = unsafe getenv("APUS_REQUIRE_USERFAULTFD").map { unsafe String(cString: $0) }
        return text == "1"
    }()
}
