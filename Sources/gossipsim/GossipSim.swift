// SPDX-License-Identifier: Apache-2.0
// Owns the command line of the simulator.

import AdminModel
import ArgumentParser
import Glibc
import ProgramUsage
import Simulator

@main
struct GossipSim: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gossipsim",
        abstract: "Run whole gossipd clusters in virtual time, with every fault, replayable by seed.",
        discussion: """
            EXAMPLES
              gossipsim run --scenario kill
              gossipsim run --scenario loss --nodes 100 --seed 42
              gossipsim run --scenario split --plot plots
              gossipsim sweep --seeds 20
              gossipsim scale --nodes 100 --nodes 1000
              gossipsim plan --nodes 500 --loss 1%
              gossipsim judge calls.jsonl

            EXIT STATUS
              0   all was well
              1   an expectation, a check or a history failed
              64  wrong usage, or a file that cannot be read
            """,
        version: "gossipsim \(AdminVersion.current)",
        subcommands: [Run.self, Sweep.self, Scale.self, PlanCommand.self, Judge.self, List.self])

    static func main() {
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch {
            guard !(error is ExitCode), let sentence = UsageSentence.sentence(for: error, of: Self.self) else {
                exit(withError: error)
            }
            StandardError.print("gossipsim: \(sentence)")
            Glibc.exit(ExitStatus.usage.rawValue)
        }
    }
}

/// `gossipsim list`
struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the built-in scenarios, or print one.",
        discussion: """
            EXAMPLES
              gossipsim list
              gossipsim list split > my.scenario
            """)

    @Argument(help: "Print this scenario instead.")
    var scenario: String?

    func run() throws {
        guard let scenario else {
            for builtIn in BuiltInScenario.all {
                print(builtIn.name + String(repeating: " ", count: max(1, 13 - builtIn.name.count)) + builtIn.summary)
            }
            return
        }
        print(try ScenarioSource.builtIn(scenario).text)
    }
}
