// SPDX-License-Identifier: Apache-2.0

package import Boot
internal import Glibc
internal import LinuxSystem

/// What a Linux guest is started from, read from its files and checked.
package struct LinuxImage: Sendable {
    /// The kernel.
    package let kernel: KernelImage
    /// The initial RAM disk, if there is one.
    package let initrd: [UInt8]?
    /// The kernel's command line.
    package let commandLine: String

    /// Most bytes that are read of a file: no kernel is larger, and no RAM disk fits below the hole.
    private static let mostBytes = 1 << 31

    /// Reads the files.
    ///
    /// - Parameters:
    ///   - kernel: Path of a bzImage or an ELF vmlinux.
    ///   - initrd: Path of the initial RAM disk.
    ///   - commandLine: For the kernel.
    /// - Throws: What is wrong with them, with the path.
    package init(
        kernel: String,
        initrd: String?,
        commandLine: String
    ) throws(MachineError) {
        do {
            // Both files first: what is not there is found before what is in them.
            let image = try Self.contents(of: kernel)
            self.initrd = try initrd.map { try Self.contents(of: $0) }
            self.kernel = try KernelImage(image)
        } catch {
            throw MachineError(error)
        }
        self.commandLine = commandLine
    }

    private static func contents(of path: String) throws -> [UInt8] {
        let file = try FileDescriptor(opening: path, flags: O_RDONLY)
        return try file.readAll(limit: mostBytes)
    }
}
