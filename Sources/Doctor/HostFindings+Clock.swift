// SPDX-License-Identifier: Apache-2.0

extension HostFindings {
    /// Clocks that a program reads without a system call.
    private static let fastClocks: Set<String> = [
        "tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter",
    ]

    /// Every fault is stamped several times: what a stamp costs, all of it costs.
    var clockCheck: HostCheck {
        let name = "clock"
        guard let clockSource else {
            return .degraded(
                name,
                "the kernel does not say which: stamps may be slow",
                mend: "sudo mount -t sysfs sysfs /sys"
            )
        }
        if Self.fastClocks.contains(clockSource) { return .ok(name, clockSource) }
        let better = availableClockSources.first { Self.fastClocks.contains($0) }
        return .degraded(
            name,
            "\(clockSource): every stamp is a system call, and slow",
            mend: better.map {
                "echo \($0) | sudo tee "
                    + "/sys/devices/system/clocksource/clocksource0/current_clocksource"
            } ?? "sudo dmesg | grep -i tsc  # says why there is no better one; tsc=reliable on the "
                + "kernel's command line overrules it"
        )
    }
}
