// SPDX-License-Identifier: Apache-2.0
// Owns the tests of what keeps one group one group: who was removed is told, and nobody goes on alone beside a leader.

import ClusterTypes
import RaftCore
import StrictCore
import StrictGroup
import Testing

private func formed(nodes: Int = 4, voters: Int = 3, seed: UInt64) -> Village {
    var village = Village(nodes: nodes, voters: .count(voters), seed: seed)
    #expect(village.run(within: .seconds(3)) { $0.leader != nil })
    village.run(for: .seconds(1))
    return village
}

private func isDone(_ reply: StrictReply?) -> Bool { if case .done = reply { true } else { false } }

private func isRemoved(_ village: Village, _ id: NodeID) -> Bool {
    guard let node = village.hosts[id]?.node, node.raft == nil else { return false }
    return node.status.isRemoved && node.status.role == nil
}

private func obstacle(_ reply: StrictReply?) -> String? {
    if case .failed(.cannotRecover(let reason)) = reply { reason } else { nil }
}

@Suite("Members that were removed")
struct RemovalTests {
    @Test("a voter that is removed is told at once, stops voting for good, and is a client", arguments: [true, false])
    func told(isLeader: Bool) throws {
        var village = formed(nodes: 5, voters: 4, seed: 21)
        let gone = try #require((1...4).map(node).first { ($0 == village.leader) == isLeader })
        #expect(isDone(village.get(.operate(.remove(gone)), on: node(5))))
        #expect(village.run(within: .milliseconds(500)) { isRemoved($0, gone) })
        #expect(village.judge.events.count { $0.node == gone && $0.event.isRemoval } == 1)
        // Its own clients are served.
        guard case .answer = village.put("s/a", "1", on: gone) else {
            Issue.record("not written")
            return
        }
        #expect(village.value("s/a", on: gone) == "1")
        let elections = village.judge.elections
        village.run(for: .seconds(5))
        #expect(village.judge.elections == elections)
        let reason = obstacle(village.get(.operate(.recover(evenIfBehind: true)), on: gone))
        #expect(reason?.hasPrefix("it was removed from the group") == true)
        village.crash(gone)
        village.restart(gone)
        #expect(isRemoved(village, gone))
        #expect(village.value("s/a", on: gone) == "1")
        #expect(village.judge.violations.isEmpty)
    }

    @Test("one that was removed while it was down learns it when it is back", arguments: [true, false])
    func down(isLearner: Bool) throws {
        var village = formed(nodes: 6, voters: 4, seed: 22)
        let gone = try #require(isLearner ? node(6) : (1...4).map(node).first { $0 != village.leader })
        if isLearner {
            // It never catches up, so it is no voter.
            village.stallDisk(gone, true)
            #expect(isDone(village.get(.operate(.add(gone)), on: node(5))))
            village.run(for: .milliseconds(300))
            village.stallDisk(gone, false)
            village.run(for: .milliseconds(30))
        }
        village.crash(gone)
        village.run(for: .seconds(1))
        #expect(isDone(village.get(.operate(.remove(gone)), on: node(5))))
        village.run(for: .seconds(2))
        village.restart(gone)
        #expect(village.run(within: .seconds(5)) { isRemoved($0, gone) })
        #expect(village.judge.violations.isEmpty)
    }

