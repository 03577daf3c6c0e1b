// SPDX-License-Identifier: Apache-2.0

import MigrationWire
import Testing

/// Something wrong in what a source sends on a page lane.
struct BadFrame: CustomTestStringConvertible, Sendable {
    let lane: LaneName
    let news: String
    /// Whole frames before the one that is wrong.
    let framesBefore: Int
    /// False where the lane just ends.
    let isViolation: Bool
    /// Gets all frames up to the present one, and decides on that.
    let spoil: @Sendable ([[UInt8]]) -> Relay.Verdict

    var testDescription: String { "\(lane): \(news)" }

    /// Spoils frame number `index`, given as the only argument.
    private init(
        _ news: String,
        on lane: LaneName = .bulk(0),
        frame index: Int = 0,
        isViolation: Bool = true,
        _ change: @escaping @Sendable ([UInt8]) -> Relay.Verdict
    ) {
        self.lane = lane
        self.news = news
        framesBefore = index
        self.isViolation = isViolation
        spoil = { frames in frames.count == index + 1 ? change(frames[index]) : .pass }
    }

    static let all: [BadFrame] = headers + entries + contents + order + urgent

    private static let headers: [BadFrame] = [
        .init("unknown kind 9") { .replace($0.with(UInt8(9), at: 0)) },
        .init("unknown kind 1") { _ in .replace(RawBytes.request(page: 1)) },
        .init("reserved bits") { .replace($0.with(UInt8(1), at: 1)) },
        .init("0 entries") { .replace($0.with(UInt16(0), at: 2)) },
        .init("65 entries") { .replace($0.with(UInt16(65), at: 2)) },
        .init("payload of 4294967295") { .replace($0.with(UInt32.max, at: 4)) },
        .init("payload of 262145") { .replace($0.with(UInt32(262_145), at: 4)) },
        .init("frame number 9223372036854775808", frame: 2) {
            .replace($0.with(UInt64(1) << 63, at: 8))
        },
        .init("closed", isViolation: false) { .end(Array($0.dropLast(1))) },
        .init("closed", frame: 1, isViolation: false) { .end(Array($0.prefix(20))) },
    ]

    private static let entries: [BadFrame] = [
        .init("page 4096 does not exist") { .replace($0.with(UInt64(4096), at: 32)) },
        .init("page 9223372036854775808 does not exist", frame: 1) {
            .replace($0.with(UInt64(1) << 63, at: 32))
        },
        .init("unknown encoding 7") { .replace($0.with(UInt8(7), at: 44)) },
        .init("reserved bits") { .replace($0.with(UInt8(1), at: 47)) },
        .init("2147483648 bytes for page") { .replace($0.with(UInt32(1) << 31, at: 40)) },
        .init("bytes where") { frame in
            let payload = frame.little(UInt32.self, at: 4)
            // Zero pages bring no bytes of which one could be missing.
            guard payload > 0 else { return .replace(frame.with(UInt32(1), at: 4) + [0]) }
            return .replace(frame.with(payload - 1, at: 4).dropLast(1))
        },
    ]

    private static let contents: [BadFrame] = [
        .init("does not decompress to a page") { frame in
            let lengths: [UInt8] = [0xF0, 0xFF, 0xFF, 0xFF]
            return .replace(
                single(page: 4000, encoding: 2, lengths + [UInt8](repeating: 0xFF, count: 90))
            )
        },
        .init("does not decompress to a page") { _ in
            .replace(single(page: 4000, encoding: 2, [0x00]))
        },
        .init("does not decompress to a page") { _ in
            // A match that lies before the beginning.
            .replace(single(page: 4000, encoding: 2, [0x10, 0x41, 0xFF, 0xFF, 0xFF, 0x00]))
        },
        .init("4095 bytes for page 4000") { _ in
            .replace(single(page: 4000, encoding: 1, [UInt8](repeating: 1, count: 4095)))
        },
        .init("1 bytes for page 4000") { _ in .replace(single(page: 4000, encoding: 0, [0])) },
        .init("4096 bytes for page 4000") { _ in
            .replace(single(page: 4000, encoding: 2, [UInt8](repeating: 1, count: 4096)))
        },
    ]

    private static let order: [BadFrame] = [
        .init("frame number 1 where 0 was due") { _ in
            .replace(RawBytes.header(kind: 3, entries: 0, sequence: 1))
        },
        .init("frame number 0 where 1 was due", frame: 1) { frame in
            .replace(frame.with(UInt64(0), at: 8))
        },
        .init("frame number 3 where 2 was due", frame: 2) { frame in
            .replace(frame.with(UInt64(3), at: 8))
        },
    ]

    private static let urgent: [BadFrame] = [
        .init("unknown kind 3", on: .urgent(0)) { _ in
            .replace(RawBytes.header(kind: 3, entries: 0))
        },
        .init("unknown kind 77", on: .urgent(0)) { .replace($0.with(UInt8(77), at: 0)) },
        .init("frame number 5 where 0 was due", on: .urgent(0)) {
            .replace($0.with(UInt64(5), at: 8))
        },
        .init("does not exist", on: .urgent(0)) { .replace($0.with(UInt64.max, at: 32)) },
        .init("closed", on: .urgent(0), isViolation: false) { _ in .end([]) },
    ]

    /// A first frame with one page.
    private static func single(page: UInt64, encoding: UInt8, _ contents: [UInt8]) -> [UInt8] {
        RawBytes.page(page, .init(encoding: encoding, bytes: contents))
    }
}
