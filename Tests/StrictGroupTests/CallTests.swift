// SPDX-License-Identifier: Apache-2.0
// Owns the tests of clients' calls: forwarding, once and only once, sessions, and what is said when nobody leads.

import ClusterTypes
import Linearizability
import RaftCore
import StrictCore
import StrictGroup
import Testing

@Suite("Calls through any node")
struct CallTests {
    private func formed(nodes: Int = 4, seed: UInt64, raft: RaftConfiguration = RaftConfiguration()) -> Village {
        var village = Village(nodes: nodes, seed: seed, raft: raft)
        #expect(village.run(within: .seconds(3)) { $0.leader != nil })
        village.run(for: .seconds(1))
        return village
    }

    /// Hours pass in it at little cost: everything is slow.
    private func slow(seed: UInt64) -> Village {
        var raft = RaftConfiguration()
        raft.electionTimeout = .seconds(10)
        raft.heartbeatInterval = .seconds(3)
        var village = Village(nodes: 4, seed: seed, raft: raft)
        village.gossipInterval = .seconds(4)
        #expect(village.run(within: .seconds(100)) { $0.leader != nil })
        village.run(for: .seconds(20))
        return village
    }

    @Test("every node writes and reads", arguments: 1...4)
    func everyNode(number: Int) throws {
        var village = formed(seed: UInt64(number))
        let id = node(number)
        guard case .answer(.put(version: 1, _)) = village.put("s/a", "one", on: id) else {
            Issue.record("not written")
            return
        }
        #expect(village.value("s/a", on: node(number % 4 + 1)) == "one")
        _ = village.put("s/b", "two", on: id)
        let list = village.get(.read(.list(prefix: "s/", after: nil, limit: 10)), on: id)
        guard case .found(.list(let entries), _) = list else {
            Issue.record("no list")
            return
        }
        #expect(entries.map(\.key.text) == ["s/a", "s/b"])
        let rest = village.get(.read(.list(prefix: "s/", after: key("s/a"), limit: 1)), on: id)
        guard case .found(.list(let after), _) = rest else {
            Issue.record("no list")
            return
        }
        #expect(after.map(\.key.text) == ["s/b"])
        #expect(village.get(.change(.delete(key("s/a"))), on: id) == .answer(.deleted(true)))
        #expect(village.value("s/a", on: id) == nil)
    }

    @Test("loss, doubling and leaders that die: each change is made once, none is unknown", arguments: 1...4)
    func once(seed: UInt64) throws {
        var village = formed(seed: seed)
        village.faults.loss = 0.25
        village.faults.duplication = 0.25
        var asked: [UInt64] = []
        for round in 0..<40 {
            for id in [node(4), node(1 + round % 3)] where village.hosts[id]?.node != nil {
                let call = StrictCall.change(.put(key("s/n"), value: [UInt8(round)], lease: 0))
                asked.append(village.ask(call, on: node(4), within: .seconds(120)))
            }
            village.run(for: .milliseconds(60))
            if round % 8 == 5, let leader = village.leader {
                village.crash(leader)
                village.run(for: .milliseconds(300))
                village.restart(leader)
            }
        }
        village.run(within: .seconds(120)) { $0.clients.open.isEmpty }
        var versions: Set<UInt64> = []
        for call in asked {
            guard case .answer(.put(let version, _)) = village.clients.replies[call] else {
                Issue.record("\(String(describing: village.clients.replies[call]))")
                return
            }
            versions.insert(version)
        }
        #expect(versions == Set(1...UInt64(asked.count)))
        #expect(village.judge.fedThrough == UInt64(asked.count))
        #expect(village.judge.violations.isEmpty)
    }

