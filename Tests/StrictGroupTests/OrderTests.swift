// SPDX-License-Identifier: Apache-2.0
// Owns the tests of operators' orders: members, leadership, and going on without a majority.

import ClusterTypes
import RaftCore
import StrictCore
import StrictGroup
import Testing

@Suite("Operating the strict group")
struct OrderTests {
    private func formed(nodes: Int = 4, voters: Int = 3, seed: UInt64) -> Village {
        var village = Village(nodes: nodes, voters: .count(voters), seed: seed)
        #expect(village.run(within: .seconds(3)) { $0.leader != nil })
        village.run(for: .seconds(1))
        return village
    }

    private func isDone(_ reply: StrictReply?) -> Bool { if case .done = reply { true } else { false } }

    private func voters(_ village: Village, on id: NodeID) -> [NodeID] {
        village.hosts[id]?.node?.raft?.membership.voters ?? []
    }

    @Test("a member that is added becomes a learner, then a voter; the order may come from anywhere", arguments: 1...5)
    func add(from: Int) {
        var village = formed(nodes: 5, seed: UInt64(from))
        for number in 0..<30 { _ = village.put("s/\(number)", "x", on: node(5)) }
        #expect(isDone(village.get(.operate(.add(node(4))), on: node(from))))
        #expect(village.run(within: .seconds(5)) { voters($0, on: node(4)).contains(node(4)) && $0.isSettled })
        #expect(village.hosts[node(4)]?.node?.status.role == .follower)
        #expect(village.get(.operate(.add(node(4))), on: node(from)) == .failed(.refused(.alreadyMember)))
        village.crash(node(1))
        village.run(for: .seconds(1))
        #expect(village.value("s/7", on: node(4)) == "x")
    }

    @Test("a member that is removed is one no more, and does not come back", arguments: [true, false])
    func remove(isLeader: Bool) throws {
        var village = formed(nodes: 5, voters: 4, seed: 7)
        let gone = try #require((1...4).map(node).first { ($0 == village.leader) == isLeader })
        #expect(isDone(village.get(.operate(.remove(gone)), on: node(5))))
        village.run(for: .seconds(3))
        let leader = try #require(village.leader)
        #expect(leader != gone && !voters(village, on: leader).contains(gone))
        #expect(village.get(.operate(.add(gone)), on: node(5)) == .failed(.refused(.retiredID)))
        // It is a client like any other.
        guard case .answer = village.put("s/a", "1", on: gone) else {
            Issue.record("not written")
            return
        }
        #expect(village.value("s/a", on: gone) == "1")
    }

    @Test("a removal that would lose the quorum is refused")
    func quorumFloor() throws {
        var village = formed(seed: 8)
        let leader = try #require(village.leader)
        let others = (1...3).map(node).filter { $0 != leader }
        village.crash(others[0])
        village.run(for: .seconds(2))
        guard case .failed(.refused(.wouldLoseQuorum)) = village.get(.operate(.remove(others[1])), on: node(4)) else {
            Issue.record("not refused")
            return
        }
        #expect(isDone(village.get(.operate(.remove(others[0])), on: node(4))))
    }

    @Test("leadership goes where it is sent", arguments: 1...3)
    func transfer(to: Int) {
        var village = formed(seed: 9)
        #expect(isDone(village.get(.operate(.transfer(to: node(to))), on: node(4))))
        #expect(village.leader == node(to))
        #expect(isDone(village.get(.operate(.transfer(to: nil)), on: node(4))))
        village.run(for: .milliseconds(100))
        #expect(village.leader != nil && village.leader != node(to))
        #expect(village.get(.operate(.transfer(to: node(4))), on: node(1)) == .failed(.refused(.cannotLead)))
    }

