// SPDX-License-Identifier: Apache-2.0
// Owns the proof that the checks of strict keys notice a group that breaks its promises.

import ClusterTypes
import NodeKernel
import Simulator
import StrictCore
import StrictGroup
import Testing

@Suite("Checks of strict keys")
struct StrictCheckTests {
    @Test("Disks that lose what they had confirmed are found out, by the log and by what clients saw")
    func lyingDisks() throws {
        let text = try #require(BuiltInScenario.named("strict-crashes")).text
        let scenario = try ScenarioParser.parse(text + "\ncrash unsynced\n", file: "lying", name: "lying")
        var found: [String] = []
        // Not each seed has a leader that forgets an entry on which others counted.
        for seed in 1...8 as ClosedRange<UInt64> {
            let simulation = try Simulation(scenario: scenario, seed: seed)
            let failures = try simulation.run().failures
            #expect(!failures.isEmpty, "seed \(seed)")
            found += failures
            if ["leader completeness", "state machine safety", "is not linearizable"].allSatisfy({ part in
                found.contains { $0.contains(part) }
            }) {
                return
            }
        }
        Issue.record("eight runs on lying disks broke nothing: \(found)")
    }

    @Test("Nodes that answer from what they hold themselves are found out by what clients saw")
    func staleReads() throws {
        let scenario = try #require(try BuiltInScenario.named("strict-partitions")?.scenario())
        var simulation = try Simulation(scenario: scenario, seed: 1)
        simulation.plantsStaleReads = true
        let failures = try simulation.run().failures
        #expect(failures.contains { $0.contains("is not linearizable") }, "\(failures)")
    }

    @Test(
        "Runs have all that is to be proved: repetitions, expiries, holders of locks, writes let through and kept out")
    func substance() throws {
        var all = StrictFigures()
        for (name, seed) in [("strict-partitions", 1), ("strict-crashes", 2), ("strict-disks", 3)] as [(String, UInt64)]
        {
            let scenario = try #require(try BuiltInScenario.named(name)?.scenario())
            let report = try Simulation(scenario: scenario, seed: seed).run()
            #expect(report.isOK, "gossipsim run --scenario \(name) --seed \(seed): \(report.failures)")
            all = all + (try #require(report.strict))
        }
        #expect(all.crashes > 20 && all.leaders > 8 && all.entries > 2_000 && all.answered > 2_000, "\(all.text)")
        #expect(all.repeats > 0 && all.expiries > 50 && all.tokens > 50, "\(all.text)")
        #expect(all.fencedWrites > 30 && all.fencedRefusals > 30 && all.unknown > 50, "\(all.text)")
        #expect(all.states > 5_000 && all.looks > 50_000, "\(all.text)")
    }

    @Test("A token that a client was told and no group ever gave is found")
    func inventedToken() throws {
        let lock = try #require(StrictKey("deploy"))
        var check = StrictCheck(nodes: 1)
        let (id, now) = (CommandID(rawValue: 1), Instant(nanoseconds: 1))
        check.issued(id, nil, claim: StrictClaim(lock: lock, lease: 2, isHeld: false), node: 0, at: now)
        check.answered(id, .answer(.locked(token: 3)), at: now)
        let words = "lease 2 was told that it holds deploy under 3, which it never did"
        #expect(check.violations.contains { $0.first == [words] })
    }
}
