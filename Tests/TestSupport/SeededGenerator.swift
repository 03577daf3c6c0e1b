// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// SplitMix64: the same numbers for the same seed on every machine.
package struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    /// - Parameter seed: Decides every number that follows.
    package init(seed: UInt64) {
        state = seed
    }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// Where the random numbers of a test begin.
package enum TestSeed {
    /// Another seed each time, printed; `APUS_TEST_SEED=N` repeats a run.
    package static func next(for test: String) -> UInt64 {
        let fixed = unsafe getenv("APUS_TEST_SEED").flatMap { unsafe UInt64(String(cString: $0)) }
        let seed = fixed ?? UInt64.random(in: 0...UInt64(UInt32.max))
        print("seed of '\(test)': APUS_TEST_SEED=\(seed)")
        return seed
    }
}
