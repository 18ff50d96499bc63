// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the log's text forms and of its way out of the process.

import Glibc
import Logging
import Testing

@testable import SystemdSupport

@Suite("Log lines")
struct LogLineTests {
    private let time = LogTime(milliseconds: 1_795_176_001_123)

    private func entry(_ message: String, _ metadata: Logger.Metadata = [:], level: Logger.Level = .notice) -> LogEntry
    {
        LogEntry(time: time, level: level, message: message, metadata: metadata, label: "gossipd")
    }

    private func text(_ record: LogRecord) -> String { String(decoding: Array(record.fields.joined()), as: UTF8.self) }

    @Test(
        "A time is RFC 3339 in UTC with milliseconds",
        arguments: [
            (Int64(0), "1970-01-01T00:00:00.000Z"), (1_795_176_001_123, "2026-11-20T12:00:01.123Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"), (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"), (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"), (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        ])
    func times(milliseconds: Int64, expected: String) {
        #expect(LogTime(milliseconds: milliseconds).text == expected)
    }

    @Test("A text line holds time, level and message; an event's own fields are not said twice")
    func textLine() {
        let encoder = TextLogEncoder(isColoured: false)
        #expect(
            text(encoder.encode(entry("member web-3 failed: no ack", ["event": "member_failed", "member": "web-3"])))
                == "2026-11-20T12:00:01.123Z notice member web-3 failed: no ack\n")
        #expect(
            text(encoder.encode(entry("x", ["b": "two words", "a": "1", "member": "w", "c": "", "d": "a\"b=c"])))
                == "2026-11-20T12:00:01.123Z notice x a=1 b=\"two words\" c=\"\" d=\"a\\\"b=c\" member=w\n")
    }

    @Test("Colour only decorates the level", arguments: [(Logger.Level.error, "31"), (.warning, "33"), (.notice, "1")])
    func colour(level: Logger.Level, code: String) {
        let line = text(TextLogEncoder(isColoured: true).encode(entry("x", level: level)))
        #expect(line == "2026-11-20T12:00:01.123Z \u{1b}[\(code)m\(level)\u{1b}[0m x\n")
        #expect(!text(TextLogEncoder(isColoured: true).encode(entry("x", level: .info))).contains("\u{1b}"))
    }

    @Test(
        "Text of others cannot begin a line, move the cursor or turn the writing direction",
        arguments: [
            ("a\nb", "a\\nb"), ("a\r\tb", "a\\r\\tb"), ("\u{1b}[2J", "\\u{1b}[2J"), ("\u{9b}2J", "\\u{9b}2J"),
            ("\u{7f}", "\\u{7f}"),
            ("\u{2028}\u{202e}\u{2066}", "\\u{2028}\\u{202e}\\u{2066}"), ("\u{0}", "\\u{0}"), ("é 😀", "é 😀"),
        ])
    func printable(text: String, expected: String) {
        #expect(LogText.printable(text) == expected)
    }

    @Test("A JSON line is one object with stable names")
    func jsonLine() {
        struct Odd: CustomStringConvertible, Sendable { let description = "o\"d" }
        let metadata: Logger.Metadata = [
            "event": "member_failed", "member": "wéb\n\u{1}\u{7f}\\3", "attempts": .stringConvertible(3),
            "ok": .stringConvertible(true),
            "rtt_ms": .stringConvertible(1.5), "nan": .stringConvertible(Double.nan), "odd": .stringConvertible(Odd()),
            "confirmed_by": ["db-1", "web-2"], "tags": ["b": "2", "a": ["1"]], "time": "mine",
        ]
        #expect(
            text(JSONLogEncoder().encode(entry("a \"b\"\t\r", metadata)))
                == #"{"time":"2026-11-20T12:00:01.123Z","level":"notice","message":"a \"b\"\t\r","logger":"gossipd","#
                + #""attempts":3,"confirmed_by":["db-1","web-2"],"event":"member_failed","#
                + #""member":"wéb\n\u0001\u007f\\3","nan":"nan","odd":"o\"d","ok":true,"rtt_ms":1.5,"#
                + #""tags":{"a":["1"],"b":"2"},"time_":"mine"}"# + "\n")
    }

    @Test("Journal fields carry priority, MESSAGE_ID and the metadata under GOSSIPD_")
    func journalFields() {
        let entry = LogEntry(
            time: time, level: .warning, message: "a\nb",
            metadata: ["event": "member_failed", "member": "web-3", "rtt-ms": "1", "é": "x"], label: "swim",
            file: "M/F.swift",
            function: "f()", line: 7)
        let fields = JournalLogEncoder(identifier: "id").encode(entry).fields.map {
            String(decoding: $0, as: UTF8.self)
        }
        #expect(
            fields == [
                "MESSAGE=a\\nb", "PRIORITY=4", "SYSLOG_IDENTIFIER=id", "MESSAGE_ID=\(EventKind.memberFailed.messageID)",
                "CODE_FILE=M/F.swift", "CODE_LINE=7", "CODE_FUNC=f()", "GOSSIPD_LOGGER=swim",
                "GOSSIPD_EVENT=member_failed",
                "GOSSIPD_MEMBER=web-3", "GOSSIPD_RTT_MS=1", "GOSSIPD___=x",
            ])
        let long = JournalLogEncoder.fieldName(String(repeating: "k", count: 200))
        #expect(long.utf8.count == 64)
    }

    @Test("Levels map to syslog's priorities")
    func priorities() {
        #expect(Logger.Level.allCases.map(JournalLogEncoder.priority) == [7, 7, 6, 5, 4, 3, 2])
    }
}

