// SPDX-License-Identifier: Apache-2.0

internal import ArgumentParser

/// Numbers of vCPUs on the command line, for example `1,2,4`.
struct VCPUList: ExpressibleByArgument {
    /// At least one, in the order given.
    let counts: [Int]

    init?(argument: String) {
        let words = argument.split(separator: ",", omittingEmptySubsequences: false)
        counts = words.compactMap { Int($0) }
        guard counts.count == words.count,
            counts.allSatisfy((1...PagingGuest.mostVCPUs).contains)
        else { return nil }
    }
}
