// SPDX-License-Identifier: Apache-2.0

package import KVM
package import MigrationWire

/// How a guest's TSC relates to its host's.
package enum TSCRate: Equatable, Sendable {
    /// The same frequency: only an offset apart.
    case host
    /// Another frequency, which the processor makes by multiplication.
    case scaled
}

/// How a vCPU's TSC goes on at the destination.
package enum TimeRestore: Equatable, Sendable {
    /// Where both hosts relate their TSC to real time: offsets that let the guest's TSC go on as
    /// if it had never stopped, one for each vCPU.
    case offsets([UInt64])
    /// Otherwise: the TSC goes on from where it was saved, without the time of the stop. KVM
    /// takes writes within a second of each other for one moment, so that vCPUs stay in step.
    case values

    /// Decides, by the algorithm of Documentation/virt/kvm/devices/vcpu.rst.
    ///
    /// That algorithm is for a TSC that is not scaled. So it is taken only when it is not scaled
    /// here, and when at the source host TSC and offset made up the guest's TSC, to within a
    /// second.
    ///
    /// - Parameters:
    ///   - state: The saved state, checked.
    ///   - clock: The VM's clock here, after it was set from the saved one.
    ///   - kilohertz: Frequency of the guest's TSC.
    ///   - rate: How it relates to this host's.
    package init(
        _ state: WireMachineState,
        clock: VirtualMachineClock,
        kilohertz: UInt32,
        rate: TSCRate
    ) {
        self = .values
        let saved = VirtualMachineClock(state.clock)
        guard saved.hasRealtime, saved.hasHostTSC, clock.hasHostTSC, rate == .host
        else { return }
        // Guest time that has passed, in ticks; never backwards.
        guard clock.nanoseconds >= saved.nanoseconds else { return }
        let passed = Ticks.count(
            inNanoseconds: clock.nanoseconds - saved.nanoseconds,
            kilohertz: kilohertz
        )
        let second = UInt64(kilohertz) * 1000
        var offsets: [UInt64] = []
        for vcpu in state.vcpus {
            guard vcpu.hasTscOffset else { return }
            let difference = vcpu.tsc &- (saved.hostTSC &+ vcpu.tscOffset)
            guard min(difference, 0 &- difference) < second else { return }
            offsets.append(vcpu.tscOffset &+ passed &+ saved.hostTSC &- clock.hostTSC)
        }
        self = .offsets(offsets)
    }
}
