// SPDX-License-Identifier: Apache-2.0

internal import ArgumentParser

@main
struct Apus: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apus",
        abstract: "Says what a host can do for postcopy migration, and measures it.",
        discussion: """
            The workbench beside apus-source and apus-destination, which move guests: this
            program moves none, it measures what a host makes of them.

            EXAMPLES:
              apus doctor                                    # what this host can do, and lacks
              apus bench demand-paging -b 64M -v 4           # one run, over userfaultfd
              apus bench demand-paging -b 64M -v 4 -w        # the same with memory-fault exits
              apus bench demand-paging --table 1,2,4,8,16    # all ways, in turns, with ratios
              apus bench lanes                               # page lanes beside their ceilings
              apus report source.json destination.json -o page.html

            \(WorkbenchStatus.help)
            """,
        subcommands: [DoctorCommand.self, Bench.self, Report.self]
    )

    static func main() {
        main(OptionalValues.completed(CommandLine.arguments.dropFirst()))
    }

    /// The benchmarks.
    struct Bench: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Measures one thing on this host.",
            subcommands: [DemandPaging.self, Lanes.self]
        )
    }
}
