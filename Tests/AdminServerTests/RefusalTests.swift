// SPDX-License-Identifier: Apache-2.0
// Owns the tests of what the server refuses: bad requests, strangers, too much, too slow, not HTTP.

import AdminClient
import AdminModel
import AdminServer
import AdminServerFixture
import Glibc
import Testing

/// A request and the code and status it must be refused with.
struct Refusal: Sendable, CustomTestStringConvertible {
    var method: String
    var path: String
    var body: String?
    var code: AdminFailure.Code
    var words: String

    init(_ method: String, _ path: String, _ body: String?, _ code: AdminFailure.Code, _ words: String) {
        self.method = method
        self.path = path
        self.body = body
        self.code = code
        self.words = words
    }

    init(_ method: String, _ path: String, _ code: AdminFailure.Code, _ words: String) {
        self.init(method, path, nil, code, words)
    }

    var testDescription: String { "\(method) \(path.prefix(60)) \(body?.prefix(60) ?? "")" }

    static let all: [Refusal] = [
        Refusal("GET", "/", .unknownEndpoint, "no endpoint"),
        Refusal("GET", "/v1/statuss", .unknownEndpoint, "no endpoint"),
        Refusal("GET", "/v1/members/", .unknownEndpoint, "no endpoint"),
        Refusal("GET", "/v1/members/a/b/c", .unknownEndpoint, "no endpoint"),
        Refusal("POST", "/v1/status", .methodNotAllowed, "use GET"),
        Refusal("PATCH", "/v1/kv/a", "x", .methodNotAllowed, "use GET, PUT, DELETE"),
        Refusal("OPTIONS", "/v1/status", .methodNotAllowed, "use GET"),
        Refusal("GET", "/v1/status?x=1", .badRequest, "\"x\" is not known"),
        Refusal("GET", "/v1/status?%zz=1", .badRequest, "percent-encoded"),
        Refusal("GET", "/v1/members?state=dead", .badRequest, "no state"),
        Refusal("GET", "/v1/members?state=unknown", .badRequest, "no state"),
        Refusal("GET", "/v1/members?tag=role", .badRequest, "NAME=VALUE"),
        Refusal("GET", "/v1/members/nobody", .notFound, "no member is named"),
        Refusal("GET", "/v1/members/77a", .notFound, "no member is named"),
        Refusal("GET", "/v1/members/twin", .ambiguous, "fits 2 members"),
        Refusal("GET", "/v1/members/0af3", .ambiguous, "fits 2 members"),
        Refusal("GET", "/v1/members/%ff", .badRequest, "does not name a member"),
        Refusal("DELETE", "/v1/members/web-1", .conflict, "is alive"),
        Refusal("POST", "/v1/members/web-3/ping", .timedOut, "did not answer"),
        Refusal("POST", "/v1/join", .badRequest, "JSON"),
        Refusal("POST", "/v1/join", "{", .badRequest, "JSON"),
        Refusal("POST", "/v1/join", "[]", .badRequest, "JSON"),
        Refusal("POST", "/v1/join", #"{"addresses":[1]}"#, .badRequest, "addresses"),
        Refusal("POST", "/v1/join", #"{"addresses":[]}"#, .badRequest, "1 to 64"),
        Refusal("POST", "/v1/join", #"{"address":["a"]}"#, .badRequest, "\"addresses\" is missing"),
        Refusal("POST", "/v1/join", #"{"addresses":["nowhere:1"]}"#, .unavailable, "answered"),
        Refusal("PATCH", "/v1/tags", "{}", .badRequest, "1 to 64 tags"),
        Refusal("PATCH", "/v1/tags", #"{"set":{"a=b":"c"}}"#, .badRequest, "not a tag name"),
        Refusal("PATCH", "/v1/tags", #"{"set":{"a":"\u0007"}}"#, .badRequest, "control"),
        Refusal("GET", "/v1/kv/", .badRequest, "empty"),
        Refusal("GET", "/v1/kv//a", .badRequest, "slash"),
        Refusal("GET", "/v1/kv/a//b", .badRequest, "empty segment"),
        Refusal("GET", "/v1/kv/a/", .badRequest, "slash"),
        Refusal("GET", "/v1/kv/a%00", .badRequest, "control character"),
        Refusal("GET", "/v1/kv/a%2", .badRequest, "percent-encoded"),
        Refusal("GET", "/v1/kv/%c3%28", .badRequest, "percent-encoded"),
        Refusal("GET", "/v1/kv/" + String(repeating: "k", count: 513), .badRequest, "513 bytes"),
        Refusal("GET", "/v1/kv/a?raw=maybe", .badRequest, "true or false"),
        Refusal("GET", "/v1/kv?prefix=a&prefix=b", .badRequest, "once"),
        Refusal("GET", "/v1/kv?prefix=/a", .badRequest, "slash"),
        Refusal("GET", "/v1/kv/none", .notFound, "no key"),
        Refusal("DELETE", "/v1/kv/none", .notFound, "no key"),
        Refusal("PUT", "/v1/kv/a", String(repeating: "v", count: 512 * 1024 + 1), .tooLarge, "524289 bytes"),
        Refusal("PUT", "/v1/kv/set", "x", .conflict, "another type"),
        Refusal("GET", "/v1/counters/set", .conflict, "another type"),
        Refusal("GET", "/v1/sets/none", .notFound, "no key"),
        Refusal("POST", "/v1/sets/a", "{}", .badRequest, "one of the two"),
        Refusal("POST", "/v1/sets/a", #"{"add":["x"],"remove":["y"]}"#, .badRequest, "one of the two"),
        Refusal("POST", "/v1/sets/a", #"{"add_base64":["***"]}"#, .badRequest, "base64"),
        Refusal(
            "POST", "/v1/sets/a", #"{"add":[""# + String(repeating: "e", count: 4097) + #""]}"#, .tooLarge, "4097"),
        Refusal("POST", "/v1/counters/a", #"{"increment":1.5}"#, .badRequest, "JSON"),
        Refusal("POST", "/v1/counters/a", #"{"increment":99999999999999999999}"#, .badRequest, "JSON"),
        Refusal("GET", "/v1/events?since=nonsense", .badRequest, "not a cursor"),
        Refusal("GET", "/v1/events?since=4e-1", .resync, "no longer held"),
        Refusal("GET", "/v1/events?since=5f-99", .resync, "no longer held"),
        Refusal("GET", "/v1/watch?since=" + String(repeating: "1", count: 129), .badRequest, "not a cursor"),
    ]
}

@Suite struct RefusalTests {
    @Test(arguments: Refusal.all)
    func `a bad request is refused with its code and a sentence as JSON`(refusal: Refusal) async throws {
        try await ServerFixture.run { fixture in
            _ = try await fixture.client.addToSet(try ConfigurationKey("set"), ["x"])
            let answer = try await fixture.client.send(
                AdminRequest(refusal.method, "", body: refusal.body.map { Array($0.utf8) }).at(refusal.path))
            #expect(answer.status == refusal.code.httpStatus)
            #expect(answer.contentType == "application/json")
            let error = try AdminJSON.decode(ErrorDocument.self, from: answer.body).error
            #expect(error.code == refusal.code.rawValue)
            #expect(error.message.contains(refusal.words), "\(error.message)")
            #expect(fixture.server.counters.requestsFailedByCode == [refusal.code: 1])
        }
    }

    @Test(arguments: AdminFailure.Code.allCases.filter { !$0.isClientSide })
    func `whatever the node fails with reaches the client unchanged`(code: AdminFailure.Code) async throws {
        try await ServerFixture.run { fixture in
            let failure = AdminFailure(code, "the node says \"no\" to this")
            fixture.node.fail(with: failure)
            await #expect(throws: failure) { try await fixture.client.status() }
        }
    }

    @Test func `a method that is not there is answered with those that are`() async throws {
        try await ServerFixture.run { fixture in
            let path = fixture.socketPath
            let answer = try await RawConnection.detached {
                let raw = try RawConnection(path)
                defer { raw.close() }
                raw.send("TRACE /v1/kv/a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                return raw.readToEnd() ?? ""
            }
            #expect(answer.contains("\r\nAllow: GET, PUT, DELETE\r\n"), "\(answer)")
        }
    }

    @Test(arguments: [("", 400), ("content-length: 0\r\n", 200)])
    func `an empty value must be meant: a forgotten body is refused`(header: String, status: Int) async throws {
        try await ServerFixture.run { fixture in
            let path = fixture.socketPath
            let answer = try await RawConnection.detached {
                let raw = try RawConnection(path)
                defer { raw.close() }
                raw.send("PUT /v1/kv/a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\(header)\r\n")
                return raw.readToEnd() ?? ""
            }
            #expect(answer.hasPrefix("HTTP/1.1 \(status) "))
            #expect(fixture.node.holds("a") == (status == 200))
        }
    }

    @Test func `a body above the limit is refused before it is read, and while it is read`() async throws {
        try await ServerFixture.run(change: { $0.maxBodyBytes = 100_000 }) { fixture in
            let big = [UInt8](repeating: 0x61, count: 3_000_000)
            let announced = try await fixture.client.send(AdminRequest("PUT", "/v1/kv/a", body: big))
            #expect(announced.status == 413)
            #expect(announced.failure.message.contains("at most 100000 bytes"))
            let path = fixture.socketPath
            let chunked = try await RawConnection.detached {
                let raw = try RawConnection(path)
                defer { raw.close() }
                raw.send("PUT /v1/kv/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
                for _ in 0..<30 where !raw.send("8000\r\n" + String(repeating: "x", count: 0x8000) + "\r\n") { break }
                return raw.readToEnd() ?? ""
            }
            #expect(chunked.hasPrefix("HTTP/1.1 413 "))
            #expect(chunked.contains("\"too_large\""))
            #expect(try await fixture.client.list().entries.isEmpty)
        }
    }

    @Test(arguments: [
        "\u{1}\u{2}\u{3}junk\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "HELO mail\r\n\r\n",
        "GET / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        "GET / HTTP/1.1\r\n" + String(repeating: "x: y\r\n", count: 100) + "\r\n",
        "GET / HTTP/1.1\r\nx: " + String(repeating: "y", count: 20_000) + "\r\n\r\n",
        "PUT /v1/kv/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        "GET /" + String(repeating: "a", count: 70_000) + " HTTP/1.1\r\n\r\n",
    ])
    func `what is not HTTP is answered with 400, closed and counted`(junk: String) async throws {
        try await ServerFixture.run { fixture in
            let path = fixture.socketPath
            let answer = try await RawConnection.detached {
                let raw = try RawConnection(path)
                defer { raw.close() }
                raw.send(junk)
                return raw.readToEnd()
            }
            #expect(answer?.hasPrefix("HTTP/1.1 400 ") == true, "\(answer ?? "no end")")
            #expect(answer?.contains("\"bad_request\"") == true)
            #expect(fixture.server.counters.protocolErrors == 1)
            _ = try await fixture.client.status()
        }
    }

    @Test func `random bytes on many connections never stop the server`() async throws {
        try await ServerFixture.run { fixture in
            let path = fixture.socketPath
            let ended = try await RawConnection.detached {
                var random: UInt64 = 0x9e37_79b9_7f4a_7c15
                var ended = 0
                for _ in 0..<300 {
                    let raw = try RawConnection(path)
                    defer { raw.close() }
                    var bytes: [UInt8] = []
                    for _ in 0..<200 {
                        random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                        bytes.append(UInt8(truncatingIfNeeded: random >> 33))
                    }
                    // The codec waits for the end of a line that may yet become HTTP; two line ends force its hand.
                    raw.send(bytes + Array("\r\n\r\n".utf8))
                    if raw.readToEnd() != nil { ended += 1 }
                }
                return ended
            }
            #expect(ended == 300)
            #expect(fixture.server.counters.protocolErrors == 300)
            _ = try await fixture.client.status()
        }
    }

    @Test func `a request that stops half way is answered with 408 and closed`() async throws {
        try await ServerFixture.run(change: { $0.requestDeadline = .milliseconds(50) }) { fixture in
            let path = fixture.socketPath
            let answer = try await RawConnection.detached {
                let raw = try RawConnection(path)
                defer { raw.close() }
                raw.send("PUT /v1/kv/a HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc")
                return raw.readToEnd() ?? ""
            }
            #expect(answer.hasPrefix("HTTP/1.1 408 "))
            #expect(answer.contains("\"request_timeout\""))
            #expect(fixture.server.counters.connectionsCut == 1)
        }
    }

    @Test(arguments: ["content-length: 10\r\n\r\nabc", "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"])
    func `half a value is never written, whether the client hangs up or stalls`(rest: String) async throws {
        try await ServerFixture.run(change: { $0.requestDeadline = .milliseconds(50) }) { fixture in
            let path = fixture.socketPath
            for stalls in [false, true] {
                try await RawConnection.detached {
                    let raw = try RawConnection(path)
                    raw.send("PUT /v1/kv/half HTTP/1.1\r\nhost: x\r\n" + rest)
                    if stalls { _ = raw.readToEnd() }
                    raw.close()
                }
                try await fixture.eventually { $0.connectionsOpen <= 1 }
            }
            await fixture.server.stop()
            #expect(try await fixture.node.list(.all, ReadOptions()).entries.isEmpty)
        }
    }

    @Test func `a client that sends a whole write and leaves without waiting has written`() async throws {
        try await ServerFixture.run { fixture in
            let path = fixture.socketPath
            try await RawConnection.detached {
                let raw = try RawConnection(path)
                raw.send("PUT /v1/kv/whole HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc")
                raw.close()
            }
            try await fixture.eventually { $0.requestsSucceeded > 0 && fixture.node.holds("whole") }
        }
    }

    @Test func `a silent connection and one that sends no whole head are closed`() async throws {
        try await ServerFixture.run(change: { $0.idleDeadline = .milliseconds(50) }) { fixture in
            let path = fixture.socketPath
            for start in ["", "GET /v1/sta"] {
                let answer = try await RawConnection.detached {
                    let raw = try RawConnection(path)
                    defer { raw.close() }
                    raw.send(start)
                    return raw.readToEnd()
                }
                #expect(answer == "")
            }
        }
    }

    @Test func `connections above the limit are told so and closed`() async throws {
        try await ServerFixture.run(change: { $0.maxConnections = 2 }) { fixture in
            let path = fixture.socketPath
            let answer = try await RawConnection.detached {
                let held = try (0..<2).map { _ in
                    let raw = try RawConnection(path)
                    raw.send("GET /v1/status HTTP/1.1\r\nhost: x\r\n\r\n")
                    _ = raw.read(until: "\r\n\r\n")
                    return raw
                }
                defer { for raw in held { raw.close() } }
                let third = try RawConnection(path)
                defer { third.close() }
                return third.readToEnd() ?? ""
            }
            #expect(answer.hasPrefix("HTTP/1.1 429 "))
            #expect(answer.contains("has as many connections as it takes (2): close some, try again later"))
            #expect(fixture.server.counters.connectionsRefused == 1)
        }
    }

    @Test func `a client that still writes when it is refused reads why`() async throws {
        try await ServerFixture.run(change: {
            $0.maxConnections = 1
            $0.drainDeadline = patientDrain
        }) { fixture in
            let path = fixture.socketPath
            let held = try await RawConnection.detached {
                let raw = try RawConnection(path)
                raw.send("GET /v1/status HTTP/1.1\r\nhost: x\r\n\r\n")
                _ = raw.read(until: "\r\n\r\n")
                return raw
            }
            defer { held.close() }
            let value = [UInt8](repeating: 0x61, count: AdminLimits.valueBytesMax)
            for _ in 0..<50 {
                await #expect(throws: AdminServer.refusal(1)) {
                    try await fixture.client.put(try ConfigurationKey("k"), value: value)
                }
            }
            // The same from outside, as people see it.
            for _ in 0..<20 {
                let outcome = try await fixture.gossipctl(["status"])
                #expect(outcome == Outcome(5, "", "gossipctl: \(AdminServer.refusal(1))\n"))
            }
        }
    }

    @Test func `who may not write a large value reads so, however much is still under way`() async throws {
        let nobody = AccessPolicy(adminUsers: [], adminGroups: [], readUsers: [], readGroups: [])
        try await ServerFixture.run(policy: nobody, change: { $0.drainDeadline = patientDrain }) { fixture in
            let value = [UInt8](repeating: 0x61, count: AdminLimits.valueBytesMax)
            for _ in 0..<50 {
                do throws(AdminFailure) {
                    _ = try await fixture.client.put(try ConfigurationKey("k"), value: value)
                    Issue.record("it was written")
                } catch {
                    #expect(error.code == .denied, "\(error)")
                }
            }
        }
    }

    @Test func `a refused client that never closes is closed after the deadline`() async throws {
        try await ServerFixture.run(change: {
            $0.maxConnections = 1
            $0.drainDeadline = .milliseconds(20)
        }) { fixture in
            let path = fixture.socketPath
            let (answer, hungUp) = try await RawConnection.detached {
                let held = try RawConnection(path)
                defer { held.close() }
                held.send("GET /v1/status HTTP/1.1\r\nhost: x\r\n\r\n")
                _ = held.read(until: "\r\n\r\n")
                let raw = try RawConnection(path)
                defer { raw.close() }
                return (raw.readToEnd() ?? "", raw.waitForHangUp())
            }
            #expect(answer.hasPrefix("HTTP/1.1 429 "))
            #expect(hungUp)
        }
    }

    @Test func `one connection serves request after request`() async throws {
        try await ServerFixture.run { fixture in
            let path = fixture.socketPath
            let answer = try await RawConnection.detached {
                let raw = try RawConnection(path)
                defer { raw.close() }
                raw.send("GET /v1/counters/none HTTP/1.1\r\nhost: x\r\n\r\nGET /v1/status HTTP/1.1\r\nhost: x\r\n\r\n")
                raw.send("PUT /v1/kv/k HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\nexpect: 100-continue\r\n\r\nabc")
                raw.send("GET /v1/kv/k?raw=true HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                return raw.readToEnd() ?? ""
            }
            let statuses = answer.components("HTTP/1.1 ").dropFirst().map { $0.prefix(3) }
            #expect(statuses == ["404", "200", "100", "200", "200"], "\(answer)")
            #expect(answer.hasSuffix("abc"))
            #expect(fixture.server.counters.connectionsAccepted == 1)
        }
    }
}

extension String {
    /// The parts between the occurrences of a separator.
    fileprivate func components(_ separator: String) -> [Substring] {
        var parts: [Substring] = []
        var rest = self[...]
        while let range = rest.firstRange(of: separator) {
            parts.append(rest[..<range.lowerBound])
            rest = rest[range.upperBound...]
        }
        return parts + [rest]
    }
}

extension AdminRequest {
    /// The request with its target as it stands, query included.
    func at(_ target: String) -> AdminRequest {
        var request = self
        request.path = target
        return request
    }
}
