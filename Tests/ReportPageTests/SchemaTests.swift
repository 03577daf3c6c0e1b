// SPDX-License-Identifier: Apache-2.0

import Foundation
import ProcessSupport
import Telemetry
import TestSupport
import Testing

/// `Documentation/report.schema.json` and the code describe the same reports.
@Suite struct SchemaTests {
    /// A report in which no field is left out.
    private func fullReport() throws -> MigrationReport {
        var json = try Reports.json("nowait-destination")
        json["error"] = "none, but for this test"
        json[object: "gaps"]["outside_gap_after_us"] = 1
        json["precopy"] = Reports.precopy
        return try JSONDecoder().decode(
            MigrationReport.self,
            from: JSONSerialization.data(withJSONObject: json)
        )
    }

    @Test func `the full report leaves no field of the code out`() throws {
        expectFull(try fullReport(), "report")
    }

    /// Fails at each optional property that is nil, except for what only some array elements have.
    private func expectFull(_ value: Any, _ place: String) {
        let mirror = Mirror(reflecting: value)
        if mirror.displayStyle == .optional {
            guard let some = mirror.children.first else {
                Issue.record("\(place) is nil")
                return
            }
            expectFull(some.value, place)
            return
        }
        guard mirror.displayStyle == .struct else { return }
        for child in mirror.children {
            expectFull(child.value, "\(place).\(child.label ?? "")")
        }
    }

    @Test func `the schema has every field that is written, and no other`() throws {
        let data = try ReportFile.encode(fullReport())
        let written = places(in: try JSONSerialization.jsonObject(with: data))
        let schemaFile = Reports.checkout.appending(path: "Documentation/report.schema.json")
        let schema = try #require(
            JSONSerialization.jsonObject(with: Data(contentsOf: schemaFile)) as? Reports.JSON
        )
        let described = try described(by: schema, in: schema)
        #expect(written.subtracting(described).sorted() == [])
        #expect(described.subtracting(written).sorted() == [])
        #expect(described.count > 100)
    }

    private func places(in value: Any, _ place: String = "") -> Set<String> {
        if let object = value as? Reports.JSON {
            return object.reduce(into: []) { result, field in
                let inner = "\(place).\(field.key)"
                result.insert(inner)
                result.formUnion(places(in: field.value, inner))
            }
        }
        guard let array = value as? [Any] else { return [] }
        return array.reduce(into: []) { $0.formUnion(places(in: $1, place + "[]")) }
    }

    /// The same places by the schema, each of which has to be described, and closed.
    private func described(
        by schema: Reports.JSON,
        in root: Reports.JSON,
        _ place: String = ""
    ) throws -> Set<String> {
        #expect(schema["description"] is String || place.hasSuffix("[]"), "\(place)")
        if let reference = schema["$ref"] as? String {
            let name = try #require(reference.split(separator: "/").last)
            let named = root[object: "$defs"][object: String(name)]
            return try self.described(by: named, in: root, place)
        }
        if let items = schema["items"] as? Reports.JSON {
            return try self.described(by: items, in: root, place + "[]")
        }
        guard let properties = schema["properties"] as? [String: Reports.JSON] else { return [] }
        #expect(schema["additionalProperties"] as? Bool == false, "\(place)")
        var result: Set<String> = []
        for (name, property) in properties {
            let inner = "\(place).\(name)"
            result.insert(inner)
            result.formUnion(try self.described(by: property, in: root, inner))
            // Nobody has to guess a unit or a clock.
            let text = (property["description"] as? String ?? "").lowercased()
            if name.hasSuffix("_ns") {
                #expect(text.contains("nanoseconds") || text.contains("percent"), "\(inner)")
            }
            if name.hasSuffix("_us"), property["$ref"] == nil {
                #expect(text.contains("microseconds"), "\(inner)")
            }
            if name.hasSuffix("_bytes") { #expect(text.contains("in bytes"), "\(inner)") }
        }
        return result
    }

    /// What a validator that is not ours says of reports.
    @Suite(
        .enabled(if: SchemaValidator.runs, "needs python3-jsonschema"),
        .timeLimit(.minutes(1))
    )
    struct Validation {
        @Test(arguments: Reports.nowait + Reports.userfault)
        func `real reports of both sides are valid`(name: String) {
            let (code, text) = SchemaValidator.validate([Reports.path(name)])
            #expect(code == 0, "\(text)")
        }

        @Test(arguments: [
            [], ["machine"], ["timeline"], ["switchover"], ["gaps"], ["pages"], ["bytes"],
            ["faults"], ["faults", "fault_latency"], ["faults", "fault_series"], ["digest"],
            ["resources"], ["walker"], ["guest_progress"], ["precopy"],
        ])
        func `a field that the schema lacks is refused`(place: [String]) throws {
            let directory = TemporaryDirectory()
            let path = directory.file("report.json")
            var report = try Reports.json("nowait-destination")
            report["precopy"] = Reports.precopy
            switch place.count {
            case 0: report["colour"] = 1
            case 1: report[object: place[0]]["colour"] = 1
            default: report[object: place[0]][object: place[1]]["colour"] = 1
            }
            try JSONSerialization.data(withJSONObject: report).write(to: URL(filePath: path))
            let (code, text) = SchemaValidator.validate([path])
            #expect(code == 1, "\(text)")
            #expect(text.contains("'colour' was unexpected"), "\(text)")
        }

        @Test func `a field that is missing or of the wrong kind is refused`() throws {
            let directory = TemporaryDirectory()
            let path = directory.file("report.json")
            var report = try Reports.json("nowait-destination")
            report["role"] = nil
            report[object: "timeline"]["pause_ns"] = -1
            report["format_version"] = 3
            try JSONSerialization.data(withJSONObject: report).write(to: URL(filePath: path))
            let (code, text) = SchemaValidator.validate([path])
            #expect(code == 1)
            for words in ["'role' is a required", "timeline.pause_ns", "format_version"] {
                #expect(text.contains(words), "\(text)")
            }
        }
    }
}
