// SPDX-License-Identifier: Apache-2.0
// Owns the tests of history, reading the past, differences and reverting.

import AdminClient
import AdminModel
import AdminServer
import AdminServerFixture
import Testing

@Suite struct PastTests {
    /// `k` is a, then b, then gone, then c: revisions 1 to 4.
    private func fill(_ fixture: ServerFixture) async throws {
        let key = try ConfigurationKey("k")
        var options = KeyWriteOptions()
        options.message = "first"
        _ = try await fixture.client.put(key, value: Array("a".utf8), options)
        _ = try await fixture.client.put(key, value: Array("b".utf8))
        _ = try await fixture.client.delete(key)
        _ = try await fixture.client.put(key, value: Array("c".utf8))
    }

    @Test func `history comes newest first, page by page, with who and why`() async throws {
        try await ServerFixture.run { fixture in
            try await fill(fixture)
            let key = try ConfigurationKey("k")
            let page = try await fixture.client.history(key, limit: 3)
            #expect(page.entries.map(\.revision) == [4, 3, 2])
            #expect(page.entries.map(\.event) == ["put", "delete", "put"])
            #expect(page.next == 2)
            let rest = try await fixture.client.history(key, before: page.next, limit: 3)
            #expect(rest.entries.map(\.revision) == [1])
            #expect(rest.entries.first?.reason == "first")
            #expect(rest.next == nil)
            let table = try await fixture.gossipctl(["kv", "history", "k", "--limit", "2"])
            let words = table.output.split(separator: "\n").map {
                $0.split(separator: " ", omittingEmptySubsequences: true)
            }
            #expect(words.first?.map(String.init) == ["REVISION", "TIME", "CHANGE", "BY", "USER", "REASON", "VALUE"])
            #expect(words.dropFirst().map { $0.last.map(String.init) } == ["c", "->"])
            let all = try await fixture.gossipctl(["--output", "json", "kv", "history", "k"])
            #expect(try AdminJSON.decode(HistoryDocument.self, from: all.output.utf8).entries.count == 4)
            #expect(try await fixture.gossipctl(["kv", "history", "none"]).status == 3)
        }
    }