    @Test("it learns it also when none of the voters that it knew is one any more")
    func replaced() throws {
        var village = formed(nodes: 6, voters: 3, seed: 23)
        let gone = node(1)
        village.crash(gone)
        village.run(for: .seconds(1))
        for (number, new) in [(1, 4), (2, 5), (3, 6)] {
            #expect(isDone(village.get(.operate(.add(node(new))), on: node(6))))
            #expect(
                village.run(within: .seconds(10)) {
                    $0.hosts[node(new)]?.node?.raft?.membership.isVoter(node(new)) == true
                })
            #expect(isDone(village.get(.operate(.remove(node(number))), on: node(6))))
            village.run(for: .seconds(1))
        }
        village.crash(node(2))
        village.crash(node(3))
        village.run(for: .seconds(1))
        village.restart(gone)
        #expect(village.run(within: .seconds(8)) { isRemoved($0, gone) })
    }

    @Test("a crash before it is durable leaves a member that is told again")
    func torn() throws {
        var village = formed(nodes: 5, voters: 4, seed: 24)
        let gone = try #require((1...4).map(node).first { $0 != village.leader })
        village.stallDisk(gone, true)
        #expect(isDone(village.get(.operate(.remove(gone)), on: node(5))))
        village.run(for: .milliseconds(200))
        #expect(village.hosts[gone]?.node?.raft != nil)
        #expect(!village.judge.events.contains { $0.node == gone && $0.event.isRemoval })
        village.crash(gone)
        village.restart(gone)
        #expect(village.hosts[gone]?.node?.status.isRemoved == false)
        #expect(village.run(within: .seconds(4)) { isRemoved($0, gone) })
    }

    @Test("word of another group, or of one that this node is in, removes nobody")
    func others() throws {
        var village = formed(seed: 25)
        let group = try #require(village.hosts[node(1)]?.node?.founding.founded?.group)
        village.handle(.message(.removed(group: group &+ 1), from: node(4)), on: node(1))
        village.run(for: .seconds(1))
        #expect(village.hosts[node(1)]?.node?.raft != nil && village.hosts[node(1)]?.node?.status.isRemoved == false)
        // A client of the group is not removed from anything that it would have to forget.
        village.handle(.message(.removed(group: group &+ 1), from: node(1)), on: node(4))
        #expect(village.value("s/none", on: node(4)) == nil)
    }

    @Test("nodes that do not say that they may vote are not added")
    func eligible() {
        var village = formed(nodes: 3, seed: 26)
        village.add(node(4), isEligible: false)
        village.run(for: .seconds(1))
        #expect(village.get(.operate(.add(node(4))), on: node(1)) == .failed(.notEligible))
        #expect(village.get(.operate(.add(node(9))), on: node(4)) == .failed(.notEligible))
        #expect(village.get(.operate(.add(node(2))), on: node(4)) == .failed(.refused(.alreadyMember)))
    }
}

@Suite("Before a node goes on alone")
struct SurveyTests {
    private let recover = StrictCall.operate(.recover(evenIfBehind: false))

    @Test("a leader of whom another voter hears forbids it")
    func leader() throws {
        var village = formed(seed: 31)
        let leader = try #require(village.leader)
        let voters = (1...3).map(node)
        let alone = try #require(voters.first { $0 != leader })
        // Everything but the other voter is out of its reach.
        for other in village.order where other != alone && (other == leader || !voters.contains(other)) {
            village.cuts.insert([alone, other])
            village.cuts.insert([other, alone])
        }
        village.run(for: .seconds(15))
        #expect(village.hosts[alone]?.node?.raft?.leader == nil)
        #expect(obstacle(village.get(recover, on: alone))?.contains("leads") == true)
    }

    @Test("so does a mark that shows one")
    func mark() throws {
        var village = formed(seed: 32)
        let leader = try #require(village.leader)
        let alone = try #require((1...3).map(node).first { $0 != leader })
        let mark = try #require(village.hosts[leader]?.node?.mark)
        for other in village.order where other != alone {
            village.cuts.insert([alone, other])
            village.cuts.insert([other, alone])
        }
        village.run(for: .seconds(12))
        // Gossip comes through, and streams do not.
        var view = [StrictPeer(id: alone, name: "n\(alone.low)", isAlive: true, isEligible: true)]
        view.append(StrictPeer(id: leader, name: "db-1", isAlive: true, isEligible: true))
        var newer = mark
        newer.wall += 12_000
        village.handle(.mark(newer), on: alone)
        village.handle(.view(view), on: alone)
        let number = village.ask(recover, on: alone)
        let reason = obstacle(village.clients.replies[number])
        #expect(reason?.hasPrefix("db-1 was heard to lead 0 s ago") == true, "\(reason ?? "none")")
    }

