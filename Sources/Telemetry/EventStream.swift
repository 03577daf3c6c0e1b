// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// Where events go, whoever they come from: each is one line, written with one system call.
///
/// A reader that is slow, or goes away, costs events and nothing else. For one thread.
package final class EventStream {
    private var output: LineOutput
    private var sequence: UInt64 = 0

    /// - Parameter output: Where the lines go.
    package init(_ output: consuming LineOutput) {
        self.output = output
    }

    /// Writes one event of this moment.
    ///
    /// - Parameters:
    ///   - kind: What happened.
    ///   - role: Which side tells.
    ///   - guest: The guest's identity, once it is known.
    ///   - fill: Fills in what belongs to the kind.
    func write(
        _ kind: MigrationEvent.Kind,
        _ role: MigrationRole,
        guest: String?,
        _ fill: (inout MigrationEvent) -> Void
    ) {
        sequence += 1
        var event = MigrationEvent(kind, sequence: sequence, role: role, guest: guest)
        if kind == .outcome { event.dropped = output.droppedCount }
        fill(&event)
        output.write(event.line)
    }
}
