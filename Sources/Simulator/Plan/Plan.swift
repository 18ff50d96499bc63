// SPDX-License-Identifier: Apache-2.0
// Owns a plan: the formulas of a configuration beside what a simulation of it measured.

import ClusterTypes
import SWIMCore

/// `gossipsim plan`.
package struct Plan: Sendable {
    /// One figure: what the formula says of the whole cluster and of the simulated one, and what was measured there.
    package struct Row: Sendable {
        /// Stable, with the unit at its end.
        package var field: String
        package var title: String
        package var formula: Double
        package var formulaAtSimulatedSize: Double?
        package var simulated: Double?
    }

    package var model: PlanModel
    package var profile: SWIMConfiguration.Profile
    package var simulatedNodes: Int?
    package var seed: UInt64
    package var rows: [Row]
    /// Expectations or checks that the simulation broke.
    package var failures: [String]

    /// The simulated cluster is no larger than this.
    package static let simulatedNodesMax = 300
    package static let seed: UInt64 = 1

    /// Works the formulas out and, unless `isSimulated` is false, simulates `min(nodes, 300)` nodes.
    package init(
        nodes: Int, loss: Double, roundTrip: Interval, profile: SWIMConfiguration.Profile, isSimulated: Bool,
        seed: UInt64 = seed
    ) throws(ScenarioFailure) {
        let swim = SWIMConfiguration(profile: profile)
        model = PlanModel(nodes: nodes, loss: loss, roundTrip: roundTrip.seconds, swim: swim)
        self.profile = profile
        self.seed = seed
        rows = Self.rows(of: model)
        failures = []
        guard isSimulated, nodes > 1 else { return }
        var small = model
        small.nodes = min(nodes, Self.simulatedNodesMax)
        simulatedNodes = small.nodes
        let scenario = PlanScenario(model: small, roundTrip: roundTrip, profile: profile)
        let report = try Simulation(scenario: scenario.scenario(), seed: seed).run()
        failures = report.failures
        let measured = scenario.measured(report)
        for (index, row) in Self.rows(of: small).enumerated() {
            rows[index].formulaAtSimulatedSize = row.formula
            rows[index].simulated = measured[row.field]
        }
    }

    private static func rows(of model: PlanModel) -> [Row] {
        [
            Row(field: "kill_first_seconds", title: "kill -9 told by the first survivor, s", formula: model.killFirst),
            Row(field: "kill_all_seconds", title: "... by the last", formula: model.killAll),
            Row(
                field: "down_first_seconds", title: "host down told by the first survivor, s", formula: model.downFirst),
            Row(field: "down_all_seconds", title: "... by the last", formula: model.downAll),
            Row(
                field: "change_median_seconds", title: "a change on half of the nodes, s",
                formula: model.changeSpread.median),
            Row(field: "change_last_seconds", title: "... on all", formula: model.changeSpread.last),
            Row(
                field: "update_median_seconds", title: "a member update on half of the nodes, s",
                formula: model.updateSpread.median),
            Row(field: "update_last_seconds", title: "... on all", formula: model.updateSpread.last),
            Row(
                field: "udp_payload_bytes_per_second", title: "idle: UDP payload sent by a node, B/s",
                formula: model.bytesPerSecond),
            Row(
                field: "datagrams_per_second", title: "idle: datagrams sent by a node, 1/s",
                formula: model.datagramsPerSecond),
            Row(
                field: "transmissions_per_change", title: "times that a node passes a change on",
                formula: Double(model.transmissions)),
            Row(
                field: "false_suspicions_per_node_year", title: "false suspicions of a node in a year",
                formula: model.suspicionsPerNodeYear),
            Row(
                field: "false_failures_per_node_year", title: "false failures of a node in a year",
                formula: model.falseFailuresPerNodeYear),
        ]
    }

    /// For people.
    package var text: String {
        var out =
            "\(model.nodes) nodes, profile \(profile.rawValue), \(Figure.decimal(model.loss * 100, digits: 1)) % loss, "
            + "round trip \(Figure.decimal(model.roundTrip * 1e3, digits: 2)) ms\n\n"
        var lines = [["", "formula"]]
        if let simulatedNodes {
            lines[0] += ["formula, \(simulatedNodes) nodes", "simulated, \(simulatedNodes) nodes"]
        }
        for row in rows {
            var cells = [row.title, Self.number(row.formula)]
            if simulatedNodes != nil {
                cells += [row.formulaAtSimulatedSize.map(Self.number) ?? "-", row.simulated.map(Self.number) ?? "-"]
            }
            lines.append(cells)
        }
        out += PlainTable.text(lines)
        if simulatedNodes != nil {
            out +=
                "\nsimulated with seed \(seed); detection: mean of several deaths, spread: median of several, on all: the slowest of them; '-': not measured\n"
        }
        for failure in failures { out += "FAILED: \(failure)\n" }
        return out
    }

    /// Three significant places are enough for a plan; what is very small is written as such.
    static func number(_ value: Double) -> String {
        if value == 0 { return "0" }
        if !value.isFinite { return "never" }
        if abs(value) >= 100 { return value < 1e12 ? Figure.grouped(Int(value.rounded())) : "more than 1e12" }
        if abs(value) >= 10 { return Figure.decimal(value, digits: 1) }
        if abs(value) >= 0.1 { return Figure.decimal(value, digits: 2) }
        if abs(value) >= 0.0001 { return Figure.decimal(value, digits: 5) }
        return "less than 0.0001"
    }

    /// For machines; names are stable, six decimals.
    package var json: JSONText {
        func optional(_ value: Double?) -> JSONText { value.map { .precise($0) } ?? .null }
        return .object([
            ("nodes", .integer(model.nodes)), ("profile", .string(profile.rawValue)), ("loss", .precise(model.loss)),
            ("rtt_seconds", .precise(model.roundTrip)),
            ("simulated_nodes", simulatedNodes.map { .integer($0) } ?? .null), ("seed", .string(String(seed))),
            ("ok", .bool(failures.isEmpty)),
            (
                "figures",
                .object(
                    rows.map { row in
                        (
                            row.field,
                            .object([
                                ("formula", .precise(row.formula)),
                                ("formula_simulated_nodes", optional(row.formulaAtSimulatedSize)),
                                ("simulated", optional(row.simulated)),
                            ])
                        )
                    })
            ),
        ])
    }
}
