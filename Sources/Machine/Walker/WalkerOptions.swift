// SPDX-License-Identifier: Apache-2.0

/// How the built-in guest uses its memory.
package struct WalkerOptions: Equatable, Sendable {
    /// In which order a vCPU visits its pages; each of them once in every pass.
    package enum Order: Equatable, Sendable {
        /// One after the other.
        case sequential
        /// Every so many pages, and those in between in later rounds of the same pass.
        case strided(pages: Int)
        /// A permutation that changes from pass to pass.
        case random
    }

    /// In which order.
    package var order: Order
    /// Pages each vCPU walks over: nil for all of its slice, 0 to idle and only beat.
    package var workingSetPages: Int?
    /// Percent of a page's payload that is random, which cannot be compressed.
    package var randomPercent: Int
    /// Percent of pages that stay zero for ever.
    package var zeroPercent: Int
    /// Time between two heartbeats, as long as there is progress.
    package var heartbeatInterval: Duration
    /// Where random contents and order come from.
    package var seed: UInt64

    /// - Parameters:
    ///   - order: In which order pages are visited.
    ///   - workingSetPages: Pages for each vCPU; nil for all, 0 to idle.
    ///   - randomPercent: 0 to 100.
    ///   - zeroPercent: 0 to 100.
    ///   - heartbeatInterval: Above zero, up to a minute.
    ///   - seed: Any number.
    package init(
        order: Order = .sequential,
        workingSetPages: Int? = nil,
        randomPercent: Int = 50,
        zeroPercent: Int = 0,
        heartbeatInterval: Duration = .milliseconds(5),
        seed: UInt64 = 1
    ) {
        self.order = order
        self.workingSetPages = workingSetPages
        self.randomPercent = randomPercent
        self.zeroPercent = zeroPercent
        self.heartbeatInterval = heartbeatInterval
        self.seed = seed
    }

    /// Checks all values that do not depend on the machine.
    package func validate() throws(MachineError) {
        func check(_ isAllowed: Bool, _ name: String, _ value: Any, _ allowed: String)
            throws(MachineError)
        {
            if !isAllowed { throw .option(name: name, value: "\(value)", allowed: allowed) }
        }
        if case .strided(let pages) = order {
            try check((1...1 << 30).contains(pages), "stride", pages, "1 to 2^30 pages")
        }
        if let pages = workingSetPages {
            try check(pages >= 0, "working set", pages, "0 or more pages")
        }
        try check((0...100).contains(randomPercent), "random percent", randomPercent, "0 to 100")
        try check((0...100).contains(zeroPercent), "zero percent", zeroPercent, "0 to 100")
        try check(
            heartbeatInterval > .zero && heartbeatInterval <= .seconds(60),
            "heartbeat interval",
            heartbeatInterval,
            "up to 60 seconds"
        )
    }
}
