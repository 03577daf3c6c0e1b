// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Glibc

/// A system call that failed for a reason its wrapper does not list as an expected outcome.
///
/// `EINTR` never appears here: wrappers retry, except where being interrupted is the point.
package struct SystemError: Error, Equatable, CustomStringConvertible {
    /// The `errno` of the call, always positive.
    package let code: CInt
    /// The call, for example `ioctl(UFFDIO_COPY)`.
    package let operation: String

    /// - Parameters:
    ///   - code: The positive `errno`.
    ///   - operation: The call, as a person looks it up.
    package init(code: CInt, operation: String) {
        self.code = code
        self.operation = operation
    }

    /// The symbolic name of a positive `errno`, for example `ENOTTY`.
    package static func name(of code: some BinaryInteger) -> String {
        unsafe clinux_errno_name(CInt(code)).map { unsafe String(cString: $0) } ?? "\(code)"
    }

    /// The operation, the symbolic name and the C library's text of the error.
    package var description: String {
        let text = unsafe strerror(code).map { unsafe String(cString: $0) } ?? "unknown error"
        return "\(operation): \(text) (\(Self.name(of: code)))"
    }
}

/// Turns the result of a `clinux_` wrapper into a value or an error.
///
/// - Parameters:
///   - result: What the call returned: zero or more, or `-errno`.
///   - operation: Names the call in the error.
/// - Returns: `result`, when it is not negative.
/// - Throws: ``SystemError``, when it is.
@discardableResult
package func checked(
    _ result: CInt,
    _ operation: @autoclosure () -> String
) throws(SystemError) -> CInt {
    guard result >= 0 else { throw SystemError(code: -result, operation: operation()) }
    return result
}

/// Repeats a `clinux_` call while it is interrupted by a signal.
@inline(__always)
package func retryingInterrupts(_ call: () -> CInt) -> CInt {
    while true {
        let result = call()
        if result != -EINTR { return result }
    }
}
