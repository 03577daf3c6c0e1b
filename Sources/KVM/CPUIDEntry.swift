// SPDX-License-Identifier: Apache-2.0

internal import CLinux

/// What the CPUID instruction answers for one leaf and subleaf.
package struct CPUIDEntry: Equatable, Sendable {
    /// Leaf: EAX of the question.
    package var function: UInt32
    /// Subleaf: ECX of the question, where it matters.
    package var index: UInt32
    /// `KVM_CPUID_FLAG_*`; bit 0 says that `index` matters.
    package var flags: UInt32
    /// EAX of the answer.
    package var eax: UInt32
    /// EBX of the answer.
    package var ebx: UInt32
    /// ECX of the answer.
    package var ecx: UInt32
    /// EDX of the answer.
    package var edx: UInt32

    /// All fields as KVM has them.
    package init(
        function: UInt32,
        index: UInt32,
        flags: UInt32,
        eax: UInt32,
        ebx: UInt32,
        ecx: UInt32,
        edx: UInt32
    ) {
        self.function = function
        self.index = index
        self.flags = flags
        self.eax = eax
        self.ebx = ebx
        self.ecx = ecx
        self.edx = edx
    }
}

/// `struct kvm_cpuid2`: a count and entries, which do not import as a whole.
struct CPUIDTable {
    /// Most entries that KVM takes or gives.
    static let mostEntries = 256

    private static let headerByteCount = MemoryLayout<kvm_cpuid2>.size
    private static let entryByteCount = MemoryLayout<kvm_cpuid_entry2>.size
    /// The structure, ready for the kernel.
    var bytes: [UInt8]

    /// Room for as many entries as there can be.
    init() {
        let count = Self.headerByteCount + Self.mostEntries * Self.entryByteCount
        bytes = [UInt8](repeating: 0, count: count)
        write(UInt32(Self.mostEntries), at: 0)
    }

    /// - Parameter entries: At most ``mostEntries``.
    init(_ entries: [CPUIDEntry]) {
        self.init()
        write(UInt32(entries.count), at: 0)
        for (position, entry) in entries.enumerated() {
            let fields = [
                entry.function, entry.index, entry.flags, entry.eax, entry.ebx, entry.ecx,
                entry.edx,
            ]
            for (field, value) in fields.enumerated() {
                write(value, at: offset(ofEntry: position) + field * 4)
            }
        }
    }

    /// The entries the kernel has written.
    var entries: [CPUIDEntry] {
        (0..<min(Int(word(at: 0)), Self.mostEntries)).map { position in
            let start = offset(ofEntry: position)
            return CPUIDEntry(
                function: word(at: start),
                index: word(at: start + 4),
                flags: word(at: start + 8),
                eax: word(at: start + 12),
                ebx: word(at: start + 16),
                ecx: word(at: start + 20),
                edx: word(at: start + 24)
            )
        }
    }

    private func offset(ofEntry position: Int) -> Int {
        Self.headerByteCount + position * Self.entryByteCount
    }

    private func word(at offset: Int) -> UInt32 {
        unsafe bytes.withUnsafeBytes { unsafe $0.load(fromByteOffset: offset, as: UInt32.self) }
    }

    private mutating func write(_ value: UInt32, at offset: Int) {
        unsafe bytes.withUnsafeMutableBytes {
            unsafe $0.storeBytes(of: value, toByteOffset: offset, as: UInt32.self)
        }
    }
}
