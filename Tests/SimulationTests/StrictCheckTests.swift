// SPDX-License-Identifier: Apache-2.0
// Owns the proof that the checks of strict keys notice a group that breaks its promises.

import ClusterTypes
import Simulator
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
            if ["without the committed entry", "another entry of term", "is not linearizable"].allSatisfy({ part in
                found.contains { $0.contains(part) }
            }) {
                return
            }
        }
        Issue.record("eight runs on lying disks broke nothing: \(found)")
    }
}
