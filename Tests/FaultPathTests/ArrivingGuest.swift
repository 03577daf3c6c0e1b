// SPDX-License-Identifier: Apache-2.0

import GuestMemory
import KVM
import LinuxSystem
import MigrationDestination
import MigrationWire
import Synchronization
import Telemetry
import TestSupport
import Transport
import Userfault

/// A ``CommandedGuest`` in the middle of postcopy: its memory is absent apart from the program,
/// everything that serves faults is in place, and a ``PageSource`` has the pages.
///
/// Wired as a destination does it. Whoever makes one ends it.
final class ArrivingGuest: Sendable {
    /// When touches of absent pages begin to be exits.
    enum Arming { case atOnce, byTest }

    static let pageCount = 1024

    let vCPUs: [CommandedVCPU]
    let exits: FaultExits
    let memory: IncomingMemory
    let source: PageSource
    let ram: GuestRAM
    private let virtualMachine: VirtualMachine
    private let tasks = Tasks()
    private let threads = ThreadGroup()
    private let urgentLanes: [Ends]
    private let bulkLane: Ends
    private let framesStreamed = Mutex<UInt64>(0)

    /// Threads that drive vCPUs at the moment, as the kernel numbers them.
    private final class Tasks: Sendable {
        private let vCPUs = Mutex<[CInt: Int]>([:])
        func insert(_ task: CInt, _ vCPU: Int) { vCPUs.withLock { $0[task] = vCPU } }
        func remove(_ task: CInt) { vCPUs.withLock { $0[task] = nil } }
        func vCPU(_ task: CInt) -> Int? { vCPUs.withLock { $0[task] } }
    }

    /// Both ends of a lane.
    private struct Ends: Sendable {
        let source: any Lane
        let destination: any Lane

        init(_ name: LaneName) throws {
            (source, destination) = try SocketPair().take { first, second in
                (SocketLane(name, over: first), SocketLane(name, over: second))
            }
        }
    }

    /// Urgent lane 0 is the fault reader's, those behind it are the vCPUs': one each, unless there
    /// are to be fewer.
    init(
        _ path: FaultPath,
        _ backing: Backing = .anonymous,
        vCPUCount: Int = 1,
        vCPULanes: Int? = nil,
        zeroPages: Set<PageIndex> = [],
        arming: Arming = .atOnce
    ) throws {
        let layout = try GuestLayout.pc(byteCount: Self.pageCount << GuestPage.shift)
        let userfault = try Userfaultfd(for: Userfaultfd.Mode(for: backing))
        ram = try GuestRAM(layout: layout, backing: backing)
        let system = try KVMSystem()
        let choice: FaultPathChoice =
            switch path {
            case .nowait: .nowait
            case .attributes: .attributes
            case .userfault: .userfault
            }
        (virtualMachine, exits) = try FaultExits.probe(choice, on: system, layout: layout)
        try virtualMachine.setMemory(ram)
        if case .atOnce = arming { try exits.arm() }
        memory = try IncomingMemory(
            of: ram,
            exits: exits,
            userfault: userfault,
            streams: 1,
            vCPUs: vCPUCount
        )
        source = PageSource(
            pageCount: Self.pageCount,
            pagesPerRequest: backing.pagesPerHostPage,
            zeroPages: zeroPages
        )
        bulkLane = try Ends(.bulk(0))
        urgentLanes = try (0...(vCPULanes ?? vCPUCount)).map { try Ends(.urgent(UInt8($0))) }
        let servers = VCPUFaultServer.make(
            for: vCPUCount,
            memory,
            on: urgentLanes.dropFirst().map(\.destination),
            makeRing: { _ in FaultSpanRing() }
        )
        var vCPUs: [CommandedVCPU] = []
        for index in 0..<vCPUCount {
            let virtualCPU = try virtualMachine.makeVirtualCPU(index: index)
            try virtualCPU.setCPUID(system.supportedCPUID())
            try virtualCPU.enterLongMode(
                at: CommandedGuest.entry,
                pageTables: CommandedGuest.pageTables,
                argument: 0
            )
            vCPUs.append(CommandedVCPU(virtualCPU, servers[index], exits))
        }
        self.vCPUs = vCPUs
        try startThreads()
        // With all of its host page, where that has more.
        let image = CommandedGuest.image.keys.sorted()
        let first = ram.hostPage(of: PageIndex(image[0]))
        try stream((first.count > 1 ? Array(0..<first.count) : image).map { PageIndex($0) })
    }

