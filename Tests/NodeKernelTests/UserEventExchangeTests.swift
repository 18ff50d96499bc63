// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the order, the gaps and the bounds of user events.

import ClusterTypes
import NodeKernel
import Testing

@Suite("User events")
struct UserEventExchangeTests {
    private static let start = Instant(nanoseconds: 1_000_000_000_000)

    /// Node 1, which hears of events of others from node 9.
    private struct Listener {
        var exchange = UserEventExchange(selfID: id(1), startedAt: start)
        var now = start + .seconds(10)
        var heard: [UInt64] = []

        mutating func hear(
            _ sequence: UInt64, epoch: UInt64 = 1, age: Int = 0, floor: UInt64 = 1
        ) -> UserEventExchange.Receipt {
            var deliveries: [UserEvent] = []
            let event = UserEvent(
                id: UserEventID(origin: id(2), epoch: epoch, sequence: sequence), name: "x",
                payload: [UInt8(truncatingIfNeeded: sequence)])
            let receipt = exchange.receive(
                UserEventNotice(event: event, ageMilliseconds: UInt32(age), floor: floor), from: id(9), now: now,
                into: &deliveries)
            heard += deliveries.map(\.id.sequence)
            exchange.checkInvariants()
            return receipt
        }

        mutating func mark(next: UInt64, ahead: UInt64 = 0, epoch: UInt64 = 1) {
            let mark = UserEventMark(origin: id(2), epoch: epoch, next: next, ahead: ahead)
            exchange.hear(UserEventMarks(isRequest: false, marks: [mark]), from: id(9), now: now)
            exchange.checkInvariants()
        }

        mutating func wait(_ interval: Interval) -> [UserEventExchange.Ask] {
            now = now + interval
            var deliveries: [UserEvent] = []
            let asks = exchange.due(now: now, into: &deliveries)
            heard += deliveries.map(\.id.sequence)
            exchange.checkInvariants()
            return asks
        }
    }

    @Test("Events that come out of order wait for those before them, and each is handed on once")
    func order() {
        var node = Listener()
        for sequence in [2, 3, 2, 5, 1, 1, 4] as [UInt64] { _ = node.hear(sequence) }
        #expect(node.heard == [1, 2, 3, 4, 5])
        #expect(node.exchange.statistics.delivered == 5)
        #expect(node.exchange.statistics.repeated == 2)
        #expect(node.exchange.nextDue == nil)
    }

    @Test("What is missing is asked for, first of whoever has more, and given up after ten seconds")
    func gap() throws {
        var node = Listener()
        _ = node.hear(1)
        _ = node.hear(3)
        _ = node.hear(6)
        #expect(node.heard == [1])
        let early = node.wait(.milliseconds(99))
        #expect(early.isEmpty)
        let asks = node.wait(.milliseconds(1))
        let ask = try #require(asks.first)
        #expect(ask.holder == id(9) && ask.attempt == 0)
        #expect(ask.mark == UserEventMark(origin: id(2), epoch: 1, next: 2, ahead: 0b1001))
        let again = node.wait(.milliseconds(200))
        #expect(again.map(\.attempt) == [1])
        _ = node.wait(.seconds(10))
        #expect(node.heard == [1, 3])
        // The next gap has its own time.
        _ = node.wait(.seconds(10))
        #expect(node.heard == [1, 3, 6])
        #expect(node.exchange.statistics.missed == 3)
        _ = node.hear(2)
        #expect(node.heard == [1, 3, 6], "what was given up does not come later")
        #expect(node.exchange.nextDue == nil)
    }

    @Test("What the origin can no longer give is not waited for")
    func floor() {
        var node = Listener()
        _ = node.hear(1)
        _ = node.hear(3)
        _ = node.hear(9, floor: 8)
        #expect(node.heard == [1, 3])
        _ = node.hear(8, floor: 8)
        #expect(node.heard == [1, 3, 8, 9])
        #expect(node.exchange.statistics.missed == 5)
    }

    @Test("A node that starts later hands on nothing that was sent before, and waits for nothing")
    func late() {
        var node = Listener()
        _ = node.hear(7, age: 11_000, floor: 7)
        _ = node.hear(8, age: 10_000, floor: 7)
        _ = node.hear(9, age: 9_999, floor: 7)
        #expect(node.heard == [8, 9])
        #expect(node.exchange.statistics.beforeStart == 1)
        let receipt = node.hear(10, age: 120_000)
        #expect(receipt == .known, "too old for anybody")
    }

    @Test("What a stalled process reads counts as older by the time that it stood still")
    func delay() {
        var node = Listener()
        var deliveries: [UserEvent] = []
        let event = UserEvent(id: UserEventID(origin: id(2), epoch: 1, sequence: 1), name: "x", payload: [])
        _ = node.exchange.receive(
            UserEventNotice(event: event, ageMilliseconds: 8_000, floor: 1), from: id(9), delay: .seconds(3),
            now: node.now, into: &deliveries)
        #expect(deliveries.isEmpty && node.exchange.statistics.beforeStart == 1)
        #expect(node.exchange.notice(event.id, now: node.now)?.ageMilliseconds == 11_000)
    }

    @Test("A new epoch ends the former one: what waits is handed on, what comes later of it is not")
    func epochs() {
        var node = Listener()
        _ = node.hear(1)
        _ = node.hear(4)
        _ = node.hear(1, epoch: 5)
        _ = node.hear(2)
        _ = node.hear(2, epoch: 5)
        #expect(node.heard == [1, 4, 1, 2])
        #expect(node.exchange.statistics.late == 1)
    }

