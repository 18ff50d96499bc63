// SPDX-License-Identifier: Apache-2.0
// Owns the tests that every endpoint answers what its document promises, over a real socket.

import AdminClient
import AdminModel
import AdminServer
import Testing

@Suite struct EndpointTests {
    @Test func `status names the node, its counts and a null for strict`() async throws {
        try await ServerFixture.run { fixture in
            let status = try await fixture.client.status()
            #expect(status.node == fixture.node.me)
            #expect(status.members == .init(alive: 3, suspect: 1, failed: 1))
            let raw = try await fixture.client.send(AdminRequest("GET", "/v1/status"))
            let text = String(decoding: raw.body, as: UTF8.self)
            #expect(raw.status == 200)
            #expect(raw.contentType == "application/json")
            #expect(text.contains(#""strict":null"#))
            #expect(text.contains(#""uptime_seconds":61"#))
        }
    }

    @Test func `members come sorted and filtered by state and tag`() async throws {
        try await ServerFixture.run { fixture in
            let all = try await fixture.client.members()
            #expect(all.members.map(\.name) == ["db-1", "twin", "twin", "web-1", "web-3"])
            let failed = try await fixture.client.members(MemberFilter(states: [.failed, .suspect]))
            #expect(failed.members.map(\.state) == [.suspect, .failed])
            let web = try await fixture.client.members(MemberFilter(states: [.alive], tags: ["role": "web"]))
            #expect(web.members.map(\.name) == ["web-1"])
            #expect(web.members.first?.isSelf == true)
        }
    }

