// SPDX-License-Identifier: Apache-2.0
// Owns the tests of how a group is founded: once, by those that are meant, whatever happens meanwhile.

import ClusterTypes
import RaftCore
import StrictCore
import StrictGroup
import Testing

@Suite("Founding the strict group")
struct FoundingTests {
    @Test("the eligible members of lowest id found it once enough are there; the others are clients")
    func count() throws {
        var village = Village(nodes: 5, voters: .count(3), seed: 1)
        #expect(village.run(within: .seconds(3)) { $0.leader != nil })
        village.run(for: .seconds(1))
        for number in 1...5 {
            let status = try #require(village.hosts[node(number)]?.node?.status)
            #expect(status.voters == [node(1), node(2), node(3)])
            #expect((status.role != nil) == (number <= 3))
            #expect(status.leader == village.leader)
        }
        #expect(village.judge.founded.count == 1)
    }

    @Test("names choose the voters, in no order")
    func names() throws {
        var village = Village(nodes: 5, voters: .names(["n5", "n2", "n4"]), seed: 2)
        #expect(village.run(within: .seconds(3)) { $0.leader != nil })
        #expect(village.judge.founded.values.map(\.voters) == [[node(2), node(4), node(5)]])
    }

    @Test("before all are there a call says who is missing")
    func missing() {
        var village = Village(nodes: 2, voters: .count(3), seed: 3)
        let reply = village.put("s/a", "1", on: node(1), within: .seconds(2))
        let unknown = StrictMissing(id: nil, name: "another eligible member")
        #expect(reply == .failed(.notFormed(missing: [unknown])))
        village.add(node(3))
        #expect(village.run(within: .seconds(5)) { $0.leader != nil })
        var other = Village(nodes: 2, voters: .names(["n1", "n9"]), seed: 3)
        let named = other.put("s/a", "1", on: node(2), within: .seconds(1))
        #expect(named == .failed(.notFormed(missing: [StrictMissing(id: nil, name: "n9")])))
    }

    @Test("the smaller part founds nothing, though it has enough; the larger may, and there is one group")
    func minority() {
        var village = Village(nodes: 5, voters: .count(2), seed: 4)
        for one in 1...2 {
            for other in 3...5 {
                village.cuts.insert([node(one), node(other)])
                village.cuts.insert([node(other), node(one)])
            }
        }
        village.run(for: .seconds(10))
        #expect(village.judge.founded.values.map(\.voters) == [[node(3), node(4)]])
        village.cuts.removeAll()
        #expect(village.put("s/a", "1", on: node(1)) == .answer(.put(version: 1, modified: 3)))
        village.run(for: .seconds(2))
        #expect(village.judge.founded.count == 1 && village.judge.violations.isEmpty)
    }

    @Test("proposers that meet, crashes and torn writes in between: one group, and it forms")
    func trouble() {
        for seed in UInt64(1)...40 {
            var village = Village(nodes: 4, voters: .count(3), seed: seed)
            var rng = SeededGenerator(seed: seed &+ 1_000)
            village.faults.loss = 0.2
            village.faults.latencyMax = .milliseconds(200)
            village.faults.diskMax = .milliseconds(100)
            for _ in 0..<60 {
                let id = node(1 + rng.index(below: 4))
                switch rng.index(below: 4) {
                case 0: village.crash(id, mayTear: true)
                case 1, 2: village.restart(id)
                case _: village.cuts = rng.chance(0.5) ? [] : [[id, node(1 + rng.index(below: 4))]]
                }
                village.run(for: .milliseconds(rng.index(below: 150)))
            }
            village.cuts = []
            for id in village.order { village.restart(id) }
            let hasFormed = village.run(within: .seconds(60)) { $0.leader != nil }
            #expect(hasFormed, "seed \(seed)")
            #expect(village.judge.founded.count == 1, "seed \(seed)")
            #expect(village.judge.violations.isEmpty, "seed \(seed)")
        }
    }

    @Test("a restart leads back to the same group")
    func restart() {
        var village = Village(nodes: 3, seed: 5)
        #expect(village.run(within: .seconds(3)) { $0.leader != nil })
        #expect(village.put("s/a", "1", on: node(1)) != nil)
        let group = village.hosts[node(1)]?.node?.founding.founded
        for id in village.order { village.crash(id) }
        for id in village.order { village.restart(id) }
        #expect(village.value("s/a", on: node(2)) == "1")
        #expect(village.hosts[node(1)]?.node?.founding.founded == group)
    }

    @Test("a single voter is a group, too")
    func single() {
        var village = Village(nodes: 1, voters: .count(1), seed: 6)
        #expect(village.put("s/a", "1", on: node(1)) == .answer(.put(version: 1, modified: 3)))
        #expect(village.value("s/a", on: node(1)) == "1")
    }
}