    @Test func `bytes that are no text stay whole in history`() async throws {
        try await ServerFixture.run { fixture in
            _ = try await fixture.client.put(try ConfigurationKey("k"), value: [0xff, 0])
            let raw = try await fixture.client.send(AdminRequest("GET", "/v1/history/k"))
            let text = String(decoding: raw.body, as: UTF8.self)
            #expect(text.contains(#""new":{"type":"register","value_base64":"/wA="},"old":null"#), "\(text)")
            #expect(
                try await fixture.client.history(try ConfigurationKey("k"), limit: 1).entries[0].new
                    == .register([0xff, 0]))
        }
    }

    @Test(arguments: [
        (["--revision", "1"], Int32(0), "a"), (["--revision", "2"], 0, "b"), (["--revision", "3"], 3, ""),
        (["--at", "2026-11-18T11:06:42Z"], 0, "b"), (["--at", "2026-11-18 11:06:42"], 0, "b"),
        (["--at", "2026-11-18T11:06:40Z"], 3, ""), (["--revision", "9"], 1, ""), ([], 0, "c"),
    ])
    func `a key is read as it was`(arguments: [String], status: Int32, output: String) async throws {
        try await ServerFixture.run { fixture in
            try await fill(fixture)
            let outcome = try await fixture.gossipctl(["kv", "get", "k"] + arguments)
            #expect(outcome.status == status)
            #expect(outcome.output == output)
        }
    }

    @Test func `differences span several pages of the same two states`() async throws {
        try await ServerFixture.run { fixture in
            try await fill(fixture)
            for name in ["x/1", "x/2", "x/3"] {
                _ = try await fixture.client.put(try ConfigurationKey(name), value: Array("1".utf8))
            }
            let json = try await fixture.gossipctl(["--output", "json", "kv", "diff", "--from", "2"])
            let document = try AdminJSON.decode(DiffDocument.self, from: json.output.utf8)
            #expect(document.entries.map(\.key) == ["k", "x/1", "x/2", "x/3"])
            #expect(document.entries.map(\.change) == [.changed, .added, .added, .added])
            #expect(document.next == nil)
            let table = try await fixture.gossipctl(["kv", "diff", "k", "--from", "1", "--to", "2"])
            #expect(table == Outcome(0, "--- k (revision 1)\n+++ k (revision 2)\n-a\n+b\n", ""))
            fixture.node.peek { $0.forgottenThrough = 3 }
            let gone = try await fixture.gossipctl(["kv", "diff", "--from", "1"])
            #expect(gone.status == 1)
            #expect(gone.error.contains("history does not reach revision 1"))
        }
    }

    @Test func `a revert writes the past as a new change, on the condition that nothing else did`() async throws {
        try await ServerFixture.run { fixture in
            try await fill(fixture)
            let dry = try await fixture.gossipctl(["kv", "revert", "k", "--to", "1", "--dry-run"])
            #expect(dry == Outcome(0, "--- k (now)\n+++ k (revision 1)\n-c\n+a\n", ""))
            #expect(fixture.node.peek { $0.revision } == 4)
            let done = try await fixture.gossipctl(["kv", "revert", "k", "--to", "1"])
            #expect(done == Outcome(0, "reverted k to revision 1, version v5\n", ""))
            let options = try #require(fixture.node.peek { $0.lastOptions })
            #expect(options.condition == .version("v4"))
            #expect(options.message == "revert to revision 1")
            let again = try await fixture.gossipctl(["kv", "revert", "k", "--to", "1"])
            #expect(again == Outcome(0, "k already is as at revision 1\n", ""))
            let gone = try await fixture.gossipctl(["kv", "revert", "k", "--to", "3", "--message", "why"])
            #expect(gone.status == 0)
            #expect(!fixture.node.holds("k"))
            #expect(fixture.node.peek { $0.lastOptions?.message } == "why")
            let back = try await fixture.gossipctl(["--output", "json", "kv", "revert", "k", "--to", "2"])
            #expect(back.output.contains(#""changed":true"#))
            #expect(fixture.node.peek { $0.lastOptions?.condition } == .absent)
            #expect(try await fixture.gossipctl(["kv", "get", "k"]).output == "b")
        }
    }

    @Test func `a key of which nothing is known cannot be reverted`() async throws {
        try await ServerFixture.run { fixture in
            try await fill(fixture)
            for extra in [[], ["--dry-run"]] {
                let typo = try await fixture.gossipctl(["kv", "revert", "typo", "--to", "1"] + extra)
                let sentence = "gossipctl: no change of key \"typo\" is known: see gossipctl kv list\n"
                #expect(typo == Outcome(3, "", sentence))
            }
            // Gone then and gone now, but known.
            _ = try await fixture.client.delete(try ConfigurationKey("k"))
            let gone = try await fixture.gossipctl(["kv", "revert", "k", "--to", "3"])
            #expect(gone == Outcome(0, "k already is as at revision 3\n", ""))
        }
    }

    @Test(arguments: [
        ["kv", "get", "k", "--at", "2199-01-01"], ["kv", "diff", "--from", "2199-01-01"],
        ["kv", "diff", "--from", "1", "--to", "2199-01-01"], ["kv", "revert", "k", "--to", "2199-01-01"],
    ])
    func `the future is no point of the past`(arguments: [String]) async throws {
        try await ServerFixture.run { fixture in
            try await fill(fixture)
            let sentence = "2199-01-01T00:00:00.000Z lies in the future: give a time of the past, or none for now"
            #expect(try await fixture.gossipctl(arguments) == Outcome(64, "", "gossipctl: \(sentence)\n"))
        }
    }

    @Test func `sets and counters are reverted, too`() async throws {
        try await ServerFixture.run { fixture in
            let (set, counter) = (try ConfigurationKey("s"), try ConfigurationKey("c"))
            _ = try await fixture.client.addToSet(set, ["a", "b"])
            _ = try await fixture.client.addToCounter(counter, 7)
            _ = try await fixture.client.removeFromSet(set, ["a"])
            _ = try await fixture.client.addToSet(set, ["z"])
            _ = try await fixture.client.addToCounter(counter, 5)
            for key in ["s", "c"] {
                #expect(try await fixture.gossipctl(["kv", "revert", key, "--to", "3"]).status == 0)
            }
            #expect(try await fixture.client.listSet(set).elements == ["a", "b"])
            #expect(try await fixture.client.counter(counter).value == 7)
        }
    }

    @Test(arguments: [
        "/v1/diff", "/v1/diff?from=x", "/v1/diff?from=1&limit=1001", "/v1/diff?from=1&after=/", "/v1/history/k?limit=0",
        "/v1/history/k?before=x", "/v1/kv/k?revision=0", "/v1/kv/k?revision=1&at=2026-11-18T11:06:42Z",
        "/v1/kv/k?at=noon", "/v1/holders/k?timeout=51s", "/v1/holders/k?at_least=-1", "/v1/verify?timeout=5",
        "/v1/queue?after=x", "/v1/watch?heartbeat=6m",
    ])
    func `what is no point, page or wait is refused`(path: String) async throws {
        try await ServerFixture.run { fixture in
            let answer = try await fixture.client.send(AdminRequest("GET", "").at(path))
            #expect(answer.failure.code == .badRequest, "\(answer.failure)")
        }
    }
}
