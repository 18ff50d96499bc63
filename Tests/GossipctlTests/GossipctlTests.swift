// SPDX-License-Identifier: Apache-2.0
// Owns the tests of gossipctl's parsing and of what it makes of documents, without a daemon.

import AdminModel
import ArgumentParser
import Testing

@testable import gossipctl

@Suite struct ParsingTests {
    @Test(arguments: [
        ("500ms", Duration.milliseconds(500)), ("5s", .seconds(5)), ("1.5s", .milliseconds(1500)),
        ("2m", .seconds(120)),
        ("1h", .seconds(3600)), ("1ms", .milliseconds(1)),
    ])
    func `durations carry their unit`(text: String, duration: Duration) {
        #expect(TimeoutArgument(argument: text)?.duration == duration)
    }

    @Test(arguments: ["", "5", "s", "ms", "-1s", "0s", "0.1ms", "25h", "nans", "infs", "5 x", "1d"])
    func `what is no duration is refused`(text: String) {
        #expect(TimeoutArgument(argument: text) == nil)
    }

    @Test(arguments: [
        (["counter", "add", "k", "-5"], ["counter", "add", "k", "--", "-5"]),
        (
            ["counter", "add", "k", "-5", "--output", "json"], ["counter", "add", "k", "--output", "json", "--", "-5"]
        ),
        (["kv", "put", "k", "-5"], ["kv", "put", "k", "--", "-5"]),
        (["counter", "add", "k", "--", "-5"], ["counter", "add", "k", "--", "-5"]),
        (["counter", "add", "k", "5"], ["counter", "add", "k", "5"]),
        (["kv", "put", "k", "-"], ["kv", "put", "k", "-"]),
        (["kv", "get", "-5"], ["kv", "get", "-5"]), ([], []),
    ])
    func `negative numbers move behind the two dashes`(arguments: [String], ordered: [String]) {
        #expect(ArgumentOrder.negativesLast(arguments) == ordered)
    }

    @Test(arguments: [
        ["--socket", "/a", "--output", "json", "kv", "get", "k"],
        ["kv", "get", "k", "--socket", "/a", "--output", "json"],
        ["--socket", "/a", "kv", "--output", "json", "get", "k"],
        ["--socket", "/b", "kv", "get", "--socket", "/a", "k", "--output", "json"],
    ])
    func `global options may stand before, between and after the command`(arguments: [String]) throws {
        let command = try #require(try Gossipctl.parseAsRoot(arguments) as? KVGetCommand)
        #expect(command.options.socketPath == "/a")
        #expect(command.options.output == .json)
        #expect(command.key == "k")
    }

    @Test(arguments: [
        ["kv", "put", "k"], ["kv", "put", "k", "v", "--file", "f"], ["kv", "get"], ["join"], ["tags", "set", "=x"],
        ["tags", "set"], ["counter", "add", "k", "x"], ["members", "--state", "unknown"], ["members", "--tag", "x"],
        ["--output", "yaml", "status"], ["set", "add", "k"], ["frobnicate"],
        ["kv", "put", "k", "v", "--if-absent", "--if-version", "v1"], ["kv", "put", "k", "v", "--ttl", "5"],
        ["kv", "put", "k", "v", "--wait", "most"], ["kv", "put", "k", "v", "--wait", "0"],
        ["kv", "get", "k", "--at", "10m", "--revision", "3"], ["kv", "get", "k", "--at", "yesterday"],
        ["kv", "diff"], ["kv", "revert", "k"], ["kv", "history", "k", "--limit", "0"], ["kv", "import"],
        ["kv", "import", "f", "--queued"], ["kv", "import", "f", "--apply", "3"],
        ["kv", "import", "f", "--prune", "--chunk", "5"], ["kv", "import", "--queued", "--list", "--drop", "1"],
        ["kv", "import", "--queued", "--dry-run"], ["kv", "import", "f", "--chunk", "0"],
        ["kv", "watch", "--heartbeat", "500ms"], ["kv", "watch", "--on-failure", "retry"], ["backup"], ["restore"],
    ])
    func `wrong usage does not parse`(arguments: [String]) {
        #expect(throws: (any Error).self) { try Gossipctl.parseAsRoot(arguments) }
    }

    @Test(
        arguments: [
            (
                ["kv", "rename", "x"],
                "unknown command \"kv rename\": gossipctl kv has get, put, delete, list, watch, history, diff, "
                    + "revert, export, import, verify, txn"
            ),
            (
                ["--socket", "kv", "--output=json", "counter", "--timeout", "5s", "sub"],
                "unknown command \"counter sub\": gossipctl counter has add, get"
            ),
            (
                ["frobnicate"],
                "unknown command \"frobnicate\": gossipctl has status, members, member, join, leave, forget, tags, "
                    + "ping, rtt, event, events, kv, set, counter, backup, restore, doctor, render, key, "
                    + "strict, leader, lock"
            ),
        ])
    func `an unknown command is named, and those that exist`(arguments: [String], sentence: String) {
        #expect(CommandNames.defect(in: arguments) == sentence)
    }

