// SPDX-License-Identifier: Apache-2.0
// Owns the tests of handlers.d: what a description may say, and that every problem is named with its line.

import AdminModel
import DaemonConfig
import Delivery
import Testing

@testable import Handlers

@Suite("handlers.d")
struct HandlerDirectoryTests {
    private static let kinds: Set<String> = ["member_failed", "member_joined", "user_event"]

    private static func parse(_ text: String) throws(ConfigurationError) -> HandlerSpec {
        try HandlerDescription.parse(Array(text.utf8), file: "x.toml", name: "x", kinds: kinds)
    }

    @Test("A short description has the documented defaults, a long one what it says")
    func good() throws {
        let short = try Self.parse("events = [\"member_failed\"]\ncommand = [\"/bin/true\"]\n")
        #expect(short.events == [EventPattern(kind: "member_failed")])
        #expect(short.timeout == .seconds(30) && short.concurrency == 1 && short.queue == 1_000)
        #expect(short.batchWindow == .milliseconds(500) && short.batchMax == 100)
        let long = try Self.parse(
            """
            events = ["user_event:deploy-*", "user_event"]
            command = ["/bin/echo", "a b", ""]
            members = ["web-*", "db-1"]
            timeout = "1m30s"
            concurrency = 4
            queue = 5
            batch_window = "0s"
            batch_max = 1
            [tags]
            role = "web"
            """)
        #expect(long.events.first == EventPattern(kind: "user_event", name: "deploy-*"))
        #expect(long.command == ["/bin/echo", "a b", ""] && long.members == ["web-*", "db-1"])
        #expect(long.timeout == .seconds(90) && long.concurrency == 4 && long.queue == 5)
        #expect(long.batchWindow == .zero && long.batchMax == 1 && long.tags == ["role": "web"])
    }

    @Test(
        "What is wrong is named with line, key and reason",
        arguments: [
            ("events = []\ncommand = [\"/x\"]", "x.toml:1: events: must name events"),
            ("events = [\"user_event\",\n\"member_faild\"]\ncommand = [\"/x\"]", "x.toml:2: events[1]: is no event"),
            ("events = [\"handler_failed\"]\ncommand = [\"/x\"]", "set each other off"),
            ("events = [\"member_failed:x\"]\ncommand = [\"/x\"]", "only user_event has a name"),
            ("events = [\"user_event:a b\"]\ncommand = [\"/x\"]", "must name a user event by"),
            ("events = [\"user_event\"]\ncommand = [\"true\"]", "x.toml:2: command[0]: must be the program's path"),
            ("events = [\"user_event\"]\ncommand = \"/x\"", "x.toml:2: command: "),
            ("command = [\"/x\"]", "events: missing"), ("events = [\"user_event\"]", "command: missing"),
            ("events = [\"user_event\"]\ncommand = [\"/x\"]\ntimeout = \"0s\"", "x.toml:3: timeout: must be 100ms to"),
            ("events = [\"user_event\"]\ncommand = [\"/x\"]\nqueue = 0", "x.toml:3: queue: must be 1 to 100000"),
            ("events = [\"user_event\"]\ncommand = [\"/x\"]\nquee = 1", "did you mean \"queue\"?"),
            ("events = [\"user_event\"]\ncommand = [\"/x\"]\nmembers = [\"a*b\"]", "x.toml:3: members[0]: "),
            ("events = [\"user_event\"]\ncommand = [\"/x\"]\n[tags]\nrole = 1", "x.toml:4: tags.role: "),
        ])
    func bad(text: String, sentence: String) {
        let error = #expect(throws: ConfigurationError.self) { try Self.parse(text) }
        #expect(error?.description.contains(sentence) == true, "\(error?.description ?? "")")
    }

    @Test("Each file fails alone, and a folder that is not there holds none")
    func folder() throws {
        let folder = try Scratch()
        try folder.write("good.toml", "events = [\"user_event\"]\ncommand = [\"/bin/true\"]\n")
        try folder.write("bad.toml", "events = [\"user_event\"]\n")
        let listing = HandlerDirectory.read(folder.path, kinds: Self.kinds)
        #expect(listing.specs.map(\.name) == ["good"])
        #expect(listing.problems.map(\.name) == ["bad"])
        #expect(HandlerDirectory.read(folder.path + "/none", kinds: Self.kinds) == HandlerListing())
    }

    @Test(
        "Names, tags and kinds decide which events a handler gets",
        arguments: [
            ("member_failed", "web-1", ["role": "web"], true), ("member_failed", "web-1", [:], false),
            ("member_failed", "db-1", ["role": "web"], false), ("member_joined", "web-1", ["role": "web"], false),
        ])
    func filters(kind: String, member: String, tags: [String: String], isWanted: Bool) {
        var spec = HandlerSpec(name: "x", events: [EventPattern(kind: "member_failed")], command: ["/x"])
        spec.members = ["web-*"]
        spec.tags = ["role": "web"]
        var event = ClusterEvent(cursor: "1", time: Timestamp.start, event: kind, message: "")
        #expect(!spec.accepts(event, tags: tags), "it is about nobody")
        event.member = MemberIdentity(id: "1", name: member)
        #expect(spec.accepts(event, tags: tags) == isWanted)
    }

    @Test("User events are chosen by name or its beginning")
    func userEvents() {
        var event = ClusterEvent(cursor: "1", time: Timestamp.start, event: "user_event", message: "")
        event.name = "deploy-web"
        #expect(EventPattern(kind: "user_event").fits(event))
        #expect(EventPattern(kind: "user_event", name: "deploy-*").fits(event))
        #expect(EventPattern(kind: "user_event", name: "deploy-web").fits(event))
        #expect(!EventPattern(kind: "user_event", name: "deploy").fits(event))
        #expect(!EventPattern(kind: "member_failed").fits(event))
    }
}
