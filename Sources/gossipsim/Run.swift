// SPDX-License-Identifier: Apache-2.0
// Owns `gossipsim run`: one simulation.

import ArgumentParser
import ClusterTypes
import FoundationEssentials
import Simulator

struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run one scenario and print what happened.",
        discussion: """
            The same scenario and seed print the same bytes, in every process. Docs/simulation.md describes the
            scenario language and the figures.

            EXAMPLES
              gossipsim run --scenario split --seed 7
              gossipsim run --scenario scale --timing
              gossipsim run --scenario-file my.scenario --trace
              gossipsim run --scenario kill --output json
              gossipsim run --scenario split --plot plots
            """)

    enum Output: String, ExpressibleByArgument, CaseIterable {
        case text
        case json
    }

    @Option(help: "A built-in scenario; 'gossipsim list' names them.")
    var scenario: String?

    @Option(help: ArgumentHelp("A scenario file instead.", valueName: "path"))
    var scenarioFile: String?

    @Option(help: "How many nodes, in place of the scenario's number.")
    var nodes: Int?

    @Option(help: "The seed; random when not given, and printed.")
    var seed: UInt64?

    @Option(help: "How long to run, such as 90s, in place of the scenario's length.")
    var duration: DurationArgument?

    @Option(help: "How to print the report.")
    var output = Output.text

    @Flag(help: "Print everything that passes between the nodes and the world, as it happens.")
    var trace = false

    @Option(
        help: ArgumentHelp(
            "Write states.svg, spread.svg and traffic.svg into this folder, which is made.", valueName: "folder"))
    var plot: String?

    @Flag(help: "Say on standard error how long it took in real time.")
    var timing = false

    func validate() throws {
        guard scenario == nil || scenarioFile == nil else {
            throw ValidationError("Give --scenario or --scenario-file, not both.")
        }
        if let nodes, !(1...Scenario.nodesMax).contains(nodes) {
            throw ValidationError("--nodes takes 1 to \(Scenario.nodesMax).")
        }
        if output == .json, trace { throw ValidationError("--trace prints text; leave --output json out.") }
    }

    func run() throws {
        let source = try scenarioFile.map(ScenarioSource.file) ?? ScenarioSource.named(scenario ?? "steady")
        let seed = self.seed ?? UInt64.random(in: 0...UInt64(UInt32.max))
        let replay = source.replay(seed: seed, nodes: nodes, duration: duration?.text)
        let scenario = try source.scenario(nodes: nodes, duration: duration?.interval)
        // Said first: a broken invariant ends the process before the report.
        if self.seed == nil { StandardError.print("seed \(seed)") }
        let begin = ContinuousClock.now
        let report: SimulationReport
        do {
            let simulation = try Simulation(
                scenario: scenario, seed: seed, recordsPlots: plot != nil, trace: trace ? { print($0) } : nil)
            report = try simulation.run()
        } catch {
            throw ValidationError("\(error)")
        }
        print(output == .json ? report.json.text : report.text, terminator: "")
        if let plot { try PlotFolder.write(report, to: plot) }
        if timing { StandardError.print(Timing.line(report, took: ContinuousClock.now - begin)) }
        guard report.isOK else {
            StandardError.print("failed; replay with: \(replay)")
            throw ExitCode.failure
        }
    }
}

/// The plots of a run as files.
enum PlotFolder {
    static func write(_ report: SimulationReport, to folder: String) throws {
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            for (name, svg) in report.plots {
                try svg.write(toFile: "\(folder)/\(name)", atomically: true, encoding: .utf8)
            }
        } catch {
            throw ValidationError("Cannot write plots into \(folder): \(error). Name a folder that can be written.")
        }
    }
}

/// Real time, which never reaches standard output.
enum Timing {
    static func line(_ report: SimulationReport, took: Duration) -> String {
        let seconds = Double(took.components.seconds) + Double(took.components.attoseconds) / 1e18
        let rate = seconds > 0 ? Double(report.eventsHandled) / seconds : 0
        return "\(report.scenario): \(Figure.grouped(report.eventsHandled)) events in "
            + "\(Figure.decimal(seconds, digits: 2)) s, \(Figure.grouped(Int(rate))) events/s, "
            + "\(Figure.decimal(report.duration.seconds / max(seconds, 1e-9), digits: 1)) times real time"
    }
}
