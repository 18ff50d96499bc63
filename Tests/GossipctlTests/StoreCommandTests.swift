// SPDX-License-Identifier: Apache-2.0
// Owns the tests of what the commands of the durable store parse and print, without a daemon.

import AdminModel
import ArgumentParser
import Testing

@testable import gossipctl

@Suite struct PastPointTests {
    static let now = Timestamp(milliseconds: 1_795_003_600_000)

    @Test(
        arguments: [
            ("10m", 1_795_003_000_000), ("1.5h", 1_794_998_200_000), ("1d", 1_794_917_200_000),
            ("2026-11-18T11:06:40Z", 1_795_000_000_000), ("2026-11-18T11:06:40.250Z", 1_795_000_000_250),
            ("2026-11-18 11:06:40", 1_795_000_000_000), ("2026-11-18 11:06", 1_794_999_960_000),
            ("2026-11-18", 1_794_960_000_000),
        ] as [(String, Int64)])
    func `times are dates in UTC or how long ago`(text: String, milliseconds: Int64) {
        #expect(TimeArgument(text, now: Self.now)?.time == Timestamp(milliseconds: milliseconds))
    }

    @Test(arguments: ["", "now", "10", "2026-13-01", "2026-11-18T25:00:00Z", "m", "-5m", "nanh", "0x5m", "1e3m"])
    func `what is no time is refused`(text: String) {
        #expect(TimeArgument(text, now: Self.now) == nil)
    }

    @Test func `a bare number is a revision`() {
        #expect(PastPointArgument(argument: "1042")?.point == .revision(1042))
        #expect(PastPointArgument(argument: "2026-11-18")?.point == .time(Timestamp(milliseconds: 1_794_960_000_000)))
    }
}

@Suite struct CellTests {
    private static let text = String(repeating: "x", count: 199)

    @Test(
        arguments: [
            ("", ""), ("app", "app"), (text + "y", text + "y"), (text + "yz", "(201 B) " + text + "y\u{2026}"),
            // No character is cut in two.
            (text + "\u{e9}", "(201 B) " + text + "\u{2026}"),
            (String(repeating: "z", count: 500_000), "(488.3 KiB) " + String(repeating: "z", count: 200) + "\u{2026}"),
        ])
    func `of a long value there is the size and the beginning`(value: String, cell: String) {
        #expect(Format.cell(.register(Array(value.utf8))) == cell)
    }

    @Test func `of what is no text there is less, and of a set the number of its elements`() {
        let short = [UInt8](repeating: 0xff, count: 3)
        #expect(Format.cell(.register(short)) == "base64:////")
        let long = [UInt8](repeating: 0xff, count: 2_048)
        #expect(Format.cell(.register(long)) == "(2.0 KiB) base64:" + String(repeating: "/", count: 64) + "\u{2026}")
        #expect(Format.cell(.set([Array("a".utf8), Array("b".utf8)])) == "a, b")
        let element = [UInt8](repeating: UInt8(ascii: "e"), count: 150)
        let shown = String(repeating: "e", count: 150)
        #expect(Format.cell(.set([element, element, element])) == "(3 elements) \(shown), \u{2026}")
        #expect(Format.cell(.counter(-5)) == "-5")
    }

    @Test func `the table of kv list cuts what its document has whole`() throws {
        let value = [UInt8](repeating: UInt8(ascii: "v"), count: 1_024)
        let entry = KeyDocument(
            key: try ConfigurationKey("a"), content: .register(value), version: "1", writtenAt: nil,
            author: MemberIdentity(id: "1", name: "web-1"))
        let list = KeyListDocument(entries: [entry])
        let table = KVListCommand.render(list, Terminal(width: nil, colours: false))
        #expect(table.contains("web-1  (1.0 KiB) vvv") && table.utf8.count < 400)
        #expect(try AdminJSON.encode(list).count > 1_024)
    }
}

@Suite struct DiffTextTests {
    let plain = Terminal(width: nil, colours: false)

