// SPDX-License-Identifier: Apache-2.0
// Owns one random run: a group under everything that can go wrong, all drawn from one seed.

import ClusterTypes
import RaftCore

struct RandomRun {
    let seed: UInt64
    private(set) var cluster: Cluster
    private var rng: SeededGenerator
    private var nextNode: Int
    private var proposals = 0
    private(set) var changes = 0
    private(set) var reads = 0
    private(set) var crashes = 0
    private(set) var damages = 0
    /// How likely all hosts lose their power at once, at each step.
    var powerCuts = 0.01

    /// Members at most: the rest of the letters is for those that come later.
    static let nodesMax = 9

    init(seed: UInt64, plant: ((inout Cluster) -> Void)? = nil) {
        self.seed = seed
        rng = SeededGenerator(seed: seed &* 2 &+ 1)
        var configuration = RaftConfiguration()
        configuration.appendBytesMax = 40 + rng.index(below: 400)
        configuration.inflightMessagesMax = 1 + rng.index(below: 8)
        configuration.inflightBytesMax = 100 + rng.index(below: 1_000)
        configuration.applyBytesMax = 40 + rng.index(below: 400)
        configuration.snapshotChunkBytesMax = 5 + rng.index(below: 30)
        configuration.uncommittedBytesMax = 2_000
        configuration.entriesKept = rng.index(below: 12)
        configuration.logBytesMax = 64 << 20
        let voters = [1, 2, 3, 3, 3, 4, 5, 5][rng.index(below: 8)]
        cluster = Cluster(voters: voters, seed: seed, configuration: configuration)
        nextNode = voters + 1
        cluster.faults.loss = rng.chance(0.5) ? 0.15 * rng.fraction() : 0
        cluster.faults.duplication = rng.chance(0.5) ? 0.2 * rng.fraction() : 0
        cluster.faults.latencyMax = .milliseconds([1, 5, 20, 120][rng.index(below: 4)])
        cluster.faults.diskMax = .milliseconds([1, 5, 30][rng.index(below: 3)])
        guard let plant else { return }
        // What is planted shows when much is on its way to the disk and is lost.
        powerCuts = 0.2
        cluster.faults.diskMax = .milliseconds(60)
        cluster.faults.latencyMax = .milliseconds(5)
        plant(&cluster)
    }

    var violations: [String] { cluster.checker.violations }

    /// Four seconds of trouble, and then whether the group recovers when that ends.
    mutating func play() {
        for _ in 0..<160 where violations.isEmpty {
            disturb()
            cluster.run(for: .milliseconds(1 + rng.index(below: 50)))
        }
    }

    /// Ends all trouble. True when everybody that belongs to the group holds the same afterwards, a new command
    /// included.
    mutating func recovers() -> Bool {
        cluster.cuts.removeAll()
        cluster.faults.loss = 0
        cluster.faults.latencyMax = .milliseconds(1)
        cluster.faults.diskMax = .milliseconds(1)
        for id in cluster.order {
            cluster.nodes[id]?.isDiskStalled = false
            cluster.nodes[id]?.pausedUntil = nil
            cluster.restart(id)
        }
        for attempt in 0..<100 where violations.isEmpty {
            cluster.run(for: .milliseconds(100))
            guard let leader = cluster.leader, cluster.propose("end\(attempt)", on: leader) == nil else { continue }
            cluster.run(for: .milliseconds(400))
            guard let raft = cluster.nodes[leader]?.raft, raft.isLeader else { continue }
            let members = raft.membership.voters + raft.membership.learners
            let isAgreed = members.allSatisfy { id in
                guard let node = cluster.nodes[id], let other = node.raft else { return false }
                return other.appliedIndex == raft.lastPosition.index && !other.isRefetching
                    && node.disk.state == cluster.nodes[leader]?.disk.state
            }
            if isAgreed { return true }
        }
        return false
    }

    private mutating func anyNode() -> NodeID { cluster.order[rng.index(below: cluster.order.count)] }

