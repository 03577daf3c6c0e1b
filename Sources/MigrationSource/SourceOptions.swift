// SPDX-License-Identifier: Apache-2.0

/// How a source serves.
package struct SourceOptions: Sendable {
    /// The longest wait for a destination to build its machine and open its lanes.
    package var setupLimit = Duration.seconds(30)
    /// The longest wait, with the guest paused, for the destination to load the state; then the
    /// guest goes on here.
    package var loadLimit = Duration.seconds(10)
    /// The longest wait for devices to be done with their requests, while the guest runs, and then
    /// for all vCPUs to leave KVM_RUN.
    package var pauseLimit = Duration.seconds(5)

    /// The defaults.
    package init() {}
}
