// SPDX-License-Identifier: Apache-2.0
// Owns the runs over many seeds, and the proofs that the checker finds what is planted.

import ClusterTypes
import FoundationEssentials
import RaftCore
import Testing

/// `RAFT_SEEDS=5000 swift test --filter RaftCoreTests` plays more; `RAFT_SEED=17` plays one and tells its story.
@Suite("Raft under everything")
struct RandomTests {
    private static func number(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }

    @Test("crashes, loss, reordering, cuts, pauses, stalls, damage and new members break no safety property")
    func seeds() {
        let one = Self.number("RAFT_SEED")
        let seeds = one.map { $0...$0 } ?? 1...(Self.number("RAFT_SEEDS") ?? 200)
        var (elections, committed, damages, crashes) = (0, 0, 0, 0)
        for seed in seeds {
            var run = RandomRun(seed: seed)
            run.play()
            let isWell = run.recovers()
            if one != nil { for line in run.cluster.story + run.cluster.status { print(line) } }
            #expect(run.violations.isEmpty, "RAFT_SEED=\(seed): \(run.violations)")
            #expect(isWell || !run.violations.isEmpty, "RAFT_SEED=\(seed): the group does not recover")
            elections += run.cluster.checker.elections
            committed += Int(run.cluster.checker.committedTop)
            damages += run.damages
            crashes += run.crashes
        }
        print(
            "\(seeds.count) seeds: \(elections) elections, \(committed) entries, \(crashes) crashes, \(damages) damages"
        )
        // Runs in which nothing happens would prove nothing.
        if one == nil { #expect(elections > seeds.count * 2 && committed > seeds.count * 10 && damages > 0) }
    }

    @Test("one seed is one run")
    func determinism() {
        func story(_ seed: UInt64) -> [String] {
            var run = RandomRun(seed: seed)
            run.play()
            return run.cluster.story
        }
        #expect(story(7) == story(7))
        #expect(story(7) != story(8))
    }

    /// Some faults show in one of several hundred runs.
    private func finds(_ word: String, plant: @escaping (inout Cluster) -> Void) -> Bool {
        for seed in UInt64(1)...2_000 {
            var run = RandomRun(seed: seed, plant: plant)
            run.play()
            if run.violations.contains(where: { $0.contains(word) }) {
                print("found with seed \(seed): \(run.violations[0])")
                return true
            }
        }
        return false
    }

    /// Random runs find it as well, after some hundred seeds; this is the story they tell.
    @Test("the checker finds a vote that never reached the disk", arguments: [true, false])
    func plantedVote(isPlanted: Bool) {
        var cluster = Cluster(voters: 3, seed: 1)
        let (a, b, c) = (id(1), id(2), id(3))
        cluster.nodes[c]?.disk.forgetsVotes = isPlanted
        cluster.cuts = [[a, b], [b, a], [b, c]]
        let now = cluster.now
        for node in [a, b] {
            let word = RaftMessage(from: c, to: node, term: 0, body: .timeoutNow(answered: 0))
            cluster.act(node) { $0.onMessage(word, now: now, using: &$1) }
        }
        cluster.run(for: .milliseconds(2))
        cluster.cuts.insert([a, c])
        cluster.run(for: .milliseconds(8))
        #expect(cluster.leader == a)
        // c has voted for a and heard nothing more of it; it restarts, and is asked for the same term by b.
        cluster.cuts = [[a, b], [b, a], [a, c]]
        cluster.crash(c)
        cluster.restart(c)
        cluster.send(RaftMessage(from: b, to: c, term: 1, body: .vote(last: .zero, isTransfer: true)))
        cluster.run(for: .milliseconds(10))
        #expect(cluster.checker.violations.contains { $0.contains("election safety") } == isPlanted)
    }

    @Test("the checker finds acknowledgements that did not wait for the disk (lazy fsync, NATS 2.12.1)")
    func plantedEarlyAnswers() { #expect(finds("safety") { $0.faults.sendsTooEarly = true }) }

    @Test("the checker finds a node that votes although its log is damaged")
    func plantedDamage() { #expect(finds("completeness") { $0.faults.hidesDamage = true }) }
}
