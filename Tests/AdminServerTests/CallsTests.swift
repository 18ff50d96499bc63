// SPDX-License-Identifier: Apache-2.0
// Owns the tests of many calls over one connection: what each line is answered with, in whatever pieces it comes.

import AdminModel
import AdminServerFixture
import Glibc
import Testing

@testable import AdminServer

@Suite(.timeLimit(.minutes(1))) struct CallsTests {
    /// Sends this in pieces and the end, and takes the answers.
    private static func talk(
        _ fixture: ServerFixture, _ pieces: [[UInt8]], _ fields: String = ""
    ) async throws -> [KeyCallAnswer] {
        let path = fixture.socketPath
        return try await RawConnection.detached {
            var client = try CallsConnection(path, fields)
            client.raw.send(pieces.flatMap(CallsConnection.chunk))
            client.finish()
            return try client.rest()
        }
    }

    private static func byID(_ answers: [KeyCallAnswer]) -> [UInt64: KeyCallAnswer] {
        Dictionary(answers.map { ($0.id ?? 0, $0) }) { first, _ in first }
    }

    @Test func `each kind of call is answered by its id, as a request of its own would be`() async throws {
        try await ServerFixture.run { fixture in
            fixture.node.peek { $0.strict.prefixes = ["strict/"] }
            let first = try await Self.talk(
                fixture, [Array(#"{"id":1,"put":"strict/a","value":"x"}"#.utf8) + [10]])
            #expect(first.map(\.id) == [1] && first[0].version == "1" && first[0].error == nil)
            let lines = [
                #"{"id":18446744073709551615,"get":"strict/a"}"#,
                #"{"id":2,"get":"strict/a","consistency":"local"}"#,
                #"{"id":3,"put":"strict/b","value_base64":"/w==","if_absent":true}"#,
                #"{"id":4,"put":"strict/a","value":"y","if_version":"7"}"#,
                #"{"id":5,"put":"strict/c","value":"é","ttl":"5s"}"#,
                #"{"id":6,"delete":"strict/none"}"#,
                #"{"id":7,"put":"plain/a","value":"z","message":"why"}"#,
                #"{"id":8,"get":"plain/none"}"#,
                #"{"id":9,"put":".gossipd/x","value":"1"}"#,
                #" { "value" : "" , "put" : "plain/empty" , "id" : 0 } "#,
            ]
            let answers = try await Self.talk(fixture, [Array(lines.joined(separator: "\n").utf8)])
            #expect(answers.count == lines.count)
            let byID = Self.byID(answers)
            for id: UInt64 in [.max, 2] {
                #expect(byID[id]?.found?.content == .register([UInt8(ascii: "x")]) && byID[id]?.found?.version == "1")
            }
            #expect(byID[2]?.found?.stalenessMilliseconds != nil && byID[.max]?.found?.stalenessMilliseconds == nil)
            #expect(byID[3]?.version != nil && byID[4]?.failure?.code == .conditionFailed)
            #expect(byID[5]?.version != nil)
            #expect(byID[6]?.failure?.code == .notFound && byID[8]?.failure?.code == .notFound)
            #expect(byID[7]?.version != nil && byID[9]?.error != nil)
            #expect(byID[0]?.version != nil)
            #expect(fixture.node.peek { $0.strict.values["strict/b"]?.value } == [0xff])
            #expect(fixture.node.peek { $0.keys["plain/empty"]?.content } == .register([]))
        }
    }

    @Test func `lines may be cut anywhere, end in CR LF, be empty, and lack the last line feed`() async throws {
        let text = Array(
            (#"{"id":1,"put":"a","value":"1"}"# + "\n\r\n \t\n" + #"{"id":2,"put":"b","value":"é"}"# + "\r\n"
                + #"{"id":3,"put":"c","value":"3"}"#).utf8)
        try await ServerFixture.run { fixture in
            for cut in 1..<text.count {
                let answers = try await Self.talk(fixture, [Array(text[..<cut]), Array(text[cut...])])
                #expect(answers.compactMap(\.id).sorted() == [1, 2, 3] && answers.allSatisfy { $0.version != nil })
            }
            let bytewise = try await Self.talk(fixture, text.map { [$0] })
            #expect(bytewise.compactMap(\.id).sorted() == [1, 2, 3])
            let whole = try await Self.talk(fixture, [text])
            #expect(whole.compactMap(\.id).sorted() == [1, 2, 3])
            #expect(fixture.node.peek { $0.keys["b"]?.content } == .register(Array("é".utf8)))
        }
    }

    /// A line that is no call; the id, when it can be read.
    static let broken: [(line: String, id: UInt64?, code: AdminFailure.Code)] = [
        ("nonsense", nil, .badRequest), ("[]", nil, .badRequest), ("7", nil, .badRequest), ("{}", nil, .badRequest),
        (#"{"put":"a","value":"x"}"#, nil, .badRequest), (#"{"id":-1,"put":"a","value":"x"}"#, nil, .badRequest),
        (#"{"id":18446744073709551616,"put":"a","value":"x"}"#, nil, .badRequest),
        (#"{"id":"7","put":"a","value":"x"}"#, nil, .badRequest),
        (#"{"id":7,"put":"a","value":"x""#, nil, .badRequest),
        (#"{"id":7,"put":"a","value":"x","if-version":"1"}"#, 7, .badRequest),
        (#"{"id":07,"put":"a","value":"x"}"#, nil, .badRequest),
        (String(repeating: "[", count: 100_000), nil, .badRequest),
        (#"{"id":7,"put":"# + String(repeating: "[", count: 5_000), nil, .badRequest),
        (#"{"id":7}"#, 7, .badRequest), (#"{"id":7,"put":"a"}"#, 7, .badRequest),
        (#"{"id":7,"put":7,"value":"x"}"#, 7, .badRequest),
        (#"{"id":7,"put":"a","value":"x","value_base64":"eA=="}"#, 7, .badRequest),
        (#"{"id":7,"put":"a","get":"a","value":"x"}"#, 7, .badRequest),
        (#"{"id":7,"put":"","value":"x"}"#, 7, .badRequest), (#"{"id":7,"delete":"a","ttl":"5s"}"#, 7, .badRequest),
        (#"{"id":7,"get":"a","if_version":"1"}"#, 7, .badRequest),
        (#"{"id":7,"get":"a","consistency":"some"}"#, 7, .badRequest),
        (#"{"id":7,"put":"a","value":"x","ttl":"soon"}"#, 7, .badRequest),
        (#"{"id":7,"put":"a","value":"x","if_version":"1","if_absent":true}"#, 7, .badRequest),
        (
            #"{"id":7,"put":"a","value":"\#(String(repeating: "x", count: AdminLimits.valueBytesMax + 1))"}"#, 7,
            .tooLarge
        ),
    ]

    @Test func `a line that is no call is answered and changes nothing, and the stream goes on`() async throws {
        try await ServerFixture.run { fixture in
            for (line, id, code) in Self.broken {
                let after = #"{"id":9,"put":"after","value":"x"}"#
                let answers = try await Self.talk(fixture, [Array("\n\(line)\n\(after)\n".utf8)])
                #expect(answers.count == 2, "\(line.prefix(80)): \(answers)")
                let refused = answers.first { $0.error != nil }
                #expect(refused?.id == id && refused?.failure?.code == code, "\(line.prefix(80)): \(answers)")
                #expect(refused?.line == (id == nil ? 2 : nil), "\(line.prefix(80)): \(answers)")
                #expect(answers.contains { $0.id == 9 && $0.version != nil })
            }
            let bad = [UInt8](#"{"id":7,"put":"a","value":""#.utf8) + [0xc3, 0x28] + [UInt8](#""}"#.utf8)
            let answers = try await Self.talk(fixture, [bad + [10], bad])
            #expect(answers.map { $0.failure?.code } == [.badRequest, .badRequest])
            #expect(!fixture.node.holds("a"))
        }
    }

    @Test func `a field that nobody knows may be a condition that is misspelt: the call is refused`() async throws {
        try await ServerFixture.run { fixture in
            let line = #"{"id":7,"put":"a","value":"x","later":{"a":[1]}}"#
            let answers = try await Self.talk(fixture, [Array(line.utf8)])
            #expect(answers.map(\.id) == [7])
            #expect(answers.first?.failure?.message.contains(#"no field "later""#) == true, "\(answers)")
            #expect(!fixture.node.holds("a"))
        }
    }

    @Test func `two calls with one id are both answered with it`() async throws {
        try await ServerFixture.run { fixture in
            let line = Array(#"{"id":7,"put":"a","value":"x"}"#.utf8) + [10]
            let answers = try await Self.talk(fixture, [line + line])
            #expect(answers.map(\.id) == [7, 7])
        }
    }

    @Test func `a value of the largest size is taken, in text and in base64`() async throws {
        try await ServerFixture.run { fixture in
            let value = [UInt8](repeating: UInt8(ascii: "v"), count: AdminLimits.valueBytesMax)
            let text = #"{"id":1,"put":"text","value":"\#(String(decoding: value, as: UTF8.self))"}"#
            let encoded = #"{"id":2,"put":"encoded","value_base64":"\#(ByteText.base64(value))"}"#
            let answers = try await Self.talk(fixture, [Array("\(text)\n\(encoded)\n".utf8)])
            #expect(answers.compactMap(\.version).count == 2, "\(answers)")
            #expect(fixture.node.peek { $0.keys["encoded"]?.content } == .register(value))
        }
    }

    @Test(arguments: [true, false])
    func `a line above the bound ends the stream after what came before it`(hasEnd: Bool) async throws {
        try await ServerFixture.run { fixture in
            let path = fixture.socketPath
            let answers = try await RawConnection.detached {
                var client = try CallsConnection(path)
                client.send(#"{"id":1,"put":"a","value":"x"}"# + "\n\n")
                let long = String(repeating: "x", count: KeyCallStream.lineBytesMax + 1)
                client.send(long + (hasEnd ? "\n" + #"{"id":2,"put":"b","value":"x"}"# + "\n" : ""))
                let answers = try client.rest()
                #expect(client.raw.waitForHangUp())
                return answers
            }
            #expect(answers.map(\.id) == [1, nil] && answers.last?.line == 3, "\(answers)")
            #expect(answers.last?.failure?.code == .tooLarge)
            #expect(fixture.node.holds("a") && !fixture.node.holds("b"))
            try await fixture.eventually { $0.streamsOpen == 0 }
        }
    }

    @Test func `a body with a length, one that waits to be asked for, and the request behind it are served`()
        async throws
    {
        let line = #"{"id":1,"put":"a","value":"x"}"# + "\n"
        let next = "GET /v1/status HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        try await ServerFixture.run { fixture in
            let path = fixture.socketPath
            try await RawConnection.detached {
                let sized = try RawConnection(path)
                defer { sized.close() }
                sized.send(
                    "POST /v1/calls HTTP/1.1\r\nhost: x\r\ncontent-length: \(line.utf8.count)\r\n\r\n\(line)\(next)")
                let both = sized.readToEnd() ?? ""
                #expect(both.contains(#"{"id":1,"version":"#) && both.contains("uptime_seconds"), "\(both)")

                let patient = try RawConnection(path)
                defer { patient.close() }
                patient.send(CallsConnection.head + "expect: 100-continue\r\n\r\n")
                #expect(patient.read(until: "\r\n\r\n")?.hasPrefix("HTTP/1.1 100") == true)
                patient.send(CallsConnection.chunk(Array(line.utf8)) + Array("0\r\n\r\n\(next)".utf8))
                let rest = patient.readToEnd() ?? ""
                #expect(rest.contains(#"{"id":1,"version":"#) && rest.contains("uptime_seconds"), "\(rest)")

                // And a second stream on the same connection.
                var again = try CallsConnection(path)
                for round in 1...3 {
                    again.send(#"{"id":\#(round),"put":"a","value":"x"}"#)
                    again.finish()
                    #expect(try again.rest().map(\.id) == [UInt64(round)])
                    again.raw.send(CallsConnection.head + "\r\n")
                    #expect(try again.readHead().hasPrefix("HTTP/1.1 200"))
                    again.begin()
                }
            }
        }
    }

    @Test func `the answers to what is done come while the body goes on`() async throws {
        try await ServerFixture.run { fixture in
            let path = fixture.socketPath
            try await RawConnection.detached {
                var client = try CallsConnection(path)
                for id: UInt64 in 1...50 {
                    client.send(#"{"id":\#(id),"put":"a","value":"\#(id)"}"# + "\n")
                    #expect(try client.next()?.id == id)
                }
                client.finish()
                #expect(try client.next() == nil)
            }
            try await fixture.eventually { $0.streamsOpen == 0 }
        }
    }

    @Test func `without a body it is a bad request, and who may only read is refused before the body`() async throws {
        let readers = AccessPolicy(adminUsers: [], adminGroups: [], readUsers: [geteuid()], readGroups: [])
        try await ServerFixture.run { fixture in
            let path = fixture.socketPath
            let text = try await RawConnection.detached {
                let raw = try RawConnection(path)
                defer { raw.close() }
                raw.send("POST /v1/calls HTTP/1.1\r\nhost: x\r\n\r\n")
                return raw.read(until: "}}")
            }
            #expect(text?.hasPrefix("HTTP/1.1 400") == true && text?.contains("has no body") == true)
        }
        try await ServerFixture.run(policy: readers) { fixture in
            let path = fixture.socketPath
            let text = try await RawConnection.detached {
                let raw = try RawConnection(path)
                defer { raw.close() }
                raw.send(CallsConnection.head + "expect: 100-continue\r\n\r\n")
                return raw.readToEnd()
            }
            #expect(text?.hasPrefix("HTTP/1.1 403") == true && text?.contains(#""code":"denied""#) == true)
            #expect(fixture.server.counters.streamsOpened == 0)
        }
    }
}
