// SPDX-License-Identifier: Apache-2.0

internal import CGuest
internal import GuestMemory
internal import Synchronization

/// The page of guest memory through which one vCPU of the walker and its host talk.
///
/// The guest writes it while it runs, and at a destination the page may still be absent: then a
/// read sleeps in userfaultfd until it has arrived.
@safe struct WalkerBlock {
    private let base: UnsafeMutableRawPointer
    private let vcpu: Int

    /// - Parameters:
    ///   - memory: Memory of a walker, see ``WalkerLayout``.
    ///   - vcpu: Below `CGUEST_MOST_VCPUS`.
    init(_ memory: GuestRAM, _ vcpu: Int) {
        precondition(vcpu >= 0 && vcpu < Int(CGUEST_MOST_VCPUS))
        let page = PageIndex(Int(CGUEST_BLOCKS) >> GuestPage.shift + vcpu)
        let bytes = unsafe memory.bytes(of: PageRange(first: page, count: 1))
        // SAFETY: whoever has a block has the memory, too.
        guard let start = bytes.baseAddress else { preconditionFailure("an empty page") }
        unsafe base = start
        self.vcpu = vcpu
    }

    /// Tells the guest what to do, before it runs.
    func write(_ parameters: cguest_parameters) {
        unsafe base.storeBytes(of: parameters, as: cguest_parameters.self)
    }

    /// What the guest has counted.
    func statistics(tscKilohertz: UInt32) -> WalkerStatistics {
        let ticks = load(CGUEST_BLOCK_LARGEST_GAP)
        return WalkerStatistics(
            iterations: load(CGUEST_BLOCK_ITERATIONS),
            passes: load(CGUEST_BLOCK_PASSES),
            largestGapNanoseconds: Ticks.nanoseconds(ticks, kilohertz: tscKilohertz),
            tscRegressions: load(CGUEST_BLOCK_TSC_REGRESSIONS)
        )
    }

    /// What the guest has found wrong.
    var corruption: GuestCorruption {
        let code = load(CGUEST_BLOCK_CORRUPT_KIND)
        let kind: GuestCorruption.Kind =
            switch code {
            case UInt64(CGUEST_CORRUPT_NUMBER): .number
            case UInt64(CGUEST_CORRUPT_GENERATION): .generation
            case UInt64(CGUEST_CORRUPT_CHECKSUM): .checksum
            case UInt64(CGUEST_CORRUPT_ZERO): .zero
            default: .unknown(code)
            }
        return GuestCorruption(
            vcpu: vcpu,
            pageNumber: load(CGUEST_BLOCK_CORRUPT_PAGE),
            kind: kind,
            expected: load(CGUEST_BLOCK_CORRUPT_EXPECTED),
            found: load(CGUEST_BLOCK_CORRUPT_FOUND)
        )
    }

    private func load(_ offset: Int32) -> UInt64 {
        unsafe word(offset).pointee.load(ordering: .relaxed)
    }

    private func word(_ offset: Int32) -> UnsafeMutablePointer<Atomic<UInt64>> {
        unsafe (base + Int(offset)).assumingMemoryBound(to: Atomic<UInt64>.self)
    }
}
