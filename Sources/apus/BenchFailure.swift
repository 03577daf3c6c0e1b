// SPDX-License-Identifier: Apache-2.0

internal import KVM
internal import LinuxSystem
internal import Userfault

/// Why there is no measurement.
enum BenchFailure: Error, CustomStringConvertible {
    /// This host lacks something: cause and remedy.
    case hostUnfit(String)
    /// It was begun, and failed.
    case failed(String)

    /// One line for a person.
    var description: String {
        switch self {
        case .hostUnfit(let text), .failed(let text): text
        }
    }

    /// Sorts what setting up a guest can fail with.
    init(_ error: any Error) {
        switch error {
        case let failure as BenchFailure: self = failure
        case FaultProbeError.unavailable(let lack):
            self = .hostUnfit("no \(lack.path.rawValue) here: \(lack.reason)")
        case FaultProbeError.system(let error): self = .failed("\(error)")
        case let error as KVMUnavailable: self = .hostUnfit("\(error)")
        case let error as UserfaultUnavailable: self = .hostUnfit("\(error)")
        default: self = .failed("\(error)")
        }
    }
}
