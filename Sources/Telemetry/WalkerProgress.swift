// SPDX-License-Identifier: Apache-2.0

/// What the built-in guest did until the report was written.
package struct WalkerProgress: Codable, Equatable, Sendable {
    /// Pages verified and changed, all vCPUs together.
    package var iterations: UInt64
    /// Whole walks over its slice of memory, for each vCPU.
    package var passes: [UInt64]

    /// - Parameters:
    ///   - iterations: Pages verified and changed.
    ///   - passes: Whole walks of each vCPU.
    package init(iterations: UInt64, passes: [UInt64]) {
        self.iterations = iterations
        self.passes = passes
    }

    private enum CodingKeys: String, CodingKey {
        case iterations
        case passes = "passes_per_vcpu"
    }
}
