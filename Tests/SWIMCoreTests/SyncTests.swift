// SPDX-License-Identifier: Apache-2.0
// Owns the tests of push-pull, forgetting, reaping and fingerprints.

import ClusterTypes
import SWIMCore
import Testing

@Suite("Push-pull and upkeep")
struct SyncTests {
    @Test("merge turns remote dead into suspect")
    func mergeDead() {
        var bench = Bench.knowing(2...5)
        bench.merge([entry(4, 1, .failed)], from: 2)
        #expect(bench.state(4) == .suspect)
        guard case .suspected(let evidence)? = bench.kinds(4).last else {
            Issue.record("no suspicion was told")
            return
        }
        #expect(evidence.accuser == id(2) && !evidence.isLocal)
        // It has the chance to refute.
        bench.hear(alive(4, 2), from: 4)
        #expect(bench.state(4) == .alive)
    }

    @Test("a merged table teaches every state")
    func mergeStates() {
        var bench = Bench.knowing(2...3)
        bench.merge(
            [
                entry(4, 3, .alive), entry(5, 1, .suspect), entry(6, 1, .failed, age: 60), entry(7, 1, .left),
                entry(8, 1, .forgotten), entry(2, 1, .left), entry(3, 1, .forgotten),
            ], from: 2)
        #expect(bench.state(4) == .alive && bench.state(5) == .suspect && bench.state(6) == .failed)
        #expect(bench.state(7) == .left && bench.state(8) == .forgotten)
        #expect(bench.state(2) == .left && bench.state(3) == .forgotten)
        #expect(bench.kinds(6).isEmpty, "who was gone before we came is taken in without fuss")
        #expect(bench.machine.table[id(6)]?.since.now == bench.now - .seconds(60))
    }

    @Test("a table that calls this node failed is refuted")
    func mergeSelf() {
        var bench = Bench.knowing(2...3)
        bench.merge([entry(1, 1, .failed)], from: 2)
        #expect(bench.state(1) == .alive && bench.incarnation(1) == 2)
        bench.merge([entry(1, 2, .suspect)], from: 2)
        #expect(bench.incarnation(1) == 3)
        bench.merge([entry(1, 2, .left)], from: 2)
        #expect(bench.incarnation(1) == 3)
    }

    @Test("hostile rows of a table are refused", arguments: [MemberState.alive, .suspect, .failed, .left, .forgotten])
    func hostileRows(state: MemberState) {
        var bench = Bench.knowing(2...3)
        let before = bench.machine.table.count
        bench.merge(
            [
                MemberTableEntry(id: .unknown, incarnation: 1, state: state, ageSeconds: 0, info: info(9)),
                MemberTableEntry(id: id(9), incarnation: .max, state: state, ageSeconds: .max, info: info(9)),
                MemberTableEntry(id: id(9), incarnation: 1, state: state, ageSeconds: 0, info: info(9, name: "")),
            ], from: 2)
        #expect(bench.machine.table.count == before)
        bench.merge([entry(1, .max, state, age: .max), entry(2, .max, state, age: .max)], from: 2)
        #expect(bench.incarnation(2) == 1)
    }

    @Test("dead only reaped after the gossip-to-dead (retention) window")
    func reaping() {
        var bench = Bench.knowing(2...5) {
            $0.failedRetention = .seconds(300)
            $0.forgottenRetention = .seconds(900)
        }
        bench.hear(failed(4, by: 2))
        bench.hearFailed(3, by: 2)
        bench.hear(left(5))
        _ = bench.forget(3)
        bench.pass(.seconds(299))
        #expect(bench.state(4) == .failed && bench.state(5) == .left)
        bench.pass(.seconds(61))
        #expect(bench.state(4) == nil && bench.state(5) == nil)
        #expect(bench.kinds(4).last == .reaped && bench.kinds(5).last == .reaped)
        #expect(bench.state(3) == .forgotten)
        bench.pass(.seconds(600))
        #expect(bench.state(3) == nil)
        #expect(!bench.kinds(3).contains(.reaped), "a tombstone goes in silence")
    }

