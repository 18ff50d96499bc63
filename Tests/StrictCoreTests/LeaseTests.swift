// SPDX-License-Identifier: Apache-2.0
// Owns the tests of leases, of the leader's clock for them, and of locks.

import ClusterTypes
import RaftCore
import StrictCore
import Testing

@Suite("Leases and locks")
struct LeaseTests {
    @Test("a lease takes its keys and locks with it, in the order of their names")
    func end() throws {
        var bench = Bench()
        let lease = try bench.lease()
        for name in ["c", "a", "b"] { try bench.apply(.put(key(name), value: [], lease: lease)) }
        try bench.apply(.put(key("b"), value: [], lease: 0))
        try bench.apply(.acquire(lock: key("z"), lease: lease, mayWait: false))
        let outcome = try bench.apply(.revoke(lease))
        #expect(try outcome.changes.map(\.key) == [key("a"), key("c")])
        #expect(outcome.lockChanges.map(\.new) == [nil] && outcome.leaseChanges == [.ended(lease)])
        #expect(bench.machine.keyCount == 1 && bench.machine.lockCount == 0 && bench.machine.leaseCount == 0)
        #expect(try bench.apply(.keepAlive(lease)).answer == .refused(.noLease))
        #expect(try bench.apply(.put(key("d"), value: [], lease: lease)).answer == .refused(.noLease))
    }

    @Test("a renewal that the leader had not seen when it proposed the end wins")
    func race() throws {
        var bench = Bench()
        let lease = try bench.lease()
        var clock = LeaseClock(bench.machine, now: .origin)
        let late = Instant.origin + .seconds(10)
        #expect(clock.expired(now: late - .nanoseconds(1)).isEmpty)
        let proposals = clock.expired(now: late)
        #expect(proposals == [.expireLease(lease, ifRenewedBefore: lease + 1)])
        let renewal = try bench.apply(.keepAlive(lease))
        #expect(try bench.apply(proposals[0]).answer == .leaseEnded(false))
        clock.note(renewal.leaseChanges, now: late)
        #expect(clock.expired(now: late + .milliseconds(9_999)).isEmpty)
        let next = clock.expired(now: late + .seconds(10))
        #expect(try bench.apply(next[0]).answer == .leaseEnded(true))
        #expect(try bench.apply(next[0]).answer == .leaseEnded(false))
    }

    @Test("a proposal that was lost comes again; a new leader gives every lease its whole time")
    func clock() throws {
        var bench = Bench()
        let (one, two) = (try bench.lease(1_000), try bench.lease(4_000))
        var clock = LeaseClock(bench.machine, now: .origin)
        #expect(clock.nextDeadline == .origin + .seconds(1) && clock.count == 2)
        #expect(clock.expired(now: .origin + .seconds(1)).count == 1)
        #expect(clock.nextDeadline == .origin + .milliseconds(1_500))
        #expect(clock.expired(now: .origin + .seconds(9)).count == 2)
        let later = LeaseClock(bench.machine, now: .origin + .seconds(60))
        #expect(later.nextDeadline == .origin + .seconds(61))
        clock.note([.ended(one), .ended(two), .ended(99)], now: .origin)
        #expect(clock.nextDeadline == nil && clock.count == 0)
    }

    @Test("those who wait for a lock get it in the order of the log, each under a higher token")
    func queue() throws {
        var bench = Bench()
        let lock = try key("lock")
        let leases = try (0..<4).map { _ in try bench.lease() }
        var answers: [StrictAnswer] = []
        for lease in leases {
            answers.append(try bench.apply(.acquire(lock: lock, lease: lease, mayWait: true)).answer)
        }
        #expect(answers == [.locked(token: 5), .waiting(ahead: 1), .waiting(ahead: 2), .waiting(ahead: 3)])
        // Asked again they are told how things stand.
        #expect(try bench.apply(.acquire(lock: lock, lease: leases[2], mayWait: false)).answer == .waiting(ahead: 2))
        #expect(try bench.apply(.acquire(lock: lock, lease: leases[0], mayWait: true)).answer == .locked(token: 5))
        let other = try bench.lease()
        #expect(try bench.apply(.acquire(lock: lock, lease: other, mayWait: false)).answer == .busy(token: 5))
        // One that waits gives up: the order of the others stays.
        #expect(try bench.apply(.release(lock: lock, lease: leases[1])).answer == .released(true))
        var tokens: [LogIndex] = [5]
        for (end, next) in [(leases[0], leases[2]), (leases[2], leases[3])] {
            let outcome = try bench.apply(.release(lock: lock, lease: end))
            let claim = try #require(outcome.lockChanges.first?.new)
            #expect(claim.lease == next && claim.token > tokens[tokens.count - 1])
            tokens.append(claim.token)
        }
        #expect(try bench.apply(.release(lock: lock, lease: leases[0])).answer == .released(false))
        #expect(try bench.apply(.release(lock: lock, lease: leases[3])).lockChanges.map(\.new) == [nil])
        #expect(bench.machine.lock(lock) == nil)
    }

