// SPDX-License-Identifier: Apache-2.0
// Owns one random run: a strict group under everything that can go wrong, with clients, all drawn from one seed.

import ClusterTypes
import Linearizability
import RaftCore
import StrictCore
import StrictGroup

struct RandomVillage {
    let seed: UInt64
    private(set) var village: Village
    private var rng: SeededGenerator
    private var nextNode: Int
    private var writes = 0
    private var nextClient = 0
    /// By place; replaced when a call of theirs has no answer.
    private var clients: [Int] = []
    private(set) var crashes = 0
    private(set) var orders = 0
    private var jumps = false
    /// Most calls are answered.
    private var calm = false

    static let nodesMax = 9
    static let keys = ["s/a", "s/b", "s/c", "s/d"]

    init(seed: UInt64, plant: ((inout Village.Faults) -> Void)? = nil) {
        self.seed = seed
        rng = SeededGenerator(seed: seed &* 2 &+ 1)
        var raft = RaftConfiguration()
        raft.appendBytesMax = 100 + rng.index(below: 2_000)
        raft.inflightMessagesMax = 1 + rng.index(below: 8)
        raft.applyBytesMax = 100 + rng.index(below: 2_000)
        raft.snapshotChunkBytesMax = 50 + rng.index(below: 500)
        raft.snapshotLogBytes = 500 + rng.index(below: 20_000)
        raft.entriesKept = rng.index(below: 12)
        raft.logBytesMax = 64 << 20
        let voters = [1, 2, 3, 3, 3, 4, 5][rng.index(below: 7)]
        let nodes = min(voters + rng.index(below: 3), 6)
        village = Village(nodes: nodes, voters: .count(voters), seed: seed, raft: raft)
        nextNode = nodes + 1
        clients = Array(0..<(2 + rng.index(below: 5)))
        nextClient = clients.count
        jumps = rng.chance(0.4)
        calm = rng.chance(0.6)
        village.faults.loss = rng.chance(0.5) ? 0.1 * rng.fraction() : 0
        village.faults.duplication = rng.chance(0.5) ? 0.2 * rng.fraction() : 0
        village.faults.latencyMax = .milliseconds([1, 5, 20, 80][rng.index(below: 4)])
        village.faults.diskMax = .milliseconds([1, 5, 30][rng.index(below: 3)])
        plant?(&village.faults)
    }

    var violations: [String] { village.judge.violations }

    /// Some seconds of trouble.
    mutating func play(steps: Int = 300) {
        // Founding under trouble, too, on half of the seeds.
        if seed % 2 == 0 { village.run(for: .seconds(3)) }
        for _ in 0..<steps where violations.isEmpty {
            if rng.chance(calm ? 0.15 : 0.6) { disturb() }
            for place in clients.indices { act(place) }
            village.run(for: .milliseconds(1 + rng.index(below: 50)))
        }
    }

    /// Ends all trouble. True when the group answers again and all its members come to hold the same.
    mutating func recovers() -> Bool {
        village.cuts.removeAll()
        village.faults.loss = 0
        village.faults.duplication = 0
        village.faults.latencyMax = .milliseconds(1)
        village.faults.diskMax = .milliseconds(1)
        for id in village.order {
            village.hosts[id]?.wallOffset = 0
            village.stallDisk(id, false)
            village.restart(id)
        }
        var isAlive = false
        for _ in 0..<60 where violations.isEmpty && !isAlive {
            village.run(for: .milliseconds(500))
            guard let leader = village.leader else { continue }
            if case .answer = village.get(.change(.put(key("s/end"), value: [1], lease: 0)), on: leader) {
                isAlive = true
            }
        }
        guard isAlive, village.run(within: .seconds(20), until: { $0.isSettled }) else { return false }
        for id in village.order {
            guard case .found = village.get(.read(.entry(key("s/end"))), on: id, within: .seconds(10)) else {
                return false
            }
        }
        village.run(for: .seconds(6))
        return village.clients.open.isEmpty && knowsRemoval
    }

