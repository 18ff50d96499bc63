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
        let seeds = one.map { $0...$0 } ?? 1...(Self.number("RAFT_SEEDS") ?? 300)
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
        print("\(seeds.count) seeds: \(elections) elections, \(committed) entries, \(crashes) crashes, \(damages) damages")
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

    private func finds(_ word: String, plant: @escaping (inout Cluster) -> Void) -> Bool {
        for seed in UInt64(1)...2_000 {
            var run = RandomRun(seed: seed, plant: plant)
            run.play()
            if run.violations.contains(where: { $0.contains(word) }) { return true }
        }
        return false
    }

    @Test("the checker finds a vote that never reached the disk")
    func plantedVote() {
        #expect(
            finds("election safety") { cluster in
                for id in cluster.order { cluster.nodes[id]?.disk.forgetsVotes = true }
            })
    }

    @Test("the checker finds acknowledgements that did not wait for the disk (lazy fsync, NATS 2.12.1)")
    func plantedEarlyAnswers() { #expect(finds("safety") { $0.faults.sendsTooEarly = true }) }

    @Test("the checker finds a node that votes although its log is damaged")
    func plantedDamage() { #expect(finds("completeness") { $0.faults.hidesDamage = true }) }
}
