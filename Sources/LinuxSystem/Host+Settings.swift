// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// Settings of this host that a person can change, read when asked.
extension Host {
    /// What userfaultfd(2) asks of those who have no CAP_SYS_PTRACE; nil where the kernel has no
    /// such setting.
    package enum UnprivilegedUserfaultfd: Sendable {
        /// They may have only one that sees no touches by the kernel.
        case userModeOnly
        /// They may have any.
        case allowed
    }

    /// The setting `vm.unprivileged_userfaultfd`; nil where there is none.
    package static var unprivilegedUserfaultfd: UnprivilegedUserfaultfd? {
        firstLine(of: "/proc/sys/vm/unprivileged_userfaultfd").map {
            $0 == "0" ? .userModeOnly : .allowed
        }
    }

    /// Where the kernel makes transparent huge pages of anonymous memory: `always`, `madvise` or
    /// `never`; nil where it has none.
    package static var transparentHugePages: String? {
        chosenWord(of: "/sys/kernel/mm/transparent_hugepage/enabled")
    }

    /// The same for shared memory, memfds among it: also `within_size`, `advise`, `deny`, `force`.
    package static var sharedTransparentHugePages: String? {
        chosenWord(of: "/sys/kernel/mm/transparent_hugepage/shmem_enabled")
    }

    /// The clock that the kernel reads, for example `tsc`.
    package static var clockSource: String? {
        firstLine(of: "/sys/devices/system/clocksource/clocksource0/current_clocksource")
    }

    /// The clocks that it could read.
    package static var availableClockSources: [String] {
        let path = "/sys/devices/system/clocksource/clocksource0/available_clocksource"
        return (firstLine(of: path) ?? "").split(separator: " ").map(String.init)
    }

    /// What the first processor says it can do, as /proc/cpuinfo names it.
    package static var processorFlags: Set<String> {
        for line in (contents(of: "/proc/cpuinfo") ?? "").split(separator: "\n")
        where line.hasPrefix("flags") {
            let words = line.drop { $0 != ":" }.dropFirst().split(separator: " ")
            return Set(words.map(String.init))
        }
        return []
    }

    /// Whether a part of the kernel that can be a module is there, loaded or built in.
    package static func hasModule(_ name: String) -> Bool {
        unsafe access("/sys/module/\(name)", F_OK) == 0
    }

    /// A parameter of such a part; nil where it cannot be read.
    package static func parameter(_ name: String, ofModule module: String) -> String? {
        firstLine(of: "/sys/module/\(module)/parameters/\(name)")
    }

    private static func firstLine(of path: String) -> String? {
        contents(of: path)?.split(separator: "\n").first.map(String.init)
    }

    /// The word in brackets, by which such files tell the choice.
    package static func chosenWord(in line: String) -> String? {
        line.split(separator: " ").first { $0.hasPrefix("[") && $0.hasSuffix("]") }
            .map { String($0.dropFirst().dropLast()) }
    }

    private static func chosenWord(of path: String) -> String? {
        firstLine(of: path).flatMap(chosenWord(in:))
    }
}
