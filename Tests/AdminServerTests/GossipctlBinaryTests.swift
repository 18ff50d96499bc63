// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the real gossipctl against a real server: output, exit status, streams, pipes.

import AdminClient
import AdminModel
import AdminServer
import Glibc
import Testing

@Suite struct GossipctlBinaryTests {
    @Test func `a register is written and read back as bytes and nothing else`() async throws {
        try await ServerFixture.run { fixture in
            let put = try await fixture.gossipctl(["kv", "put", "app/db/url", "postgres://db-1/app"])
            #expect(put == Outcome(0, "wrote app/db/url, version v1, on 1 of 5 nodes\n", ""))
            #expect(try await fixture.gossipctl(["kv", "get", "app/db/url"]) == Outcome(0, "postgres://db-1/app", ""))
            let json = try await fixture.gossipctl(["--output", "json", "kv", "get", "app/db/url"])
            #expect(
                json.output == #"{"author":{"address":"10.0.0.1:7946","id":"0af3000000000000000000000000000a","#
                    + #""name":"web-1"},"class":"eventual","key":"app/db/url","type":"register","#
                    + #""value":"postgres://db-1/app","version":"v1","written_at":"2026-11-18T11:06:40.000Z"}"# + "\n")
        }
    }

    @Test func `values come from the standard input, from files, literally, and may be negative numbers`() async throws
    {
        try await ServerFixture.run { fixture in
            let file = fixture.socketPath.dropLast("admin.sock".count) + "value"
            let descriptor = open(String(file), O_CREAT | O_WRONLY, 0o600)
            #expect(write(descriptor, "\u{0}x\n", 3) == 3)
            close(descriptor)
            for (arguments, expected) in [
                (["k", "-"], "from stdin\n"), (["k", "@\(file)"], "\u{0}x\n"),
                (["k", "--file", "\(file)"], "\u{0}x\n"),
                (["k", "--literal", "@x"], "@x"), (["k", "-12"], "-12"), (["k", "--", "--flag"], "--flag"),
                (["k", ""], ""),
            ] {
                let put = try await fixture.gossipctl(["kv", "put"] + arguments, input: "from stdin\n")
                #expect(put.status == 0, "\(put.error)")
                #expect(try await fixture.gossipctl(["kv", "get", "k"]).output == expected)
            }
        }
    }

    @Test func `a round trip that is not known is unknown, with what to do and status 5`() async throws {
        try await ServerFixture.run { fixture in
            let outcome = try await fixture.gossipctl(["rtt", "web-3"])
            #expect(outcome.status == 5)
            #expect(outcome.output == "web-1 to web-3: unknown\n")
            #expect(outcome.error.contains("is not known yet: try again in a minute"), "\(outcome.error)")
            #expect(try await fixture.gossipctl(["rtt"]).status == 0)
        }
    }

    @Test(
        arguments: [
            (["kv", "get", "none"], 3, "there is no key \"none\""),
            (["member", "explain", "nobody"], 3, "no member is named"),
            (["forget", "web-1"], 4, "is alive"), (["member", "explain", "twin"], 4, "fits 2 members"),
            (["set", "add", "n", "x"], 4, "another type"), (["ping", "web-3"], 5, "did not answer"),
            (["rtt", "nobody"], 3, "no member is named"),
            (["rtt", "a", "b", "c"], 64, "two nodes at most"),
            (["join", "nowhere:1"], 5, "none of the addresses"), (["join", "10.0.0.1:1", "nowhere:1"], 1, "1 of 2"),
            (["kv", "get", "a//b"], 64, "empty segment"), (["kv", "put", "k", "@/nonexistent"], 64, "cannot read"),
            (["kv", "put", "k"], 64, "one of the two"), (["kv", "rename", "x"], 64, "unknown command \"kv rename\""),
            (["members", "--state", "dead"], 64, "invalid"),
            (["--timeout", "5", "status"], 64, "invalid"), (["nonsense"], 64, "nonsense"),
            (["tags", "set", "x"], 64, "x"),
            (["--socket", "/nonexistent/x.sock", "status"], 69, "no daemon answers on /nonexistent/x.sock"),
        ] as [([String], Int32, String)])
    func `each kind of failure has its exit status and one sentence on standard error`(
        arguments: [String], status: Int32, words: String
    ) async throws {
        try await ServerFixture.run { fixture in
            _ = try await fixture.client.addToCounter(try ConfigurationKey("n"), 1)
            let outcome = try await fixture.gossipctl(arguments)
            #expect(outcome.status == status)
            #expect(outcome.error.contains(words), "\(outcome.error)")
            #expect(outcome.error.split(separator: "\n").count == 1)
            #expect(outcome.error.hasPrefix("gossipctl: "))
            if status != 1 { #expect(outcome.output.isEmpty) }
        }
    }

    @Test(arguments: [
        [Array("kv".utf8), Array("put".utf8), Array("bad/v".utf8), [0x61, 0xff, 0x62]],
        [Array("set".utf8), Array("add".utf8), Array("bad/s".utf8), [0x61, 0xff], [0x61, 0xfe]],
    ])
    func `an argument that is not UTF-8 is refused, not repaired`(arguments: [[UInt8]]) async throws {
        try await ServerFixture.run { fixture in
            let all = [Array("--socket".utf8), Array(fixture.socketPath.utf8)] + arguments
            let outcome = try await Outcome.run(bytes: all)
            #expect(
                outcome
                    == Outcome(
                        64, "",
                        "gossipctl: argument 6 is not UTF-8 text: give such bytes to kv put by --file or the "
                            + "standard input (-)\n"))
            #expect(!fixture.node.holds("bad/v") && !fixture.node.holds("bad/s"))
        }
    }

