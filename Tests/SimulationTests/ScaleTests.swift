// SPDX-License-Identifier: Apache-2.0
// Owns the tests of clusters that begin with knowing each other, and small versions of the scenarios about size.

import ClusterTypes
import Simulator
import Testing

@Suite("Scale")
struct ScaleTests {
    @Test("The scenarios about size hold with 100 nodes", arguments: BuiltInScenario.scaling.map(\.name))
    func small(name: String) throws {
        print("simulating: gossipsim run --scenario \(name) --nodes 100 --seed 1")
        let scenario = try #require(try BuiltInScenario.named(name)?.scenario(nodes: 100))
        let report = try Simulation(scenario: scenario, seed: 1).run()
        #expect(report.isOK, "\(report.failures.joined(separator: "\n"))")
    }

    @Test("Preformed nodes know each other at once, and nobody exchanges a table")
    func preformed() throws {
        let scenario = try ScenarioParser.parse(
            "nodes 50\npreformed\nat 1s expect formed\nexpect converged\nrun 20s", file: "made-up", name: "made-up")
        let report = try Simulation(scenario: scenario, seed: 3).run()
        #expect(report.isOK, "\(report.failures)")
        #expect(report.figures.formation == .zero)
        #expect(report.wholeRun.traffic.streamsOpened == 2 * 50, "sentinels alone")
        #expect(report.figures.copies.updates(among: 50) == nil, "there was nothing to tell")
    }

    @Test("Preformed nodes find a death, its return and a newcomer's changes as others do")
    func preformedLife() throws {
        let text = """
            nodes 20
            preformed
            at 2s kill n5
            expect failed n5 within 10s
            at 14s restart n5
            at 15s tag n7 role=web
            at 16s put n2 a "x"
            at 20s expect converged within 10s
            expect value a "x"
            expect no false failures
            run 40s
            """
        let scenario = try ScenarioParser.parse(text, file: "made-up", name: "made-up")
        for seed in [1, 2, 3] as [UInt64] {
            let report = try Simulation(scenario: scenario, seed: seed).run()
            #expect(report.isOK, "seed \(seed): \(report.failures)")
        }
    }

    @Test("Held nodes cannot be preformed, and the past is not waited for")
    func refused() {
        for text in ["preformed\nhold n2", "expect no false failures but n1 within 2s", "at 1s roll all for 2s"] {
            #expect(throws: ScenarioFailure.self) {
                try ScenarioParser.parse(text, file: "made-up", name: "made-up")
            }
        }
    }

    @Test("A rolling restart takes one after the other, and failures of others than the named ones are told")
    func rolling() throws {
        let roll = "nodes 4\npreformed\nat 2s roll 2-4 for 1s every 2s\nrun 20s"
        let rolled = try Simulation(
            scenario: ScenarioParser.parse(roll, file: "made-up", name: "made-up"), seed: 1
        ).run()
        #expect(rolled.figures.detections.map(\.node) == [1, 2, 3])
        #expect(rolled.figures.detections.map(\.at) == [.seconds(2), .seconds(4), .seconds(6)])
        let stall = "nodes 5\nat 5s stall n3 for 25s\nexpect no false failures but"
        for (excused, isOK) in [("n3", true), ("n4", false)] {
            let scenario = try ScenarioParser.parse(
                "\(stall) \(excused)\nrun 31s", file: "made-up", name: "made-up")
            let report = try Simulation(scenario: scenario, seed: 3).run()
            #expect(report.isOK == isOK, "\(report.failures)")
        }
    }

    @Test("The table of sizes holds every figure and says how they grow")
    func table() throws {
        var table = ScaleReport(seed: 1)
        for nodes in [20, 40] {
            for name in ["scale-idle", "scale-kill", "scale-down", "scale-spread", "scale-large"] {
                let scenario = try #require(try BuiltInScenario.named(name)?.scenario(nodes: nodes))
                table.add(try Simulation(scenario: scenario, seed: 1).run())
            }
        }
        #expect(table.columns.map(\.nodes) == [20, 40])
        #expect(table.columns.allSatisfy { $0.kill?.deaths == 5 && $0.down?.deaths == 5 })
        #expect(table.growths.count == 10)
        let idle = try #require(table.growths.first)
        #expect(idle.holds && idle.ratio > 0.8, "idle bytes grow by \(idle.ratio)")
        #expect(table.text.contains("idle: UDP payload") && !table.text.contains(" - "))
    }
}
