// SPDX-License-Identifier: Apache-2.0
// Owns the tests of keys, transactions and sessions, told one by one.

import ClusterTypes
import RaftCore
import Testing

@testable import StrictCore

@Suite("The strict state: keys, transactions, sessions")
struct MachineTests {
    @Test("a key knows when it was created and changed, and how often")
    func history() throws {
        var bench = Bench()
        let a = try key("a")
        #expect(try bench.apply(.put(a, value: [1], lease: 0)).answer == .put(version: 1, modified: 1))
        let outcome = try bench.apply(.put(a, value: [2], lease: 0))
        #expect(outcome.answer == .put(version: 2, modified: 2))
        #expect(outcome.changes.map(\.old?.value) == [[1]] && outcome.changes.map(\.new?.value) == [[2]])
        #expect(bench.machine.entry(a) == StrictEntry(value: [2], created: 1, modified: 2, version: 2, lease: 0))
        #expect(try bench.apply(.delete(a)).answer == .deleted(true))
        #expect(try bench.apply(.delete(a)).answer == .deleted(false))
        // Created anew the version begins anew; the revision never comes again.
        #expect(try bench.apply(.put(a, value: [3], lease: 0)).answer == .put(version: 1, modified: 5))
        #expect(bench.machine.stateBytes == 1 + 1 + StrictBounds.entryOverheadBytes)
    }

    @Test("keys that only look alike are two")
    func bytes() throws {
        var bench = Bench()
        try bench.apply(.put(key("caf\u{e9}"), value: [1], lease: 0))
        try bench.apply(.put(key("cafe\u{301}"), value: [2], lease: 0))
        #expect(bench.machine.keyCount == 2)
        #expect(try bench.machine.entry(key("caf\u{e9}"))?.value == [1])
    }