    @Test func `who lacks the role exits with 77`() async throws {
        let nobody = AccessPolicy(adminUsers: [], adminGroups: [], readUsers: [], readGroups: [])
        try await ServerFixture.run(policy: nobody) { fixture in
            let outcome = try await fixture.gossipctl(["status"])
            #expect(outcome.status == 77)
            #expect(outcome.error.contains("group gossipd-read"))
        }
    }

    @Test func `members and status print tables, or one document`() async throws {
        try await ServerFixture.run { fixture in
            let members = try await fixture.gossipctl(["members", "--tag", "role=web"])
            #expect(
                members.output == """
                    NAME    ADDRESS        STATE       RTT  SINCE                 ID        TAGS
                    web-1*  10.0.0.1:7946  alive   0.42 ms  2026-11-18T11:06:40Z  0af30000  role=web
                    web-3   10.0.0.3:7946  failed        -  2026-11-18T11:06:40Z  77aa0000  role=web

                    """)
            let json = try await fixture.gossipctl(["members", "--output", "json"])
            let document = try AdminJSON.decode(MembersDocument.self, from: json.output.utf8)
            #expect(try await fixture.client.members() == document)
            let status = try await fixture.gossipctl(["status"])
            #expect(status.output.contains("members  3 alive, 1 suspect, 1 failed, 0 left\n"))
        }
    }

    @Test func `sets and counters print plainly`() async throws {
        try await ServerFixture.run { fixture in
            _ = try await fixture.gossipctl(["set", "add", "s", "b", "a"])
            _ = try await fixture.gossipctl(["set", "remove", "s", "b"])
            #expect(try await fixture.gossipctl(["set", "list", "s"]).output == "a\n")
            #expect(try await fixture.gossipctl(["counter", "add", "c", "7"]).output == "7\n")
            #expect(try await fixture.gossipctl(["counter", "add", "c", "-9", "--timeout", "9s"]).output == "-2\n")
            #expect(try await fixture.gossipctl(["counter", "add", "c", "--", "-1"]).output == "-3\n")
            #expect(try await fixture.gossipctl(["counter", "get", "c"]).output == "-3\n")
            let list = try await fixture.gossipctl(["kv", "list"])
            #expect(
                list.output.split(separator: "\n").map { $0.split(separator: " ").first ?? "" } == ["KEY", "c", "s"])
            #expect(try await fixture.gossipctl(["kv", "delete", "s"]).status == 0)
            #expect(try await fixture.gossipctl(["kv", "get", "s"]).status == 3)
        }
    }

    @Test func `the socket is also taken from the environment`() async throws {
        try await ServerFixture.run { fixture in
            let outcome = try await Outcome.run(["status"], environment: ["GOSSIPD_SOCKET=" + fixture.socketPath])
            #expect(outcome.status == 0)
        }
    }

    @Test func `events follow as lines until the daemon stops, which is exit status 5`() async throws {
        try await ServerFixture.run { fixture in
            fixture.node.emit("member_failed", "member web-3 failed: no ack")
            let held = try await fixture.gossipctl(["events"])
            #expect(held == Outcome(0, "2026-11-18T11:06:40.000Z  member_failed     member web-3 failed: no ack\n", ""))
            async let following = fixture.gossipctl(["events", "--follow", "--since", "start", "--output", "json"])
            try await fixture.eventually { $0.streamsOpen == 1 }
            await fixture.server.stop()
            let outcome = try await following
            #expect(outcome.status == 5)
            let lines = outcome.output.split(separator: "\n")
            #expect(lines.count == 2)
            #expect(lines.last?.contains("\"event\":\"closed\"") == true)
            #expect(outcome.error.contains("the daemon is stopping"))
        }
    }

    @Test func `members are watched: the table comes anew when it changes, and only then`() async throws {
        try await ServerFixture.run { fixture in
            async let watching = fixture.gossipctl(["members", "--watch", "--output", "json"])
            try await fixture.eventually { $0.streamsOpen == 1 }
            let listings = { fixture.node.listings }
            while listings() == 0 { _ = try await fixture.client.status() }
            fixture.node.emit("member_alive", "nothing changes")
            while listings() == 1 { _ = try await fixture.client.status() }
            _ = try await fixture.client.forget("web-3")
            fixture.node.emit("member_forgotten", "one less")
            while listings() == 2 { _ = try await fixture.client.status() }
            await fixture.server.stop()
            let outcome = try await watching
            let counts = try outcome.output.split(separator: "\n").map {
                try AdminJSON.decode(MembersDocument.self, from: $0.utf8).members.count
            }
            #expect(counts == [5, 4])
            #expect(outcome.status == 5)
        }
    }

    @Test func `a watch prints one line for each change`() async throws {
        try await ServerFixture.run { fixture in
            async let watching = fixture.gossipctl(["kv", "watch", "app/"])
            try await fixture.eventually { $0.streamsOpen == 1 }
            _ = try await fixture.client.put(try ConfigurationKey("app/a"), value: Array("x".utf8))
            _ = try await fixture.client.put(try ConfigurationKey("other"), value: Array("y".utf8))
            _ = try await fixture.client.delete(try ConfigurationKey("app/a"))
            await fixture.server.stop()
            let outcome = try await watching
            #expect(
                outcome.output == """
                    2026-11-18T11:06:40.000Z  put        app/a = x  (by web-1)
                    2026-11-18T11:06:40.000Z  delete     app/a  (by web-1)

                    """)
            #expect(outcome.status == 5)
        }
    }

    @Test func `a reader that goes away ends it without a word`() async throws {
        try await ServerFixture.run { fixture in
            for number in 0..<2000 {
                _ = try await fixture.node.put(
                    try ConfigurationKey("k/\(number)"), value: [UInt8](repeating: 0x61, count: 300))
            }
            let outcome = try await fixture.gossipctl(["kv", "list"], readMax: 10)
            #expect(outcome.status == 128 + SIGPIPE)
            #expect(outcome.error == "")
        }
    }

    @Test func `output that cannot be written is a failure with a reason`() async throws {
        try await ServerFixture.run { fixture in
            let outcome = try await fixture.gossipctl(["status"], outputPath: "/dev/full")
            #expect(outcome == Outcome(1, "", "gossipctl: cannot write the output: No space left on device\n"))
        }
    }

    @Test func `the simulator has the version of the others`() async throws {
        let outcome = try await Outcome.run(["--version"], program: "gossipsim")
        #expect(outcome == Outcome(0, "gossipsim \(AdminVersion.current)\n", ""))
    }

    @Test func `version, help and completions need no daemon`() async throws {
        #expect(try await Outcome.run(["--version"]) == Outcome(0, "gossipctl \(AdminVersion.current)\n", ""))
        let help = try await Outcome.run(["kv", "put", "--help"])
        #expect(help.status == 0)
        #expect(help.output.contains("EXAMPLES"))
        let completions = try await Outcome.run(["--generate-completion-script", "bash"])
        #expect(completions.status == 0)
        #expect(completions.output.contains("explain"))
    }
}

extension ServerFixture {
    func gossipctl(
        _ arguments: [String], input: String = "", readMax: Int = .max, outputPath: String? = nil
    ) async throws -> Outcome {
        try await Outcome.run(
            ["--socket", socketPath] + arguments, input: input, readMax: readMax, outputPath: outputPath)
    }
}