    private mutating func disturb() {
        // A burst now and then, so that windows fill.
        for _ in 0..<[0, 1, 1, 2, 12][rng.index(below: 5)] {
            proposals += 1
            let target = rng.chance(0.8) ? cluster.leader ?? anyNode() : anyNode()
            _ = cluster.propose("\(proposals)", on: target)
        }
        if rng.chance(0.4) {
            reads += 1
            cluster.read(on: anyNode())
        }
        if rng.chance(powerCuts) {
            crashes += cluster.order.count
            for id in cluster.order { cluster.crash(id, mayTear: true) }
            for id in cluster.order { cluster.restart(id) }
        }
        switch rng.index(below: 40) {
        case 0...2:
            crashes += 1
            cluster.crash(anyNode(), mayTear: true)
        case 3...6: cluster.restart(anyNode())
        case 7: damage()
        case 8, 9: cluster.cuts.insert([anyNode(), anyNode()])
        case 10: isolate(anyNode())
        case 11: bridge()
        case 12...14: cluster.cuts.removeAll()
        case 15: cluster.nodes[anyNode()]?.pausedUntil = cluster.now + .milliseconds(rng.index(below: 900))
        case 16: cluster.nodes[anyNode()]?.isDiskStalled = true
        case 17, 18: for id in cluster.order { cluster.nodes[id]?.isDiskStalled = false }
        case 19: transfer()
        case 20...23: changeMembership()
        case 24...26: cluster.compact(anyNode(), padding: 0)
        case 27: if let leader = cluster.leader { cluster.crash(leader, mayTear: true) }
        case 28: if let leader = cluster.leader { isolate(leader) }
        case 29, 30: for _ in 0..<2 { stand(anyNode()) }
        case 31, 32:
            let id = anyNode()
            crashes += 1
            cluster.crash(id, mayTear: true)
            cluster.restart(id)
        case _: break
        }
    }

    /// A late or forged word of the leader: an election that nobody asked for first, perhaps beside another one.
    private mutating func stand(_ id: NodeID) {
        guard let raft = cluster.nodes[id]?.raft, let from = cluster.order.first(where: { $0 != id }) else { return }
        let message = RaftMessage(from: from, to: id, term: raft.term, body: .timeoutNow(answered: 0))
        let now = cluster.now
        cluster.act(id) { $0.onMessage(message, now: now, using: &$1) }
    }

    private mutating func isolate(_ id: NodeID) {
        for other in cluster.order where other != id {
            cluster.cuts.insert([id, other])
            if rng.chance(0.8) { cluster.cuts.insert([other, id]) }
        }
    }

    /// One node sees both sides, which do not see each other.
    private mutating func bridge() {
        let middle = anyNode()
        let others = cluster.order.filter { $0 != middle }
        let half = others.count / 2
        for one in others.prefix(half) {
            for other in others.dropFirst(half) {
                cluster.cuts.insert([one, other])
                cluster.cuts.insert([other, one])
            }
        }
    }

    /// One log at a time is damaged, and only where others can make up for it: not while the voters change, when a
    /// majority may need this very node.
    private mutating func damage() {
        let id = anyNode()
        guard let raft = cluster.nodes[id]?.raft, raft.membership.voters.count >= 3,
            !isAnyDamaged, cluster.nodes.values.allSatisfy({ !$0.disk.isMembershipOpen })
        else { return }
        damages += 1
        cluster.crash(id)
        cluster.restart(id, cutAt: LogIndex(rng.index(below: Int(raft.lastPosition.index) + 1)))
    }

    private var isAnyDamaged: Bool {
        cluster.nodes.values.contains { $0.raft?.isRefetching == true || $0.disk.hardState.refetch != nil }
    }

    private mutating func transfer() {
        guard let leader = cluster.leader else { return }
        let target = anyNode()
        let now = cluster.now
        cluster.act(leader) { raft, _ in try? raft.transferLeadership(to: target, now: now) }
    }

    private mutating func changeMembership() {
        guard let leader = cluster.leader, let membership = cluster.nodes[leader]?.raft?.membership else { return }
        changes += 1
        if let learner = membership.learners.first, rng.chance(0.7) {
            _ = cluster.change(.promote(learner), on: leader)
        } else if membership.voters.count > 2, !isAnyDamaged, rng.chance(0.5) {
            _ = cluster.change(.remove(anyNode()), on: leader)
        } else if nextNode <= Self.nodesMax, membership.learners.isEmpty {
            let new = id(nextNode)
            if cluster.change(.addLearner(new), on: leader) == nil {
                nextNode += 1
                cluster.add(new)
            }
        }
    }
}
