// SPDX-License-Identifier: Apache-2.0

/// Metrics in Prometheus' text exposition format, version 0.0.4.
///
/// Names and units are the caller's business: base units, `_total` behind counters.
package struct PrometheusText: Sendable {
    /// Labels of one sample beside the common ones.
    package typealias Labels = [(name: String, value: String)]

    /// What a family is.
    package enum Kind: String, Sendable {
        /// Goes up and down.
        case gauge
        /// Only goes up.
        case counter
    }

    /// All families so far, in their order.
    package private(set) var text = ""
    private let common: Labels

    /// - Parameter common: Labels that all samples have.
    package init(common: Labels) {
        self.common = common
    }

    /// Adds a family of one sample.
    ///
    /// - Parameters:
    ///   - name: Once in a text.
    ///   - kind: What it is.
    ///   - help: One line.
    ///   - value: In a base unit; nothing is added when it is not known.
    package mutating func add(_ name: String, _ kind: Kind, _ help: String, _ value: Double?) {
        guard let value else { return }
        add(name, kind, help, [([], value)])
    }

    /// Adds a family of several samples; nothing when there are none.
    package mutating func add(
        _ name: String,
        _ kind: Kind,
        _ help: String,
        _ samples: [(labels: Labels, value: Double)]
    ) {
        guard !samples.isEmpty else { return }
        head(name, kind.rawValue, help)
        for sample in samples { line(name, sample.labels, sample.value) }
    }

    /// Adds a set of states of which one holds.
    ///
    /// - Parameters:
    ///   - name: Once in a text.
    ///   - help: One line.
    ///   - states: All there are.
    ///   - label: What a state is called.
    ///   - current: The one that holds, if any does.
    package mutating func add(
        _ name: String,
        _ help: String,
        states: [String],
        label: String,
        current: String?
    ) {
        add(name, .gauge, help, states.map { ([(label, $0)], $0 == current ? 1 : 0) })
    }

    /// Adds a histogram.
    ///
    /// - Parameters:
    ///   - name: Once in a text.
    ///   - help: One line.
    ///   - buckets: Events of each bucket by themselves; the last one has no upper end.
    ///   - ends: Upper ends of all others, ascending.
    ///   - sum: Of all events.
    package mutating func add(
        _ name: String,
        _ help: String,
        buckets: [UInt64],
        ends: [Double],
        sum: Double
    ) {
        precondition(buckets.count == ends.count + 1, "a bucket without an end, or an end too many")
        head(name, "histogram", help)
        var total: UInt64 = 0
        for (count, end) in zip(buckets, ends + [.infinity]) {
            total += count
            line("\(name)_bucket", [("le", Self.number(end))], Double(total))
        }
        line("\(name)_sum", [], sum)
        line("\(name)_count", [], Double(total))
    }

    private mutating func head(_ name: String, _ type: String, _ help: String) {
        text += "# HELP \(name) \(Self.escaped(help, quotes: false))\n# TYPE \(name) \(type)\n"
    }

    private mutating func line(_ name: String, _ labels: Labels, _ value: Double) {
        let all = (common + labels).map { "\($0.name)=\"\(Self.escaped($0.value, quotes: true))\"" }
        let braces = all.isEmpty ? "" : "{" + all.joined(separator: ",") + "}"
        text += "\(name)\(braces) \(Self.number(value))\n"
    }

    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
        return Int64(exactly: value).map { "\($0)" } ?? "\(value)"
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
