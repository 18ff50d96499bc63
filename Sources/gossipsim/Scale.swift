// SPDX-License-Identifier: Apache-2.0
// Owns `gossipsim scale`: clusters of several sizes in one table.

import ArgumentParser
import ClusterTypes
import FoundationEssentials
import Simulator

struct Scale: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Simulate large clusters and print how their figures grow.",
        discussion: """
            Runs scale-idle, -kill, -down, -spread and -large at each size, then what a cluster of 1000 nodes has
            to survive: a third of it gone at once, a rolling restart, 30 % loss, one-way cuts, one sick node. The
            whole takes 2.5 GB and three quarters of an hour of one core. Status 1 when a figure grows too fast or
            an expectation fails. Real time and memory go to standard error.

            EXAMPLES
              gossipsim scale
              gossipsim scale --nodes 100 --nodes 1000 --seed 7
              gossipsim scale --nodes 300 --skip-trouble --output json
            """)

    @Option(help: "A size to simulate; may be repeated. 100, 1000 and 10000 when not given.")
    var nodes: [Int] = []

    @Option(help: "The seed.")
    var seed: UInt64 = 1

    @Option(help: "How many nodes the scenarios have that are to be survived.")
    var troubleNodes = 1_000

    @Flag(help: "Leave out what is to be survived.")
    var skipTrouble = false

    @Option(help: "How to print the report.")
    var output = Run.Output.text

    func validate() throws {
        for count in nodes + [troubleNodes] where !(10...Scenario.nodesMax).contains(count) {
            throw ValidationError("--nodes and --trouble-nodes take 10 to \(Scenario.nodesMax).")
        }
    }

    func run() throws {
        var table = ScaleReport(seed: seed)
        let sizes = nodes.isEmpty ? [100, 1_000, 10_000] : nodes
        let trouble = BuiltInScenario.scaleTrouble.map(\.name)
        for count in sizes {
            for scenario in BuiltInScenario.scaling where !trouble.contains(scenario.name) {
                table.add(try report(scenario, nodes: count))
            }
        }
        if !skipTrouble {
            for scenario in BuiltInScenario.scaleTrouble { table.add(try report(scenario, nodes: troubleNodes)) }
        }
        print(output == .json ? table.json.text : table.text, terminator: "")
        if !table.isOK { throw ExitCode.failure }
    }

    private func report(_ scenario: BuiltInScenario, nodes: Int) throws -> SimulationReport {
        StandardError.print("gossipsim run --scenario \(scenario.name) --seed \(seed) --nodes \(nodes)")
        let begin = ContinuousClock.now
        let report: SimulationReport
        do {
            report = try Simulation(scenario: try scenario.scenario(nodes: nodes), seed: seed).run()
        } catch {
            throw ValidationError("\(error)")
        }
        StandardError.print(
            "  \(Timing.line(report, took: ContinuousClock.now - begin)), at most \(Self.peakMegabytes) MB so far")
        return report
    }

    /// The most memory that this process ever had resident; 0 when the system does not tell.
    private static var peakMegabytes: Int {
        guard let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") })
        else { return 0 }
        let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
        return words.count > 1 ? (Int(words[1]) ?? 0) / 1_000 : 0
    }
}