@Suite("The log's way out")
struct LogOutputTests {
    private func log(_ pipe: Pipe, _ format: LogFormat = .json, level: Logger.Level = .info) -> DaemonLog {
        DaemonLog(format: format, level: level, descriptor: pipe.writeEnd, environment: Environment([:]))
    }

    @Test("Entries arrive in order, with metadata of logger and call merged")
    func order() throws {
        let pipe = try Pipe()
        let log = log(pipe)
        var logger = log.logger(label: "swim")
        logger[metadataKey: "node"] = "a"
        for index in 0..<100 { logger.info("m\(index)", metadata: ["n": "\(index)"]) }
        #expect(log.flush(milliseconds: 5_000))
        let lines = try pipe.read { $0.contains("m99") }.split(separator: "\n")
        #expect(lines.count == 100)
        for (index, line) in lines.enumerated() {
            #expect(line.hasSuffix(#""message":"m\#(index)","logger":"swim","n":"\#(index)","node":"a"}"#))
        }
        #expect(log.output.lost == 0)
    }

    @Test("The level can be changed while loggers exist")
    func level() throws {
        let pipe = try Pipe()
        let log = log(pipe, .text)
        let logger = log.logger(label: "x")
        var verbose = log.logger(label: "y")
        verbose.logLevel = .trace
        logger.debug("first")
        verbose.debug("second")
        log.level.level = .debug
        logger.debug("third")
        log.level.level = .error
        logger.warning("fourth")
        verbose.debug("fifth")
        #expect(log.flush(milliseconds: 5_000))
        let lines = try pipe.read { $0.contains("fifth") }.split(separator: "\n")
        #expect(lines.compactMap { $0.split(separator: " ").last } == ["second", "third", "fifth"])
    }

    @Test("An event is logged at its own level under its name")
    func event() throws {
        let pipe = try Pipe()
        let log = log(pipe)
        log.logger(label: "x").event(.memberFailed, "member web-3 failed", metadata: ["member": "web-3"])
        #expect(log.flush(milliseconds: 5_000))
        let line = try pipe.read { $0.hasSuffix("\n") }
        #expect(line.contains(#""level":"warning","message":"member web-3 failed""#))
        #expect(line.contains(#""event":"member_failed","member":"web-3"}"#))
    }

    @Test("A critical entry is written before the call returns")
    func critical() throws {
        let pipe = try Pipe()
        log(pipe, .text).logger(label: "x").critical("the end")
        var wait = pollfd(fd: pipe.readEnd, events: Int16(POLLIN), revents: 0)
        #expect(poll(&wait, 1, 0) == 1)
    }