    @Test("synchronisation does not bring back who was reaped")
    func reapedStaysAway() {
        var bench = Bench.knowing(2...5) { $0.failedRetention = .seconds(100) }
        bench.hearFailed(4, 3, by: 2)
        bench.pass(.seconds(200))
        bench.clear()
        bench.merge([entry(4, 3, .failed, age: 50)], from: 5)
        bench.merge([entry(4, 3, .alive)], from: 5)
        #expect(bench.state(4) == nil && bench.events.isEmpty)
        // But it is asked, and hears what is said of it.
        let asked = bench.messages(to: 4)
        #expect(asked.first == .update(failed(4, 3, by: 1)) && asked.count == 2)
        guard case .ping(let ping)? = asked.last else { return #expect(Bool(false), "it was not asked") }
        #expect(ping.target == id(4))
        bench.merge([entry(4, 4, .alive)], from: 5)
        #expect(bench.state(4) == .alive, "a higher incarnation is a new life")
    }

    @Test("of many that were reaped and are said to be alive some are asked at a time, others the next time")
    func manyReaped() {
        var bench = Bench.knowing(2...102) { $0.failedRetention = .seconds(100) }
        for number in 3...102 { bench.hearFailed(number, by: 2) }
        bench.pass(.seconds(300))
        var asked: Set<Int> = []
        for round in 1...3 {
            bench.clear()
            bench.merge((3...102).map { entry($0, 1, .alive) }, from: 2)
            let now = (3...102).filter { !bench.messages(to: $0).isEmpty }
            #expect(now.count == 32)
            asked.formUnion(now)
            #expect(asked.count > 32 || round == 1)
        }
    }

    @Test("rows older than their retention are not taken in")
    func staleRows() {
        var bench = Bench.knowing(2...2) { $0.failedRetention = .seconds(100) }
        bench.merge([entry(4, 1, .failed, age: 100), entry(5, 1, .left, age: 99)], from: 2)
        #expect(bench.state(4) == nil && bench.state(5) == .left)
        bench.pass(.seconds(60))
        #expect(bench.state(5) == nil, "the age counts")
    }

    @Test("forget is not resurrected by synchronisation")
    func forgetStays() {
        var bench = Bench.knowing(2...5)
        let whileActive = bench.forget(4)
        #expect(!whileActive, "an active member is not forgotten")
        bench.hearFailed(4, by: 2)
        let onceFailed = bench.forget(4)
        #expect(onceFailed)
        #expect(bench.state(4) == .forgotten && bench.kinds(4).last == .forgotten(by: id(1)))
        #expect(bench.queued(4) == forgotten(4, by: 1))
        for state in MemberState.allCases { bench.merge([entry(4, 1, state)], from: 2) }
        #expect(bench.state(4) == .forgotten)
        for number in [4, 1, 99] {
            let again = bench.forget(number)
            #expect(!again, "node \(number) is forgotten, this node itself or unknown")
        }
        // A peer that still thinks it alive learns of the tombstone by push-pull.
        var peer = Bench(2)
        for number in [1, 3, 4, 5] { peer.hear(alive(number), from: number) }
        let entries = bench.machine.entries(now: bench.now)
        peer.merge(entries, from: 1)
        #expect(peer.state(4) == .forgotten)
        #expect(peer.machine.table.fingerprint == bench.machine.table.fingerprint)
        // A new life of the node is welcome.
        bench.hear(alive(4, 2), from: 4)
        #expect(bench.state(4) == .alive)
    }

    @Test("a tombstone reaches a node that had dropped the member, and both drop it together")
    func tombstoneAfterReaping() {
        func configure(_ configuration: inout SWIMConfiguration) {
            configuration.failedRetention = .seconds(100)
            configuration.forgottenRetention = .seconds(900)
        }
        var peer = Bench(2, configure: configure)
        for number in [1, 3] { peer.hear(alive(number), from: number) }
        peer.hear(failed(3, by: 1))
        peer.pass(.seconds(200))
        #expect(peer.state(3) == nil)
        var bench = Bench(fence: 5, now: peer.now, configure: configure)
        peer.hear(alive(1, 6), from: 1)
        for claim in [alive(2), alive(3)] { bench.hear(claim) }
        bench.hearFailed(3, by: 2)
        peer.now = bench.now
        let isForgotten = bench.forget(3)
        #expect(isForgotten)
        bench.pass(.seconds(1))
        peer.pass(.seconds(1))
        peer.merge(bench.machine.entries(now: bench.now), from: 1)
        #expect(peer.state(3) == .forgotten)
        #expect(peer.machine.table.fingerprint == bench.machine.table.fingerprint, "two tables must be able to agree")
        #expect(peer.machine.table[id(3)]?.since == bench.machine.table[id(3)]?.since)
        bench.pass(.seconds(960))
        peer.pass(.seconds(960))
        #expect(bench.state(3) == nil && peer.state(3) == nil)
    }

    @Test("what a peer has long known to be gone is not kept longer because it was heard of late")
    func agesTravel() {
        var bench = Bench.knowing(2...5) {
            $0.failedRetention = .seconds(300)
            $0.forgottenRetention = .seconds(300)
        }
        bench.merge([entry(4, 1, .left, age: 200), entry(5, 1, .forgotten, age: 200)], from: 2)
        #expect(bench.state(4) == .left && bench.state(5) == .forgotten)
        bench.pass(.seconds(165))
        #expect(bench.state(4) == nil && bench.state(5) == nil)
    }

    @Test("fingerprints equal for equal tables, whatever the order of arrival")
    func fingerprints() {
        var first = Bench()
        var second = Bench(seed: 9)
        let claims = [
            alive(2), alive(3, 4), alive(4), left(4), alive(5), alive(6), forgotten(6, by: 2), suspect(2, by: 3),
        ]
        for claim in claims { first.hear(claim) }
        for claim in claims.reversed() + claims { second.hear(claim) }
        #expect(first.machine.table.fingerprint == second.machine.table.fingerprint)
        second.hear(alive(7))
        #expect(first.machine.table.fingerprint != second.machine.table.fingerprint)
        first.hear(alive(7, 2))
        #expect(first.machine.table.fingerprint != second.machine.table.fingerprint)
        second.hear(alive(7, 2))
        #expect(first.machine.table.fingerprint == second.machine.table.fingerprint)
    }

    @Test("push-pull both ways makes two tables equal", arguments: [UInt64(1), 2, 3, 4, 5, 6, 7, 8])
    func pushPull(seed: UInt64) {
        var rng = SeededGenerator(seed: seed)
        var first = Bench(1)
        var second = Bench(2)
        for _ in 0..<60 {
            var claim = randomClaim(subjects: 3...12, using: &rng)
            // Who failed is only suspected by the other side and may refute: those two may differ for a while.
            if case .failed = claim.claim { claim.claim = .left(nil) }
            if rng.chance(0.5) { first.hear(claim, from: 12) } else { second.hear(claim, from: 12) }
        }
        for _ in 0..<2 {
            second.merge(first.machine.entries(now: first.now), from: 1)
            first.merge(second.machine.entries(now: second.now), from: 2)
        }
        for number in 3...12 {
            #expect(first.incarnation(number) == second.incarnation(number))
        }
        #expect(first.machine.table.fingerprint == second.machine.table.fingerprint)
    }

    @Test("claims form a lattice: any order ends in the same incarnation and state", arguments: 1...40)
    func lattice(seed: Int) {
        var rng = SeededGenerator(seed: UInt64(seed))
        let claims = (0..<120).map { _ in randomClaim(subjects: 2...7, using: &rng) }
        var orders: [[MemberUpdate]] = [claims, claims.reversed()]
        for _ in 0..<3 { orders.append(claims.shuffled(using: &rng)) }
        // Repetition must not matter either.
        orders.append((claims + claims.prefix(60)).shuffled(using: &rng))
        var results: [[String]] = []
        for order in orders {
            var bench = Bench.knowing(2...7)
            // Alive at incarnation 1 is known to all. Time stands still while claims arrive, and then verdicts are
            // carried out, after one probe's time, long before the first suspicion runs out.
            for claim in order { bench.hear(claim, from: 7) }
            bench.pass(bench.machine.configuration.probeTimeout)
            results.append((2...7).map { "\(bench.incarnation($0) ?? 0) \(bench.state($0).map { "\($0)" } ?? "-")" })
        }
        #expect(Set(results).count == 1, "\(results)")
        // And it is the greatest claim of all.
        for number in 2...7 {
            let greatest = claims.filter { $0.subject == id(number) }.map { ($0.incarnation, $0.claim.rank) }
                .max { $0 < $1 }
            let expected = max(greatest ?? (1, 0), (1, 0)) { $0 < $1 }
            #expect(
                results[0][number - 2] == "\(expected.0) \(MemberState(rawValue: expected.1).map { "\($0)" } ?? "")")
        }
    }

