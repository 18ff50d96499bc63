// SPDX-License-Identifier: Apache-2.0
// Owns the tests of giving back the start's pages.

import FoundationEssentials
import Testing

@testable import gossipd

@Suite("Pages of the start")
struct StartupPagesTests {
    @Test("only code of files is given back: no data, nothing writable, nothing of the kernel's")
    func ranges() {
        let maps = """
            5581c2a00000-5581c2f4d000 r--p 00000000 fe:00 6064459                    /usr/bin/gossipd
            5581c2f4d000-5581c42b4000 r-xp 0054c000 fe:00 6064459                    /usr/bin/gossipd
            5581c42b4000-5581c4371000 r--p 018b2000 fe:00 6064459                    /usr/bin/gossipd
            5581c4371000-5581c4652000 rw-p 0196e000 fe:00 6064459                    /usr/bin/gossipd
            7f0000000000-7f0000021000 rwxp 00000000 00:00 0
            7f10a0026000-7f10a017b000 r-xp 00026000 fe:00 1311 /usr/lib/x86_64-linux-gnu/a name (deleted)
            7ffed5bd8000-7ffed5bda000 r-xp 00000000 00:00 0                          [vdso]
            7ffed5bd8000-xyz r-xp 00000000 fe:00 9                          /usr/lib/odd
            """
        #expect(
            StartupPages.codeRanges(in: maps) == [
                0x5581_c2f4_d000..<0x5581_c42b_4000, 0x7f10_a002_6000..<0x7f10_a017_b000,
            ])
    }

    @Test("the process lives on with fewer resident pages of files")
    func process() throws {
        func resident() throws -> Int {
            let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
            let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("RssFile:") })
            return try #require(line.split(separator: " ").dropFirst().first.flatMap { Int($0) })
        }
        let before = try resident()
        StartupPages.giveBack()
        #expect(try resident() < before)
    }
}
