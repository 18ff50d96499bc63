// SPDX-License-Identifier: Apache-2.0
// Owns the tests of calls that come to a node together: one write for all of them, and what becomes of each.

import ClusterTypes
import StrictCore
import StrictGroup
import Testing

@Suite("Calls that come together")
struct BunchTests {
    private func formed(seed: UInt64) -> Village {
        var village = Village(nodes: 4, seed: seed)
        #expect(village.run(within: .seconds(3)) { $0.leader != nil })
        village.run(for: .seconds(1))
        return village
    }

    private func bunch(_ count: Int, of round: Int, _ village: inout Village) -> (ids: [UInt64], input: StrictInput) {
        let deadline = village.now + .seconds(5)
        let calls = (0..<count).map { number in
            let id = village.clients.begin(nil, client: -1, on: node(4), now: village.now)
            return StrictInput.Call(
                id: id, call: .change(.put(key("s/\(round)/\(number)"), value: [UInt8(number)], lease: 0)),
                deadline: deadline)
        }
        return (calls.map(\.id), .calls(calls))
    }

    @Test("the leader writes them to its disk at once, and sends them to each peer at once", arguments: 1...4)
    func oneProposal(seed: UInt64) throws {
        var village = formed(seed: seed)
        let leader = try #require(village.leader)
        _ = village.put("s/first", "x", on: leader)
        village.run(for: .milliseconds(200))
        #expect(village.hosts[leader]?.writes.isEmpty == true)
        let (ids, input) = bunch(50, of: 0, &village)
        let sends = village.queue.count
        village.handle(input, on: leader)
        #expect(village.hosts[leader]?.writes.count == 1)
        // Two peers, the disk, and the timer at most.
        #expect(village.queue.count <= sends + 4)
        village.run(for: .seconds(1))
        for id in ids {
            guard case .answer(.put(version: 1, _)) = village.clients.replies[id] else {
                Issue.record("\(String(describing: village.clients.replies[id]))")
                continue
            }
        }
    }

    @Test("each has one answer when leaders die meanwhile, and what was acknowledged is there", arguments: 1...8)
    func leadersDie(seed: UInt64) throws {
        var village = formed(seed: seed)
        village.faults.loss = 0.1
        village.faults.duplication = 0.1
        var asked: [(id: UInt64, name: String)] = []
        for round in 0..<30 {
            let (ids, input) = bunch(8, of: round, &village)
            for (number, id) in ids.enumerated() { asked.append((id, "s/\(round)/\(number)")) }
            village.handle(input, on: node(4))
            village.run(for: .milliseconds(40))
            if round % 7 == 5, let leader = village.leader, leader != node(4) {
                village.crash(leader)
                village.run(for: .milliseconds(200))
                village.restart(leader)
            }
        }
        village.run(within: .seconds(60)) { village in asked.allSatisfy { village.clients.replies[$0.id] != nil } }
        village.faults.loss = 0
        village.run(for: .seconds(3))
        var acknowledged = 0
        for (id, name) in asked {
            let reply = try #require(village.clients.replies[id])
            let isThere = village.value(name, on: node(4)) != nil
            switch reply {
            case .answer(.put(version: let version, _)):
                acknowledged += 1
                #expect(version == 1 && isThere, "\(name)")
            case .failed(.unavailable(_, isOutcomeUnknown: true)): break
            case .failed: #expect(!isThere, "\(name): \(reply)")
            default: Issue.record("\(reply)")
            }
        }
        #expect(acknowledged > 100 && village.judge.violations.isEmpty)
    }
}
