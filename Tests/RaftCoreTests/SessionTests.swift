// SPDX-License-Identifier: Apache-2.0
// Owns the tests of client sessions.

import RaftCore
import Testing

@Suite("Client sessions (thesis 6.3)")
struct SessionTests {
    @Test("jetcd's lost updates: a command that comes twice is applied once and answered twice the same")
    func twice() {
        var table = SessionTable()
        #expect(table.register(index: 4, time: 10) == 4)
        #expect(table.judge(session: 4, sequence: 1, answeredThrough: 0, time: 11) == .apply)
        table.record(session: 4, sequence: 1, answer: [1])
        #expect(table.judge(session: 4, sequence: 1, answeredThrough: 0, time: 12) == .answered([1]))
        // Out of order, as a client with several on their way may cause.
        #expect(table.judge(session: 4, sequence: 3, answeredThrough: 0, time: 12) == .apply)
        table.record(session: 4, sequence: 3, answer: [3])
        #expect(table.judge(session: 4, sequence: 2, answeredThrough: 1, time: 12) == .apply)
        table.record(session: 4, sequence: 2, answer: [2])
        #expect(table.judge(session: 4, sequence: 3, answeredThrough: 1, time: 12) == .answered([3]))
        #expect(table.judge(session: 4, sequence: 1, answeredThrough: 1, time: 12) == .obsolete)
        #expect(table[4]?.answers.map(\.sequence) == [2, 3])
    }

    @Test("sessions end by entries of the log alone, at the log's time, which never goes back")
    func expiry() {
        var table = SessionTable()
        _ = table.register(index: 1, time: 1_000)
        _ = table.register(index: 2, time: 5_000)
        #expect(table.expire(idle: 4_000, time: 200).isEmpty && table.time == 5_000)
        #expect(table.expire(idle: 3_999, time: 200) == [1])
        #expect(table.judge(session: 1, sequence: 1, answeredThrough: 0, time: 6_000) == .noSession)
        table.end(session: 2, time: 6_000)
        #expect(table.count == 0)
    }

    @Test("the table is bounded: more sessions and more commands on their way are refused")
    func bounds() {
        var table = SessionTable()
        for index in 1...UInt64(SessionTable.sessionsMax) { #expect(table.register(index: index, time: 0) != nil) }
        #expect(table.register(index: 1 << 40, time: 0) == nil)
        for sequence in 1...UInt64(SessionTable.answersMax) {
            table.record(session: 1, sequence: sequence, answer: [])
        }
        #expect(table.judge(session: 1, sequence: 999, answeredThrough: 0, time: 0) == .tooManyPending)
        #expect(table.judge(session: 1, sequence: 999, answeredThrough: 10, time: 0) == .apply)
        #expect(table.judge(session: 1, sequence: 20, answeredThrough: .max, time: 0) == .answered([]))
    }

    @Test("equal tables have equal bytes, whatever way they came about; torn and altered bytes are refused")
    func bytes() throws {
        var one = SessionTable()
        var other = SessionTable()
        for index in UInt64(1)...50 { _ = one.register(index: index, time: 50) }
        for index in (UInt64(1)...50).reversed() { _ = other.register(index: index, time: 50) }
        one.record(session: 7, sequence: 1, answer: [1, 2, 3])
        other.record(session: 7, sequence: 1, answer: [1, 2, 3])
        let bytes = one.serialized
        #expect(bytes == other.serialized)
        #expect(SessionTable(serialized: bytes) == one)
        for count in bytes.indices { #expect(SessionTable(serialized: Array(bytes.prefix(count))) == nil) }
        #expect(SessionTable(serialized: bytes + [0]) == nil)
        var altered = bytes
        altered[9] = 0xff
        altered[12] = 0xff
        #expect(SessionTable(serialized: altered) == nil)
    }
}