    @Test(arguments: [
        [], ["status"], ["kv"], ["kv", "get", "x"], ["backup", "verify", "x"], ["backup", "x"], ["backup", "-"],
        ["join", "history"], ["help", "kv"], ["help", "nonsense"],
        ["--version"], ["kv", "--help"], ["--generate-completion-script", "bash"], ["--nonsense", "x"], ["--socket"],
    ])
    func `commands that exist are left to the parser`(arguments: [String]) {
        #expect(CommandNames.defect(in: arguments) == nil)
    }

    @Test func `every command has a name, and the options before it are known`() {
        func names(_ command: any ParsableCommand.Type) -> [String?] {
            command.configuration.subcommands.flatMap { [$0.configuration.commandName] + names($0) }
        }
        #expect(!names(Gossipctl.self).contains(nil))
        #expect(CommandNames.defect(in: ["--socket", "x", "--output", "x", "--timeout", "x", "status"]) == nil)
    }

    @Test func `the help lists one exit status a line`() {
        let lines = Gossipctl.helpMessage(columns: 80).split(separator: "\n")
        for status in ["  0   done", "  64  wrong usage", "  77  permission denied"] {
            #expect(lines.contains { $0 == status }, "\(status)")
        }
    }

    @Test func `every command's help shows an example`() {
        func check(_ command: any ParsableCommand.Type) {
            let configuration = command.configuration
            #expect(configuration.discussion.contains("EXAMPLES\n  gossipctl "), "\(command)")
            for inner in configuration.subcommands { check(inner) }
        }
        check(Gossipctl.self)
        #expect(Gossipctl.configuration.subcommands.count == 22)
    }
}

@Suite struct RenderingTests {
    let plain = Terminal(width: nil, colours: false)