    @Test("a majority that can vote forbids it, though none of them leads yet")
    func majority() throws {
        var village = formed(seed: 33)
        let leader = try #require(village.leader)
        village.crash(leader)
        for number in 1...3 where node(number) != leader { village.stallDisk(node(number), true) }
        village.run(for: .seconds(3))
        #expect(village.leader == nil)
        let alone = try #require((1...3).map(node).first { $0 != leader })
        #expect(obstacle(village.get(recover, on: alone))?.contains("which is a majority") == true)
    }

    @Test("a voter that holds more is named, with both entries, unless that is wanted", arguments: [true, false])
    func ahead(goesOn: Bool) throws {
        var village = formed(nodes: 6, voters: 5, seed: 34)
        village.judge.mayHaveGroups = 2
        let leader = try #require(village.leader)
        let others = (1...5).map(node).filter { $0 != leader }
        village.crash(others[0])
        village.run(for: .seconds(1))
        for number in 0..<20 { village.put("s/\(number)", "x", on: node(6)) }
        village.run(for: .seconds(1))
        for id in [leader, others[2], others[3]] { village.crash(id) }
        village.run(for: .seconds(1))
        village.restart(others[0])
        village.run(for: .seconds(3))
        let more = try #require(village.hosts[others[1]]?.node?.raft?.lastPosition.index)
        let reply = village.get(.operate(.recover(evenIfBehind: goesOn)), on: others[0])
        if goesOn {
            #expect(isDone(reply))
            #expect(village.run(within: .seconds(5)) { $0.leader == others[0] })
        } else {
            let reason = try #require(obstacle(reply))
            #expect(
                reason.contains("n\(others[1].low) has the log up to entry \(more)")
                    && reason.contains("--even-if-behind"),
                "\(reason)")
            #expect(isDone(village.get(recover, on: others[1])))
        }
        #expect(village.judge.violations.isEmpty)
    }

    @Test("two that are asked at the same time do not both go on")
    func two() throws {
        var village = formed(nodes: 6, voters: 5, seed: 35)
        let leader = try #require(village.leader)
        let others = (1...5).map(node).filter { $0 != leader }
        for id in [leader, others[2], others[3]] { village.crash(id) }
        village.run(for: .seconds(3))
        let first = village.ask(.operate(.recover(evenIfBehind: true)), on: others[0])
        let second = village.ask(.operate(.recover(evenIfBehind: true)), on: others[1])
        village.run(for: .seconds(5))
        #expect(!(isDone(village.clients.replies[first]) && isDone(village.clients.replies[second])))
        #expect(village.judge.founded.count == 1)
    }

    @Test("a damaged log is given up only when that is said", arguments: [true, false])
    func damaged(goesOn: Bool) throws {
        var village = formed(seed: 36)
        village.judge.mayHaveGroups = 2
        let leader = try #require(village.leader)
        let alone = try #require((1...3).map(node).first { $0 != leader })
        for number in 1...3 { village.crash(node(number)) }
        village.hosts[alone]?.disk.hardState.refetch = Refetch(through: 1_000, term: 1)
        village.run(for: .seconds(1))
        village.restart(alone)
        village.run(for: .seconds(12))
        let reply = village.get(.operate(.recover(evenIfBehind: goesOn)), on: alone)
        if goesOn {
            #expect(isDone(reply))
            #expect(village.run(within: .seconds(5)) { $0.leader == alone })
        } else {
            #expect(obstacle(reply)?.hasPrefix("its own log is damaged") == true)
        }
    }

    @Test("a call that ends too soon for the others' answers changes nothing")
    func hasty() throws {
        var village = formed(seed: 37)
        let leader = try #require(village.leader)
        let alone = try #require((1...3).map(node).first { $0 != leader })
        for number in 1...3 where node(number) != alone { village.crash(node(number)) }
        village.run(for: .seconds(2))
        #expect(obstacle(village.get(recover, on: alone, within: .milliseconds(500)))?.contains("--timeout") == true)
        #expect(village.hosts[alone]?.node?.founding.founded == village.hosts[node(4)]?.node?.founding.founded)
    }
}

