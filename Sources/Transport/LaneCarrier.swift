// SPDX-License-Identifier: Apache-2.0

/// What carries a lane's bytes.
package enum LaneCarrier: CaseIterable, Sendable {
    /// Its socket.
    case socket
    /// Rings in shared memory.
    case ring
}
