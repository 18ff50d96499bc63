// SPDX-License-Identifier: Apache-2.0
// Owns the tests of lines that repeat: what is written, what is counted, and that nothing is lost.

import Logging
import Synchronization
import SystemdSupport
import Testing

@Suite("Lines that repeat")
struct RepeatTests {
    /// A clock that the test moves.
    private final class Now: Sendable {
        let milliseconds = Mutex<Int64>(1_000_000)

        func pass(_ passed: Int64) { milliseconds.withLock { $0 += passed } }
    }

    private static func entry(
        _ message: String, event: EventKind? = nil, member: String? = nil, field: (String, String)? = nil,
        level: Logger.Level = .warning
    ) -> LogEntry {
        var metadata: Logger.Metadata = [:]
        if let event { metadata[EventKind.metadataKey] = "\(event.rawValue)" }
        if let member { metadata["member"] = "\(member)" }
        if let (key, value) = field { metadata[key] = "\(value)" }
        return LogEntry(
            time: LogTime(milliseconds: 0), level: level, message: message, metadata: metadata, label: "test")
    }

    private static func limiter() -> (RepeatLimiter, Now) {
        let now = Now()
        return (RepeatLimiter(now: { now.milliseconds.withLock { $0 } }), now)
    }

    @Test("The first ten are written, the others counted, and the count comes when the window is over")
    func counted() throws {
        let (limiter, now) = Self.limiter()
        var written: [LogEntry] = []
        for number in 0..<25 {
            written += limiter.take(Self.entry("member a changed \(number)", event: .memberUpdated, member: "a"))
            now.pass(100)
        }
        #expect(written.map(\.message) == (0..<10).map { "member a changed \($0)" })
        #expect(limiter.due().isEmpty)
        now.pass(RepeatLimiter.window)
        let summary = try #require(limiter.due().first)
        #expect(summary.message == "15 more entries like this in 30 s, the last one: member a changed 24")
        #expect(summary.event == .memberUpdated)
        #expect(summary.metadata.map { "\($0.key)=\($0.value)" } == ["count=15", "event=member_updated", "member=a"])
        #expect(limiter.due().isEmpty, "it is told once")
        // A new window writes again.
        #expect(limiter.take(Self.entry("later", event: .memberUpdated, member: "a")).map(\.message) == ["later"])
    }

    @Test("Another member, another kind or another text is another line")
    func distinct() {
        let (limiter, _) = Self.limiter()
        for number in 0..<100 {
            #expect(limiter.take(Self.entry("x", event: .memberFailed, member: "m\(number)")).count == 1)
            #expect(limiter.take(Self.entry("text \(number)")).count == 1)
            for key in ["file", "target"] {
                let field = (key, "\(key)\(number)")
                #expect(limiter.take(Self.entry("x", event: .helperApplied, field: field)).count == 1)
            }
        }
        for _ in 0..<10 { _ = limiter.take(Self.entry("same")) }
        #expect(limiter.take(Self.entry("same")).isEmpty)
        #expect(limiter.take(Self.entry("same", level: .error)).count == 1)
    }

    @Test(
        "Critical lines and those for debugging are never held back",
        arguments: [Logger.Level.critical, .debug, .trace])
    func never(level: Logger.Level) {
        let (limiter, _) = Self.limiter()
        for _ in 0..<50 { #expect(limiter.take(Self.entry("again", level: level)).count == 1) }
    }

    @Test("What is due comes before the next line of any kind, and the end tells what is left")
    func order() {
        let (limiter, now) = Self.limiter()
        for _ in 0..<12 { _ = limiter.take(Self.entry("a")) }
        now.pass(RepeatLimiter.window)
        #expect(
            limiter.take(Self.entry("b")).map(\.message) == ["2 more entries like this in 30 s, the last one: a", "b"])
        for _ in 0..<10 { _ = limiter.take(Self.entry("b")) }
        #expect(limiter.finish().map(\.message) == ["1 more entry like this in 30 s, the last one: b"])
        #expect(limiter.finish().isEmpty)
    }

    @Test("Its memory is bounded: the kind watched longest gives way and its count is told")
    func bounded() {
        let (limiter, now) = Self.limiter()
        for _ in 0..<11 { _ = limiter.take(Self.entry("first")) }
        var written: [String] = []
        for number in 0..<1_000 {
            now.pass(1)
            written += limiter.take(Self.entry("other \(number)")).map(\.message)
        }
        #expect(written.count == 1_001)
        #expect(written.contains("1 more entry like this in 30 s, the last one: first"))
    }
}
