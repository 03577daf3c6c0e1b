// SPDX-License-Identifier: Apache-2.0

/// One number of `apus bench lanes`, beside what it cannot be better than.
struct LaneMetric: Codable {
    /// What is measured.
    enum Kind: String, CaseIterable, Codable {
        /// A request for a page and its answer.
        case roundTrip = "round-trip"
        /// The background stream.
        case stream
        /// Its stages at the same time, without a lane between them.
        case stages
        /// Frames on one thread into absent memory.
        case install
        /// What hashing the pages costs while they are installed.
        case verification
        /// How long a vCPU waits for a page under full streaming.
        case latency
        /// Heap allocations while pages come.
        case allocations
        /// Fetching page after page while the stages of every fault are stamped and added up.
        case recording
        /// Installs with more memory, by the page.
        case growth

        /// What values are, in JSON and for people.
        var unit: String {
            switch self {
            case .roundTrip, .latency, .growth: "ns"
            case .allocations: ""
            case .stream, .stages, .install, .verification, .recording: "pages/s"
            }
        }

        /// Whether less is better, so that a ratio is required to be so much at the most.
        var isCost: Bool {
            switch self {
            case .roundTrip, .latency, .allocations, .growth: true
            case .stream, .stages, .install, .verification, .recording: false
            }
        }

        /// What the value is compared with.
        var ceiling: String {
            switch self {
            case .roundTrip: "bare ping-pong of the same bytes"
            case .stream: "slowest stage, beside the other"
            case .stages: "slowest stage, on its own"
            case .install: "bare loop of unpack, hash and ioctl"
            case .verification: "the same loop without the hash"
            case .latency: "p99 without a stream"
            case .allocations: "pages that came meanwhile"
            case .recording: "the same without stamps"
            case .growth: "a page at the first size, as the bare loop grew"
            }
        }
    }

    let formatVersion: Int
    let kind: Kind
    /// The kind and what distinguishes the metric, for example `stream-ring-memfd`.
    let name: String
    let unit: String
    /// What the value is compared with.
    let ceilingOf: String
    /// A value for each round.
    private(set) var values: [Double] = []
    /// The ceiling of each round.
    private(set) var ceilings: [Double] = []
    /// Medians of both, and of the rounds' own ratios: what slows a whole round, on a machine that
    /// has other things to do, is in neither side of it.
    private(set) var value: Double = 0
    private(set) var ceiling: Double = 0
    private(set) var ratio: Double = 0

    private enum CodingKeys: String, CodingKey {
        case formatVersion = "format_version"
        case kind, unit, values, ceilings, value, ceiling, ratio
        case name = "metric"
        case ceilingOf = "ceiling_of"
    }

    /// Nothing measured yet.
    init(_ kind: Kind, _ detail: String) {
        formatVersion = 1
        self.kind = kind
        name = "\(kind.rawValue)-\(detail)"
        unit = kind.unit
        ceilingOf = kind.ceiling
    }

    /// Adds a round.
    mutating func add(_ value: Double, ceiling: Double) {
        values.append(value)
        ceilings.append(ceiling)
        self.value = median(values) ?? 0
        self.ceiling = median(ceilings) ?? 0
        ratio = median(zip(values, ceilings).map { $0 / $1 }) ?? 0
    }

    /// Whether a name means this metric: its own, or the beginning of it up to a dash.
    func answers(to name: String) -> Bool {
        self.name == name || self.name.hasPrefix(name + "-")
    }
}