    @Test("a late answer to the process before is not taken for one to this")
    func lateAnswers() {
        var village = formed(seed: 8)
        _ = village.put("s/a", "a", on: node(1))
        _ = village.put("s/b", "b", on: node(1))
        for _ in 0..<20 {
            village.faults.latencyMax = .milliseconds(400)
            village.ask(.get("s/a"), on: node(4))
            village.run(for: .milliseconds(10))
            village.crash(node(4))
            village.restart(node(4))
            #expect(village.value("s/b", on: node(4)) == "b")
            village.faults.latencyMax = .milliseconds(1)
            village.run(for: .seconds(1))
        }
    }

    @Test("many at once use several sessions and are all answered")
    func burst() {
        var village = formed(seed: 9)
        let calls = (0..<3_000).map { number in
            village.ask(.change(.put(key("s/\(number % 50)"), value: [1], lease: 0)), on: node(4), within: .seconds(30))
        }
        village.run(within: .seconds(30)) { $0.clients.open.isEmpty }
        for call in calls {
            guard case .answer(.put) = village.clients.replies[call] else {
                Issue.record("\(String(describing: village.clients.replies[call]))")
                return
            }
        }
        #expect(village.judge.fedThrough == 3_000)
        #expect((village.machine(node(1))?.sessionCount ?? 0) > 3)
    }

    @Test("without a majority calls end at their deadline and name who is missing")
    func unavailable() throws {
        var village = formed(seed: 10)
        _ = village.put("s/a", "1", on: node(4))
        let lost = try #require([1, 2, 3].map(node).filter { $0 != village.leader }.first)
        let leader = try #require(village.leader)
        village.crash(lost)
        village.crash(leader)
        village.run(for: .seconds(2))
        let began = village.now
        let survivor = try #require([1, 2, 3].map(node).first { village.hosts[$0]?.node != nil })
        let names = Set([lost, leader])
        let call = village.ask(.change(.put(key("s/a"), value: [2], lease: 0)), on: survivor, within: .seconds(2))
        village.run(within: .seconds(5)) { $0.clients.replies[call] != nil }
        #expect(village.now - began <= .seconds(2))
        guard case .failed(.unavailable(let missing, let isUnknown)) = village.clients.replies[call] else {
            Issue.record("\(String(describing: village.clients.replies[call]))")
            return
        }
        #expect(Set(missing.compactMap(\.id)) == names && !isUnknown)
        #expect(Set(missing.map(\.name)) == Set(names.map { "n\($0.low)" }))
        // A read changes nothing, whatever became of it.
        guard
            case .failed(.unavailable(_, false)) = village.get(
                .read(.entry(key("s/a"))), on: node(4), within: .seconds(1))
        else {
            Issue.record("a read's outcome cannot be unknown")
            return
        }
        village.restart(leader)
        #expect(village.value("s/a", on: node(4)) == "1")
    }

    @Test("a member that is cut off names those who do not answer it, though membership still calls them alive")
    func cutOff() {
        for number in [1, 2, 3] {
            var village = formed(seed: 20 + UInt64(number))
            _ = village.put("s/a", "1", on: node(4))
            let others = [1, 2, 3, 4].filter { $0 != number }
            for other in others {
                village.cuts.formUnion([[node(number), node(other)], [node(other), node(number)]])
            }
            let reply = village.put("s/a", "2", on: node(number), within: .seconds(3))
            guard case .failed(.unavailable(let missing, _)) = reply else {
                Issue.record("\(String(describing: reply))")
                return
            }
            #expect(Set(missing.compactMap(\.id)) == Set(others.filter { $0 < 4 }.map(node)))
            // With the cut gone nobody is missing.
            village.cuts.removeAll()
            #expect(village.value("s/a", on: node(number)) != nil)
        }
    }

    @Test("a change that was sent and not answered may have been made, and that is said")
    func unknown() {
        var village = formed(seed: 11)
        _ = village.put("s/a", "1", on: node(4))
        for number in 1...3 { village.cuts.insert([node(number), node(4)]) }
        let reply = village.put("s/a", "2", on: node(4), within: .seconds(2))
        guard case .failed(.unavailable(_, true)) = reply else {
            Issue.record("\(String(describing: reply))")
            return
        }
        village.cuts.removeAll()
        #expect(village.value("s/a", on: node(4)) == "2")
        #expect(village.machine(node(1))?.entry(key("s/a"))?.version == 2)
    }

