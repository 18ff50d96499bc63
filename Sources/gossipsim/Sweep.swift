// SPDX-License-Identifier: Apache-2.0
// Owns `gossipsim sweep`: all scenarios over many seeds.

import ArgumentParser
import ClusterTypes
import Simulator

struct Sweep: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run all scenarios over many seeds and print those that fail.",
        discussion: """
            Seeds are fresh unless --first-seed is given. Those about scale are left out unless they are named.

            EXAMPLES
              gossipsim sweep --seeds 10
              gossipsim sweep --seeds 100 --scenario split --scenario churn
              gossipsim sweep --seeds 5 --first-seed 1
            """)

    @Option(help: "How many seeds for each scenario.")
    var seeds = 5

    @Option(help: "The first seed; the others follow it.")
    var firstSeed: UInt64?

    @Option(help: "Only this scenario; may be repeated.")
    var scenario: [String] = []

    @Flag(help: "Say on standard error how long each simulation took in real time.")
    var timing = false

    func validate() throws {
        guard (1...1_000_000).contains(seeds) else { throw ValidationError("--seeds takes 1 to 1000000.") }
    }

    func run() throws {
        let first = firstSeed ?? UInt64.random(in: 0...UInt64(UInt32.max))
        let names = scenario.isEmpty ? BuiltInScenario.all.filter { !$0.isAboutScale }.map(\.name) : scenario
        let sources = try names.map(ScenarioSource.named)
        print("sweep: \(sources.count) scenarios, seeds \(first) to \(first &+ UInt64(seeds - 1))")
        var failed = 0
        for source in sources {
            var passed = 0
            var strict: StrictFigures?
            for offset in 0..<UInt64(seeds) {
                let seed = first &+ offset
                let replay = source.replay(seed: seed, nodes: nil, duration: nil)
                let report = try simulate(source, seed: seed, replay: replay)
                if report.isOK { passed += 1 } else { failed += 1 }
                if let figures = report.strict { strict = (strict ?? StrictFigures()) + figures }
            }
            print("\(source.name): \(passed) of \(seeds) ok" + (strict.map { "; \($0.text)" } ?? ""))
        }
        guard failed == 0 else {
            StandardError.print("\(failed) simulations failed; the lines above replay them")
            throw ExitCode.failure
        }
    }

    private func simulate(_ source: ScenarioSource, seed: UInt64, replay: String) throws -> SimulationReport {
        // Said before: a broken invariant ends the process, and then the last line names the culprit.
        StandardError.print(replay)
        let begin = ContinuousClock.now
        let report: SimulationReport
        do {
            report = try Simulation(scenario: try source.scenario(nodes: nil, duration: nil), seed: seed).run()
        } catch let failure as ScenarioFailure {
            throw ValidationError("\(failure)")
        }
        if timing { StandardError.print(Timing.line(report, took: ContinuousClock.now - begin)) }
        if report.isOK { return report }
        print("FAILED: \(replay)")
        for failure in report.failures { print("  - \(failure)") }
        return report
    }
}
