// SPDX-License-Identifier: Apache-2.0
// Owns the comparison with brute force on small random histories, and the judgement on long ones.

import ClusterTypes
import Testing

@testable import Linearizability

@Suite("Random histories")
struct RandomHistoryTests {
    @Test("of up to 7 calls are judged as by brute force, tampered with or not", arguments: 1...8)
    func small(seed: UInt64) {
        var maker = HistoryMaker(seed: seed)
        var wrong = 0
        var right = 0
        for round in 0..<160 {
            maker.transactions = round % 3 == 0 ? 0.3 : 0
            maker.unknown = round % 5 == 0 ? 0.5 : 0.15
            maker.repeats = round % 4 == 0 ? 0.7 : 0
            maker.versions = round % 7 == 0 ? 0.1 : 0.5
            maker.keys = round % 2 == 0 ? ["a"] : ["a", "b"]
            let calls = maker.history(count: 3 + maker.rng.index(below: 5))
            #expect(HistoryChecker().check(calls) == .linearizable, "seed \(seed), \(round): \(calls)")
            #expect(isLinearizableByBruteForce(calls))
            guard !calls.isEmpty else { continue }
            for _ in 0..<3 {
                let tampered = maker.tampered(calls)
                let expected = isLinearizableByBruteForce(tampered)
                let verdict = HistoryChecker().check(tampered)
                #expect(verdict.isLinearizable == expected, "seed \(seed), \(round): \(tampered)")
                if expected { right += 1 } else { wrong += 1 }
                if case .contradicted(let all) = verdict {
                    for one in all { #expect(!one.calls.isEmpty && one.calls.allSatisfy(tampered.contains)) }
                }
            }
        }
        #expect(right > 100 && wrong > 100, "\(right) right, \(wrong) wrong")
    }

    /// The work done, in tries of a call on a state: unlike time it is the same on every machine.
    private func tries(_ calls: [HistoryCall]) -> (verdict: Search.Verdict, tries: Int) {
        var sum = 0
        for partition in Partition.all(of: calls) {
            var search = Search(partition.items(), keys: partition.keys.count, configurationsMax: 20_000)
            let verdict = search.run(from: partition.initial(isKnown: true))
            sum += search.tries
            if verdict != .explained { return (verdict, sum) }
        }
        return (.explained, sum)
    }

    @Test(
        "of 2 000 calls, 16 at once on one key, take under 100 tries a call",
        arguments: zip([0, 0, 0.005, 0.02], [0, 1, 0, 1.0]))
    func long(unknown: Double, versions: Double) {
        var maker = HistoryMaker(seed: 11)
        maker.keys = ["a"]
        maker.spread = 80
        maker.unknown = unknown
        maker.versions = versions
        maker.comparesVersions = versions > 0
        maker.transactions = 0
        maker.increments = false
        let calls = maker.history(count: 2_000)
        let found = tries(calls)
        #expect(found.verdict == .explained)
        #expect(found.tries < 200_000, "\(found.tries) tries")
        // A stale read at the end of all.
        let stale = HistoryCall(
            client: 0, invoked: 30_000, returned: 30_001, .get("a"), .found("5", version: 1))
        let wrong = tries(calls + [stale])
        #expect(unknown == 0 ? wrong.verdict == .contradicted : wrong.verdict != .explained)
    }

    @Test("of 2 000 calls on many keys and transactions are accepted", arguments: 1...2)
    func many(seed: UInt64) {
        var maker = HistoryMaker(seed: seed)
        maker.keys = (0..<20).map { "k\($0)" }
        maker.transactions = 0.02
        maker.unknown = 0.003
        let calls = maker.history(count: 2_000)
        #expect(HistoryChecker().check(calls) == .linearizable)
    }
}
