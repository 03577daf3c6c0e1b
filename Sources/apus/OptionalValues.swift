// SPDX-License-Identifier: Apache-2.0

/// Options whose value may be left out, which swift-argument-parser does not know: the value is
/// filled in before it looks.
///
/// What follows such an option is its value unless it begins with a dash, so this only suits
/// commands without positional arguments.
enum OptionalValues {
    /// Options, and the value they have alone.
    private static let defaults = [
        "-w": ExitPath.nowait.rawValue,
        "--exits": ExitPath.nowait.rawValue,
        "--json": JSONOutput.standardOutput.path,
    ]

    /// The arguments with all values in place.
    static func completed(_ arguments: some Collection<String>) -> [String] {
        var result: [String] = []
        var missing: String?
        for argument in arguments {
            if let value = missing, argument.hasPrefix("-") { result.append(value) }
            result.append(argument)
            missing = defaults[argument]
        }
        if let missing { result.append(missing) }
        return result
    }
}
