// SPDX-License-Identifier: Apache-2.0
// Owns the tests of conditional, repeatable and waiting writes over a real socket.

import AdminClient
import AdminModel
import AdminServer
import AdminServerFixture
import Glibc
import Testing

@Suite struct WriteOptionTests {
    private func options(_ change: (inout KeyWriteOptions) -> Void) -> KeyWriteOptions {
        var options = KeyWriteOptions()
        change(&options)
        return options
    }

    @Test func `all that goes along with a write reaches the node, with the caller's own user`() async throws {
        try await ServerFixture.run { fixture in
            let all = options {
                $0.condition = .absent
                $0.message = "because + & = %"
                $0.requestID = "one/two"
                $0.ttlMilliseconds = 90_000
            }
            _ = try await fixture.client.put(try ConfigurationKey("k"), value: [0x31], all)
            var expected = all
            let name = getpwuid(geteuid()).map { String(cString: $0.pointee.pw_name) }
            expected.user = name ?? "uid \(geteuid())"
            // What the client leaves the daemon of its own 20 seconds.
            expected.timeout = .seconds(19)
            #expect(fixture.node.peek { $0.lastOptions } == expected)
        }
    }

    @Test func `conditions hold or nothing is written`() async throws {
        try await ServerFixture.run { fixture in
            let key = try ConfigurationKey("k")
            let client = fixture.client
            let first = try await client.put(key, value: [0x31], options { $0.condition = .absent })
            let absent = await failure { try await client.put(key, value: [0x32], options { $0.condition = .absent }) }
            #expect(absent == .conditionFailed)
            let other = await failure {
                try await client.delete(key, options { $0.condition = .version("v99") })
            }
            #expect(other == .conditionFailed)
            #expect(try await client.getRaw(key) == [0x31])
            _ = try await client.delete(key, options { $0.condition = .version(first.version) })
            #expect(!fixture.node.holds("k"))
        }
    }

    @Test func `the same request twice happens once, and another under its name is refused`() async throws {
        try await ServerFixture.run { fixture in
            let key = try ConfigurationKey("n")
            let once = options { $0.requestID = "deploy-1" }
            let first = try await fixture.client.addToCounter(key, 5, once)
            #expect(try await fixture.client.addToCounter(key, 5, once) == first)
            #expect(try await fixture.client.counter(key).value == 5)
            #expect(await failure { try await fixture.client.addToCounter(key, 6, once) } == .requestIDReused)
            var request = AdminRequest("POST", "/v1/counters/n", body: Array(#"{"increment":5}"#.utf8))
            request.headers = [("idempotency-key", "deploy-1")]
            #expect(try await fixture.client.send(request).isSuccess)
            #expect(try await fixture.client.counter(key).value == 5)
        }
    }

    @Test func `several elements are one write`() async throws {
        try await ServerFixture.run { fixture in
            _ = try await fixture.client.addToSet(try ConfigurationKey("s"), ["a", "b", "c"])
            #expect(fixture.node.peek { $0.lastSteps } == 3)
        }
    }

    @Test(arguments: [("majority", 3), ("all", 5), ("2", 2)])
    func `a write can wait until so many nodes hold it`(wait: String, holding: Int) async throws {
        try await ServerFixture.run { fixture in
            var query = URLQuery()
            query.add("wait", wait)
            let answer = try await fixture.client.send(AdminRequest("PUT", "/v1/kv/k", query: query, body: [0x31]))
            let result = try AdminJSON.decode(WriteResult.self, from: answer.body)
            #expect(result.nodesHolding == holding)
            #expect(result.version == "v1")
        }
    }

    @Test func `a wait that is over says what is durable and who is missing`() async throws {
        try await ServerFixture.run { fixture in
            fixture.node.peek { $0.holdersMax = 2 }
            var query = URLQuery()
            query.add("wait", "all")
            query.add("wait_timeout", "120ms")
            let answer = try await fixture.client.send(AdminRequest("PUT", "/v1/kv/k", query: query, body: [0x31]))
            #expect(answer.failure.code == .timedOut)
            #expect(
                answer.failure.message == "the write is durable on this node as version v1 and will spread, but after "
                    + "0.1 s 2 of 5 nodes hold it, not all (5); missing: web-3, web-4, web-5")
            #expect(fixture.node.holds("k"))
        }
    }

    @Test func `gossipctl shows no progress where nobody looks, and exits with 5 when the wait is over`() async throws {
        try await ServerFixture.run { fixture in
            let put = try await fixture.gossipctl(["kv", "put", "k", "v", "--wait", "majority"])
            #expect(put == Outcome(0, "wrote k, version v1, on 3 of 5 nodes\n", ""))
            fixture.node.peek { $0.holdersMax = 1 }
            let late = try await fixture.gossipctl([
                "kv", "put", "k", "w", "--wait", "2", "--wait-timeout", "100ms",
            ])
            #expect(late.status == 5)
            #expect(late.error.contains("1 of 5 nodes hold it, not 2; missing: web-2, "), "\(late.error)")
            #expect(try await fixture.gossipctl(["kv", "get", "k"]).output == "w")
        }
    }

    @Test(
        arguments: [
            (["kv", "put", "k", "v", "--if-absent"], Int32(4)), (["kv", "put", "k", "v", "--if-version", "v9"], 4),
            (["kv", "put", "k", "v", "--if-version", "v1"], 0), (["kv", "delete", "k", "--if-version", "v2"], 4),
            (["kv", "put", "k", "v", "--request-id", "used"], 4), (["kv", "put", "k", "v", "--ttl", "90s"], 0),
            (["kv", "put", "k", "v", "--message", "two\nlines"], 64),
            (["set", "add", "s", "a", "b", "--if-absent"], 0),
            (["counter", "add", "c", "-5", "--if-absent", "--message", "x"], 0),
        ] as [([String], Int32)])
    func `conditions have their exit status`(arguments: [String], status: Int32) async throws {
        try await ServerFixture.run { fixture in
            let used = options { $0.requestID = "used" }
            _ = try await fixture.client.put(try ConfigurationKey("k"), value: [0x31], used)
            let outcome = try await fixture.gossipctl(arguments)
            #expect(outcome.status == status, "\(outcome)")
        }
    }

    @Test(arguments: [
        ("if_version=v&if_absent=true", "exclude"), ("if_version=", "not a version"), ("ttl=5", "duration"),
        ("ttl=0s", "duration"), ("ttl=4000d", "duration"), ("wait=most", "majority or all"), ("wait=0", "majority"),
        ("wait_timeout=51s", "at most 50s"), ("request_id=", "request id"), ("if_absent=yes", "true or false"),
        ("message=" + String(repeating: "m", count: 513), "513 bytes"), ("message=a%0ab", "control"),
        ("unknown=1", "not known"),
    ])
    func `options beyond their bounds are refused before anything is written`(query: String, words: String) async throws
    {
        try await ServerFixture.run { fixture in
            let answer = try await fixture.client.send(
                AdminRequest("PUT", "/v1/kv/k", body: [0x31]).at("/v1/kv/k?" + query))
            #expect(answer.failure.code == .badRequest)
            #expect(answer.failure.message.contains(words), "\(answer.failure.message)")
            #expect(!fixture.node.holds("k"))
        }
    }
}

/// The code that a call fails with; nil when it succeeds.
func failure<Result>(_ body: () async throws -> Result) async -> AdminFailure.Code? {
    do {
        _ = try await body()
        return nil
    } catch {
        return (error as? AdminFailure)?.code ?? .internalError
    }
}
