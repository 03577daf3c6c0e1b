// SPDX-License-Identifier: Apache-2.0

extension HumanUnits {
    /// Reads an amount of memory: a whole number with K, M, G or T behind it (powers of 1024), or
    /// plain bytes; nil for anything else.
    package static func byteCount(from text: String) -> Int? {
        let shifts: [Character: Int] = ["K": 10, "M": 20, "G": 30, "T": 40]
        guard let last = text.last else { return nil }
        let shift = shifts[Character(last.uppercased())]
        guard let number = Int(shift == nil ? text[...] : text.dropLast()), number >= 0 else {
            return nil
        }
        let (result, isTooLarge) = number.multipliedReportingOverflow(by: 1 << (shift ?? 0))
        return isTooLarge ? nil : result
    }

    /// Reads a length of time: a number with us, ms, s, m or h behind it, or plain seconds; nil
    /// for anything else.
    package static func duration(from text: String) -> Duration? {
        let units = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)]
        let unit = units.first { text.hasSuffix($0.0) }
        guard let number = Double(text.dropLast(unit?.0.count ?? 0)) else { return nil }
        let seconds = number * (unit?.1 ?? 1)
        guard seconds >= 0, seconds < 1e9 else { return nil }
        return .seconds(seconds)
    }
}
