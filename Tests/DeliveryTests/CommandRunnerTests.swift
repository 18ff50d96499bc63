// SPDX-License-Identifier: Apache-2.0
// Owns the proofs about running programs, with real ones.

import Glibc
import Testing

@testable import Delivery

@Suite struct CommandRunnerTests {
    private static func sh(
        _ script: String, input: [UInt8] = [], timeout: Duration = .seconds(20),
        environment: [String]? = nil
    ) throws(DeliveryFailure) -> CommandResult {
        try CommandRunner.run(
            ["sh", "-c", script], input: input, timeout: timeout,
            environment: environment)
    }

    /// The sentence of the failure; nil when there was none.
    private static func failure(_ body: () throws(DeliveryFailure) -> Void) -> String? {
        do throws(DeliveryFailure) {
            try body()
            return nil
        } catch { return error.sentence }
    }

    @Test func `Status, output and trimmed errors come back`() throws {
        let result = try Self.sh("printf out; echo; echo ' why not ' >&2; exit 3")
        #expect(result == CommandResult(status: 3, output: Array("out\n".utf8), errorText: "why not"))
    }

    @Test func `A signal counts as 128 and its number`() throws {
        #expect(try Self.sh("kill -9 $$").status == 137)
    }

    @Test func `Input of more than a pipe holds comes back whole while output flows`() throws {
        let input = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let result = try CommandRunner.run(
            ["cat"], input: input, timeout: .seconds(20), output: .whole(max: input.count))
        #expect(result.status == 0)
        #expect(result.output == input)
    }

    @Test func `A program that does not read its input costs no signal`() throws {
        let result = try Self.sh("exec <&-; sleep 0.1; echo done", input: Array(repeating: 7, count: 1_000_000))
        #expect(result.status == 0)
        #expect(result.output == Array("done\n".utf8))
        var pending = sigset_t()
        sigpending(&pending)
        #expect(sigismember(&pending, SIGPIPE) == 0)
    }

    @Test func `A flood ends the program whose output is content at its bound`() {
        let start = ContinuousClock.now
        let words = Self.failure { () throws(DeliveryFailure) in
            _ = try CommandRunner.run(["yes"], timeout: .seconds(20), output: .whole(max: 10_000))
        }
        #expect(words == "yes wrote more than 10000 bytes and was ended")
        #expect(ContinuousClock.now - start < .seconds(10))
    }

    @Test func `A flood of output is read away, its last is kept and the program goes on`() throws {
        let result = try Self.sh("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; exit 3")
        #expect(result.status == 3)
        #expect(result.output.count == CommandRunner.outputBytesMax)
        #expect(String(decoding: result.output, as: UTF8.self).hasSuffix("\nline 19999\n"))
    }

    @Test func `A flood of errors is read away and its last is kept`() throws {
        let result = try Self.sh("i=0; while [ $i -lt 20000 ]; do echo line $i >&2; i=$((i+1)); done")
        #expect(result.status == 0)
        #expect(result.errorText.utf8.count <= CommandRunner.errorBytesMax)
        #expect(result.errorText.hasSuffix("line 19999"))
    }

    @Test func `The time limit ends the whole group, also what does not hear SIGTERM`() throws {
        let folder = try TestFolder()
        let script =
            "echo early >&2; sh -c 'trap \"\" TERM; echo $$ >\(folder.path)/pid; while :; do sleep 0.05; done' & wait"
        let start = ContinuousClock.now
        let words = Self.failure { () throws(DeliveryFailure) in
            _ = try Self.sh("trap '' TERM; " + script, timeout: .milliseconds(500))
        }
        #expect(words == "sh took longer than 500 ms and was ended: early")
        #expect(ContinuousClock.now - start < .seconds(10))
        let process = try #require(pid_t(folder.text("pid").filter(\.isNumber)))
        #expect(TestProcess.isGone(process))
    }

    @Test func `What is left of the group when the program ends does not hold the call up, and is ended`() throws {
        let folder = try TestFolder()
        let start = ContinuousClock.now
        let result = try Self.sh("sleep 300 & echo $! >\(folder.path)/pid; printf 'all of it'")
        #expect(result.output == Array("all of it".utf8))
        #expect(ContinuousClock.now - start < .seconds(10))
        let process = try #require(pid_t(folder.text("pid").filter(\.isNumber)))
        #expect(TestProcess.isGone(process))
    }

    @Test func `A program gets descriptors 0, 1 and 2 only, an own session and no ignored signal`() throws {
        // Not marked close-on-exec on purpose.
        let stray = open("/dev/null", O_RDONLY)
        defer { close(stray) }
        let result = try Self.sh(
            "ls /proc/self/fd | tr '\\n' ' '; ps -o sid= -p $$; echo $$; trap 'echo caught' PIPE; kill -PIPE $$")
        let words = String(decoding: result.output, as: UTF8.self).split(whereSeparator: \.isWhitespace)
        // 3 is the folder that ls reads.
        #expect(words.prefix(4) == ["0", "1", "2", "3"])
        #expect(words.count == 7)
        #expect(words[4] == words[5])
        #expect(words[6] == "caught")
    }

    @Test func `Many runs leave no descriptor and no child behind`() throws {
        func descriptors() -> Int {
            (0..<512).count { fcntl($0, F_GETFD) >= 0 }
        }
        _ = try Self.sh("true")
        let before = descriptors()
        for _ in 0..<50 {
            _ = try Self.sh("true")
            _ = Self.failure { () throws(DeliveryFailure) in
                _ = try CommandRunner.run(["/nowhere/at/all"], timeout: .seconds(1))
            }
        }
        // Other tests run beside this one.
        #expect(descriptors() < before + 50)
    }

    @Test(arguments: [
        (
            ["/nowhere/at/all"],
            "cannot start /nowhere/at/all: No such file or directory; install it or name its full path"
        ),
        (["/dev/null"], "cannot start /dev/null: Permission denied; make it executable for the user of this process"),
        ([], "a command without a program cannot be run: name one"),
        (["echo", "a\0b"], "cannot start echo: Invalid argument"),
    ])
    func `What cannot be started is said in a sentence`(arguments: [String], sentence: String) {
        let words = Self.failure { () throws(DeliveryFailure) in
            _ = try CommandRunner.run(arguments, timeout: .seconds(5))
        }
        #expect(words == sentence)
    }

    @Test func `An environment of its own replaces the whole environment`() throws {
        let result = try CommandRunner.run(["/usr/bin/env"], timeout: .seconds(5), environment: ["A=1", "B=two words"])
        #expect(result.output == Array("A=1\nB=two words\n".utf8))
    }
}
