// SPDX-License-Identifier: Apache-2.0
// Owns the proof that each promise about the strict state is checked: outcomes that were tampered with, beside honest ones.

import ClusterTypes
import RaftCore
import Simulator
import StrictCore
import Testing

/// Real outcomes of a real machine, which a test may change before the check sees them.
private struct Story {
    var machine = StrictMachine()
    var check = StrictStateCheck(nodes: 2)
    var now = Instant(nanoseconds: 0)

    @discardableResult
    mutating func run(
        _ operation: StrictOperation, session: SessionStamp? = nil, after time: Interval = .milliseconds(1),
        _ tamper: (inout StrictOutcome) -> Void = { _ in }
    ) -> StrictOutcome {
        now = now + time
        let command = StrictCommand(time: 1, session: session, operation)
        var outcome = machine.apply(command, at: machine.appliedIndex + 1)
        tamper(&outcome)
        _ = check.note(outcome, of: command, proposed: now, at: now)
        return outcome
    }

    mutating func lease(_ milliseconds: UInt64 = 1_000) -> LeaseID {
        run(.grantLease(milliseconds: milliseconds))
        return machine.appliedIndex
    }

    func tells(_ words: String) -> Bool { check.violations.first.contains { $0.contains(words) } }
}

@Suite("The check of the strict state")
struct StrictStateCheckTests {
    private let lock: StrictKey
    private let key: StrictKey

    init() throws {
        lock = try #require(StrictKey("deploy"))
        key = try #require(StrictKey("strict/a"))
    }

    private func acquire(_ lease: LeaseID) -> StrictOperation { .acquire(lock: lock, lease: lease, mayWait: true) }

    private func write(under token: LogIndex) -> StrictOperation {
        .transaction(
            StrictTransaction(compares: [.holds(lock: lock, token: token)], then: [.put(key, value: [1], lease: 0)]))
    }

    /// The second of two leases waits for the lock that the first one holds.
    private func claimed() -> (Story, first: LeaseID, second: LeaseID) {
        var story = Story()
        let (first, second) = (story.lease(), story.lease())
        story.run(acquire(first))
        story.run(acquire(second))
        return (story, first, second)
    }

    @Test("Locks that go from hand to hand, fenced writes, expiries and repetitions are accepted, and counted")
    func honest() {
        var (story, first, second) = claimed()
        story.run(write(under: 3))
        story.run(.put(key, value: [2], lease: first))
        story.run(.expireLease(first, ifRenewedBefore: 2), after: .seconds(2))
        let token = story.machine.appliedIndex
        story.run(write(under: 3))
        story.run(write(under: token))
        story.run(.release(lock: lock, lease: second))
        story.run(.registerSession)
        let stamp = SessionStamp(session: story.machine.appliedIndex, sequence: 1, answeredThrough: 0)
        for _ in 0..<2 { story.run(.put(key, value: [3], lease: 0), session: stamp) }
        #expect(story.check.gave(lock, to: second, token: token))
        #expect(story.check.violations.count == 0, "\(story.check.violations)")
        #expect(story.check.tokens == 2 && story.check.expiries == 1 && story.check.repeats == 1)
        #expect(story.check.fencedWrites == 2 && story.check.fencedRefusals == 1)
    }

    @Test("A lock that is given to a second holder is found")
    func twoHolders() {
        var (story, _, second) = claimed()
        var other = Story()
        var change = other.run(acquire(other.lease())).lockChanges[0]
        story.run(acquire(second)) { outcome in
            change.index = outcome.index
            change.new = StrictLock.Claim(lease: second, token: outcome.index)
            outcome.lockChanges = [change]
        }
        #expect(story.tells("goes from nobody, and lease 1 with token 3 holds it"))
    }

    @Test("A token that goes back is found, and one that comes twice")
    func tokenGoesBack() {
        for token in [2, 3] as [LogIndex] {
            var (story, first, second) = claimed()
            story.run(.release(lock: lock, lease: first)) { outcome in
                outcome.lockChanges[0].new = StrictLock.Claim(lease: second, token: token)
            }
            #expect(story.tells("is given under token \(token), after 3"))
        }
    }

