// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the documents and the small types they are made of.

import AdminModel
import AdminServer
import Testing

@Suite struct ModelTests {
    @Test(
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"),
            (951_827_696_789, "2000-02-29T12:34:56.789Z"), (1_795_000_000_000, "2026-11-18T11:06:40.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"), (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"),
        ] as [(Int64, String)])
    func `times are printed as RFC 3339 and read back`(milliseconds: Int64, text: String) {
        #expect(Timestamp(milliseconds: milliseconds).description == text)
        #expect(Timestamp(text)?.milliseconds == milliseconds)
    }

    @Test func `every day from 1600 to 2400 goes there and back`() {
        for day in stride(from: Int64(-135_140), to: 157_054, by: 1) {
            let time = Timestamp(milliseconds: day * 86_400_000)
            #expect(Timestamp(time.description) == time)
        }
    }

    @Test(arguments: [
        "", "2026-11-18", "2026-11-18T11:06:40", "2026-11-18T11:06:40+00:00", "2026-13-18T11:06:40Z",
        "2026-02-29T00:00:00Z", "2026-11-18T24:00:00Z", "2026-11-18T11:06:40.Z", "2026-11-18T11:06:40.0123456789Z",
        "2026-11-18x11:06:40Z", "+026-11-18T11:06:40Z",
    ])
    func `what is no time in UTC is not read`(text: String) {
        #expect(Timestamp(text) == nil)
    }

    @Test func `fractions are cut to milliseconds and wild clocks clamped`() {
        #expect(Timestamp("2026-11-18T11:06:40.1239Z")?.milliseconds == 1_795_000_000_123)
        #expect(Timestamp("2026-11-18T11:06:40.5Z")?.milliseconds == 1_795_000_000_500)
        #expect(Timestamp(milliseconds: .max).description == "9999-12-31T23:59:59.999Z")
    }

    @Test(arguments: ["a", "a/b", "ä/日本", "a b", ".", "a/../b", String(repeating: "k", count: 512)])
    func `legal keys survive the way through a path`(text: String) throws {
        let key = try ConfigurationKey(text)
        #expect(try ConfigurationKey(pathEncoded: key.pathEncoded) == key)
        #expect(key.pathEncoded.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f })
    }

    @Test(arguments: ["", "/", "/a", "a/", "a//b", "a\n", "a\u{7f}", "a\u{85}b", String(repeating: "ä", count: 257)])
    func `illegal keys are bad requests`(text: String) {
        #expect(throws: AdminFailure.self) { try ConfigurationKey(text) }
    }

    @Test func `keys that look alike but have other bytes are other keys`() throws {
        let keys = try [ConfigurationKey("\u{e9}"), ConfigurationKey("e\u{301}")]
        #expect(keys[0] != keys[1])
        #expect(Set(keys).count == 2)
    }

    @Test func `an equals sign is found even when a combining mark follows it`() throws {
        let (name, value) = try #require("a=\u{301}b=c".cut(at: UInt8(ascii: "=")))
        #expect(Array(name.utf8) == Array("a".utf8))
        #expect(Array(value.utf8) == Array("\u{301}b=c".utf8))
        #expect("abc".cut(at: UInt8(ascii: "=")) == nil)
    }

    @Test func `a prefix may be empty or end with a slash, and matches by bytes`() throws {
        #expect(try KeyPrefix("").matches("x"))
        #expect(try KeyPrefix("app/").matches("app/x"))
        #expect(try !KeyPrefix("app/").matches("apple"))
        #expect(try KeyPrefix("app").matches("apple"))
        #expect(throws: AdminFailure.self) { try KeyPrefix("/app") }
        #expect(throws: AdminFailure.self) { try KeyPrefix("a//") }
    }

    @Test func `the two empty values and every content survive JSON`() throws {
        let key = try ConfigurationKey("k")
        let author = MemberIdentity(id: "0a", name: "web")
        for content in [
            KeyContent.register([]), .register([0xc3]), .register(Array("\"\\\u{1}\u{2028}/".utf8)),
            .set([]), .set([[], [0x61], [0xff]]), .counter(.min), .counter(.max),
        ] {
            let document = KeyDocument(
                key: key, content: content, keyClass: .strict, version: "v", writtenAt: Timestamp(milliseconds: 5),
                author: author)
            #expect(try AdminJSON.decode(KeyDocument.self, from: AdminJSON.encode(document)) == document)
        }
    }

    @Test func `a register without a value is no document`() {
        let text =
            #"{"key":"k","type":"register","class":"eventual","version":"v","written_at":"2026-11-18T11:06:40Z","#
            + #""author":{"id":"a","name":"b"}}"#
        #expect(throws: DecodingError.self) { try AdminJSON.decode(KeyDocument.self, from: Array(text.utf8)) }
    }

    @Test(
        arguments: [
            (["a b": "c"], "\"a b\" is not a tag name: use 1 to 64 letters, digits, . _ or -"),
            (["é": "c"], "\"é\" is not a tag name: use 1 to 64 letters, digits, . _ or -"),
            (["a": "x\ny"], "the value of tag \"a\" has control characters: remove them"),
            (
                ["a": String(repeating: "x", count: 448), "b": String(repeating: "y", count: 447)],
                "the names and values of all tags may take at most 896 bytes together, not 897: shorten them"
            ),
        ] as [([String: String], String)])
    func `tags that the configuration file would refuse are bad requests`(set: [String: String], reason: String) {
        #expect(throws: AdminFailure(.badRequest, reason)) { try TagsRequest(set: set).validate() }
    }

