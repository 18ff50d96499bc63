// SPDX-License-Identifier: Apache-2.0
// Owns the tests of strict keys over the socket and with the real gossipctl.

import AdminClient
import AdminModel
import AdminServerFixture
import Testing

@Suite struct StrictTests {
    static func withStrict(_ body: @Sendable (ServerFixture) async throws -> Void) async throws {
        try await ServerFixture.run { fixture in
            fixture.node.peek { $0.strict.prefixes = ["strict/"] }
            try await body(fixture)
        }
    }

    private static let lost = AdminFailure(
        .unavailable,
        "no leader has answered in time; voters that this node does not reach: web-3; the change may have been made",
        outcome: .unknown, missing: [.init(id: "77aa000000000000000000000000000c", name: "web-3")])

    @Test func `a strict key is written, read and deleted under log indexes, and says its class`() async throws {
        try await Self.withStrict { fixture in
            let key = try ConfigurationKey("strict/a")
            let put = try await fixture.client.put(key, value: Array("x".utf8))
            #expect(put.keyClass == .strict && put.version == "1")
            let read = try await fixture.client.get(key)
            #expect(read.keyClass == .strict && read.version == "1" && read.stalenessMilliseconds == nil)
            let local = try await fixture.client.get(key, at: nil, .local)
            #expect(local.keyClass == .strict && local.stalenessMilliseconds == 12)
            let json = try await fixture.gossipctl([
                "--output", "json", "kv", "get", "strict/a", "--consistency", "local",
            ])
            #expect(
                json.output.contains(#""class":"strict""#) && json.output.contains(#""staleness_ms":12"#), "\(json)")
            #expect(try await fixture.client.delete(key).version == "0")
        }
    }

    @Test func `the bytes alone come with class, version and staleness in the head`() async throws {
        try await Self.withStrict { fixture in
            _ = try await fixture.client.put(try ConfigurationKey("strict/a"), value: Array("x".utf8))
            let path = fixture.socketPath
            let answer = try await RawConnection.detached {
                let connection = try RawConnection(path)
                defer { connection.close() }
                connection.send(
                    "GET /v1/kv/strict/a?raw=true&consistency=local HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n")
                return connection.readToEnd() ?? ""
            }
            let head = answer.lowercased()
            for line in ["gossipd-class: strict", "gossipd-version: 1", "gossipd-staleness-ms: 12"] {
                #expect(head.contains(line), "\(answer)")
            }
        }
    }

    @Test(
        arguments: [
            (["kv", "put", "strict/a", "y", "--if-version", "1"], 0, "version 2, strict: on 2 of 3 voters"),
            (["kv", "put", "strict/a", "y", "--if-version", "7"], 4, "it is at version 1"),
            (
                ["kv", "put", "strict/a", "y", "--if-version", "0190f3a1b2c30001-0af30000"], 64,
                "not the version of a strict key"
            ),
            (["kv", "put", "strict/a", "y", "--if-absent"], 4, "it is at version 1"),
            (["kv", "put", "strict/b", "y", "--if-absent"], 0, "wrote strict/b"),
            (["kv", "put", "strict/a", "y", "--message", "why"], 4, "keeps no reasons"),
            (["kv", "put", "strict/a", "y", "--request-id", "mine"], 4, "no request ids"),
            (["kv", "delete", "strict/a", "--if-version", "1"], 0, "deleted strict/a, strict"),
            (["kv", "delete", "strict/none"], 3, "there is no key"),
            (["set", "add", "strict/a", "x"], 4, "plain values"),
            (["counter", "add", "strict/a", "1"], 4, "plain values"),
            (["kv", "get", "strict/none"], 3, "there is no key"),
            (["kv", "get", "eventual", "--consistency", "linearizable"], 4, "is not strict"),
            (["kv", "get", "strict/a", "--consistency", "dirty"], 64, "consistency"),
            (["kv", "list", "strict/"], 0, "strict/a"),
            (["kv", "list"], 0, "strict, 12 ms old"),
            (["kv", "list", "--consistency", "linearizable"], 4, "is not strict"),
        ] as [([String], Int32, String)])
    func `each command on a strict key says what it did, or why not`(
        arguments: [String], status: Int32, words: String
    ) async throws {
        try await Self.withStrict { fixture in
            _ = try await fixture.client.put(try ConfigurationKey("strict/a"), value: Array("x".utf8))
            _ = try await fixture.client.put(try ConfigurationKey("eventual"), value: Array("e".utf8))
            let outcome = try await fixture.gossipctl(arguments)
            #expect(outcome.status == status, "\(outcome)")
            #expect((outcome.output + outcome.error).contains(words), "\(outcome)")
        }
    }

    @Test func `without an answer of the group the failure names who is missing and what became of the change`()
        async throws
    {
        try await Self.withStrict { fixture in
            fixture.node.peek { $0.strict.failure = Self.lost }
            let answer = try await fixture.client.send(
                AdminRequest("PUT", "/v1/kv/strict/a", body: Array("x".utf8)))
            #expect(answer.status == 503)
            #expect(answer.failure == Self.lost)
            let outcome = try await fixture.gossipctl(["kv", "put", "strict/a", "x"])
            #expect(outcome.status == 5 && outcome.error.contains("web-3"), "\(outcome)")
            // What this node holds is still told.
            let local = try await fixture.gossipctl(["kv", "get", "strict/a", "--consistency", "local"])
            #expect(local.status == 3, "\(local)")
        }
    }

    @Test func `the group is asked for a bit less long than the client waits`() async throws {
        try await Self.withStrict { fixture in
            _ = try await fixture.gossipctl(["--timeout", "2s", "kv", "put", "strict/a", "x"])
            #expect(fixture.node.peek { $0.strict.lastTimeout } == .milliseconds(1800))
            _ = try await fixture.gossipctl(["--timeout", "20s", "kv", "get", "strict/a"])
            #expect(fixture.node.peek { $0.strict.lastTimeout } == .seconds(19))
        }
    }

    @Test func `a strict write is not made twice when the connection breaks before its answer`() async throws {
        try await Self.withStrict { fixture in
            var request = AdminRequest("PUT", "/v1/kv/strict/a", body: Array("x".utf8))
            request.headers = [("gossipd-repeat", "1")]
            let answer = try await fixture.client.send(request)
            #expect(answer.status == 503 && answer.failure.outcome == .unknown)
            #expect(fixture.node.peek { $0.strict.values.isEmpty })
            // Others are: their id tells the daemon that it knows them already.
            var eventual = AdminRequest("PUT", "/v1/kv/eventual", body: Array("x".utf8))
            eventual.headers = request.headers
            #expect(try await fixture.client.send(eventual).isSuccess)
        }
    }

    @Test func `a transaction changes several keys in one moment or none`() async throws {
        try await Self.withStrict { fixture in
            let move = #"""
                {"compare":[{"key":"strict/a","version":0}],
                 "then":[{"put":"strict/a","value":"1"},{"put":"strict/b","value_base64":"/w=="}],
                 "else":[{"get":"strict/a"}]}
                """#
            let first = try await fixture.gossipctl(["kv", "txn"], input: move)
            #expect(first == Outcome(0, "put strict/a, version 1\nput strict/b, version 1\n", ""))
            let second = try await fixture.gossipctl(["--output", "json", "kv", "txn"], input: move)
            #expect(second.status == 4)
            #expect(
                second.output
                    == #"{"class":"strict","results":[{"found":true,"get":"strict/a","value":"1","version":"1"}],"succeeded":false}"#
                    + "\n")
            #expect(second.error.contains("the steps of \"else\" were done"))
        }
    }

    @Test(
        arguments: [
            ("", 64, "not valid JSON"), ("{}", 64, "does nothing"),
            (#"{"then":[{"put":"strict/a"}]}"#, 64, "has no value"),
            (#"{"then":[{"put":"strict/a","value":"1","get":"strict/b"}]}"#, 64, "one of put"),
            (#"{"then":[{"get":"strict/a"}],"compare":[{"key":"strict/a"}]}"#, 64, "a compare has a key and one of"),
            (#"{"then":[{"get":"strict/a"}],"compare":[{"lock":"l"}]}"#, 64, "a compare has a key and one of"),
            (
                #"{"then":[{"get":"strict/a"}],"compares":[]}"#, 64,
                "a transaction has no field \"compares\": there are compare"
            ),
            (
                #"{"then":[{"get":"strict/a"}],"compare":[{"key":"strict/a","if_version":"1"}]}"#, 64,
                "a compare has no field \"if_version\""
            ),
            (#"{"then":[{"put":"strict/a","valeu":"x"}]}"#, 64, "a step has no field \"valeu\""),
            (
                #"{"then":[{"put":"strict/a","value":"x","value_base64":"eA=="}]}"#, 64,
                "a step is one of put (with value or value_base64)"
            ),
            (#"{"then":[{"put":"eventual","value":"1"}]}"#, 4, "is not strict"),
        ] as [(String, Int32, String)])
    func `a transaction that makes no sense is refused with a reason`(
        input: String, status: Int32, words: String
    ) async throws {
        try await Self.withStrict { fixture in
            let outcome = try await fixture.gossipctl(["kv", "txn"], input: input)
            #expect(outcome.status == status && outcome.error.contains(words), "\(outcome)")
        }
    }

    @Test func `the group and its leader are shown and changed`() async throws {
        try await Self.withStrict { fixture in
            let notFormed = try await fixture.gossipctl(["leader", "show"])
            #expect(notFormed.status == 5 && notFormed.error.contains("has not formed"), "\(notFormed)")
            fixture.node.peek { $0.strict.document = Self.group }
            #expect(try await fixture.gossipctl(["leader", "show"]) == Outcome(0, "db-1, term 7\n", ""))
            let members = try await fixture.gossipctl(["strict", "members"])
            #expect(
                members.output == """
                    NAME   ID        VOTE   STATE   REACHED  LAG      HEARD
                    web-1  0af30000  voter  alive   yes        0    0.00 ms
                    db-1*  0af31111  voter  alive   yes        -          -
                    web-3  77aa0000  voter  failed  no        12  9000.0 ms
                    group 00000000000000ff, term 7, leader db-1, 2 of 3 voters reached, 2 needed; entry 40 committed, 39 applied here

                    """, "\(members.output)")
            for arguments in [["add", "web-4"], ["remove", "web-3"], ["recover", "--yes-lose-writes"]] {
                #expect(try await fixture.gossipctl(["strict"] + arguments).status == 0)
            }
            #expect(try await fixture.gossipctl(["leader", "transfer", "web-1"]).status == 0)
            #expect(
                fixture.node.peek { $0.strict.orders }
                    == [.add("web-4"), .remove("web-3"), .recover(evenIfBehind: false), .transfer(to: "web-1")])
        }
    }

    static let group: StrictDocument = {
        var document = StrictDocument(prefixes: ["strict/"], role: "follower", term: 7)
        func member(_ id: String, _ name: String, _ state: MemberState) -> StrictDocument.Member {
            .init(member: MemberIdentity(id: id, name: name), vote: .voter, state: state, isReachable: state == .alive)
        }
        document.group = "00000000000000ff"
        document.members = [
            member("0af3000000000000000000000000000a", "web-1", .alive),
            member("0af3111111111111111111111111111b", "db-1", .alive),
            member("77aa000000000000000000000000000c", "web-3", .failed),
        ]
        (document.members[0].lag, document.members[0].silentMilliseconds) = (0, 0)
        (document.members[2].lag, document.members[2].silentMilliseconds) = (12, 9_000)
        document.leader = document.members[1].member
        (document.quorum, document.commit, document.applied) = (2, 40, 39)
        return document
    }()

    @Test func `recovery wants to be confirmed, on the command line and in the request`() async throws {
        try await Self.withStrict { fixture in
            let outcome = try await fixture.gossipctl(["strict", "recover"])
            #expect(outcome.status == 64 && outcome.error.contains("--yes-lose-writes"), "\(outcome)")
            let answer = try await fixture.client.send(
                AdminRequest("POST", "/v1/strict/recover", body: Array("{}".utf8)))
            #expect(answer.status == 412 && answer.failure.message.contains("loses_writes"))
            #expect(fixture.node.peek { $0.strict.orders.isEmpty })
        }
    }

    @Test func `a restore says what became of strict keys`() async throws {
        try await Self.withStrict { fixture in
            let outcome = try await fixture.gossipctl(["restore", "-", "--strict", "only"], input: "backup")
            #expect(outcome == Outcome(0, "wrote 2 strict keys through the log, 1 were there already\n", ""))
            let answer = try await fixture.client.send(
                AdminRequest("POST", "/v1/restore?strict=all", body: Array("backup".utf8)))
            #expect(answer.status == 400 && answer.failure.message.contains("with, skip or only"))
        }
    }

    @Test(arguments: [
        ["leader", "show"], ["strict", "members"], ["lock", "list"], ["lock", "run", "l", "--", "true"],
    ])
    func `without strict prefixes each command says so`(arguments: [String]) async throws {
        try await ServerFixture.run { fixture in
            let outcome = try await fixture.gossipctl(arguments)
            #expect(outcome.status == 4 && outcome.error.contains("no strict keys"), "\(outcome)")
        }
    }
}