    @Test("A lock that outlives its holder's lease is found")
    func lockOutlives() {
        var (story, first, _) = claimed()
        story.run(.expireLease(first, ifRenewedBefore: 2), after: .seconds(2)) { $0.lockChanges = [] }
        #expect(story.tells("deploy is held by lease 1, which has ended"))
    }

    @Test("A write of a holder that lost the lock is found, and one that its holder is refused")
    func fence() {
        var (story, first, _) = claimed()
        story.run(write(under: 3)) { $0.answer = .transaction(succeeded: false, results: []) }
        #expect(story.tells("a write under token 3 of deploy is refused"))
        (story, first, _) = claimed()
        story.run(.release(lock: lock, lease: first))
        story.run(write(under: 3)) { $0.answer = .transaction(succeeded: true, results: [.put(version: 1)]) }
        #expect(story.tells("a write under token 3 of deploy is made, and lease 2 with token 5 holds it"))
    }

    @Test("A lease that expires before its time is found; a renewal counts from when it was committed")
    func hastyExpiry() {
        var story = Story()
        let lease = story.lease(1_000)
        story.run(.keepAlive(lease), after: .milliseconds(600))
        story.run(.expireLease(lease, ifRenewedBefore: 3), after: .milliseconds(999))
        #expect(story.tells("lease 1 of 1000 ms expires") && story.tells("too early"))
        story = Story()
        _ = story.lease(1_000)
        story.run(.expireLease(lease, ifRenewedBefore: 2), after: .milliseconds(1_000))
        #expect(story.check.violations.count == 0)
    }

    @Test("A key that outlives its lease is found, and one bound to no lease")
    func keyOutlives() {
        var story = Story()
        let lease = story.lease()
        story.run(.put(key, value: [1], lease: lease))
        story.run(.revoke(lease)) { $0.changes = [] }
        #expect(story.tells("strict/a outlives its lease 1"))
        story.run(.put(key, value: [2], lease: 0)) { $0.changes[0].new?.lease = lease }
        #expect(story.tells("strict/a is bound to lease 1, which there is not"))
    }

    @Test("A command that is carried out twice is found, and a repetition with another answer")
    func twice() {
        var story = Story()
        story.run(.registerSession)
        let stamp = SessionStamp(session: 1, sequence: 1, answeredThrough: 0)
        story.run(.put(key, value: [1], lease: 0), session: stamp)
        story.run(.put(key, value: [1], lease: 0), session: stamp) { $0.isRepeat = false }
        #expect(story.tells("command 1 of session 1 is carried out twice"))
        story.run(.put(key, value: [1], lease: 0), session: stamp) { $0.answer = .put(version: 9, modified: 9) }
        #expect(story.tells("a repeated command is answered otherwise than at first"))
    }

    @Test("A token that a client was told and nobody was given is found")
    func inventedToken() {
        let (story, first, second) = claimed()
        #expect(story.check.gave(lock, to: first, token: 3))
        #expect(!story.check.gave(lock, to: second, token: 3))
    }

    @Test(
        "State machine safety: a state that differs in anything from what the log comes to is found at its first step")
    func otherState() {
        let commands: [StrictOperation] = [.put(key, value: [1], lease: 0), .delete(key)]
        var check = StrictStateCheck(nodes: 2)
        var (honest, other) = (StrictMachine(), StrictMachine())
        for (place, operation) in commands.enumerated() {
            let index = LogIndex(place) + 1
            let command = StrictCommand(time: 1, operation)
            let entry = LogEntry(term: 1, index: index, payload: .command(command.encoded))
            _ = check.commit(entry, proposed: .origin, at: .origin)
            _ = honest.apply(command, at: index)
            // The same but for the value, which is gone again after the second entry: what remains is a state one change ahead.
            let wrong: StrictOperation = place == 0 ? .put(key, value: [2], lease: 0) : .put(key, value: [], lease: 0)
            _ = other.apply(StrictCommand(time: 1, wrong), at: index)
            check.look(at: honest, node: 0)
            #expect(check.violations.count == place)
            check.look(at: other, node: 1)
            #expect(check.violations.count == place + 1)
        }
        #expect(check.violations.first.allSatisfy { $0.contains("n2 has another state at") })
        _ = honest.apply(StrictCommand(time: 1, .delete(key)), at: 3)
        check.look(at: honest, node: 0)
        #expect(check.violations.first.contains { $0.contains("n1 has applied 3, which nobody has committed") })
    }
}
