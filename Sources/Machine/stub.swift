package import GuestMemory
package import LinuxSystem
package import MigrationWire
package struct MachineError: Error, CustomStringConvertible { package var description: String { "" } }
package struct GuestEnding: CustomStringConvertible { package var description: String { "" } }
package struct Heartbeat: Sendable, Equatable { package var count: UInt64 = 0; package var last: MonotonicTime?; package var largestGapNanoseconds: UInt64 = 0; 
 package init(_ w: WireHeartbeats) {} }
extension WireHeartbeats { package init(_ h: Heartbeat) { self.init() } }
package final class Machine: Sendable {
    package let description: WireMachineDescription
    package let memory: GuestRAM
    package init(description: WireMachineDescription, memory: GuestRAM) throws(MachineError) { fatalError() }
    package func startThreads() throws(MachineError) {}
    package func resume() {}
    package func pause(within: Duration) throws(MachineError) -> MonotonicTime { .now }
    package func saveState() throws(MachineError) -> WireMachineState { .init() }
    package func loadState(_ : WireMachineState) throws(MachineError) {}
    package func stop() {}
    package func prepareToStop() {}
    package var firstRun: MonotonicTime? { nil }
    package var heartbeats: [Heartbeat] { [] }
    package func continueHeartbeats(from: [Heartbeat]) {}
    package func resetGaps() {}
    package var threadIDs: [CInt] { [] }
    package var ended: EventFD { fatalError() }
    package var ending: GuestEnding? { nil }
}