    private func startThreads() throws {
        try KickSignal.install()
        for (index, lane) in urgentLanes.enumerated() {
            try threads.start("source-\(index)") { [source] in source.answer(on: lane.source) }
        }
        let readerLane = urgentLanes[0].destination
        try threads.start("dst-fault") { [memory, tasks] in
            readFaults(into: memory, requestingOn: readerLane) { tasks.vCPU($0) }
        }
        try threads.start("dst-answer") { [memory] in
            receiveAnswers(on: readerLane, into: memory, ring: FaultSpanRing())
        }
        try threads.start("dst-bulk") { [memory, bulkLane] in
            receiveStream(on: bulkLane.destination, into: memory)
        }
    }

    /// Ends everything the way a destination does.
    func end() {
        memory.failure.close()
        memory.stopReaders.signal()
        memory.pages.abandon()
        source.end()
        for lane in urgentLanes + [bulkLane] {
            lane.destination.shutdown()
            lane.source.shutdown()
        }
        threads.joinAll()
        try? exits.disarm()
        try? memory.unregister()
    }

    // MARK: The source's side

    /// Has the background stream bring some pages, and waits until they are present, or at least
    /// on their way in.
    func stream(_ pages: [PageIndex], until state: PageState = .installed) throws {
        for start in stride(from: 0, to: pages.count, by: 64) {
            let number = framesStreamed.withLock { count in
                defer { count += 1 }
                return count
            }
            let part = pages[start..<min(start + 64, pages.count)]
            try source.stream(part, on: bulkLane.source, frame: number)
        }
        let arrived = eventually { pages.allSatisfy { memory.pages.state(of: $0) == state } }
        guard arrived else { throw Late(what: "pages of the stream") }
    }

    /// Cuts the lane of a vCPU.
    func cutLane(of vCPU: Int) { urgentLanes[1 + vCPU].source.shutdown() }

    /// Waits for a request.
    func awaitRequest(for page: PageIndex) throws {
        guard eventually({ !source.requests(for: page).isEmpty }) else {
            throw Late(what: "the request for page \(page.rawValue)")
        }
    }

    /// Something did not happen in time.
    struct Late: Error { let what: String }

    // MARK: Touching

    /// Lets a thread of its own drive a vCPU, one at a time.
    func drive<Value: Sendable>(
        _ index: Int = 0,
        _ body: @escaping @Sendable (CommandedVCPU) throws -> Value
    ) throws -> Activity<Value> {
        let vCPU = vCPUs[index]
        let rescue: @Sendable () -> Void = { [self] in
            vCPU.interrupt()
            end()
        }
        return try Activity("vcpu-\(index)", rescue: rescue) { [self] in
            let task = currentThreadID()
            tasks.insert(task, index)
            defer { tasks.remove(task) }
            return try body(vCPU)
        }
    }

    /// Lets a thread that is no vCPU's touch guest memory, as a device would.
    func device<Value: Sendable>(
        _ body: @escaping @Sendable () throws -> Value
    ) throws -> Activity<Value> {
        try Activity("device", rescue: { [self] in end() }, body)
    }

    /// Four bytes of guest memory through the guest's own mapping: sleeps while they are absent.
    func word(_ page: PageIndex, at offset: Int = 0) -> UInt32 {
        let bytes = unsafe ram.bytes(of: PageRange(first: page, count: 1))
        return unsafe bytes.load(fromByteOffset: offset, as: UInt32.self)
    }

    /// Writes where `word` reads.
    func setWord(_ page: PageIndex, at offset: Int = 0, to value: UInt32) {
        let bytes = unsafe ram.bytes(of: PageRange(first: page, count: 1))
        unsafe bytes.storeBytes(of: value, toByteOffset: offset, as: UInt32.self)
    }

    /// Whether a present page holds what the source has, apart from words that the test wrote.
    func holds(_ page: PageIndex, except written: [Int: UInt32] = [:]) -> Bool {
        stride(from: 0, to: GuestPage.byteCount, by: 4).allSatisfy { offset in
            word(page, at: offset) == written[offset] ?? source.word(of: page, at: offset)
        }
    }
}
