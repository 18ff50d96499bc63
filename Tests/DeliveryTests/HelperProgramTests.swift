// SPDX-License-Identifier: Apache-2.0
// Owns the proofs about the real gossipd-apply: activation, a kill between rename and reload, its end.

import Glibc
import Testing

@testable import Delivery

@Suite(.enabled(if: HelperProgram.canRun, "this needs systemd-socket-activate and the built gossipd-apply"))
struct HelperProgramTests {
    private let program: HelperProgram

    init() throws { program = try HelperProgram() }

    @Test func `The first connection starts it; fifty files cause one reload and a line each in the log`() async throws
    {
        for number in 0..<50 { try program.describe("f\(number)", unit: "a.service") }
        try program.start()
        let contents = (0..<50).map { ("f\($0)", "text \($0)") }
        let compared = try await program.ask(.compare, contents)
        #expect(compared.files.allSatisfy { $0.outcome == .differs })
        #expect(try program.folder.names("etc") == [])
        let answer = try await program.ask(.apply, contents)
        #expect(answer.files.allSatisfy { $0.outcome == .applied })
        #expect(program.reloads == 1)
        #expect(program.folder.text("etc/f49") == "text 49")
        program.kill(SIGTERM)
        #expect(try await program.waitInThread() == 0)
        let lines = program.folder.text("log").split(separator: "\n")
        #expect(lines.count { $0.contains("notice file f") && $0.contains(" is in place file=f") } == 50)
        #expect(lines.count { $0.contains("notice reloaded unit a.service files=") } == 1)
    }

    @Test(arguments: [true, false])
    func `Killed between rename and reload it reloads at its next start`(isAskedAgain: Bool) async throws {
        try program.describe("a", unit: "a.service")
        try program.folder.write("etc/a", "former")
        try program.folder.write("block", "")
        try program.start()
        let program = program
        async let lost: ApplyAnswer? = try? program.ask(.apply, [("a", "latter")])
        #expect(try await program.wait(for: "blocked"))
        #expect(program.folder.text("etc/a") == "latter")
        #expect(program.folder.exists("state/pending.json"))
        program.kill(SIGKILL)
        #expect(try await program.waitInThread() == 137)
        #expect(await lost == nil)
        // systemd ends what is left of the unit; here nobody does.
        unlink(program.folder.path("block"))
        #expect(program.reloads == 1)
        #expect(try program.folder.names("etc").count == 2)

        try program.start()
        let request = isAskedAgain ? [("a", "latter")] : []
        let answer = try await program.ask(.apply, request)
        #expect(answer.files.allSatisfy { $0.outcome == .unchanged })
        // What was left goes on a thread of its own; only who asks for the same waits for it.
        if isAskedAgain { #expect(program.reloads == 2) }
        #expect(try await program.waitForReloads(2))
        #expect(program.folder.text("etc/a") == "latter")
        #expect(try program.folder.names("state") == [])
        program.kill(SIGTERM)
        #expect(try await program.waitInThread() == 0)
        #expect(try program.folder.names("etc") == ["a"])
    }

    @Test func `While one reload hangs, other files are delivered; a kill then loses neither`() async throws {
        try program.describe("a", unit: "a.service")
        try program.describe("b", unit: "b.service")
        try program.describe("c", unit: "c.service")
        try program.folder.write("block", "a.service\n")
        try program.start()
        let program = program
        async let lost: ApplyAnswer? = try? program.ask(.apply, [("a", "text")])
        #expect(try await program.wait(for: "blocked"))
        let other = try await program.ask(.apply, [("b", "text")])
        #expect(other.files.map(\.outcome) == [.applied])
        #expect(other.reloads.map(\.target) == ["unit b.service"])
        let look = try await program.ask(.compare, [("a", "text"), ("b", "text"), ("c", "text")])
        #expect(look.files.map(\.outcome) == [.unchanged, .unchanged, .differs])
        let note = program.folder.text("state/pending.json")
        #expect(note.contains("a.service") && !note.contains("b.service"))
        program.kill(SIGKILL)
        #expect(try await program.waitInThread() == 137)
        #expect(await lost == nil)
        unlink(program.folder.path("block"))
        try program.start()
        _ = try await program.ask(.compare, [])
        #expect(try await program.waitForReloads(3))
    }

    @Test func `SIGTERM lets the request under way finish`() async throws {
        try program.describe("a", unit: "a.service")
        try program.folder.write("block", "")
        try program.start()
        let program = program
        async let answer = program.ask(.apply, [("a", "text")])
        #expect(try await program.wait(for: "blocked"))
        program.kill(SIGTERM)
        usleep(100_000)
        unlink(program.folder.path("block"))
        #expect(try await answer.files.map(\.outcome) == [.applied])
        #expect(try await program.waitInThread() == 0)
        #expect(program.reloads == 1)
    }

    @Test func `It ends when nobody asks`() async throws {
        try program.start(idleExit: "100ms")
        _ = try await program.ask(.compare, [])
        #expect(try await program.waitInThread() == 0)
    }

    @Test(.enabled(if: geteuid() == 0, "the owner of descriptions counts for root only"))
    func `A description that others may write is not followed, and the log says so`() async throws {
        try program.describe("a", unit: "a.service", mode: 0o666)
        try program.describe("b", unit: "b.service")
        try program.start()
        let answer = try await program.ask(.apply, [("a", "x"), ("b", "x")])
        #expect(answer.files.map(\.outcome) == [.refused, .applied])
        #expect(try program.folder.names("etc") == ["b"])
        program.kill(SIGTERM)
        #expect(try await program.waitInThread() == 0)
        #expect(program.folder.text("log").contains("error a description cannot be used: "))
    }

    @Test func `Without a socket from systemd it says how it is started`() throws {
        let scene = try HelperProgram()
        let result = try scene.runWithoutSocket()
        #expect(result.status == 1)
        #expect(
            result.errorText
                == "gossipd-apply: this program takes one socket from systemd: systemctl enable --now"
                + " gossipd-apply.socket")
    }
}
