// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the one sentence about wrong usage, and of what is no wrong usage.

import AdminModel
import ArgumentParser
import ProgramUsage
import Testing

@testable import gossipctl

@Suite struct UsageTests {
    static let timePoint = "a time such as 2026-11-20T12:00:00Z, or how long ago, such as 10m"

    private func sentence(_ arguments: [String]) throws -> String? {
        do {
            var command = try Gossipctl.parseAsRoot(arguments)
            // A group without a command asks for its help when it runs.
            try command.run()
        } catch {
            return UsageSentence.sentence(for: error, of: Gossipctl.self)
        }
        Issue.record("\(arguments) ran")
        return nil
    }

    @Test(arguments: [
        (["kv", "put", "k"], "give a value or --file, one of the two: see gossipctl kv put --help"),
        (["kv", "get"], "missing expected argument '<key>': see gossipctl kv get --help"),
        (["kv", "get", "a", "b"], "unexpected argument 'b': see gossipctl kv get --help"),
        (["backup"], "missing expected argument '<file>': see gossipctl backup write --help"),
        (["--nonsense"], "unknown option '--nonsense': see gossipctl --help"),
        (
            ["kv", "put", "k", "v", "--sokcet", "x"],
            "unknown option '--sokcet' (did you mean '--socket'?): see gossipctl kv put --help"
        ),
        (
            ["members", "--state", "dead"],
            "the value 'dead' is invalid for '--state <state>': give one of 'alive', 'suspect', 'failed' or 'left': "
                + "see gossipctl members --help"
        ),
        (
            ["counter", "add", "k", "x\n\u{1b}"],
            "the value 'x \\u{1b}' is invalid for '<number>': see gossipctl counter add --help"
        ),
        (
            ["--generate-completion-script", "foo"],
            "can't generate completion scripts for 'foo': use --generate-completion-script=<shell> with one of: "
                + "zsh bash fish: see gossipctl --help"
        ),
    ])
    func `wrong usage is one sentence that names the command's help`(arguments: [String], expected: String) throws {
        #expect(try sentence(arguments) == expected)
    }

    @Test(arguments: [
        (["kv", "put", "k", "v", "--ttl", "99999d"], "1ms to 3660d, such as 90s, 5m, 24h or 7d"),
        (["kv", "put", "k", "v", "--ttl", "0s"], "1ms to 3660d, such as 90s, 5m, 24h or 7d"),
        (["kv", "put", "k", "v", "--wait", "0"], "a number from 1 to 1000000, majority or all"),
        (["kv", "put", "k", "v", "--wait-timeout", "2d"], "1ms to 24h, such as 500ms, 5s or 1m"),
        (["status", "--timeout", "0s"], "1ms to 24h, such as 500ms, 5s or 1m"),
        (["kv", "watch", "--heartbeat", "500ms"], "1s to 5m"), (["kv", "watch", "--heartbeat", "6m"], "1s to 5m"),
        (["kv", "get", "k", "--at", "yesterday"], timePoint),
        (["kv", "revert", "k", "--to", "x"], "a revision, or " + timePoint),
        (["kv", "diff", "--from", "x"], "a revision, or " + timePoint),
    ])
    func `a value out of bounds is told the bounds`(arguments: [String], bounds: String) throws {
        let sentence = try #require(try sentence(arguments))
        #expect(sentence.contains("is invalid for '--"), "\(sentence)")
        #expect(sentence.contains(": give \(bounds): see gossipctl "), "\(sentence)")
    }

    @Test func `the bounds named are those that hold`() {
        #expect(TimeToLive(argument: "3660d") != nil)
        #expect(TimeToLive(argument: "3661d") == nil)
        #expect(WaitGoal("1000000") != nil)
        #expect(WaitGoal("1000001") == nil)
        #expect(TimeoutArgument(argument: "24h") != nil)
        #expect(HeartbeatArgument(argument: "5m")?.timeout.duration == .seconds(300))
    }

    @Test(arguments: [
        ["--help"], ["kv", "put", "--help"], ["--version"], ["kv", "--version"], ["help", "kv"], ["kv"], ["member"], [],
        ["--generate-completion-script", "bash"],
    ])
    func `who asks for help, the version or completions did nothing wrong`(arguments: [String]) throws {
        #expect(try sentence(arguments) == nil)
    }

    @Test(arguments: [
        (KVPutCommand.helpMessage(columns: 200), "(default: 10s)"),
        (KVPutCommand.helpMessage(columns: 200), "(default: 30s)"),
        (KVWatchCommand.helpMessage(columns: 200), "1s to 5m. (default: 15s)"),
    ])
    func `the help shows what holds without the option`(help: String, text: String) {
        #expect(help.contains(text), "\(help)")
    }
}