    @Test("A reader that stopped reading costs entries, never the caller's time; the loss is told")
    func stoppedReader() throws {
        let pipe = try Pipe()
        try pipe.shrink()
        let output = LogOutput(.descriptor(pipe.writeEnd), recordsMax: 8) {
            LogRecord(line: Array("lost \($0)\n".utf8))
        }
        let line = Array((String(repeating: "x", count: 999) + "\n").utf8)
        // Far more than pipe and queue hold: this loop would never end if the caller waited.
        for _ in 0..<1_000 { output.write(LogRecord(line: line)) }
        #expect(!output.flush(milliseconds: 1))
        let lost = output.lost
        #expect(lost > 900)
        // The losses may be told in several pieces; together they and the lines that came are all there were.
        func account(_ text: String) -> (kept: Int, lost: UInt64) {
            let lines = text.split(separator: "\n")
            let told = lines.compactMap { $0.hasPrefix("lost ") ? UInt64($0.dropFirst(5)) : nil }
            return (lines.count { $0.count == 999 }, told.reduce(0, +))
        }
        let text = try pipe.read { account($0) == (1_000 - Int(lost), lost) }
        #expect(account(text) == (1_000 - Int(lost), lost))
        #expect(output.flush(milliseconds: 5_000))
        #expect(output.lost == lost)
    }

    @Test("A reader that has gone away costs entries, not the process")
    func closedReader() throws {
        let pipe = try Pipe()
        let log = log(pipe)
        pipe.closeReadEnd()
        log.logger(label: "x").notice("nobody hears this")
        #expect(log.flush(milliseconds: 5_000))
        #expect(log.output.lost == 1)
    }

    @Test("A descriptor that somebody made non-blocking is waited for")
    func nonBlocking() throws {
        let pipe = try Pipe()
        try pipe.shrink()
        try #require(fcntl(pipe.writeEnd, F_SETFL, O_WRONLY | O_NONBLOCK) == 0)
        let output = LogOutput(.descriptor(pipe.writeEnd)) { LogRecord(line: Array("lost \($0)\n".utf8)) }
        for index in 0..<100 {
            output.write(LogRecord(line: Array("\(index) \(String(repeating: "y", count: 500))\n".utf8)))
        }
        let lines = try pipe.read { $0.split(separator: "\n").count == 100 && $0.hasSuffix("\n") }.split(
            separator: "\n")
        #expect(lines.compactMap { $0.split(separator: " ").first.flatMap { Int($0) } } == Array(0..<100))
        #expect(output.lost == 0)
    }

    @Test("An output that is let go writes what it still holds")
    func letGo() throws {
        let pipe = try Pipe()
        do {
            let output = LogOutput(.descriptor(pipe.writeEnd)) { _ in LogRecord(line: []) }
            for index in 0..<50 { output.write(LogRecord(line: Array("\(index)\n".utf8))) }
        }
        #expect(try pipe.read { $0.hasSuffix("49\n") }.split(separator: "\n").count == 50)
    }

    @Test(
        "Without a journald, journal falls back to text and says so",
        .enabled(if: access(LogFormat.journalSocket, W_OK) != 0, "a journald runs on this host"))
    func noJournald() throws {
        let pipe = try Pipe()
        let log = log(pipe, .journal)
        #expect(log.format == .text)
        #expect(try pipe.read { $0.hasSuffix("\n") }.contains(" warning log.format is journal, but no journald"))
    }

    @Test("auto is text where nothing is known and journal where systemd says so")
    func formats() throws {
        let pipe = try Pipe()
        #expect(log(pipe, .auto).format == .text)
        #expect(log(pipe, .json).format == .json)
        var status = stat()
        try #require(fstat(pipe.writeEnd, &status) == 0)
        let environment = Environment(["JOURNAL_STREAM": "\(status.st_dev):\(status.st_ino)"])
        let journal = DaemonLog(format: .auto, level: .info, descriptor: pipe.writeEnd, environment: environment)
        #expect(journal.format == .journal)
    }
}