    @Test func `a difference shows the changed lines and a little around them`() {
        let old = (1...12).map { "line \($0)" }
        var new = old
        new[5] = "another"
        #expect(
            DiffText.lines(from: old, to: new) == [
                "@@ line 3 @@", " line 3", " line 4", " line 5", "-line 6", "+another", " line 7", " line 8", " line 9",
            ])
    }

    @Test func `what is very long is shown as removed and added`() {
        let old = [String](repeating: "x", count: 4_001)
        #expect(DiffText.lines(from: old, to: ["x"]).count == 4_002)
    }

    @Test(arguments: [
        (
            KeyContent.register(Array("a\nb".utf8)), KeyContent.register(Array("a\nc".utf8)),
            "--- k (then)\n+++ k (now)\n a\n-b\n+c\n"
        ),
        (.counter(3), .counter(5), "--- k (then)\n+++ k (now)\n-3\n+5\n"),
        (.set([[0x61], [0x62]]), .set([[0x62]]), "--- k (then)\n+++ k (now)\n-a\n b\n"),
        (.register([0xff]), .register([0x1b]), "--- k (then)\n+++ k (now)\n-base64:/w==\n+\\u{1b}\n"),
    ])
    func `each type reads as lines that cannot steer a terminal`(old: KeyContent, new: KeyContent, text: String) throws
    {
        let entry = try #require(DiffEntry(key: ConfigurationKey("k"), old: old, new: new))
        #expect(DiffText.render(entry, .init(old: "then", new: "now"), plain) == text)
    }

    @Test func `a key that came or went has no other side`() throws {
        let key = try ConfigurationKey("k")
        let added = try #require(DiffEntry(key: key, old: nil, new: .register([0x61])))
        let removed = try #require(DiffEntry(key: key, old: .register([0x61]), new: nil))
        let sides = DiffText.Sides(old: "then", new: "now")
        #expect(DiffText.render(added, sides, plain) == "--- /dev/null\n+++ k (now)\n+a\n")
        #expect(DiffText.render(removed, sides, plain) == "--- k (then)\n+++ /dev/null\n-a\n")
        #expect(DiffEntry(key: key, old: .counter(1), new: .counter(1)) == nil)
    }
}

