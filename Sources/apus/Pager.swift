// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import GuestMemory
internal import KVM
internal import LinuxSystem
internal import Userfault

/// Makes pages present: for vCPUs that left KVM_RUN on their own threads, for those that sleep in
/// userfaultfd on a reader's.
///
/// Shared by all of them. Nothing here allocates, locks or logs after the start.
@safe final class Pager: Sendable {
    /// One for all memory, or one for each vCPU's.
    let userfaults: [Userfaultfd]
    private let guest: PagingGuest
    private let memory: GuestRAM
    private let mode: PagingMode
    private let delayMicroseconds: UInt32
    private let pageByteCount: Int
    private let bytesPerUserfault: Int
    /// What a page is copied from.
    private let contents: Mapping

    /// What all pages are full of before the guest writes.
    static let filler: UInt8 = 0xAB
    private static let image = PagingGuest.imagePages << GuestPage.shift

    /// All memory that is paged in is absent, its contents ready, its touches reported, and exits
    /// are on where the path has them.
    init(_ guest: PagingGuest, _ parameters: PagingParameters) throws {
        self.guest = guest
        memory = guest.memory
        mode = parameters.mode
        delayMicroseconds = parameters.delayMicroseconds
        pageByteCount = parameters.backing.pageByteCount
        bytesPerUserfault = parameters.byteCount / parameters.userfaults
        contents = try Mapping(.anonymous, byteCount: pageByteCount)
        unsafe contents.base.initializeMemory(
            as: UInt8.self,
            repeating: Self.filler,
            count: pageByteCount
        )
        let reported: Userfaultfd.Mode = mode == .minor ? .missingAndMinor : .missing
        var userfaults: [Userfaultfd] = []
        for index in 0..<parameters.userfaults {
            let userfault = try Userfaultfd(for: reported)
            let first = Self.image + index * bytesPerUserfault
            try userfault.register(
                address: memory.mapping.address + UInt(first),
                byteCount: bytesPerUserfault,
                mode: reported
            )
            userfaults.append(userfault)
        }
        self.userfaults = userfaults
        if mode == .minor { try fillPages(parameters.installs) }
        try guest.exits.arm()
        try guest.exits.becamePresent(
            PageRange(first: PageIndex(0), count: PagingGuest.imagePages)
        )
    }

    /// Fills the pages behind the guest's mapping, so that only their page table entries are missing.
    private func fillPages(_ count: Int) throws {
        let perPage = pageByteCount / GuestPage.byteCount
        for index in 0..<count {
            let page = PageRange(
                first: PageIndex(PagingGuest.imagePages + index * perPage),
                count: perPage
            )
            let bytes = unsafe UnsafeRawBufferPointer(start: contents.base, count: pageByteCount)
            unsafe try memory.fillBehind(page, with: bytes)
        }
    }

    /// Makes the page of an exit present, on the vCPU's thread.
    ///
    /// Nobody sleeps for it, so nobody is woken.
    func serve(_ fault: MemoryFault, _ counts: inout PagingCounts) throws(SystemError) {
        counts.exits += 1
        guard let page = memory.layout.page(at: fault.address) else {
            throw SystemError(code: EFAULT, operation: "an exit outside guest memory")
        }
        let offset = page.rawValue << GuestPage.shift & ~(pageByteCount - 1)
        guard offset >= Self.image else {
            counts.exitsElsewhere += 1
            return try memory.mapping.populate(
                offset: page.rawValue << GuestPage.shift,
                byteCount: GuestPage.byteCount
            )
        }
        if delayMicroseconds > 0 { usleep(delayMicroseconds) }
        let userfault = userfaults[(offset - Self.image) / bytesPerUserfault]
        counts.clock?.lap(.own)
        if try install(offset, by: userfault, .later) {
            counts.installs += 1
        } else {
            // Another vCPU was faster, or the kernel has unmapped the page since.
            counts.exitsOnPresent += 1
            try memory.mapping.populate(offset: offset, byteCount: pageByteCount)
        }
        counts.clock?.lap(.install)
        try guest.exits.becamePresent(
            PageRange(
                first: PageIndex(offset >> GuestPage.shift),
                count: pageByteCount >> GuestPage.shift
            )
        )
        counts.clock?.lap(.attributes)
    }

    /// Makes the page of an event present and wakes who sleeps for it, on a reader's thread.
    func serve(
        _ event: UserfaultEvent,
        of userfault: Userfaultfd,
        _ counts: inout PagingCounts
    ) throws(SystemError) {
        counts.userfaults += 1
        if delayMicroseconds > 0 { usleep(delayMicroseconds) }
        let offset = Int(event.address - memory.mapping.address) & ~(pageByteCount - 1)
        if try install(offset, by: userfault, .now) {
            counts.installs += 1
        } else {
            counts.userfaultsOnPresent += 1
            try userfault.wake(
                address: memory.mapping.address + UInt(offset),
                byteCount: pageByteCount
            )
        }
    }

    /// Whether this call has made the page present; otherwise it was.
    private func install(
        _ offset: Int,
        by userfault: Userfaultfd,
        _ wake: Userfaultfd.Wake
    ) throws(SystemError) -> Bool {
        let address = memory.mapping.address + UInt(offset)
        while true {
            let outcome: InstallOutcome
            switch mode {
            case .missing:
                let page = unsafe UnsafeRawBufferPointer(
                    start: contents.base,
                    count: pageByteCount
                )
                outcome = unsafe try userfault.copy(page, to: address, wake)
            case .minor:
                outcome = try userfault.continue(
                    address: address,
                    byteCount: pageByteCount,
                    wake
                )
            }
            switch outcome {
            case .installed: return true
            case .alreadyPresent: return false
            case .partly, .retry: yieldProcessor()
            }
        }
    }
}
