// SPDX-License-Identifier: Apache-2.0

internal import CGuest
internal import GuestMemory
internal import KVM
internal import LinuxSystem
internal import MigrationWire

/// The built-in guest.
extension Machine {
    /// Writes the walker into memory and points the vCPUs at it.
    ///
    /// Only at a source, on a machine described for it that has not run, with memory that has not
    /// been written. Takes about a second for every GiB.
    package func boot(_ options: WalkerOptions) throws(MachineError) {
        try options.validate()
        guard let walker = guest as? WalkerGuest else { throw .otherGuest(description.guest) }
        guard walker.layout.slicePages > 0 else {
            throw .guestMemory(
                .tooSmall(
                    byteCount: memory.layout.byteCount,
                    least: Int(CGUEST_SLICES) + vcpus.count << GuestPage.shift
                )
            )
        }
        let loader = WalkerLoader(
            memory: memory,
            layout: walker.layout,
            vCPUCount: vcpus.count,
            options: options,
            tscKilohertz: description.tscKhz
        )
        if let available = Host.availableMemoryBytes, available < loader.residentByteCount {
            throw .hostMemory(
                neededBytes: loader.residentByteCount,
                availableBytes: available
            )
        }
        loader.load()
        do {
            for (index, vcpu) in vcpus.enumerated() {
                try vcpu.virtualCPU.enterLongMode(
                    at: UInt64(CGUEST_PROGRAM),
                    pageTables: UInt64(CGUEST_PAGE_TABLES),
                    argument: UInt64(CGUEST_BLOCKS) + UInt64(index) << UInt64(GuestPage.shift)
                )
            }
        } catch {
            throw .system(error)
        }
    }

    /// What each vCPU of the walker has counted; nothing for other guests.
    ///
    /// Reads guest memory: sleeps in userfaultfd while these pages are absent.
    package var statistics: [WalkerStatistics] {
        guard guest is WalkerGuest else { return [] }
        return vcpus.indices.map { index in
            WalkerBlock(memory, index).statistics(tscKilohertz: description.tscKhz)
        }
    }
}
