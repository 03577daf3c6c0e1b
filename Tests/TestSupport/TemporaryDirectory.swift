// SPDX-License-Identifier: Apache-2.0

internal import Glibc

/// A directory of a test's own, removed with its files when it goes out of scope.
package struct TemporaryDirectory: ~Copyable {
    /// Its absolute path, short enough for socket files.
    package let path: String

    /// Kernel interface: mkdtemp(3).
    package init() {
        var name = Array("/tmp/apus-test-XXXXXX".utf8CString)
        let isMade = unsafe name.withUnsafeMutableBufferPointer { buffer in
            unsafe buffer.baseAddress.map { unsafe mkdtemp($0) != nil } ?? false
        }
        precondition(isMade, "no temporary directory")
        path = String(decoding: name.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// A path in the directory.
    package func file(_ name: String) -> String { "\(path)/\(name)" }

    deinit {
        if let directory = unsafe opendir(path) {
            while let entry = unsafe readdir(directory) {
                let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { tuple in
                    let bytes = unsafe UnsafeRawPointer(tuple)
                    return unsafe String(cString: bytes.assumingMemoryBound(to: CChar.self))
                }
                if name != "." && name != ".." { _ = unsafe unlink("\(path)/\(name)") }
            }
            unsafe closedir(directory)
        }
        _ = unsafe rmdir(path)
    }
}
