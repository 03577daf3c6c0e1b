// SPDX-License-Identifier: Apache-2.0

// Fixed headers are little-endian and unaligned. Offsets are constants of the callers, which
// check the size of the whole header first.

extension UnsafeRawBufferPointer {
    @inline(__always)
    func little<Number: FixedWidthInteger & BitwiseCopyable>(
        _: Number.Type,
        at offset: Int
    ) -> Number {
        Number(littleEndian: unsafe loadUnaligned(fromByteOffset: offset, as: Number.self))
    }
}

extension UnsafeMutableRawBufferPointer {
    @inline(__always)
    func store<Number: FixedWidthInteger & BitwiseCopyable>(little value: Number, at offset: Int) {
        unsafe storeBytes(of: value.littleEndian, toByteOffset: offset, as: Number.self)
    }
}
