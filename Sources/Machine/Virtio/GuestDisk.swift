// SPDX-License-Identifier: Apache-2.0

internal import Devices
package import LinuxSystem

/// A file as a guest's disk: the guest learns that a request failed, and a person why.
package final class GuestDisk: DiskContents {
    private let file: DiskFile
    private let path: String
    private let note: @Sendable (String) -> Void
    /// Failures that are still told: a guest may try again as often as it likes.
    private let notesLeft = Locked(8)

    /// - Parameters:
    ///   - file: Where the bytes are.
    ///   - path: Of the file, for messages.
    ///   - note: Tells a person; from the device's thread.
    package init(_ file: DiskFile, at path: String, note: @escaping @Sendable (String) -> Void) {
        self.file = file
        self.path = path
        self.note = note
    }

    package func read(into bytes: inout [UInt8], at offset: UInt64) -> Bool {
        do {
            try file.read(into: &bytes, at: offset)
            return true
        } catch {
            return tell(error)
        }
    }

    package func write(_ bytes: [UInt8], at offset: UInt64) -> Bool {
        do {
            try file.write(bytes, at: offset)
            return true
        } catch {
            return tell(error)
        }
    }

    package func flush() -> Bool {
        do {
            try file.flush()
            return true
        } catch {
            return tell(error)
        }
    }

    /// - Returns: False, as the request has failed.
    private func tell(_ error: SystemError) -> Bool {
        let left = notesLeft.withLock { left in
            defer { left = max(0, left - 1) }
            return left
        }
        if left > 0 {
            let last = left == 1 ? "; more of this disk's failures are not told" : ""
            note("disk \(path): \(error), so a request of the guest's fails\(last)")
        }
        return false
    }
}