    @Test("A neighbour's marks tell of events that never came, and a request brings exactly what is missing")
    func marks() throws {
        var node = Listener()
        var holder = Listener()
        for sequence in 1...6 as ClosedRange<UInt64> { _ = holder.hear(sequence) }
        _ = node.hear(1)
        _ = node.hear(4)
        let told = holder.exchange.marks(now: holder.now)
        let marks = try #require(told)
        #expect(marks.marks == [UserEventMark(origin: id(2), epoch: 1, next: 7, ahead: 0)])
        node.exchange.hear(marks, from: id(9), now: node.now)
        let asks = node.wait(.milliseconds(100))
        let ask = try #require(asks.first)
        let given = holder.exchange.answer(
            UserEventMarks(isRequest: true, marks: [ask.mark]), now: holder.now + .seconds(3))
        #expect(given.map(\.event.id.sequence) == [2, 3, 5, 6])
        #expect(given.allSatisfy { $0.ageMilliseconds == 3_000 })
        for notice in given { _ = node.hear(notice.event.id.sequence) }
        #expect(node.heard == [1, 2, 3, 4, 5, 6])
        #expect(node.exchange.nextDue == nil)
    }

    @Test("A node that has heard of no event at all learns of them by marks")
    func unheard() throws {
        var node = Listener()
        node.mark(next: 3)
        let asks = node.wait(.milliseconds(100))
        let ask = try #require(asks.first)
        #expect(ask.mark == UserEventMark(origin: id(2), epoch: 1, next: 0, ahead: 0))
        _ = node.hear(2, floor: 1)
        #expect(node.heard.isEmpty)
        _ = node.hear(1)
        #expect(node.heard == [1, 2])
        #expect(node.exchange.nextDue == nil)
    }

    @Test("A neighbour's mere word does not move a node past events that come after all")
    func word() {
        var node = Listener()
        _ = node.hear(1)
        node.mark(next: 1 << 40)
        for _ in 0..<130 { _ = node.wait(.seconds(1)) }
        #expect(node.exchange.nextDue == nil)
        _ = node.hear(2)
        #expect(node.heard == [1, 2])
    }

    @Test("Numbers that somebody made up are counted and stop nothing")
    func madeUp() throws {
        var node = Listener()
        for epoch in 1...5 as ClosedRange<UInt64> {
            _ = node.hear(1, epoch: epoch)
            _ = node.hear(UserEventID.sequenceMax, epoch: epoch, floor: UserEventID.sequenceMax)
        }
        #expect(node.exchange.statistics.missed == .max)
        let mark = try #require(node.exchange.marks(now: node.now)?.marks.first)
        #expect(mark.next == UserEventID.sequenceMax + 1)
        for floor in [1, UserEventID.sequenceMax] {
            let receipt = node.hear(UserEventID.sequenceMax + 1, epoch: 6, floor: floor)
            #expect(receipt == .known)
        }
        #expect(node.exchange.statistics.refused == 2)
        _ = node.hear(1, epoch: 6)
        #expect(node.heard.last == 1)
    }

    @Test("An event that lies too far ahead, and more than are kept, are refused or dropped")
    func bounds() {
        var node = Listener()
        _ = node.hear(1)
        let far = node.hear(2 + UserEventExchange.originMax)
        #expect(far == .known)
        #expect(node.exchange.statistics.refused == 1)
        for number in 0..<UserEventExchange.streamsMax + 50 {
            var deliveries: [UserEvent] = []
            let other = UserEventID(
                origin: NodeID(high: 77, low: UInt64(number + 1)), epoch: 1, sequence: 1)
            let notice = UserEventNotice(
                event: UserEvent(id: other, name: "x", payload: [UInt8](repeating: 0, count: 1_000)),
                ageMilliseconds: 0, floor: 1)
            let receipt = node.exchange.receive(notice, from: id(9), now: node.now, into: &deliveries)
            #expect(receipt == .new)
        }
        node.exchange.checkInvariants()
        #expect(node.exchange.statistics.held < UInt64(UserEventExchange.retainedMax))
        node.exchange.prune(now: node.now + .seconds(121))
        #expect(node.exchange.statistics.held == 0)
    }

    @Test("A node sends no more than its neighbours can ask for, until the first ones are too old")
    func sending() throws {
        var node = UserEventExchange(selfID: id(1), startedAt: Self.start)
        var now = Self.start
        for number in 1...UserEventExchange.originMax {
            let sent = node.send(name: "x", payload: [], epoch: 3, now: now)
            let event = try #require(sent)
            #expect(event.id == UserEventID(origin: id(1), epoch: 3, sequence: number))
        }
        let excess = node.send(name: "x", payload: [], epoch: 3, now: now)
        #expect(excess == nil)
        #expect(node.statistics.sendsRefused == 1)
        now = now + UserEventExchange.retention
        let sent = node.send(name: "x", payload: [], epoch: 9, now: now)
        let next = try #require(sent)
        #expect(next.id.sequence == UserEventExchange.originMax + 1)
        #expect(next.id.epoch == 3, "the epoch stays for as long as the process runs")
        #expect(node.notice(next.id, now: now)?.floor == UserEventExchange.originMax + 1)
        node.checkInvariants()
    }
}
