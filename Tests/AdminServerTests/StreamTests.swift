// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the two streams: order, resuming, heartbeats, slow readers, endings.

import AdminClient
import AdminModel
import AdminServer
import AdminServerFixture
import Testing

@Suite struct StreamTests {
    @Test func `events without follow are those held, then the stream ends`() async throws {
        try await ServerFixture.run { fixture in
            fixture.node.emit("member_joined", "one")
            fixture.node.emit("member_failed", "two")
            let seen = try await fixture.collect()
            #expect(seen.map(\.message) == ["one", "two"])
            #expect(seen.map(\.cursor) == ["5f-1", "5f-2"])
            #expect(try await fixture.collect(since: "5f-1").map(\.message) == ["two"])
            #expect(try await fixture.collect(since: "5f-2").isEmpty)
            #expect(try await fixture.collect(since: "start").count == 2)
        }
    }

    @Test func `following begins with what happens after it, or after the cursor`() async throws {
        try await ServerFixture.run { fixture in
            let node = fixture.node
            node.emit("member_joined", "old")
            for (since, expected) in [(nil, ["new 1"]), ("5f-1", ["new 1", "new 2"]), ("start", ["old", "new 1"])] {
                var seen: [String] = []
                try await fixture.client.events(since: since, follow: true) {
                    node.emit("member_alive", since == nil ? "new 1" : "new 2")
                } onEvent: { event, _ throws(AdminFailure) in
                    seen.append(event.message)
                    return seen.count < expected.count
                }
                #expect(seen == expected)
            }
        }
    }

    @Test func `history that is gone is a resync, for events and for watches`() async throws {
        try await ServerFixture.run { fixture in
            for number in 0..<20 { fixture.node.emit("member_alive", "\(number)") }
            await #expect(throws: AdminFailure.self) { try await fixture.collect(since: "5f-1") }
            var seen: [WatchEvent] = []
            let key = try ConfigurationKey("a")
            try await fixture.client.watch(since: "4e-7") { _ throws(AdminFailure) in
                _ = try await fixture.client.put(key, value: [0x31])
            } onEvent: { event, _ throws(AdminFailure) in
                seen.append(event)
                return seen.count < 2
            }
            #expect(seen.map(\.event) == ["resync", "put"])
            #expect(seen[0].cursor == "5f-0")
        }
    }

    @Test func `a watch shows every kind of change below its prefix, and resumes without a gap`() async throws {
        try await ServerFixture.run { fixture in
            let client = fixture.client
            var seen: [WatchEvent] = []
            try await client.watch(try KeyPrefix("app/")) { _ throws(AdminFailure) in
                _ = try await client.put(try ConfigurationKey("other"), value: [0x31])
                _ = try await client.put(try ConfigurationKey("app/r"), value: [0xff])
                _ = try await client.addToSet(try ConfigurationKey("app/s"), ["e"])
                _ = try await client.removeFromSet(try ConfigurationKey("app/s"), ["e"])
                _ = try await client.addToCounter(try ConfigurationKey("app/c"), 2)
                _ = try await client.delete(try ConfigurationKey("app/r"))
            } onEvent: { event, _ throws(AdminFailure) in
                seen.append(event)
                return seen.count < 5
            }
            #expect(seen.map(\.event) == ["put", "add", "remove", "increment", "delete"])
            #expect(seen.map(\.key) == ["app/r", "app/s", "app/s", "app/c", "app/r"])
            #expect(seen[0].valueBase64 == "/w==")
            #expect(seen[1].element == "e")
            #expect(seen[4].type == .register)
            var resumed: [WatchEvent] = []
            try await client.watch(try KeyPrefix("app/"), since: seen[1].cursor) { event, _ throws(AdminFailure) in
                resumed.append(event)
                return resumed.count < 3
            }
            #expect(resumed == Array(seen[2...]))
        }
    }