    @Test func `a member row has exactly the keys of the contract and the operator's extras`() async throws {
        try await ServerFixture.run { fixture in
            let raw = try await fixture.client.send(AdminRequest("GET", "/v1/members"))
            let text = String(decoding: raw.body, as: UTF8.self)
            #expect(
                text.contains(
                    #"{"address":"10.0.0.3:7946","id":"77aa000000000000000000000000000c","incarnation":3,"#
                        + #""name":"web-3","name_conflict":false,"protocol_version":1,"rtt_estimate_ms":null,"rtt_ms":null,"self":false,"#
                        + #""since":"2026-11-18T11:06:40.000Z","state":"failed","tags":{"role":"web"}}"#), "\(text)")
        }
    }

    @Test(arguments: ["web-3", "77aa000000000000000000000000000c", "77aa", "77AA"])
    func `a member is explained by name, id or the beginning of its id`(reference: String) async throws {
        try await ServerFixture.run { fixture in
            let explanation = try await fixture.client.explain(reference)
            #expect(explanation.member.name == "web-3")
            #expect(explanation.timeline.first?.evidence?.pathsFailed == ["udp", "stream"])
            #expect(explanation.timeline.first?.evidence?.confirmedBy == [fixture.node.me])
        }
    }

    @Test func `join, leave, forget, tags and ping reach the node`() async throws {
        try await ServerFixture.run { fixture in
            let client = fixture.client
            let join = try await client.join(["10.0.0.9:7946", "nowhere:1"])
            #expect(join.joined == 1)
            #expect(join.attempts.last?.error == "connection refused")
            #expect(try await client.leave() == LeaveResult(acknowledgedBy: 2, peersTotal: 3))
            #expect(try await client.forget("web-3").member.name == "web-3")
            #expect(try await client.members().members.contains { $0.name == "web-3" } == false)
            #expect(try await client.changeTags(set: ["zone": "b"]).tags == ["role": "web", "zone": "b"])
            #expect(try await client.changeTags(set: ["a": "1"], unset: ["role", "zone"]).tags == ["a": "1"])
            #expect(try await client.ping("db-1").rttMilliseconds == 0.42)
        }
    }

    @Test func `round trips are told without a ping, unknown ones as null`() async throws {
        try await ServerFixture.run { fixture in
            let own = try await fixture.client.roundTrips(from: nil, to: nil)
            #expect(own.from.name == "web-1")
            #expect(own.roundTrips.first?.member.name == "db-1")
            #expect(own.roundTrips.first?.rttMilliseconds == 0.42)
            let pair = try await fixture.client.roundTrips(from: "db-1", to: "0af30000")
            #expect(pair.from.name == "db-1")
            #expect(pair.roundTrips.map(\.estimateMilliseconds) == [31.25])
            var query = URLQuery()
            query.add("to", "web-3")
            let answer = try await fixture.client.send(AdminRequest("GET", "/v1/rtt", query: query))
            #expect(
                String(decoding: answer.body, as: UTF8.self).contains(
                    #""rtt_estimate_error_ms":null,"rtt_estimate_ms":null,"rtt_ms":null,"state":"failed""#))
            await #expect(throws: AdminFailure.self) { try await fixture.client.roundTrips(from: nil, to: "nobody") }
            await #expect(throws: AdminFailure.self) { try await fixture.client.roundTrips(from: "a\nb", to: nil) }
        }
    }

    @Test(arguments: ["app/db/url", "ä ö/ü?&%25#", "a", "x.y-z_~/%2F/+"])
    func `a register is written, read, listed and deleted under any legal key`(name: String) async throws {
        try await ServerFixture.run { fixture in
            let client = fixture.client
            let key = try ConfigurationKey(name)
            let written = try await client.put(key, value: Array("hello".utf8))
            #expect(written == WriteResult(key: key, version: "v1", nodesHolding: 1, nodesTotal: 5))
            let read = try await client.get(key)
            #expect(read.key == name)
            #expect(read.content == .register(Array("hello".utf8)))
            #expect(try await client.getRaw(key) == Array("hello".utf8))
            #expect(try await client.list().entries == [read])
            #expect(try await client.list(try KeyPrefix("zzz")).entries.isEmpty)
            #expect(try await client.delete(key).version == "v2")
            await #expect(throws: AdminFailure(.notFound, "there is no key \(name.quoted)")) {
                try await client.get(key)
            }
        }
    }

    @Test func `bytes that are not UTF-8 come back as they went in, as base64 in JSON`() async throws {
        try await ServerFixture.run { fixture in
            let key = try ConfigurationKey("bin")
            let bytes: [UInt8] = [0xff, 0x00, 0x0a, 0xfe]
            _ = try await fixture.client.put(key, value: bytes)
            #expect(try await fixture.client.getRaw(key) == bytes)
            let raw = try await fixture.client.send(AdminRequest("GET", "/v1/kv/bin"))
            #expect(String(decoding: raw.body, as: UTF8.self).contains(#""value_base64":"/wAK/g==""#))
            #expect(try await fixture.client.get(key).content == .register(bytes))
        }
    }

    @Test func `the bytes alone are also served to who accepts octets`() async throws {
        try await ServerFixture.run { fixture in
            _ = try await fixture.client.put(try ConfigurationKey("k"), value: [1, 2])
            var request = AdminRequest("GET", "/v1/kv/k")
            request.headers = [("accept", "application/octet-stream")]
            let raw = try await fixture.client.send(request)
            #expect(raw.body == [1, 2])
            #expect(raw.contentType == "application/octet-stream")
        }
    }

    @Test func `an empty value and one of exactly 512 KiB are accepted`() async throws {
        try await ServerFixture.run { fixture in
            let key = try ConfigurationKey("k")
            for size in [0, AdminLimits.valueBytesMax] {
                _ = try await fixture.client.put(key, value: [UInt8](repeating: 7, count: size))
                #expect(try await fixture.client.getRaw(key).count == size)
            }
        }
    }

    @Test func `sets add, remove and list elements, text and bytes`() async throws {
        try await ServerFixture.run { fixture in
            let client = fixture.client
            let key = try ConfigurationKey("app/set")
            _ = try await client.addToSet(key, ["b", "a", "b"])
            #expect(try await client.listSet(key).elements == ["a", "b"])
            _ = try await client.removeFromSet(key, ["a", "nothing"])
            #expect(try await client.listSet(key).elements == ["b"])
            let body = Array(#"{"add_base64":["/w=="]}"#.utf8)
            #expect(try await client.send(AdminRequest("POST", "/v1/sets/app/set", body: body)).status == 200)
            #expect(try await client.listSet(key).allElements == [[0x62], [0xff]])
            #expect(try await client.get(key).content == .set([[0x62], [0xff]]))
        }
    }

    @Test func `counters add up, also downwards`() async throws {
        try await ServerFixture.run { fixture in
            let key = try ConfigurationKey("n")
            #expect(try await fixture.client.addToCounter(key, 5).value == 5)
            #expect(try await fixture.client.addToCounter(key, -7).value == -2)
            #expect(try await fixture.client.counter(key).value == -2)
            #expect(try await fixture.client.getRaw(key) == Array("-2\n".utf8))
        }
    }

    @Test func `metrics show the node's samples and the server's own`() async throws {
        try await ServerFixture.run { fixture in
            _ = try await fixture.client.status()
            _ = try? await fixture.client.get(try ConfigurationKey("missing"))
            let text = try await fixture.client.metrics()
            #expect(text.contains("# TYPE gossipd_members gauge\ngossipd_members{state=\"alive\"} 3\n"))
            #expect(text.contains("gossipd_admin_requests_total{outcome=\"not_found\"} 1\n"))
            #expect(text.contains("gossipd_admin_requests_total{outcome=\"ok\"} 1\n"))
        }
    }

    @Test func `what is brief runs on the connection's loop, and what may be long does not`() async throws {
        try await ServerFixture.run { fixture in
            let key = try ConfigurationKey("k")
            func ran() -> Bool { fixture.node.peek { $0.ranOnLoop } }
            // The user's name is looked up, and a directory service may be slow.
            _ = try await fixture.client.put(key, value: [1])
            #expect(!ran())
            _ = try await fixture.client.put(key, value: [2])
            #expect(ran())
            _ = try await fixture.client.list(.all)
            #expect(!ran())
            _ = try await fixture.client.get(key)
            #expect(ran())
            _ = try await fixture.client.status()
            #expect(!ran())
        }
    }
}
