// SPDX-License-Identifier: Apache-2.0
// Owns the benchmark of the simulator: how fast whole clusters run.

import ClusterTypes
import Simulator

enum SimulatorBenchmarks {
    static var all: [Benchmark] {
        [
            Benchmark(
                name: "simulator/100-nodes", unit: .eventsPerSecond,
                meaning: "Events of a simulated cluster of 100 nodes that starts and runs for 10 s of its time; every "
                    + "datagram goes through the codec.",
                prepare: {
                    var scenario = Scenario(name: "bench")
                    scenario.nodes = 100
                    scenario.duration = .seconds(10)
                    return {
                        let simulation = try Simulation(scenario: scenario, seed: 7)
                        let begin = Measure.threadNanoseconds()
                        let report = try simulation.run()
                        let seconds = (Measure.threadNanoseconds() - begin) / 1e9
                        try WrongResult.unless(report.isOK, "the simulation failed: \(report.failures)")
                        return Double(report.eventsHandled) / seconds
                    }
                }, warmUps: 1)
        ]
    }
}
