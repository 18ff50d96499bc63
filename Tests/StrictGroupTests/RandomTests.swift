// SPDX-License-Identifier: Apache-2.0
// Owns the runs over many seeds, and the proofs that they find what is planted.

import ClusterTypes
import FoundationEssentials
import Linearizability
import StrictGroup
import Testing

/// `STRICT_SEEDS=5000 swift test --filter StrictGroupTests` plays more; `STRICT_SEED=17` plays one.
@Suite("A strict group under everything")
struct RandomTests {
    private static func number(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }

    @Test("crashes, loss, cuts, stalls, clock jumps and new members: safe, linearizable, once, and alive afterwards")
    func seeds() {
        let one = Self.number("STRICT_SEED")
        let seeds = one.map { $0...$0 } ?? 1...(Self.number("STRICT_SEEDS") ?? 20)
        var (elections, answered, crashes, fed) = (0, 0, 0, 0)
        for seed in seeds {
            var run = RandomVillage(seed: seed)
            run.play()
            let isWell = run.recovers()
            let verdict = run.verdict()
            #expect(run.violations.isEmpty, "STRICT_SEED=\(seed): \(run.violations)")
            #expect(verdict.isLinearizable, "STRICT_SEED=\(seed): \(verdict)")
            #expect(isWell || !run.violations.isEmpty, "STRICT_SEED=\(seed): the group does not recover")
            let gaps = UInt64(run.village.judge.fedCount) - run.village.judge.fedThrough
            #expect(gaps == 0, "STRICT_SEED=\(seed): the feed leaves \(gaps) changes out")
            elections += run.village.judge.elections
            answered += run.village.clients.answered
            crashes += run.crashes
            fed += run.village.judge.fedCount
        }
        print("\(seeds.count) seeds: \(answered) answers, \(fed) changes, \(elections) elections, \(crashes) crashes")
        // Runs in which nothing happens would prove nothing.
        if one == nil { #expect(elections > seeds.count * 2 && answered > seeds.count * 60 && fed > seeds.count * 20) }
    }

    @Test("one seed is one run")
    func determinism() {
        func history(_ seed: UInt64) -> [HistoryCall] {
            var run = RandomVillage(seed: seed)
            run.play(steps: 100)
            return run.village.clients.history
        }
        #expect(history(106) == history(106))
        #expect(history(106) != history(101))
    }

    private func finds(_ isFound: (inout RandomVillage) -> Bool, plant: @escaping (inout Village.Faults) -> Void) -> Bool {
        for seed in UInt64(1)...100 {
            var run = RandomVillage(seed: seed, plant: plant)
            run.play()
            if isFound(&run) { return true }
        }
        return false
    }

    @Test("a disk that says it has what it has not is found out")
    func forgetfulDisk() {
        let isFound = finds({ !$0.violations.isEmpty || !$0.verdict().isLinearizable }) { faults in
            faults.acknowledgesEarly = true
            faults.diskMax = .milliseconds(100)
        }
        #expect(isFound)
    }

    @Test("reads that do not ask the leader are found out")
    func staleReads() {
        #expect(finds({ !$0.verdict().isLinearizable }) { $0.readsStale = true })
    }
}
