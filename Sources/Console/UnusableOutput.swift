// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import LinuxSystem

/// Why something cannot be written to, noticed before a migration begins.
package struct UnusableOutput: Error, CustomStringConvertible {
    /// One line for a person: the flag, the cause and the remedy.
    package let description: String

    init(flag: String, _ text: String) {
        description = "\(flag): \(text)"
    }

    init(flag: String, _ error: SystemError) {
        let remedy =
            switch error.code {
            case ENOENT, ENOTDIR: "; create its folder first"
            case EACCES, EPERM, EROFS: "; choose a folder you can write to"
            case EISDIR: "; name a file in it"
            case ENXIO: "; nobody reads that pipe: start its reader first"
            case EBADF: "; have the caller open it for writing, as in fd:3 with 3>FILE"
            default: ""
            }
        self.init(flag: flag, "\(error)\(remedy)")
    }
}