    @Test func `a ping of the own node is said to be none`() {
        let me = MemberIdentity(id: "0a", name: "web-1", address: "10.0.0.1:7946")
        #expect(
            PingCommand.render(PingResult(member: me, rttMilliseconds: 0.42))
                == "web-1 (10.0.0.1:7946) answered in 0.42 ms over udp\n")
        #expect(
            PingCommand.render(PingResult(member: me, rttMilliseconds: 0, path: PingResult.ownPath))
                == "web-1 is this node: nothing was sent\n")
    }

    @Test func `a round trip says whether it was measured, estimated or neither`() {
        let me = MemberIdentity(id: "0a", name: "web-1")
        let peer = MemberIdentity(id: "0b", name: "db\u{1b}1")
        func sentence(_ measured: Double?, _ estimate: Double?, _ error: Double?) -> String {
            RTTCommand.sentence(
                RoundTripsDocument(
                    from: me,
                    roundTrips: [
                        .init(
                            member: peer, state: .alive, rttMilliseconds: measured, estimateMilliseconds: estimate,
                            errorMilliseconds: error)
                    ]))
        }
        #expect(sentence(nil, nil, nil) == "web-1 to db\\u{1b}1: unknown\n")
        #expect(sentence(nil, 31.25, 4) == "web-1 to db\\u{1b}1: 31.3 ms estimated, give or take 4.00 ms\n")
        #expect(
            sentence(30, 31.25, 4)
                == "web-1 to db\\u{1b}1: 30.0 ms measured; 31.3 ms estimated, give or take 4.00 ms\n")
        let table = RTTCommand.table(
            RoundTripsDocument(
                from: me,
                roundTrips: [
                    .init(
                        member: MemberIdentity(id: "0c", name: "db-2"), state: .alive, rttMilliseconds: 0.5,
                        estimateMilliseconds: 0.75, errorMilliseconds: 0.25),
                    .init(member: peer, state: .suspect),
                ]), plain)
        #expect(
            table == """
                NAME       STATE    MEASURED  ESTIMATE    ERROR
                db-2       alive     0.50 ms   0.75 ms  0.25 ms
                db\\u{1b}1  suspect         -   unknown        -

                """)
    }

    @Test func `columns align, numbers to the right, without trailing spaces`() {
        var table = TextTable(["NAME", "N", "TEXT"], rightAligned: [1])
        table.add([.init("a"), .init("1"), .init("x")])
        table.add([.init("long"), .init("100"), .init("")])
        #expect(table.render(for: plain) == "NAME    N  TEXT\na       1  x\nlong  100\n")
    }

    @Test(arguments: 20...60)
    func `no line is wider than the terminal`(width: Int) {
        var table = TextTable(["NAME", "ADDRESS", "TEXT"], rightAligned: [1])
        table.add([.init("some-name"), .init("10.0.0.1:7946"), .init(String(repeating: "long ", count: 20))])
        let lines = table.render(for: Terminal(width: width, colours: false)).split(separator: "\n")
        #expect(lines.count == 2)
        #expect(lines.allSatisfy { $0.count <= width })
        if width > 28 { #expect(lines[1].last == "\u{2026}") }
    }

    @Test func `one long cell does not take the other columns away`() {
        var table = TextTable(["KEY", "TYPE", "WRITTEN", "BY", "VALUE"])
        table.add([
            .init(String(repeating: "k", count: 90)), .init("register"), .init("2026-11-18T11:06:40Z"), .init("web-1"),
            .init("yes"),
        ])
        table.add([.init("a"), .init("set"), .init("2026-11-18T11:06:40Z"), .init("web-1"), .init("b")])
        let cut = String(repeating: "k", count: 33) + "\u{2026}"
        let pad = String(repeating: " ", count: 31)
        #expect(
            table.render(for: Terminal(width: 80, colours: false)) == """
                KEY\(pad)  TYPE      WRITTEN               BY     VALUE
                \(cut)  register  2026-11-18T11:06:40Z  web-1  yes
                a\(pad)    set       2026-11-18T11:06:40Z  web-1  b

                """)
    }

    @Test(arguments: [
        ([90, 8, 20, 5, 5], 80, [34, 8, 20, 5, 5]), ([6, 13, 6, 7, 20, 8, 8], 80, [6, 13, 6, 7, 20, 8, 8]),
        ([6, 13, 6, 7, 20, 8, 8], 40, [4, 4, 4, 4, 4, 4, 4]), ([6, 13, 6, 7, 20, 8, 8], 39, [5, 5, 4, 4, 4, 4]),
        ([6, 13, 6, 7, 20, 8, 8], 42, [5, 5, 4, 4, 4, 4, 4]), ([3, 50, 50], 31, [3, 12, 12]), ([100], 20, [20]),
        ([], 20, []),
    ])
    func `the widest columns are cut first, and the last go only when nothing else helps`(
        natural: [Int], width: Int, widths: [Int]
    ) {
        #expect(TextTable.widths(natural, within: width) == widths)
    }

    @Test func `columns that find no room are hinted at in each line`() {
        var table = TextTable(["AAAA", "BBBB", "CCCC", "DDDD"])
        table.add([.init("a"), .init("b"), .init("c"), .init("d")])
        #expect(
            table.render(for: Terminal(width: 20, colours: false))
                == "AAAA  BBBB  CCCC  \u{2026}\na     b     c     \u{2026}\n")
    }

    @Test(arguments: [
        ("", 0), ("abc", 3), ("\u{e9}t\u{e9}", 3), ("e\u{301}", 1), ("\u{301}", 0), ("a\u{200b}b", 2),
        ("\u{65e5}\u{672c}", 4), ("\u{d55c}", 2), ("\u{ff21}", 2), ("\u{ff71}", 1), ("\u{1f600}", 2),
        ("\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}", 2), ("\u{2764}\u{fe0f}", 2), ("\u{2764}", 1), ("\u{2026}", 1),
        ("1", 1), ("\u{1f1e9}\u{1f1ea}", 2),
    ])
    func `a text takes as many columns as a terminal shows`(text: String, width: Int) {
        #expect(text.displayedWidth == width)
    }

    @Test func `columns align below letters of any width, and wide ones are not cut in half`() {
        var table = TextTable(["KEY", "BY"])
        for key in ["\u{65e5}\u{672c}\u{8a9e}", "caf\u{e9}", "cafe\u{301}", "abcdef"] {
            table.add([.init(key), .init("x")])
        }
        let rows = table.render(for: plain).split(separator: "\n").map { $0.dropLast() }
        #expect(rows.dropFirst().allSatisfy { $0.displayedWidth == 8 }, "\(rows)")
        var narrow = TextTable(["K"])
        narrow.add([.init(String(repeating: "\u{65e5}", count: 20))])
        let line = narrow.render(for: Terminal(width: 20, colours: false)).split(separator: "\n")[1]
        #expect(line == String(repeating: "\u{65e5}", count: 9) + "\u{2026}")
    }

    @Test func `colours wrap the text and not the padding`() {
        var table = TextTable(["STATE", "X"])
        table.add([.init("up", .green), .init("y")])
        #expect(
            table.render(for: Terminal(width: nil, colours: true))
                == "\u{1b}[1mSTATE\u{1b}[0m  \u{1b}[1mX\u{1b}[0m\n\u{1b}[32mup\u{1b}[0m     y\n")
    }

    @Test func `names and values cannot steer the terminal or break a line`() {
        var table = TextTable(["A"])
        table.add([.init("x\u{1b}[2J\ny\tz")])
        #expect(table.render(for: plain) == "A\nx\\u{1b}[2J\\ny\\tz\n")
    }

    @Test(arguments: [0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069] as [UInt32])
    func `writing cannot be turned around`(code: UInt32) throws {
        let scalar = try #require(Unicode.Scalar(code))
        let escaped = "\\u{\(String(code, radix: 16))}"
        #expect("a\(Character(scalar))b".printable == "a\(escaped)b")
        #expect("a\(Character(scalar))b".quoted == "\"a\(escaped)b\"")
    }

    @Test(
        arguments: [
            (nil, "-"), (0.0, "0.00 ms"), (0.416, "0.42 ms"), (9.999, "10.00 ms"), (12.34, "12.3 ms"), (.nan, "nan ms"),
        ] as [(Double?, String)])
    func `round trips read well`(value: Double?, text: String) {
        #expect(Format.milliseconds(value) == text)
    }

    @Test(
        arguments: [
            (0.9, "0s"), (61, "1m 1s"), (3 * 3600 + 60, "3h 1m"), (100_000, "1d 3h"), (-1, "-"), (.infinity, "-"),
        ] as [(Double, String)])
    func `durations read well`(seconds: Double, text: String) {
        #expect(Format.duration(seconds: seconds) == text)
    }

    @Test(arguments: [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 << 20, "3.0 MiB"), (5 << 30, "5.0 GiB")])
    func `sizes read well`(bytes: Int, text: String) {
        #expect(Format.bytes(bytes) == text)
    }

    @Test func `status shows warnings and the strict group only when there are any`() {
        var status = StatusDocument(
            node: MemberIdentity(id: "0a", name: "web-1", address: "10.0.0.1:7946"), cluster: "prod", uptimeSeconds: 61,
            members: .init(alive: 2), store: .init(root: "ff", keys: 1, bytes: 10))
        let calm = """
            node     web-1 (0a) at 10.0.0.1:7946
            cluster  prod
            version  0.2.0, up 1m 1s
            members  2 alive, 0 suspect, 0 failed, 0 left
            store    1 key, 10 B, root ff, revision 0

            """
        #expect(StatusCommand.render(status) == calm)
        status.warnings = ["disk full"]
        status.strict = .init(role: "follower", term: 3, leader: nil)
        #expect(StatusCommand.render(status) == calm + "strict   follower, term 3, leader none\nwarning  disk full\n")
    }

    @Test func `an explanation lists what happened with its evidence`() {
        let member = MemberDocument(
            id: "0a", name: "web-3", address: "10.0.0.3:7946", state: .failed, incarnation: 2,
            since: Timestamp(milliseconds: 0))
        let evidence = Evidence(
            reportedBy: MemberIdentity(id: "0b", name: "db-1"), pathsFailed: ["udp", "stream"], probes: 3,
            confirmedBy: [MemberIdentity(id: "0c", name: "web-2")], afterMilliseconds: 2100, refused: true,
            incarnation: 2)
        var event = ClusterEvent(
            cursor: "c", time: Timestamp(milliseconds: 1000), event: "member_failed", message: "member web-3 failed",
            evidence: evidence)
        event.times = 4
        event.lastTime = Timestamp(milliseconds: 2000)
        let text = ExplainCommand.render(
            MemberExplanation(member: member, summary: "It was silent.", timeline: [event]), plain)
        #expect(
            text == """
                web-3 (0a) at 10.0.0.3:7946 is failed
                It was silent.
                incarnation 2, round trip -, tags -

                TIME                      EVENT          INC  WHAT HAPPENED
                1970-01-01T00:00:01.000Z  member_failed    2  member web-3 failed
                                                                reported by db-1
                                                                no answer over udp, stream, 3 probes
                                                                its host refused the connection
                                                                confirmed by web-2
                                                                after 2.1 s
                                                                4 times, last at 1970-01-01T00:00:02.000Z

                """)
    }

    @Test func `watch lines show what changed, and hide what is for programs`() throws {
        let key = try ConfigurationKey("app/k")
        let author = MemberIdentity(id: "0a", name: "web-1")
        let time = Timestamp(milliseconds: 0)
        #expect(
            KVWatchCommand.render(
                .put(cursor: "c", time: time, key: key, value: Array("a\nb".utf8), version: "v", author: author))
                == "1970-01-01T00:00:00.000Z  put        app/k = a\\nb  (by web-1)\n")
        #expect(
            KVWatchCommand.render(
                .element([0xff], added: true, cursor: "c", time: time, key: key, version: "v", author: author))
                == "1970-01-01T00:00:00.000Z  add        app/k : base64:/w==  (by web-1)\n")
        #expect(KVWatchCommand.render(WatchEvent(cursor: "c", event: "heartbeat")) == nil)
        #expect(KVWatchCommand.render(.resync(cursor: "c"))?.hasPrefix("resync: changes are missing") == true)
    }
}