    @Test func `a silent stream proves with heartbeats that it lives, at the last cursor`() async throws {
        try await ServerFixture.run(change: { $0.heartbeatInterval = .milliseconds(20) }) { fixture in
            fixture.node.emit("member_alive", "one")
            var seen: [ClusterEvent] = []
            try await fixture.client.events(since: "start", follow: true) { event, _ throws(AdminFailure) in
                seen.append(event)
                return seen.count < 3
            }
            #expect(seen.map(\.event) == ["member_alive", "heartbeat", "heartbeat"])
            #expect(seen.map(\.cursor) == ["5f-1", "5f-1", "5f-1"])
        }
    }

    @Test func `a client notices a stream that has gone silent`() async throws {
        try await ServerFixture.run { fixture in
            var client = fixture.client
            client.silenceMax = .milliseconds(50)
            let impatient = client
            await #expect(throws: AdminFailure.self) {
                try await impatient.events(follow: true) { _, _ throws(AdminFailure) in true }
            }
        }
    }

    @Test func `a reader that falls behind gets what waited and a last line that says why`() async throws {
        try await ServerFixture.run { fixture in
            let path = fixture.socketPath
            let node = fixture.node
            let text = try await RawConnection.detached {
                let raw = try RawConnection(path)
                defer { raw.close() }
                raw.send("GET /v1/events?follow=true HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                _ = raw.read(until: "\r\n\r\n")
                let long = String(repeating: "x", count: 4096)
                for _ in 0..<3000 { node.emit("member_alive", long) }
                return raw.readToEnd() ?? ""
            }
            let lines = text.split(separator: "\r\n").filter { $0.hasPrefix("{") }
            #expect(lines.count > 1000)
            #expect(lines.count < 3000)
            let last = try AdminJSON.decode(ClusterEvent.self, from: (lines.last ?? "").utf8)
            #expect(last.event == "closed")
            #expect(last.reason == "slow_reader")
            #expect(last.cursor == "5f-\(lines.count - 1)")
            #expect(fixture.server.counters.streamsCut == 1)
            #expect(fixture.server.counters.streamsOpen == 0)
        }
    }

    @Test func `a reader that takes nothing at all is cut off at the deadline`() async throws {
        try await ServerFixture.run(change: { $0.writeDeadline = .milliseconds(50) }) { fixture in
            let path = fixture.socketPath
            let node = fixture.node
            let hungUp = try await RawConnection.detached {
                let raw = try RawConnection(path)
                defer { raw.close() }
                raw.send("GET /v1/events?follow=true HTTP/1.1\r\nhost: x\r\n\r\n")
                _ = raw.read(until: "\r\n\r\n")
                let long = String(repeating: "x", count: 65_536)
                for _ in 0..<100 { node.emit("member_alive", long) }
                return raw.waitForHangUp()
            }
            #expect(hungUp)
            #expect(fixture.server.counters.connectionsCut == 1)
        }
    }

    @Test func `streams above the limit are refused until one ends`() async throws {
        try await ServerFixture.run(change: { $0.maxStreams = 1 }) { fixture in
            let client = fixture.client
            try await client.events(follow: true) { () throws(AdminFailure) in
                let second = try await client.send(AdminRequest("GET", "/v1/watch"))
                #expect(second.failure.code == .busy)
                fixture.node.emit("member_alive", "end")
            } onEvent: { _, _ throws(AdminFailure) in
                false
            }
            // The server learns of the hang-up a moment later.
            try await fixture.eventually { $0.streamsOpen == 0 }
            #expect(try await fixture.collect().map(\.message) == ["end"])
        }
    }

    @Test func `stopping the server ends streams with a last line, at once`() async throws {
        try await ServerFixture.run { fixture in
            var seen: [ClusterEvent] = []
            let server = fixture.server
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                try await fixture.client.events(follow: true) {
                    tasks.addTask { await server.stop() }
                } onEvent: { event, _ throws(AdminFailure) in
                    seen.append(event)
                    return true
                }
            }
            #expect(seen.map(\.event) == ["closed"])
            #expect(seen.first?.reason == "shutdown")
        }
    }
}

extension ServerFixture {
    /// All events the server holds after a cursor.
    func collect(since: String? = nil) async throws -> [ClusterEvent] {
        var seen: [ClusterEvent] = []
        try await client.events(since: since) { event, _ throws(AdminFailure) in
            seen.append(event)
            return true
        }
        return seen
    }
}
