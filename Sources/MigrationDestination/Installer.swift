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
    private let zeroPage: UnsafeMutableRawBufferPointer

    /// How often an install is tried while the mapping is changing under it.
    private static let mostRetries = 10_000

    /// Allocates its buffers.
    ///
    /// - Parameters:
    ///   - memory: Where pages go.
    ///   - wake: Whom its installs wake.
    package init(_ memory: IncomingMemory, wake: Wake) {
        self.memory = memory
        self.wake = wake
        let page = GuestPage.byteCount
        unsafe staging = .allocate(byteCount: WireLimits.payloadByteCount, alignment: page)
        unsafe zeroPage = .allocate(byteCount: page, alignment: page)
        unsafe zeroPage.initializeMemory(as: UInt8.self, repeating: 0)
    }

    deinit {
        unsafe staging.deallocate()
        unsafe zeroPage.deallocate()
    }

    /// Pages this thread has claimed, decoded, and not yet installed.
    private struct Run {
        let first: PageIndex
        let contents: Contents
        var count = 0
        var zeroCount = 0
        var digest = PageDigest()

        enum Contents { case staged, alias, zero }

        var range: PageRange { PageRange(first: first, count: count) }

        func continues(with page: PageIndex, _ contents: Contents) -> Bool {
            contents == self.contents && page.rawValue == first.rawValue + count
        }
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
                memory.countDuplicate()
                continue
            }
            let contents = contents(for: entry)
            if let open = run, !open.continues(with: entry.page, contents) {
                try finish(open, arrival)
                run = nil
            }
            var current = run ?? Run(first: entry.page, contents: contents)
            try unsafe take(entry, bytes, into: &current)
            run = current
        }
        if let run { try finish(run, arrival) }
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
        switch (memory.ram.backing, entry.encoding) {
        case (.memfd, _): .alias
        case (.anonymous, .zero): .zero
        case (.anonymous, .raw), (.anonymous, .lz4): .staged
        }
    }

    /// Decodes a claimed page to where it can be installed from.
    private func take(
        _ entry: PageEntry,
        _ bytes: UnsafeRawBufferPointer,
        into run: inout Run
    ) throws(InstallFailure) {
        let page = PageRange(first: entry.page, count: 1)
        let start = run.count * GuestPage.byteCount
        let place: UnsafeMutableRawBufferPointer
        switch run.contents {
        case .zero: unsafe place = zeroPage
        case .staged:
            unsafe place = .init(rebasing: staging[start..<start + GuestPage.byteCount])
        case .alias:
            guard let alias = unsafe memory.ram.aliasBytes(of: page) else {
                preconditionFailure("memfd without an alias mapping")
            }
            unsafe place = alias
        }
        if run.contents != .zero {
            do {
                unsafe try entry.decode(bytes, into: place)
            } catch {
                throw .defect(error)
            }
        }
        unsafe run.digest.add(entry.page, contents: UnsafeRawBufferPointer(place))
        if entry.encoding == .zero { run.zeroCount += 1 }
        run.count += 1
    }

    /// Makes a run present, then publishes it.
    private func finish(
        _ run: Run,
        _ arrival: IncomingMemory.Arrival
    ) throws(InstallFailure) {
        do {
            try makePresent(run)
            memory.count(run.count, zeroCount: run.zeroCount, digest: run.digest, arrival)
            try memory.publish(run.range, wake)
            // Behind the publication, where nobody waits for it.
            if run.contents == .alias { try memory.countAlias(pages: run.count) }
        } catch {
            throw .system(error)
        }
    }

    private func makePresent(_ run: Run) throws(SystemError) {
        let address = memory.address(of: run.range)
        let byteCount = run.range.byteCount
        var done = 0
        var retries = 0
        while done < byteCount {
            switch try attempt(run.contents, address: address, from: done, to: byteCount) {
            case .installed:
                done = byteCount
            case .partly(let more):
                done += more
            case .alreadyPresent where run.contents != .alias:
                // Something else has made a page present that only this thread may: the guest
                // would see what never arrived.
                throw SystemError(code: EEXIST, operation: "installing a page that is absent")
            case .alreadyPresent:
                // Mapped already, from the very page cache that was written. Whoever waits must
                // not be forgotten.
                try memory.userfault.wake(
                    address: address + UInt(done),
                    byteCount: GuestPage.byteCount
                )
                done += GuestPage.byteCount
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
        _ contents: Run.Contents,
        address: UInt,
        from start: Int,
        to end: Int
    ) throws(SystemError) -> InstallOutcome {
        let target = address + UInt(start)
        let userfault = memory.userfault
        let mode: Userfaultfd.Wake = wake == .everyone ? .now : .later
        switch contents {
        case .staged:
            let bytes = unsafe UnsafeRawBufferPointer(rebasing: staging[start..<end])
            return unsafe try userfault.copy(bytes, to: target, mode)
        case .zero:
            return try userfault.zero(address: target, byteCount: end - start, mode)
        case .alias:
            return try userfault.continue(address: target, byteCount: end - start, mode)
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