    @Test("who waits for a lock under a lease that ends waits no more")
    func waiterEnds() throws {
        var bench = Bench()
        let lock = try key("lock")
        let (one, two, three) = (try bench.lease(), try bench.lease(), try bench.lease())
        for lease in [one, two, three] { try bench.apply(.acquire(lock: lock, lease: lease, mayWait: true)) }
        #expect(try bench.apply(.revoke(two)).lockChanges.isEmpty)
        #expect(try bench.apply(.revoke(one)).lockChanges.map(\.new?.lease) == [three])
    }

    @Test(
        "the lease of a value's time to live ends when the value goes or has another; one that was asked for by itself stays"
    )
    func endsWithKeys() throws {
        var bench = Bench()
        let (a, b) = (try key("a"), try key("b"))
        func grant(_ endsWithKeys: Bool) throws -> LeaseID {
            let grant = StrictOperation.grantLease(milliseconds: 1_000, endsWithKeys: endsWithKeys)
            guard case .lease(let id, _) = try bench.apply(grant).answer else { return 0 }
            return id
        }
        var last: LeaseID = 0
        for round in 0..<5 {
            let lease = try grant(true)
            let put = try bench.apply(.put(a, value: [UInt8(round)], lease: lease))
            #expect(put.leaseChanges == (last == 0 ? [] : [.ended(last)]))
            last = lease
        }
        #expect(bench.machine.leaseCount == 1)
        // From one key to another within a transaction: it was never without one.
        let move = StrictTransaction(then: [.delete(a), .put(b, value: [1], lease: last)], otherwise: [])
        #expect(try bench.apply(.transaction(move)).leaseChanges.isEmpty)
        bench.machine = try StrictMachine(snapshot: bench.machine.snapshot)
        #expect(try bench.apply(.put(b, value: [2], lease: 0)).leaseChanges == [.ended(last)])
        #expect(try bench.apply(.keepAlive(last)).answer == .refused(.noLease))

        let asked = try grant(false)
        try bench.apply(.put(a, value: [1], lease: asked))
        #expect(try bench.apply(.delete(a)).leaseChanges.isEmpty && bench.machine.leaseCount == 1)
        // A lock is reason enough to live on.
        let holder = try grant(true)
        try bench.apply(.put(a, value: [1], lease: holder))
        try bench.apply(.acquire(lock: key("lock"), lease: holder, mayWait: false))
        #expect(try bench.apply(.delete(a)).leaseChanges.isEmpty)
        #expect(try bench.apply(.revoke(holder)).leaseChanges == [.ended(holder)])
    }

    @Test("an expiry that could not be proposed comes again when it is said to")
    func postponed() throws {
        var bench = Bench()
        let lease = try bench.lease(20_000)
        var clock = LeaseClock(bench.machine, now: .origin)
        let due = Instant.origin + .seconds(20)
        #expect(clock.expired(now: due).count == 1)
        #expect(clock.nextDeadline == due + .seconds(10))
        clock.postpone(lease, to: due + .milliseconds(400))
        #expect(clock.nextDeadline == due + .milliseconds(400))
        #expect(clock.expired(now: due + .milliseconds(400)).count == 1 && clock.count == 1)
        clock.postpone(7, to: due)
        #expect(clock.count == 1)
    }

    @Test("claims, and keys of a lease, are bounded")
    func bounds() throws {
        var machine = StrictMachine()
        func apply(_ operation: StrictOperation) -> StrictAnswer {
            machine.apply(StrictCommand(time: 0, operation), at: machine.appliedIndex + 1).answer
        }
        _ = apply(.grantLease(milliseconds: 1_000))
        for number in 0..<StrictBounds.locksPerLeaseMax {
            _ = try apply(.acquire(lock: key("l\(number)"), lease: 1, mayWait: true))
        }
        #expect(try apply(.acquire(lock: key("l"), lease: 1, mayWait: true)) == .refused(.tooManyLocksOfLease))
        for number in 0..<StrictBounds.keysPerLeaseMax { _ = try apply(.put(key("k\(number)"), value: [], lease: 1)) }
        #expect(try apply(.put(key("k"), value: [], lease: 1)) == .refused(.tooManyKeysOfLease))
        // Those that have it already may be written.
        #expect(try apply(.put(key("k7"), value: [1], lease: 1)) == .put(version: 2, modified: machine.appliedIndex))
        #expect(apply(.revoke(1)) == .leaseEnded(true))
        #expect(machine.keyCount == 0 && machine.stateBytes == 0 && machine.lockCount == 0)
        machine.checkInvariants()
    }
}
