// SPDX-License-Identifier: Apache-2.0

/// The rates that the kernel series published which brought memory-fault exits.
enum PublishedRates {
    /// vCPUs, and thousands of pages a second: over userfaultfd, and on exits.
    static let rows: [(vCPUs: Int, userfault: Double, exits: Double)] = [
        (1, 150, 340), (2, 191, 477), (4, 210, 809), (8, 155, 1239), (16, 130, 1595),
        (32, 108, 2299), (64, 86, 3482), (128, 62, 4134), (256, 36, 4012),
    ]

    /// Where they are from.
    static let source =
        "Published: Anish Moorthy, cover letter of the series that introduces "
        + "KVM_CAP_MEM_FAULT_NOWAIT, kvm mailing list, 15 February 2023; "
        + "demand_paging_test -b 64M -u MINOR -s shmem -a -v N -r N [-w], means of five runs on "
        + "256 processors. Other hardware: compare the shapes, not the heights."

    /// The same on the web.
    static let link = "https://www.spinics.net/lists/kvm/msg304774.html"
}