@Suite struct StoreRenderingTests {
    @Test func `progress names who is waited for, a few of them`() throws {
        func text(_ missing: [String]) throws -> String {
            WriteOptionGroup.progress(
                HoldersDocument(
                    key: try ConfigurationKey("k"), version: "v", nodesHolding: 2, nodesTotal: 5, missing: missing))
        }
        #expect(try text(["web-3"]) == "held by 2 of 5 (waiting for web-3)")
        #expect(try text([]) == "held by 2 of 5")
        #expect(
            try text(["a", "b\u{1b}", "c", "d", "e"]) == "held by 2 of 5 (waiting for a, b\\u{1b}, c, d, \u{2026})")
    }

    @Test func `an import in chunks tells how far it is`() {
        var total = ImportResult(dryRun: false, unchanged: 10, entries: [])
        total.added = 19_990
        #expect(KVImportCommand.progress(lines: 20_000, total) == "20000 lines: 19990 written, 10 unchanged")
        total.dryRun = true
        #expect(KVImportCommand.progress(lines: 20_000, total) == "20000 lines: 19990 to write, 10 unchanged")
    }

    @Test func `a watch that reconnects says why in one sentence`() {
        let broken = AdminFailure(.unavailable, "the connection to the daemon broke: is it still running?")
        #expect(
            WatchFollower.notice(broken)
                == "reconnecting, because the connection to the daemon broke: is it still running?")
    }

    @Test(arguments: [("3", WaitGoal.nodes(3), 3), ("majority", .majority, 3), ("all", .all, 5), ("7", .nodes(7), 7)])
    func `goals are a number, the majority or all`(text: String, goal: WaitGoal, required: Int) {
        #expect(WaitGoal(text) == goal)
        #expect(goal.required(of: 5) == required)
        #expect(goal.description == text)
    }

    @Test(arguments: [(1, 1), (2, 2), (3, 2), (4, 3)])
    func `a majority is more than half`(total: Int, required: Int) {
        #expect(WaitGoal.majority.required(of: total) == required)
    }

    @Test(arguments: [
        (KeyContent?.none, KeyContent?.some(.counter(1)), "1"), (.counter(1), .counter(2), "1 -> 2"),
        (.register(Array("x".utf8)), nil, "x ->"), (nil, nil, "-"),
    ])
    func `history shows old and new`(old: KeyContent?, new: KeyContent?, text: String) throws {
        var entry = try Self.entry()
        (entry.old, entry.new) = (old, new)
        #expect(KVHistoryCommand.change(entry) == text)
    }

    @Test func `long values are cut in history, and elements stand alone`() throws {
        var entry = try Self.entry()
        entry.new = .register([UInt8](repeating: 0x61, count: 100))
        #expect(KVHistoryCommand.change(entry) == String(repeating: "a", count: 39) + "\u{2026}")
        entry.element = Array("e".utf8)
        #expect(KVHistoryCommand.change(entry) == "e")
    }

    private static func entry() throws -> HistoryEntry {
        let time = Timestamp(milliseconds: 0)
        return HistoryEntry(
            revision: 1, key: try ConfigurationKey("k"), event: "put", type: .register, appliedAt: time,
            writtenAt: time, version: "v", author: MemberIdentity(id: "0a", name: "web-1"))
    }

    @Test func `status tells of a store that is not at rest`() {
        let status = StatusDocument(
            node: MemberIdentity(id: "0a", name: "web-1"), cluster: "prod", uptimeSeconds: 61,
            members: .init(alive: 2),
            store: .init(
                root: "ff", keys: 2, bytes: 10, revision: 7, floorCutoff: Timestamp(milliseconds: 0),
                catchUp: .init(received: 5, total: 9), storage: .full, queuedWrites: 3))
        let lines = StatusCommand.render(status).split(separator: "\n").dropFirst(4)
        #expect(
            lines.joined(separator: "\n") == """
                store    2 keys, 10 B, root ff, revision 7
                catch up 5 of 9 rows received
                storage  full: no writes until there is room; reads go on
                queue    3 writes wait for a decision: gossipctl kv import --queued
                floor    deletes before 1970-01-01T00:00:00.000Z are forgotten
                """)
    }

    @Test func `findings come worst first with evidence and advice`() {
        let document = DoctorDocument(findings: [
            .init(.ok, code: "storage", summary: "the disk is well"),
            .init(
                .error, code: "clock_outlier", summary: "the clock is ahead", advice: "set it right",
                evidence: ["offset_ms": "900\u{1b}"]),
        ])
        #expect(
            DoctorCommand.render(document, Terminal(width: nil, colours: false)) == """
                error    the clock is ahead (clock_outlier)
                         offset_ms: 900\\u{1b}
                         -> set it right
                ok       the disk is well (storage)

                """)
    }

    @Test func `a command gets the change in its environment, and only its own`() throws {
        let key = try ConfigurationKey("app/k")
        let author = MemberIdentity(id: "0a", name: "web-1")
        func environment(_ value: [UInt8]) -> Set<String> {
            var event = WatchEvent.put(
                cursor: "5f-3", time: Timestamp(milliseconds: 0), key: key, value: value, version: "v1", author: author)
            (event.user, event.reason) = ("deploy", "ticket 7")
            let all = ChangeCommand(arguments: ["true"]).environment(event, value)
            return Set(all.filter { $0.hasPrefix("GOSSIPD_") && !$0.hasPrefix("GOSSIPD_SOCKET=") })
        }
        let common: Set = [
            "GOSSIPD_EVENT=put", "GOSSIPD_KEY=app/k", "GOSSIPD_VERSION=v1", "GOSSIPD_CURSOR=5f-3",
            "GOSSIPD_AUTHOR=web-1", "GOSSIPD_USER=deploy", "GOSSIPD_REASON=ticket 7",
        ]
        #expect(environment(Array("$(x)\n".utf8)) == common.union(["GOSSIPD_VALUE=$(x)\n"]))
        #expect(environment([0x61, 0]) == common.union(["GOSSIPD_VALUE_BASE64=YQA="]))
        #expect(environment([0xff]) == common.union(["GOSSIPD_VALUE_BASE64=/w=="]))
        #expect(environment([UInt8](repeating: 0x61, count: 96 * 1024 + 1)) == common)
    }
}
