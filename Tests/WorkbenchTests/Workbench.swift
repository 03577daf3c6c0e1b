// SPDX-License-Identifier: Apache-2.0

import Foundation
import ProcessSupport
import Testing

/// The executable `apus`, run to its end.
enum Workbench {
    /// Runs `apus bench demand-paging`.
    ///
    /// - Returns: Its exit code, and what it wrote to both outputs.
    static func page(_ flags: [String]) -> (code: Int32, text: String) {
        Command.run([Command.pathOfProduct("apus"), "bench", "demand-paging"] + flags)
    }

    /// Runs `apus bench lanes`.
    ///
    /// - Returns: Its exit code, and what it wrote to both outputs.
    static func lanes(_ flags: [String]) -> (code: Int32, text: String) {
        // Requests wait for each other: this takes 12 s on a machine with nothing else to do.
        Command.run([Command.pathOfProduct("apus"), "bench", "lanes"] + flags, within: 60)
    }

    /// Runs `apus report`.
    ///
    /// - Returns: Its exit code, and what it wrote to both outputs.
    static func report(_ arguments: [String]) -> (code: Int32, text: String) {
        Command.run([Command.pathOfProduct("apus"), "report"] + arguments)
    }

    /// Runs it with flags that work, and reads its JSON.
    static func json<Value: Decodable>(_ flags: [String]) throws -> Value {
        let (code, text) = page(flags + ["--json"])
        try #require(code == 0, "\(text)")
        return try JSONDecoder().decode(Value.self, from: Data(text.utf8))
    }
}

/// A run, by the names that its JSON has.
struct PagingRun: Decodable {
    let fault_path: String
    let vcpus: Int
    let paging_s: Double
    let pages_per_s: Double
    let pages_per_s_per_vcpu: Double
    let installs: Int
    let exits: Int
    let exits_on_present: Int
    let exits_elsewhere: Int
    let userfaults: Int
    let userfaults_on_present: Int
    let page_cost: Cost?

    struct Cost: Decodable {
        let kvm_run_ns: Double
        let own_ns: Double
        let install_ns: Double
        let set_attributes_ns: Double
        let prefault_ns: Double
    }
}

/// A table, by the names that its JSON has.
struct PagingTable: Decodable {
    struct Row: Decodable {
        let vcpus: Int
        let bytes_per_vcpu: Int
        let series: [Series]
    }

    struct Series: Decodable {
        let contestant: Contestant
        let pages_per_s: [Double?]
    }

    struct Contestant: Decodable, Equatable {
        let program: String
        let path: String
    }

    let format_version: Int
    let rounds: Int
    let rows: [Row]
}