    @Test("a lost session makes the outcome unknown; nothing is repeated under another one")
    func lostSession() {
        var village = slow(seed: 12)
        _ = village.put("s/a", "1", on: node(4))
        for number in 1...3 {
            village.cuts.insert([node(4), node(number)])
            village.cuts.insert([node(number), node(4)])
        }
        let call = village.ask(.put("s/a", "2"), on: node(4), within: .seconds(4_000))
        village.run(for: .seconds(1_300))
        #expect(village.machine(node(1))?.sessionCount == 0)
        village.cuts.removeAll()
        village.run(within: .seconds(10)) { $0.clients.replies[call] != nil }
        #expect(village.clients.replies[call] == .failed(.unavailable(missing: [], isOutcomeUnknown: true)))
        #expect(village.value("s/a", on: node(4)) == "1")
        guard case .answer(.put(version: 2, _)) = village.put("s/a", "3", on: node(4)) else {
            Issue.record("not written")
            return
        }
    }

    @Test("sessions that nobody uses end by the log, and the next change gets a new one")
    func idleSessions() {
        var village = slow(seed: 13)
        _ = village.put("s/a", "1", on: node(4))
        #expect(village.machine(node(1))?.sessionCount == 1)
        village.run(for: .seconds(1_300))
        #expect(village.machine(node(1))?.sessionCount == 0)
        guard case .answer(.put(version: 2, _)) = village.put("s/a", "2", on: node(4)) else {
            Issue.record("not written")
            return
        }
    }

    @Test("a leader's clock that jumps ahead ends no session that is in use")
    func clockJump() throws {
        var village = slow(seed: 14)
        _ = village.put("s/a", "1", on: node(4))
        village.run(for: .seconds(500))
        let leader = try #require(village.leader)
        village.hosts[leader]?.wallOffset = 3_600_000
        _ = village.put("s/b", "1", on: node(1))
        village.run(for: .seconds(200))
        guard case .answer(.put(version: 2, _)) = village.put("s/a", "2", on: node(4)) else {
            Issue.record("not written")
            return
        }
    }

    @Test("a class that is off, too many calls and too large commands are refused at once")
    func refusals() throws {
        var village = formed(seed: 15)
        let large = [UInt8](repeating: 1, count: 1 << 20)
        guard case .failed(.tooLarge) = village.get(.change(.put(key("s/a"), value: large, lease: 0)), on: node(4))
        else {
            Issue.record("taken")
            return
        }
        village.configuration.callsMax = 2
        village.add(node(5))
        for number in 1...3 { for other in [node(number)] { village.cuts.insert([node(5), other]) } }
        for _ in 0..<2 { village.ask(.put("s/a", "1"), on: node(5), within: .seconds(1)) }
        let third = village.ask(.put("s/a", "1"), on: node(5))
        #expect(village.clients.replies[third] == .failed(.tooManyCalls))
        village.configuration.prefixes = []
        village.add(node(6))
        #expect(village.put("s/a", "1", on: node(6)) == .failed(.notConfigured))
    }

    @Test("after a leader is killed the first write succeeds within half a second, at the median")
    func failOver() throws {
        var times: [Int64] = []
        for seed in UInt64(1)...31 {
            var village = formed(seed: 100 + seed)
            _ = village.put("s/a", "1", on: node(4))
            let leader = try #require(village.leader)
            village.crash(leader)
            let killed = village.now
            guard case .answer = village.put("s/a", "2", on: node(4)) else {
                Issue.record("not written")
                return
            }
            times.append((village.now - killed).nanoseconds / 1_000_000)
        }
        times.sort()
        print("fail-over: \(times[0]) ms, median \(times[15]) ms, \(times[30]) ms at most")
        #expect(times[15] < 200)
    }
}