    private func max(
        _ a: (UInt64, UInt8), _ b: (UInt64, UInt8), by precedes: ((UInt64, UInt8), (UInt64, UInt8)) -> Bool
    ) -> (UInt64, UInt8) {
        precedes(a, b) ? b : a
    }

    private func randomClaim(subjects: ClosedRange<Int>, using rng: inout SeededGenerator) -> MemberUpdate {
        let subject = Int.random(in: subjects, using: &rng)
        let incarnation = UInt64.random(in: 1...6, using: &rng)
        let by = Int.random(in: subjects, using: &rng)
        switch rng.index(below: 8) {
        case 0, 1, 2: return alive(subject, incarnation)
        case 3, 4: return suspect(subject, incarnation, by: by)
        case 5: return failed(subject, incarnation, by: by)
        case 6: return left(subject, incarnation)
        case _: return forgotten(subject, incarnation, by: by)
        }
    }

    @Test("a failed member is tried again and told what is said of it")
    func reconnects() {
        var bench = Bench.knowing(2...2)
        bench.hearFailed(2, by: 3)
        bench.clear()
        bench.pass(.seconds(30))
        let tries = bench.sent.filter { $0.to == address(2) }
        #expect((3...12).contains(tries.count), "every 2.5 to 7.5 s, not \(tries.count) times in 30 s")
        #expect(tries.allSatisfy { $0.messages.first == .update(failed(2, by: 1)) })
    }
}

extension MemberClaim {
    var rank: UInt8 {
        switch self {
        case .alive: MemberState.alive.rawValue
        case .suspect: MemberState.suspect.rawValue
        case .failed: MemberState.failed.rawValue
        case .left: MemberState.left.rawValue
        case .forgotten, .evicted: MemberState.forgotten.rawValue
        }
    }
}
