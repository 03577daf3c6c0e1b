// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Glibc

/// Facts about this host and this process, read when asked.
package enum Host {
    /// Size of a page of host memory in bytes.
    package static let pageByteCount = Int(getpagesize())

    /// Identity of this boot of this host: two processes that read the same share its clocks.
    package static var bootIdentity: String {
        contents(of: "/proc/sys/kernel/random/boot_id")?
            .split(separator: "\n").first.map(String.init) ?? ""
    }

    /// Whether another process that read this identity shares this host's clocks.
    package static func isThisBoot(_ identity: String) -> Bool {
        !identity.isEmpty && identity == bootIdentity
    }

    /// Memory that can be had without swapping, in bytes; nil where the kernel does not tell.
    package static var availableMemoryBytes: Int? {
        kibibytes(of: "MemAvailable:", in: "/proc/meminfo")
    }

    /// Huge pages of 2 MiB that nobody has taken or been promised.
    package static var availableHugePages: Int {
        let folder = "/sys/kernel/mm/hugepages/hugepages-2048kB/"
        guard let free = number(in: folder + "free_hugepages"),
            let promised = number(in: folder + "resv_hugepages")
        else { return 0 }
        return max(0, free - promised)
    }

    /// Processors that the calling thread may run on; a host may have more.
    ///
    /// Kernel interface: sched_getaffinity(2); all that are online where it does not tell.
    package static var usableProcessors: Int {
        let usable = Int(clinux_usable_processors())
        return usable > 0 ? usable : max(1, sysconf(CInt(_SC_NPROCESSORS_ONLN)))
    }

    /// The most memory this process has had resident so far, in bytes.
    package static var peakResidentBytes: Int {
        kibibytes(of: "VmHWM:", in: "/proc/self/status") ?? 0
    }

    /// CPU time this process has used so far, all threads, by where it was spent.
    ///
    /// Kernel interface: getrusage(2); its sum is less precise than ``processCPUNanoseconds()``.
    package static var processCPUMicroseconds: (user: UInt64, system: UInt64) {
        var usage = rusage()
        guard unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 else {
            return (0, 0)
        }
        func microseconds(_ time: timeval) -> UInt64 {
            UInt64(clamping: time.tv_sec) * 1_000_000 + UInt64(clamping: time.tv_usec)
        }
        return (microseconds(usage.ru_utime), microseconds(usage.ru_stime))
    }

    /// Reads a small file, such as those in /proc.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - limit: Bytes read at the most.
    /// - Returns: Its text, or nil when it cannot be read.
    package static func contents(of path: String, limit: Int = 65_536) -> String? {
        guard let file = try? FileDescriptor(opening: path, flags: O_RDONLY) else { return nil }
        var bytes = [UInt8](repeating: 0, count: limit)
        var count = 0
        while count < limit {
            let result = unsafe bytes.withUnsafeMutableBytes { buffer in
                let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[count...])
                return unsafe read(file.rawValue, rest.baseAddress, rest.count)
            }
            if result < 0 && errno == EINTR { continue }
            guard result > 0 else { break }
            count += result
        }
        return String(decoding: bytes[..<count], as: UTF8.self)
    }

    private static func number(in path: String) -> Int? {
        contents(of: path)?.split(separator: "\n").first.flatMap { Int($0) }
    }

    private static func kibibytes(of field: String, in path: String) -> Int? {
        guard let text = contents(of: path) else { return nil }
        for line in text.split(separator: "\n") where line.hasPrefix(field) {
            let words = line.split(separator: " ")
            return words.count > 1 ? Int(words[1]).map { $0 * 1024 } : nil
        }
        return nil
    }
}
