// SPDX-License-Identifier: Apache-2.0

internal import ArgumentParser
internal import Doctor

/// `apus doctor`: what this host can do for a migration.
struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Says what this host can do for a migration, and what mends it.",
        discussion: """
            A line for each check: ok, degraded (a migration can run, but slower or not in every \
            way) or missing (none can run), what was found, and below it the command that mends \
            it. Nothing is changed, no guest is run. Permissions are those of the user who asks, \
            so ask as the one who is going to migrate.

            CHECKS:
              kvm             /dev/kvm: whether it is there, permitted, and works.
              virtualization  What KVM runs guests with: hardware, hardware through
                              another hypervisor, or emulation.
              fault-exits     How a vCPU's touch of an absent page is delivered: by
                              exits (nowait, or attributes), else by userfaultfd.
              pre-fault       Whether a page is mapped before its vCPU touches it
                              again.
              dirty-ring      How pages that a guest writes can be listed; postcopy
                              needs no such list.
              userfaultfd     By which way it is had. One that is limited to user
                              mode will not do: it does not see what the kernel
                              touches for the guest.
              uffd-…          Features of it: uffd-thread-id for all migrations,
                              others for --backing memfd and hugetlb.
              memfd           For --backing memfd, and lanes over rings.
              huge-pages      Reserved and not taken, for --backing hugetlb.
              thp             Transparent huge pages, which can cost a memfd memory
                              and time.
              clock           Whether it is read without a system call.

            JSON: one object: format_version (1), can_migrate, and checks: a list of objects with \
            name, status, found and, unless it is ok, remedy. Checks may be added.

            EXAMPLES:
              apus doctor
              apus doctor --json | jq -r '.checks[] | select(.status != "ok") | .remedy'
              apus doctor && scripts/demo

            EXIT CODES:
               0  a migration can run here, in both roles; userfaultfd is enough for that
               1  the JSON cannot be written
              64  the command line makes no sense
              69  none can run: something is missing
            """
    )

    @Option(
        help: ArgumentHelp(
            """
            Write JSON; to standard output, instead of the lines, if --json stands alone.
            """,
            valueName: "file"
        )
    )
    var json: JSONOutput?

    func run() throws {
        let diagnosis = Diagnosis(of: HostFindings())
        try WorkbenchStatus.concluding { () throws(BenchFailure) in try json?.write(diagnosis) }
        if json?.isStandardOutput != true { print(diagnosis.text, terminator: "") }
        guard diagnosis.canMigrate else { throw WorkbenchStatus.hostUnfit }
    }
}
