// SPDX-License-Identifier: Apache-2.0

import ProcessSupport
import Testing

/// What the workbench makes of its flags.
///
/// Needs no KVM.
@Suite(.timeLimit(.minutes(2)))
struct WorkbenchFlagTests {
    @Test func `help teaches commands, flags, examples and exit codes`() {
        let (code, text) = Command.run([Command.pathOfProduct("apus"), "--help"])
        #expect(code == 0)
        for words in ["bench", "EXAMPLES:", "EXIT CODES:"] { #expect(text.contains(words)) }

        let page = Workbench.page(["--help"])
        #expect(page.code == 0)
        for words in [
            "-b", "-u", "-s", "-a", "-v", "-r", "-w", "-o", "-d", "--table", "--require",
            "-w is -w nowait", "EXAMPLES:", "demand_paging_test",
        ] {
            #expect(page.text.contains(words), "\(words)")
        }
    }

    @Test(arguments: [
        (["-b", "lots"], "-b"), (["-b", "0"], "whole pages of 4096"),
        (["-b", "5000"], "whole pages of 4096"), (["-b", "1M", "-s", "hugetlb"], "2097152"),
        (["-b", "1T"], "200G"), (["-b", "8388607T"], "200G"), (["-u", "SOME"], "MISSING"),
        (["-s", "disk"], "hugetlb"), (["-s", "anonymous", "-u", "MINOR"], "-s shmem"),
        (["-v", "0"], "1 to 1024"), (["-v", "1025"], "1 to 1024"), (["-v", "-1"], "-v"),
        (["-r", "0"], "1 to 1024"), (["-d", "-1"], "-d"), (["-d", "1000001"], "1000000"),
        (["-w", "sideways"], "nowait"), (["-w", "-v"], "-v"), (["--limit", "0"], "86400"),
        (["--table", "1,,2"], "--table"), (["--table", "0"], "--table"),
        (["--table", "1", "-w"], "leave -w out"), (["--table", "1", "--rounds", "0"], "1000"),
        (["--selftest", "/bin/true"], "belong to --table"),
        (["--require", "nowait=2"], "belong to --table"),
        (["--table", "1", "--require", "speed=2"], "--require"),
        (["--table", "1", "--require", "nowait=-2"], "--require"),
        (["--table", "1", "--require", "nowait=2@x"], "--require"),
        (["--table", "1", "--require", "nowait"], "--require"), (["stray"], "stray"),
    ])
    func `wrong flags are refused with their cause`(flags: [String], cause: String) {
        let (code, text) = Workbench.page(flags)
        #expect(code == 64, "\(text)")
        #expect(text.contains(cause), "\(text)")
    }

    @Test func `the help of lanes says what is measured, and against what`() {
        let (code, text) = Workbench.lanes(["--help"])
        #expect(code == 0)
        for words in [
            "METRICS:", "round-trip-MEDIUM", "stream-MEDIUM-BACKING", "install-WAY-SIZE",
            "growth-WAY-SIZE", "Ceiling", "--only", "--rounds", "--sizes", "--require", "--json",
            "EXAMPLES:", "latency-MEDIUM", "allocations-MEDIUM", "verification-WAY-SIZE",
        ] {
            #expect(text.contains(words), "\(words)")
        }
    }

    @Test(arguments: [
        (["--rounds", "0"], "1 to 1000"), (["--trips", "0"], "1 to 10000000"),
        (["-b", "0"], "multiples of 64K"), (["-b", "68K"], "multiples of 64K"),
        (["-b", "1T"], "up to 16G"), (["-b", "lots"], "-b"), (["--sizes", "68K"], "--sizes"),
        (["--sizes", "64M,,1G"], "--sizes"), (["--sizes", "65G"], "--sizes"),
        (["--sizes", "64M,64M"], "--sizes"), (["--only", "speed"], "--only"),
        (["--only", "stream,"], "--only"), (["--require", "stream"], "--require"),
        (["--require", "speed=1"], "--require"), (["--require", "stream=-1"], "--require"),
        (["--require", "stream=x"], "--require"), (["--require", "stream=1,"], "--require"),
        (["stray"], "stray"),
    ])
    func `wrong flags of lanes are refused with their cause`(flags: [String], cause: String) {
        let (code, text) = Workbench.lanes(flags)
        #expect(code == 64, "\(text)")
        #expect(text.contains(cause), "\(text)")
    }
}