@Suite("The leader as clients see it")
struct ClientViewTests {
    private func told(_ village: Village, on id: NodeID) -> [StrictEvent] {
        village.judge.events.filter { $0.node == id }.map(\.event)
    }

    @Test("a client is told who leads, and of each change")
    func changes() throws {
        var village = formed(seed: 41)
        let first = try #require(village.leader)
        #expect(village.hosts[node(4)]?.node?.status.leader == first)
        let next = try #require((1...3).map(node).first { $0 != first })
        #expect(isDone(village.get(.operate(.transfer(to: next)), on: node(4))))
        village.run(for: .seconds(2))
        let events = told(village, on: node(4))
        #expect(events.contains { if case .leaderHeard(first, _) = $0 { true } else { false } })
        #expect(events.contains { if case .leaderHeard(next, _) = $0 { true } else { false } })
        #expect(!events.contains { if case .leaderSilent = $0 { true } else { false } })
        // Members have it from Raft.
        #expect(!told(village, on: first).contains { if case .leaderHeard = $0 { true } else { false } })
    }

    @Test("a leader that falls silent is not said to lead, though all voters seem to be there")
    func silent() throws {
        var village = formed(seed: 43)
        let leader = try #require(village.leader)
        // Gossip shows them all; nothing new comes through.
        let view = (1...4).map { StrictPeer(id: node($0), name: "n\($0)", isAlive: true, isEligible: true) }
        for number in 1...3 {
            village.cuts.insert([node(4), node(number)])
            village.cuts.insert([node(number), node(4)])
        }
        for _ in 0..<9 {
            village.handle(.view(view), on: node(4))
            #expect(village.hosts[node(4)]?.node?.status.leader == leader)
            // The view of the village shows cuts as deaths: it is put right at once.
            village.gossips = false
            village.run(for: .seconds(1))
        }
        village.run(for: .seconds(2))
        #expect(village.hosts[node(4)]?.node?.status.leader == nil)
        let last = told(village, on: node(4)).last
        guard case .leaderSilent(leader, let silence, true)? = last else {
            Issue.record("\(String(describing: last))")
            return
        }
        #expect(silence >= .seconds(10))
    }

    @Test("a leader that was down and is back is not said to lead without news of it")
    func back() throws {
        var village = formed(seed: 44)
        let leader = try #require(village.leader)
        let others = (1...3).map(node).filter { $0 != leader }
        for id in others { village.crash(id) }
        village.crash(leader)
        village.run(for: .milliseconds(300))
        #expect(village.hosts[node(4)]?.node?.status.leader == nil)
        village.restart(leader)
        village.run(for: .milliseconds(300))
        #expect(village.hosts[node(4)]?.node?.status.leader == nil)
        let heard = told(village, on: node(4)).filter { if case .leaderHeard = $0 { true } else { false } }
        #expect(heard.count == 1)
    }

    @Test("a leader that has lost its majority is not said to lead", arguments: [true, false])
    func lost(survivorLed: Bool) throws {
        var village = formed(seed: 42)
        let leader = try #require(village.leader)
        let survivor = survivorLed ? leader : try #require((1...3).map(node).first { $0 != leader })
        for number in 1...3 where node(number) != survivor { village.crash(node(number)) }
        village.run(for: .seconds(11))
        let status = try #require(village.hosts[node(4)]?.node?.status)
        #expect(status.leader == nil)
        #expect(status.leaderSilentFor.map { $0 >= .seconds(9) } == true)
        let silent = try #require(
            told(village, on: node(4)).compactMap {
                if case .leaderSilent(_, let silence, _) = $0 { silence } else { nil }
            }.first)
        // Too few voters are reached: it does not take the whole patience.
        #expect(silent < .seconds(4))
        #expect(told(village, on: node(4)).contains { if case .leaderSilent = $0 { true } else { false } })
        for number in 1...3 { village.restart(node(number)) }
        #expect(village.run(within: .seconds(5)) { $0.hosts[node(4)]?.node?.status.leader != nil })
    }
}

extension StrictEvent {
    fileprivate var isRemoval: Bool { if case .removed = self { true } else { false } }
}