    @Test func `one tag may use all the bytes`() throws {
        try TagsRequest(set: ["a": String(repeating: "x", count: 895)]).validate()
    }

    @Test func `a member's state from a newer daemon is unknown, not an error`() throws {
        #expect(
            try AdminJSON.decode([MemberState].self, from: Array(#"["alive","parked"]"#.utf8)) == [.alive, .unknown])
    }

    @Test func `every code has a status of its class and an exit status of the contract`() {
        for code in AdminFailure.Code.allCases {
            #expect((400...599).contains(code.httpStatus))
            #expect(code.exitStatus != .done)
        }
        #expect(AdminFailure.Code.notFound.exitStatus.rawValue == 3)
        #expect(AdminFailure.Code.conditionFailed.exitStatus.rawValue == 4)
        #expect(AdminFailure.Code.timedOut.exitStatus.rawValue == 5)
        #expect(AdminFailure.Code.badRequest.exitStatus.rawValue == 64)
        #expect(AdminFailure.Code.unreachable.exitStatus.rawValue == 69)
        #expect(AdminFailure.Code.denied.exitStatus.rawValue == 77)
    }

    @Test func `queries keep repeated names and odd characters`() throws {
        var query = URLQuery()
        query.add("tag", "a=b&c")
        query.add("tag", "ü+")
        query.add("none", nil)
        #expect(query.encoded == "?tag=a%3Db%26c&tag=%C3%BC%2B")
        #expect(try URLQuery(query.encoded.dropFirst()).values("tag") == ["a=b&c", "ü+"])
    }

    @Test func `texts in sentences are cut and cannot steer a terminal`() {
        #expect("a\u{1b}[31m".quoted == "\"a\\u{1b}[31m\"")
        #expect(String(repeating: "x", count: 100).quoted == "\"" + String(repeating: "x", count: 80) + "...\"")
    }
}

@Suite struct SubscriptionTests {
    @Test func `events wait in order up to the bound, then the reader is cut off with what waited`() async {
        let subscription = Subscription<Int>(startCursor: "s", backlog: [1, 2], countMax: 2)
        #expect(subscription.offer(3))
        #expect(subscription.offer(4))
        #expect(!subscription.offer(5))
        #expect(!subscription.offer(6))
        var seen: [Int] = []
        while case .event(let number)? = await subscription.next() { seen.append(number) }
        #expect(seen == [1, 2, 3, 4])
        #expect(subscription.ending == .cut(.slowReader))
    }

    @Test func `large events are bounded by their bytes`() {
        let subscription = Subscription<Int>(startCursor: "s", costMax: 1000)
        #expect(subscription.offer(1, cost: 600))
        #expect(!subscription.offer(2, cost: 600))
    }

    @Test func `a cancelled reader ends the subscription`() async {
        let subscription = Subscription<Int>(startCursor: "s")
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { _ = await subscription.next() }
            tasks.cancelAll()
        }
        #expect(subscription.ending == .cancelled)
        #expect(!subscription.offer(1))
    }

    @Test func `the log forgets the oldest beyond its bounds and says so`() async throws {
        let log = EventLog<Int>(epoch: "e", countMax: 8, costMax: 1000)
        for number in 1...9 { log.append(cost: 10) { _ in number } }
        #expect(log.held() == [3, 4, 5, 6, 7, 8, 9])
        #expect(throws: AdminFailure.self) { try log.subscribe(since: "e-1", follow: true) }
        let kept = try log.subscribe(since: "e-2", follow: false)
        var seen: [Int] = []
        while case .event(let number)? = await kept.next() { seen.append(number) }
        #expect(seen == [3, 4, 5, 6, 7, 8, 9])
        log.append(cost: 995) { _ in 10 }
        #expect(log.held() == [10])
    }

    @Test func `a histogram has cumulative buckets up to infinity, a sum and a count`() {
        let samples = MetricSample.histogram(
            "h_seconds", help: "h", bounds: [0.001, 2.5], counts: [3, 0, 1], sum: 7.25)
        #expect(
            PrometheusText.render(samples) == """
                # HELP h_seconds h
                # TYPE h_seconds histogram
                h_seconds_bucket{le="0.001"} 3
                h_seconds_bucket{le="2.5"} 3
                h_seconds_bucket{le="+Inf"} 4
                h_seconds_sum 7.25
                h_seconds_count 4

                """)
    }

    @Test func `metrics are grouped by name and escaped`() {
        let text = PrometheusText.render([
            MetricSample("a", help: "x\\y\nz", kind: .gauge, labels: [.init("l", "q\"\\\n")], value: 1.5),
            MetricSample("b", help: "b", kind: .counter, value: 1e15),
            MetricSample("a", help: "x", kind: .gauge, value: .nan),
        ])
        #expect(
            text == """
                # HELP a x\\\\y\\nz
                # TYPE a gauge
                a{l="q\\"\\\\\\n"} 1.5
                a NaN
                # HELP b b
                # TYPE b counter
                b 1000000000000000

                """)
    }
}
