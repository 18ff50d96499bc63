// SPDX-License-Identifier: Apache-2.0
// Owns `gossipsim plan`: what a configuration should do, beside what a simulation of it did.

import ArgumentParser
import ClusterTypes
import SWIMCore
import Simulator

struct PlanCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Work out what a cluster will do, and simulate it beside.",
        discussion: """
            Detection, spread, bandwidth and false failures from formulas, which Docs/simulation.md states with their
            sources, beside a simulation of at most \(Plan.simulatedNodesMax) nodes with a fixed seed.

            EXAMPLES
              gossipsim plan --nodes 30
              gossipsim plan --nodes 2000 --loss 2% --rtt 40ms --profile wan
              gossipsim plan --nodes 10000 --no-simulation --output json
            """)

    @Option(help: "How many nodes.")
    var nodes: Int

    @Option(help: "How many datagrams are lost, such as 1%.")
    var loss = PercentageArgument(fraction: 0)

    @Option(help: "The round trip between two nodes, such as 500us or 40ms. (default: 500us)")
    var rtt: DurationArgument?

    @Option(help: ArgumentHelp("The profile: lan, wan or local.", valueName: "profile"))
    var profile = SWIMConfiguration.Profile.lan

    @Flag(inversion: .prefixedNo, help: "Simulate the configuration as well.")
    var simulation = true

    @Option(help: "How to print the plan.")
    var output = Run.Output.text

    private var roundTrip: Interval { rtt?.interval ?? .microseconds(500) }

    func validate() throws {
        guard (2...Scenario.nodesMax).contains(nodes) else {
            throw ValidationError("--nodes takes 2 to \(Scenario.nodesMax).")
        }
        guard roundTrip <= .seconds(10) else { throw ValidationError("--rtt takes at most 10s.") }
    }

    func run() throws {
        let plan: Plan
        do {
            plan = try Plan(
                nodes: nodes, loss: loss.fraction, roundTrip: roundTrip, profile: profile, isSimulated: simulation)
        } catch {
            throw ValidationError("\(error)")
        }
        print(output == .json ? plan.json.text : plan.text, terminator: "")
        if !plan.failures.isEmpty { throw ExitCode.failure }
    }
}

extension SWIMConfiguration.Profile: ExpressibleByArgument {}

/// `1%` or `0.5%`: less than 100 %.
struct PercentageArgument: ExpressibleByArgument, CustomStringConvertible {
    var fraction: Double

    init(fraction: Double) { self.fraction = fraction }

    init?(argument: String) {
        guard argument.hasSuffix("%"), let percent = Double(argument.dropLast()), percent >= 0, percent < 100 else {
            return nil
        }
        fraction = percent / 100
    }

    var description: String { "\(Figure.decimal(fraction * 100, digits: 0))%" }
}
