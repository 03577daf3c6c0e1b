// SPDX-License-Identifier: Apache-2.0

internal import Foundation

/// Where the page goes.
package enum PageFile {
    /// Writes it.
    ///
    /// - Parameters:
    ///   - html: The page.
    ///   - path: A file, which is replaced at the end and not before, or something else, such as
    ///     a pipe, which is written to as it is.
    /// - Throws: ``ReportPageError/unwritable(path:reason:)``, in one line.
    package static func write(_ html: String, to path: String) throws(ReportPageError) {
        let data = Data(html.utf8)
        do {
            if isReplaceable(path) {
                try data.write(to: URL(fileURLWithPath: path), options: .atomic)
            } else {
                let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
                try file.write(contentsOf: data)
                try file.close()
            }
        } catch {
            let reason = InputFile.cause(error)
            throw .unwritable(path: path, reason: "cannot be written: \(reason)")
        }
    }

    /// Whether a path is free or a file; a rename would do away with anything else.
    private static func isReplaceable(_ path: String) -> Bool {
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        let type = attributes?[.type] as? FileAttributeType
        return type == nil || type == .typeRegular
    }
}