    @Test("leadership that is sent to anybody goes on by one step, whoever asks for it", arguments: 1...4)
    func transferToAny(asked: Int) {
        var village = formed(seed: 9)
        for _ in 0..<6 {
            let (leader, elections) = (village.leader, village.judge.elections)
            #expect(isDone(village.get(.operate(.transfer(to: nil)), on: node(asked))))
            village.run(for: .seconds(1))
            #expect(village.leader != nil && village.leader != leader)
            #expect(village.judge.elections == elections + 1)
        }
    }

    @Test("with the majority lost for good one voter goes on with what it has, under another id")
    func recover() throws {
        var village = formed(seed: 10)
        village.judge.mayHaveGroups = 2
        _ = village.put("s/a", "kept", on: node(4))
        village.run(for: .seconds(1))
        guard case .failed(.cannotRecover) = village.get(.operate(.recover(evenIfBehind: false)), on: node(1)) else {
            Issue.record("a leader is in office")
            return
        }
        guard case .failed(.cannotRecover) = village.get(.operate(.recover(evenIfBehind: false)), on: node(4)) else {
            Issue.record("a client has nothing to recover")
            return
        }
        let last = try #require((1...3).map(node).first { $0 != village.leader })
        for number in 1...3 where node(number) != last { village.crash(node(number)) }
        village.run(for: .seconds(2))
        let began = try #require(village.hosts[last]?.node?.founding.founded?.group)
        #expect(isDone(village.get(.operate(.recover(evenIfBehind: false)), on: last)))
        #expect(village.run(within: .seconds(5)) { $0.leader == last })
        #expect(village.hosts[last]?.node?.founding.founded?.group != began)
        #expect(voters(village, on: last) == [last])
        #expect(village.value("s/a", on: last) == "kept")
        guard case .answer(.put(version: 2, _)) = village.put("s/a", "on", on: last) else {
            Issue.record("not written")
            return
        }
        // Clients follow when nothing was heard of the old group for long; the others' ids stay out.
        village.run(for: .seconds(15))
        #expect(village.value("s/a", on: node(4)) == "on")
        let gone = try #require((1...3).map(node).first { $0 != last })
        #expect(village.get(.operate(.add(gone)), on: node(4)) == .failed(.refused(.retiredID)))
        village.add(node(5))
        village.run(for: .milliseconds(500))
        #expect(isDone(village.get(.operate(.add(node(5))), on: node(4))))
        #expect(village.run(within: .seconds(5)) { voters($0, on: last).count == 2 })
        // One of the old group comes back: it is told apart.
        village.restart(gone)
        village.run(for: .seconds(3))
        #expect(village.judge.events.contains { if case .foreignGroup = $0.event { true } else { false } })
        village.crash(last)
        village.restart(last)
        #expect(village.value("s/a", on: last) == "on")
        #expect(village.judge.violations.isEmpty)
    }

    @Test("a crash while a group is recovered leaves it to be recovered again", arguments: 0...3)
    func tornRecovery(parts: Int) throws {
        var village = formed(seed: 11)
        village.judge.mayHaveGroups = 3
        _ = village.put("s/a", "kept", on: node(4))
        let last = try #require((1...3).map(node).first { $0 != village.leader })
        village.run(for: .seconds(1))
        for number in 1...3 where node(number) != last { village.crash(node(number)) }
        village.run(for: .seconds(2))
        village.stallDisk(last, true)
        village.ask(.operate(.recover(evenIfBehind: false)), on: last)
        // The others are asked first.
        village.run(for: .milliseconds(2_100))
        let write = try #require(village.hosts[last]?.writes.last?.write)
        village.crash(last)
        village.hosts[last]?.disk.write(write, tornAt: parts)
        village.restart(last)
        village.run(for: .seconds(2))
        if village.leader == nil { #expect(isDone(village.get(.operate(.recover(evenIfBehind: false)), on: last))) }
        #expect(village.run(within: .seconds(5)) { $0.leader == last })
        #expect(village.value("s/a", on: last) == "kept")
    }
}
