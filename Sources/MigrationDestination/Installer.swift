// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import GuestMemory
package import LinuxSystem
package import MigrationWire
internal import Userfault

/// Why a frame could not be installed.
package enum InstallFailure: Error {
    /// The peer's fault.
    case defect(FrameDefect)
    /// The kernel's answer.
    case system(SystemError)
}

/// Makes the pages of received frames present: each once, whole, contiguous ones together.
///
/// A page that comes again in a precopy round, when the guest does not run yet, is written over.
///
/// Owned by one receiving thread; allocates its staging buffer once.
@safe package struct Installer: ~Copyable {
    /// Whom an install wakes.
    package enum Wake {
        /// All threads that sleep in userfaultfd for the pages.
        case everyone
        /// Only those whose events have been read. For the installs of a vCPU, which does not
        /// sleep there itself: it saves the locks of the wait queues. Others whose events are
        /// read later find their page installed, and are woken then.
        case onlyKnownWaiters
    }

    private let memory: IncomingMemory
    private let wake: Wake
    private let staging: UnsafeMutableRawBufferPointer
    /// Room for a page that is written over.
    private let spare: UnsafeMutableRawBufferPointer

    /// How often an install is tried while the mapping is changing under it.
    private static let mostRetries = 10_000

    /// Allocates its buffer.
    ///
    /// - Parameters:
    ///   - memory: Where pages go.
    ///   - wake: Whom its installs wake.
    package init(_ memory: IncomingMemory, wake: Wake) {
        self.memory = memory
        self.wake = wake
        unsafe staging = .allocate(
            byteCount: WireLimits.payloadByteCount,
            alignment: GuestPage.byteCount
        )
        unsafe spare = .allocate(byteCount: GuestPage.byteCount, alignment: GuestPage.byteCount)
    }

    deinit {
        unsafe staging.deallocate()
        unsafe spare.deallocate()
    }

    /// Pages this thread has claimed, decoded, and not yet installed.
    @safe private struct Run {
        let first: PageIndex
        var contents: Contents
        var count = 0
        var zeroCount = 0
        var digest = PageDigest()
        /// Of pages in the frame, their bytes there.
        var bytes: UnsafeRawBufferPointer

        /// Where the decoded pages are.
        enum Contents {
            /// In the frame itself, which holds them as they are, one behind the other.
            case frame
            /// In the staging buffer.
            case staged
            /// Nowhere: they are zero, and the kernel has such pages.
            case zero
        }

        init(first: PageIndex, _ contents: Contents, _ bytes: UnsafeRawBufferPointer) {
            self.first = first
            self.contents = contents
            unsafe self.bytes = unsafe bytes
        }

        var range: PageRange { PageRange(first: first, count: count) }
    }

    /// Installs what is still missing of a frame's pages, and wakes whoever waits for them.
    package mutating func install(
        _ frame: borrowing PageFrame,
        arrival: IncomingMemory.Arrival
    ) throws(InstallFailure) {
        var run: Run?
        var offset = 0
        for index in 0..<(unsafe frame.header.entryCount) {
            let entry = unsafe try entry(index, of: frame)
            let bytes = unsafe frame.contents(of: entry, at: offset)
            offset += entry.payloadByteCount
            guard memory.pages.claim(entry.page).isClaimable else {
                if arrival == .round {
                    try unsafe overwrite(entry, bytes)
                } else {
                    memory.countDuplicate()
                }
                continue
            }
            var current = unsafe Run(first: entry.page, contents(for: entry), bytes)
            if let open = run {
                if let longer = lengthen(open, with: current) {
                    current = longer
                } else {
                    try finish(open, arrival)
                }
            }
            try unsafe take(entry, bytes, into: &current)
            run = current
        }
        if let run { try finish(run, arrival) }
    }

    /// Writes over a page of a guest that does not run yet, with newer bytes of a later round.
    private func overwrite(
        _ entry: PageEntry,
        _ bytes: UnsafeRawBufferPointer
    ) throws(InstallFailure) {
        guard memory.pages.reclaim(entry.page) else {
            memory.countDuplicate()
            return
        }
        let range = PageRange(first: entry.page, count: 1)
        do {
            unsafe try memory.ram.copy(range, into: spare)
        } catch {
            throw .system(error)
        }
        var before = PageDigest()
        let wasZero = unsafe before.add(entry.page, contents: .init(spare))
        do {
            unsafe try entry.decode(bytes, into: spare)
        } catch {
            throw .defect(error)
        }
        var after = PageDigest()
        unsafe after.add(entry.page, contents: .init(spare), as: entry.encoding)
        do {
            unsafe try memory.ram.overwrite(range, with: .init(spare))
        } catch {
            throw .system(error)
        }
        memory.count(
            0,
            zeroCount: (entry.encoding == .zero ? 1 : 0) - (wasZero ? 1 : 0),
            digest: after.without(before),
            .round
        )
        _ = memory.pages.markInstalled(range)
    }

    private func entry(
        _ index: Int,
        of frame: borrowing PageFrame
    ) throws(InstallFailure) -> PageEntry {
        do {
            return unsafe try frame.entry(index)
        } catch {
            throw .defect(error)
        }
    }

    private func contents(for entry: PageEntry) -> Run.Contents {
        switch entry.encoding {
        case .zero: memory.ram.backing.isFile ? .staged : .zero
        case .raw: .frame
        case .lz4: .staged
        }
    }

    /// A run that goes on with what would begin another; nil when it cannot.
    ///
    /// Pages that travel as they are need no staging, unless their neighbours do: one system call
    /// more costs more than to copy a few pages.
    private func lengthen(_ run: Run, with next: Run) -> Run? {
        let pagesPerHostPage = memory.ram.backing.pagesPerHostPage
        guard next.first.rawValue == run.first.rawValue + run.count,
            pagesPerHostPage == 1 || next.first.rawValue % pagesPerHostPage != 0
        else { return nil }
        switch (run.contents, next.contents) {
        case (.staged, .staged), (.staged, .frame), (.zero, .zero): return run
        case (.frame, .frame):
            var longer = run
            // In the frame, too, unless a page between them was dropped.
            guard
                unsafe next.bytes.baseAddress
                    == run.bytes.baseAddress.map({ unsafe $0 + run.bytes.count })
            else { return nil }
            unsafe longer.bytes = UnsafeRawBufferPointer(
                start: run.bytes.baseAddress,
                count: run.bytes.count + next.bytes.count
            )
            return longer
        case (.frame, .staged):
            var staged = run
            unsafe staging.copyMemory(from: run.bytes)
            staged.contents = .staged
            return staged
        case (.zero, _), (_, .zero): return nil
        }
    }

    /// Decodes a claimed page to where it can be installed from.
    private func take(
        _ entry: PageEntry,
        _ bytes: UnsafeRawBufferPointer,
        into run: inout Run
    ) throws(InstallFailure) {
        let contents: UnsafeRawBufferPointer
        switch run.contents {
        case .zero, .frame: unsafe contents = unsafe bytes
        case .staged:
            let start = run.count * GuestPage.byteCount
            let place = unsafe UnsafeMutableRawBufferPointer(
                rebasing: staging[start..<start + GuestPage.byteCount]
            )
            do {
                unsafe try entry.decode(bytes, into: place)
            } catch {
                throw .defect(error)
            }
            unsafe contents = UnsafeRawBufferPointer(place)
        }
        unsafe run.digest.add(entry.page, contents: contents, as: entry.encoding)
        if entry.encoding == .zero { run.zeroCount += 1 }
        run.count += 1
    }

    /// Makes a run present, or the host page that it completes; then publishes it.
    private func finish(
        _ run: Run,
        _ arrival: IncomingMemory.Arrival
    ) throws(InstallFailure) {
        do {
            // Before the run is complete: another thread may publish it with its host page.
            memory.count(run.count, zeroCount: run.zeroCount, digest: run.digest, arrival)
            if memory.ram.backing.isFile {
                unsafe try memory.ram.fillBehind(run.range, with: contents(of: run))
            }
            if let range = memory.complete(run.range) {
                try makePresent(range, run)
                try memory.publish(range, wake)
            }
        } catch {
            throw .system(error)
        }
    }

    private func makePresent(
        _ range: PageRange,
        _ run: Run
    ) throws(SystemError) {
        let address = memory.address(of: range)
        let byteCount = range.byteCount
        var done = 0
        var retries = 0
        while done < byteCount {
            switch try attempt(run, address: address, from: done, to: byteCount) {
            case .installed:
                done = byteCount
            case .partly(let more):
                done += more
            case .alreadyPresent where !memory.ram.backing.isFile:
                // Something else has made a page present that only this thread may: the guest
                // would see what never arrived.
                throw SystemError(code: EEXIST, operation: "installing a page that is absent")
            case .alreadyPresent:
                // Mapped already, from the very page cache that was filled. Whoever waits must
                // not be forgotten.
                let step = GuestPage.byteCount * memory.ram.backing.pagesPerHostPage
                try memory.userfault.wake(address: address + UInt(done), byteCount: step)
                done += step
            case .retry:
                retries += 1
                guard retries < Self.mostRetries else {
                    throw SystemError(code: EAGAIN, operation: "installing pages, again and again")
                }
                yieldProcessor()
            }
        }
    }

    private func attempt(
        _ run: Run,
        address: UInt,
        from start: Int,
        to end: Int
    ) throws(SystemError) -> InstallOutcome {
        let target = address + UInt(start)
        let userfault = memory.userfault
        let mode: Userfaultfd.Wake = wake == .everyone ? .now : .later
        if memory.ram.backing.isFile {
            return try userfault.continue(address: target, byteCount: end - start, mode)
        }
        if run.contents == .zero {
            return try userfault.zero(address: target, byteCount: end - start, mode)
        }
        let bytes = unsafe UnsafeRawBufferPointer(rebasing: contents(of: run)[start..<end])
        return unsafe try userfault.copy(bytes, to: target, mode)
    }

    /// The bytes of a run, which is not one of zeros.
    private func contents(of run: Run) -> UnsafeRawBufferPointer {
        switch run.contents {
        case .frame: unsafe run.bytes
        case .staged: unsafe UnsafeRawBufferPointer(rebasing: staging[..<run.range.byteCount])
        case .zero: unsafe UnsafeRawBufferPointer(start: nil, count: 0)
        }
    }
}

extension PageState {
    /// Whether a claim that found this state has won.
    fileprivate var isClaimable: Bool {
        switch self {
        case .absent, .requested: true
        case .arriving, .installed: false
        }
    }
}
