// SPDX-License-Identifier: Apache-2.0
// Owns the tests of members that an operator forgets while they are alive.

import ClusterTypes
import SWIMCore
import Testing

private func evicted(_ number: Int, _ incarnation: UInt64 = 1, by node: Int) -> MemberUpdate {
    MemberUpdate(subject: id(number), incarnation: incarnation, claim: .evicted(by: id(node)))
}

@Suite("Eviction")
struct EvictionTests {
    @Test("An active member is forgotten by force alone; it and all others are told")
    func forced() {
        var bench = Bench.knowing(2...4)
        let withoutForce = bench.forget(3)
        let withForce = bench.forget(3, isForced: true)
        #expect(!withoutForce && withForce)
        #expect(bench.state(3) == .forgotten)
        #expect(bench.sent.contains { $0.to == address(3) && $0.messages == [.update(evicted(3, by: 1))] })
        #expect(bench.queued(3) == evicted(3, by: 1))
    }

    @Test("A member that did not hear of it is told whenever it pings, and its old word brings it back nowhere")
    func told() {
        var bench = Bench.knowing(2...4)
        bench.hear(evicted(3, by: 2))
        #expect(bench.state(3) == .forgotten)
        bench.clear()
        bench.hear(.ping(Ping(sequence: 7, target: id(1))), from: 3)
        #expect(bench.sent.contains { $0.messages.contains(.update(evicted(3, by: 1))) })
        bench.hear(alive(3))
        bench.merge([entry(3, 1, .alive)], from: 4)
        #expect(bench.state(3) == .forgotten)
    }

    @Test("The evicted node stops instead of refuting; news of an earlier life does not concern it")
    func stops() {
        var bench = Bench.knowing(2...4)
        bench.hear(evicted(1, by: 2))
        #expect(bench.evictedBy == [id(2)])
        #expect(bench.incarnation(1) == 1 && bench.machine.statistics.refutations == 0)
        var restarted = Bench(fence: 1_024)
        restarted.hear(alive(2))
        restarted.hear(evicted(1, 1, by: 2))
        #expect(restarted.evictedBy.isEmpty)
    }

    @Test("Its next process is taken in, under a higher incarnation")
    func comesBack() {
        var bench = Bench.knowing(2...4)
        bench.forget(3, isForced: true)
        bench.hear(alive(3, 1_025))
        #expect(bench.state(3) == .alive)
        #expect(bench.machine.table[id(3)]?.isEvicted == false)
    }

    @Test("A synchronisation tells of it, also those who never knew the member")
    func synchronised() {
        var bench = Bench.knowing(2...2)
        bench.forget(2, isForced: true)
        let rows = bench.machine.entries(now: bench.now)
        var other = Bench(9)
        other.merge(rows, from: 1)
        #expect(other.state(2) == .forgotten && other.machine.table[id(2)]?.isEvicted == true)
        var evictee = Bench(2)
        evictee.merge(rows, from: 1)
        #expect(evictee.evictedBy == [id(1)])
    }
}
