// SPDX-License-Identifier: Apache-2.0

internal import KVM
internal import TestSupport

/// Starts sources and destinations for one test, and ends them with it.
package final class Bench {
    /// Where they leave their files.
    package let folder: ScratchFolder
    private var processes: [ApusProcess] = []

    /// Nothing is running yet.
    package init() throws {
        folder = try ScratchFolder()
    }

    deinit {
        for process in processes { process.send(9) }
    }

    /// Starts a source and waits until it listens.
    ///
    /// - Parameters:
    ///   - memory: Its guest's.
    ///   - vCPUs: Its guest's.
    ///   - flags: Beyond those for memory, vCPUs and address.
    ///   - listen: Its address; a Unix socket unless given.
    ///   - wrapper: See ``ApusProcess``.
    /// - Returns: The process.
    /// - Throws: When it ends instead, or takes too long.
    package func source(
        memory: String = "16M",
        vCPUs: Int = 1,
        _ flags: [String] = [],
        listen: String? = nil,
        through wrapper: [String] = []
    ) throws -> ApusProcess {
        let process = try ApusProcess(
            .source,
            ["--memory", memory, "--vcpus", "\(vCPUs)", "--listen", listen ?? folder.address()]
                + flags,
            in: folder,
            through: wrapper
        )
        processes.append(process)
        _ = try process.address()
        return process
    }

    /// Starts a destination, on the fault path that tests are run on.
    package func destination(
        to address: String,
        _ flags: [String] = [],
        through wrapper: [String] = []
    ) throws -> ApusProcess {
        let process = try ApusProcess(
            .destination,
            ["--connect", address, "--fault-path", HostFacts.faultPath.rawValue] + flags,
            in: folder,
            through: wrapper
        )
        processes.append(process)
        return process
    }

    /// Starts either, whatever becomes of it.
    package func start(
        _ program: ApusProcess.Program,
        _ arguments: [String],
        through wrapper: [String] = []
    ) throws -> ApusProcess {
        let process = try ApusProcess(program, arguments, in: folder, through: wrapper)
        processes.append(process)
        return process
    }
}