    @Test("a transaction moves between accounts or does nothing")
    func transfer() throws {
        var bench = Bench()
        let (a, b) = (try key("a"), try key("b"))
        try bench.apply(.put(a, value: [10], lease: 0))
        let transfer = StrictTransaction(
            compares: [.value(a, [10]), .exists(b, false)],
            then: [.put(a, value: [4], lease: 0), .put(b, value: [6], lease: 0), .get(a)], otherwise: [.get(a)])
        let first = try bench.apply(.transaction(transfer))
        let moved = StrictEntry(value: [4], created: 1, modified: 2, version: 2, lease: 0)
        #expect(
            first.answer
                == .transaction(succeeded: true, results: [.put(version: 2), .put(version: 1), .got(moved)]))
        #expect(first.changes.map(\.key) == [a, b] && first.changes.map(\.index) == [2, 2])
        let second = try bench.apply(.transaction(transfer))
        #expect(second.answer == .transaction(succeeded: false, results: [.got(moved)]))
        #expect(second.changes.isEmpty)
    }

    @Test("a transaction that cannot be done to its end changes nothing")
    func refusals() throws {
        var bench = Bench()
        let (a, b) = (try key("a"), try key("b"))
        func refused(_ steps: [StrictStep]) throws -> StrictAnswer {
            let outcome = try bench.apply(.transaction(StrictTransaction(then: steps)))
            #expect(outcome.changes.isEmpty && bench.machine.keyCount == 0)
            return outcome.answer
        }
        let put = StrictStep.put(a, value: [1], lease: 0)
        #expect(try refused([put, .put(b, value: [1], lease: 77)]) == .refused(.noLease))
        #expect(try refused([put, .delete(a)]) == .refused(.keyWrittenTwice))
        let large = [UInt8](repeating: 1, count: Bounds.valueBytesMax)
        #expect(
            try refused([.put(b, value: large, lease: 0), put] + Array(repeating: .get(b), count: 2))
                == .refused(.answerTooLarge))
        let many = (0...StrictBounds.transactionStepsMax).map { _ in StrictStep.get(a) }
        #expect(StrictTransaction(then: many).defect == .transactionTooLarge)
        // A value beyond its bound does not even get into the log's bytes.
        let outcome = bench.machine.apply(
            StrictCommand(time: 0, .put(a, value: large + [0], lease: 0)), at: bench.machine.appliedIndex + 1)
        #expect(outcome.answer == .refused(.valueTooLarge))
        #expect(try bench.apply(.put(a, value: large + [0], lease: 0)).answer == .refused(.malformed))
    }

    @Test("a write under a fencing token is refused once the lock has another holder")
    func fencing() throws {
        var bench = Bench()
        let (lock, a) = (try key("lock"), try key("a"))
        let (one, two) = (try bench.lease(), try bench.lease())
        guard case .locked(let token) = try bench.apply(.acquire(lock: lock, lease: one, mayWait: false)).answer else {
            Issue.record("not locked")
            return
        }
        func write(_ token: LogIndex) -> StrictOperation {
            .transaction(
                StrictTransaction(compares: [.holds(lock: lock, token: token)], then: [.put(a, value: [1], lease: 0)]))
        }
        #expect(try bench.apply(write(token)).changes.count == 1)
        try bench.apply(.acquire(lock: lock, lease: two, mayWait: true))
        try bench.apply(.revoke(one))
        #expect(try bench.apply(write(token)).changes.isEmpty)
    }

    @Test("a command that comes again in its session is answered again and applied once")
    func exactlyOnce() throws {
        var bench = Bench()
        let a = try key("a")
        #expect(try bench.apply(.registerSession).answer == .session(1))
        let stamp = SessionStamp(session: 1, sequence: 1, answeredThrough: 0)
        let first = try bench.apply(.put(a, value: [1], lease: 0), stamp)
        try bench.apply(.put(a, value: [2], lease: 0))
        bench.machine = try StrictMachine(snapshot: bench.machine.snapshot)
        let again = try bench.apply(.put(a, value: [1], lease: 0), stamp)
        #expect(again.isRepeat && again.answer == first.answer && again.changes.isEmpty)
        #expect(bench.machine.entry(a)?.value == [2])
        let late = SessionStamp(session: 1, sequence: 2, answeredThrough: 1)
        #expect(try bench.apply(.delete(a), late).answer == .deleted(true))
        #expect(try bench.apply(.put(a, value: [1], lease: 0), stamp).answer == .refused(.obsolete))
        try bench.apply(.endSession(1))
        #expect(try bench.apply(.put(a, value: [1], lease: 0), late).answer == .refused(.noSession))
        #expect(bench.machine.keyCount == 0)
    }

    @Test("commands are carried out when there is no room for their answers, and a repeat says that the answer is gone")
    func noRoomForAnswers() throws {
        var machine = StrictMachine()
        func apply(_ operation: StrictOperation, _ stamp: SessionStamp? = nil) -> StrictOutcome {
            machine.apply(StrictCommand(time: 0, session: stamp, operation), at: machine.appliedIndex + 1)
        }
        let (a, b) = (try key("a"), try key("b"))
        _ = apply(.put(a, value: Array(repeating: 7, count: 100), lease: 0))
        let session = machine.appliedIndex + 1
        #expect(apply(.registerSession).answer == .session(session))
        func stamp(_ sequence: UInt64) -> SessionStamp {
            SessionStamp(session: session, sequence: sequence, answeredThrough: 0)
        }
        let swap = StrictOperation.transaction(
            StrictTransaction(then: [.get(a), .put(b, value: [1], lease: 0)], otherwise: []))
        let kept = apply(swap, stamp(1))
        #expect(machine.keptAnswerBytes == kept.answer.encoded.count)
        machine.keptAnswerBytes = StrictBounds.keptAnswerBytesMax
        let first = apply(swap, stamp(2))
        #expect(first.changes.map(\.key) == [b])
        guard case .transaction(succeeded: true, _) = first.answer else {
            Issue.record("the first copy is answered with \(first.answer)")
            return
        }
        let again = apply(swap, stamp(2))
        #expect(again.isRepeat && again.answer == .refused(.answerNotKept) && again.changes.isEmpty)
        // Short answers are kept without regard to the others.
        let put = apply(.put(b, value: [2], lease: 0), stamp(3))
        #expect(apply(.put(b, value: [3], lease: 0), stamp(3)).answer == put.answer)
        #expect(apply(swap, stamp(1)).answer == kept.answer)
        machine.keptAnswerBytes = kept.answer.encoded.count
        machine.checkInvariants()
        #expect(try StrictMachine(snapshot: machine.snapshot) == machine)
    }

    @Test("sessions begin and end outside of sessions, and grow old by the log's time alone")
    func sessions() throws {
        var bench = Bench()
        try bench.apply(.registerSession)
        let stamp = SessionStamp(session: 1, sequence: 1, answeredThrough: 0)
        #expect(try bench.apply(.endSession(1), stamp).answer == .refused(.malformed))
        #expect(try bench.apply(.expireSessions(idle: 10)).answer == .sessionsEnded(0))
        bench.time += 11
        #expect(try bench.apply(.expireSessions(idle: 10)).answer == .sessionsEnded(1))
        #expect(bench.machine.sessionCount == 0)
    }

    @Test("an entry of a later format stops the replica where it is, one without sense is refused by all")
    func formats() throws {
        var machine = StrictMachine()
        #expect(throws: StrictDecodeFailure.unknownFormat(4)) { try machine.apply([4, 0], at: 5) }
        #expect(machine.appliedIndex == 0)
        #expect(try machine.apply([3, 9], at: 5).answer == .refused(.malformed))
        #expect(try machine.apply([], at: 6).answer == .refused(.malformed))
        machine.skip(through: 9)
        #expect(machine.appliedIndex == 9)
    }

    @Test("listing begins at the prefix and goes on after a key")
    func listing() throws {
        var bench = Bench()
        for name in ["a", "a-1", "a.x", "a/1", "a/2", "a/3", "a0", "b"] {
            try bench.apply(.put(key(name), value: [], lease: 0))
        }
        func names(_ prefix: String, _ start: String? = nil, _ max: Int = 9) throws -> [String] {
            let start = try start.map { try key($0) }
            return bench.machine.entries(withPrefix: prefix, after: start, max: max).map(\.key.text)
        }
        #expect(try names("a/") == ["a/1", "a/2", "a/3"])
        #expect(try names("a/", "a/1", 1) == ["a/2"])
        #expect(try names("a/", "a/3").isEmpty)
        #expect(try names("a/", "0").count == 3)
        #expect(try names("").count == 8 && names("c").isEmpty && names("a").count == 7)
    }
}
