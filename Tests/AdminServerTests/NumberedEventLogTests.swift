// SPDX-License-Identifier: Apache-2.0
// Owns the proofs about event logs that somebody else numbers: gaps, attaching a reader, starting over.

import AdminModel
import AdminServer
import Synchronization
import Testing

@Suite("An event log with numbers from outside")
struct NumberedEventLogTests {
    private func log(next: UInt64 = 101, countMax: Int = 8) -> EventLog<String> {
        EventLog(epoch: "5e", next: next, countMax: countMax)
    }

    private func drain(_ subscription: Subscription<String>) async -> [String] {
        var events: [String] = []
        while subscription.waitingCount > 0, case .event(let event)? = await subscription.next() {
            events.append(event)
        }
        return events
    }

    @Test("A cursor outlives the process: it is the number, not the place in memory")
    func numbers() throws {
        let log = log()
        #expect(log.newestCursor == "5e-100")
        log.append(sequence: 101) { $0 }
        #expect(log.held() == ["5e-101"])
        #expect(try log.place(of: "5e-100") == .held(100))
        #expect(try log.place(of: "5e-99") == .older(99))
        #expect(try log.place(of: "5e-102") == .foreign)
        #expect(try log.place(of: "77-101") == .foreign)
        #expect(try log.place(of: "start") == .start)
        #expect(throws: AdminFailure.self) { try log.place(of: "nonsense") }
    }

    @Test("Numbers without an event leave no gap for whoever resumes")
    func gaps() async throws {
        let log = log()
        log.append(sequence: 101) { $0 }
        log.append(sequence: 104) { $0 }
        let reader = try log.subscribe(since: "5e-102", follow: false)
        #expect(await drain(reader) == ["5e-104"])
    }

    @Test("A jump beyond what is held empties the log instead of filling memory")
    func jump() throws {
        let log = log()
        log.append(sequence: 101) { $0 }
        log.append(sequence: 2_000_000_000) { $0 }
        #expect(log.held() == ["5e-2000000000"])
        #expect(try log.place(of: "5e-101") == .older(101))
    }

    @Test("A reader that was fed from elsewhere is attached without a gap and without a repeat, or not at all")
    func attach() async {
        let log = log(countMax: 4)
        for number in 101...104 as ClosedRange<UInt64> { log.append(sequence: number) { $0 } }
        let reader = Subscription<String>(startCursor: "5e-102")
        #expect(log.attach(reader, after: 102))
        log.append(sequence: 105) { $0 }
        #expect(await drain(reader) == ["5e-103", "5e-104", "5e-105"])
        for number in 106...120 as ClosedRange<UInt64> { log.append(sequence: number) { $0 } }
        #expect(!log.attach(Subscription(startCursor: ""), after: 103), "103 is followed by what is gone")
        #expect(log.attach(Subscription(startCursor: ""), after: 121), "121 may be a number without an event")
    }

    @Test("A reader that saw in the file what the log has not heard of yet does not see it again")
    func ahead() async {
        let log = log()
        log.append(sequence: 101) { $0 }
        let reader = Subscription<String>(startCursor: "5e-103")
        #expect(log.attach(reader, after: 103))
        for number in 102...104 as ClosedRange<UInt64> { log.append(sequence: number) { $0 } }
        #expect(await drain(reader) == ["5e-104"])
    }

    @Test("A reader is not too slow because more is held when it is attached than may wait")
    func attachToMany() {
        let log = log(countMax: 4_096)
        for number in 101...3_100 as ClosedRange<UInt64> { log.append(sequence: number, cost: 64) { $0 } }
        let reader = Subscription<String>(startCursor: "5e-100", countMax: 2, costMax: 8_192)
        #expect(log.attach(reader, after: 600))
        #expect(reader.ending == nil && reader.waitingCount == 2_500)
        log.append(sequence: 3_101, cost: 4_096) { $0 }
        log.append(sequence: 3_102, cost: 4_096) { $0 }
        #expect(reader.ending == nil)
        log.append(sequence: 3_103, cost: 4_096) { $0 }
        #expect(reader.ending == .cut(.slowReader))
    }

    @Test("Starting over tells every reader and forgets what was")
    func restart() async throws {
        let log = log()
        log.append(sequence: 101) { $0 }
        let reader = try log.subscribe(since: "5e-101", follow: true)
        log.restart(after: 0) { "resync at \($0)" }
        log.append(sequence: 102) { $0 }
        #expect(await drain(reader) == ["resync at 5e-101", "5e-102"])
        #expect(log.held() == ["5e-102"])
    }

    @Test("Events that are appended together are built when somebody reads them, with the same cursors")
    func unbuilt() async throws {
        let log = log()
        let built = Mutex<[Int]>([])
        func append(_ sequences: [UInt64], hidden: Int? = nil) {
            log.append(count: sequences.count, sequence: { sequences[$0] }, cost: { _ in 10 }) { place, cursor in
                built.withLock { $0.append(Int(sequences[place])) }
                return place == hidden ? nil : cursor
            }
        }
        append([101, 102, 105], hidden: 1)
        #expect(built.withLock { $0 }.isEmpty && log.newestCursor == "5e-105")
        #expect(try log.place(of: "5e-104") == .held(104))
        let resumed = try log.subscribe(since: "5e-101", follow: true)
        #expect(built.withLock { $0 } == [102, 105], "nothing before the cursor, and nothing twice")
        append([106, 107])
        #expect(await drain(resumed) == ["5e-105", "5e-106", "5e-107"])
        let replayed = Subscription<String>(startCursor: "5e-105")
        #expect(log.attach(replayed, after: 105))
        append([108])
        #expect(await drain(replayed) == ["5e-106", "5e-107", "5e-108"])
        #expect(log.held() == ["5e-101", "5e-105", "5e-106", "5e-107", "5e-108"])
        append(Array(109...120))
        #expect(try log.place(of: "5e-105") == .older(105))
        #expect(throws: AdminFailure.self) { try log.subscribe(since: "5e-105", follow: false) }
    }
}
