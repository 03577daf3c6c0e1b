// SPDX-License-Identifier: Apache-2.0

/// Which of a session's lanes.
package enum LaneName: Hashable, Sendable, CustomStringConvertible {
    /// Control and state messages; the first lane of a session.
    case control
    /// Page requests and their answers.
    case urgent(UInt8)
    /// The background stream.
    case bulk(UInt8)

    /// For example `urgent lane 0`.
    package var description: String {
        switch self {
        case .control: "control lane"
        case .urgent(let index): "urgent lane \(index)"
        case .bulk(let index): "bulk lane \(index)"
        }
    }
}
