// SPDX-License-Identifier: Apache-2.0

internal import LinuxSystem
internal import Telemetry

/// Where a vCPU's time goes from one memory-fault exit to the next.
enum PageCostPart: Int, CaseIterable {
    /// In KVM_RUN: entry, the guest's own instructions, its touch, the fault, exit.
    case run
    /// Finding the page, between all system calls.
    case own
    /// In UFFDIO_CONTINUE or UFFDIO_COPY.
    case install
    /// In KVM_SET_MEMORY_ATTRIBUTES, on the attributes path.
    case attributes
    /// In KVM_PRE_FAULT_MEMORY.
    case prefault
}

/// Adds up the time of each part, on one thread.
struct PageCostClock {
    private var last = MonotonicTime.now
    private(set) var nanoseconds = [UInt64](repeating: 0, count: PageCostPart.allCases.count)

    /// What has passed since the last call belongs to a part.
    mutating func lap(_ part: PageCostPart) {
        let now = MonotonicTime.now
        nanoseconds[part.rawValue] += now.nanoseconds(since: last)
        last = now
    }

    static func += (left: inout PageCostClock, right: PageCostClock) {
        for part in left.nanoseconds.indices { left.nanoseconds[part] += right.nanoseconds[part] }
    }
}

/// Nanoseconds of a page, by part; the clock's own reads are in them.
struct PageCost: Codable {
    let run: Double
    let own: Double
    let install: Double
    let attributes: Double
    let prefault: Double

    private enum CodingKeys: String, CodingKey {
        case run = "kvm_run_ns"
        case own = "own_ns"
        case install = "install_ns"
        case attributes = "set_attributes_ns"
        case prefault = "prefault_ns"
    }

    init(_ clock: PageCostClock, pages: Int) {
        func mean(_ part: PageCostPart) -> Double {
            Double(clock.nanoseconds[part.rawValue]) / Double(max(1, pages))
        }
        run = mean(.run)
        own = mean(.own)
        install = mean(.install)
        attributes = mean(.attributes)
        prefault = mean(.prefault)
    }

    /// A line for a person.
    var text: String {
        [
            ("KVM_RUN", run), ("install", install), ("attributes", attributes),
            ("prefault", prefault), ("own code", own),
        ].map { name, time in
            "\(name) \(HumanUnits.duration(nanoseconds: UInt64(time.rounded())))"
        }.joined(separator: ", ")
    }
}