    /// Whoever was removed knows it, and nobody else believes so.
    private var knowsRemoval: Bool {
        guard let leader = village.leader, let membership = village.hosts[leader]?.node?.raft?.membership else {
            return false
        }
        return village.order.allSatisfy { id in
            village.hosts[id]?.node.map { $0.status.isRemoved == membership.retired.contains(id) } ?? true
        }
    }

    mutating func verdict() -> HistoryVerdict {
        village.clients.close()
        var checker = HistoryChecker()
        checker.configurationsMax = 200_000
        return checker.check(village.clients.history)
    }

    private mutating func anyNode() -> NodeID { village.order[rng.index(below: village.order.count)] }

    private mutating func act(_ place: Int) {
        guard rng.chance(0.7), !village.clients.isBusy(clients[place]) else { return }
        nextClient += 1
        clients[place] = nextClient
        let name = Self.keys[rng.index(below: Self.keys.count)]
        writes += 1
        let operation: HistoryOperation =
            switch rng.index(below: 10) {
            case 0...3: .get(name)
            case 4...6: .put(name, "\(writes)")
            case 7: .delete(name)
            case _: .compareAndSet(.version(name, UInt64(rng.index(below: 4))), name, "\(writes)")
            }
        let id = anyNode()
        guard village.hosts[id]?.node != nil else { return }
        village.ask(operation, client: clients[place], on: id, within: .milliseconds(300 + rng.index(below: 3_000)))
    }

    private mutating func disturb() {
        if rng.chance(0.01) {
            crashes += village.order.count
            for id in village.order { village.crash(id, mayTear: true) }
            for id in village.order { village.restart(id) }
        }
        switch rng.index(below: 40) {
        case 0...2:
            crashes += 1
            village.crash(anyNode(), mayTear: true)
        case 3...6: village.restart(anyNode())
        case 8, 9: village.cuts.insert([anyNode(), anyNode()])
        case 10: isolate(anyNode())
        case 12...14: village.cuts.removeAll()
        case 16: village.stallDisk(anyNode(), true)
        case 17, 18: for id in village.order { village.stallDisk(id, false) }
        case 19: order(.transfer(to: rng.chance(0.5) ? nil : anyNode()))
        case 20...21: changeMembers()
        case 27: if let leader = village.leader { village.crash(leader, mayTear: true) }
        case 28: if let leader = village.leader { isolate(leader) }
        case 29...31:
            let id = anyNode()
            crashes += 1
            village.crash(id, mayTear: true)
            village.restart(id)
        case 32: if jumps { village.hosts[anyNode()]?.wallOffset = Int64(rng.index(below: 4_000_000)) - 2_000_000 }
        case 33: village.handle(.linkLost(anyNode(), isDead: rng.chance(0.5)), on: anyNode())
        case _: break
        }
    }

    private mutating func isolate(_ id: NodeID) {
        for other in village.order where other != id {
            village.cuts.insert([id, other])
            if rng.chance(0.8) { village.cuts.insert([other, id]) }
        }
    }

    private mutating func order(_ order: StrictOrder) {
        let id = anyNode()
        guard village.hosts[id]?.node != nil else { return }
        orders += 1
        village.ask(.operate(order), on: id, within: .seconds(2))
    }

    private mutating func changeMembers() {
        guard let leader = village.leader, let membership = village.hosts[leader]?.node?.raft?.membership else {
            return
        }
        if membership.voters.count > 2, rng.chance(0.5) {
            order(.remove(membership.voters[rng.index(below: membership.voters.count)]))
        } else if let candidate = village.order.first(where: {
            !membership.contains($0) && !membership.retired.contains($0)
        }) {
            order(.add(candidate))
        } else if nextNode <= Self.nodesMax {
            let new = node(nextNode)
            nextNode += 1
            village.add(new)
            order(.add(new))
        }
    }
}
