// SPDX-License-Identifier: Apache-2.0
// Owns the simulation that a plan is compared with.

import ClusterTypes
import SWIMCore

/// A preformed cluster that has probed everybody once, loses processes and hosts one after the other, and takes writes.
struct PlanScenario {
    var model: PlanModel
    var roundTrip: Interval
    var profile: SWIMConfiguration.Profile

    /// Deaths of each kind; few in small clusters, where each is a large part.
    private var deaths: Int { max(1, min(8, (model.nodes - 1) / 4)) }
    private static let writes = 6

    /// Every peer was probed once, so that its round trip is known.
    private var warmUp: Double { Self.tenths(Double(model.nodes) * model.swim.probeInterval.seconds * 1.05 + 5) }
    private var quiet: Double { 20 * model.swim.probeInterval.seconds }
    /// From one death to the next: all have heard of it.
    private var killGap: Double { Self.tenths(3 * model.killAll + 6 * model.swim.probeInterval.seconds) }
    private var downGap: Double { Self.tenths(2 * model.downAll + 12 * model.swim.probeInterval.seconds) }
    private var writeGap: Double { Self.tenths(2 * model.changeSpread.last + 20 * model.swim.gossipInterval.seconds) }

    /// Up to what a scenario can say without rounding, so that repetitions end where they should.
    private static func tenths(_ seconds: Double) -> Double { (seconds * 10).rounded(.up) / 10 }

    private var text: String {
        func seconds(_ value: Double) -> String { Figure.decimal(value, digits: 3) + "s" }
        let writing = warmUp + quiet
        let tagging = writing + Double(Self.writes) * writeGap
        let killing = tagging + Double(Self.writes) * writeGap
        let downing = killing + Double(deaths) * killGap
        let end = downing + Double(deaths) * downGap
        return """
            nodes \(model.nodes)
            preformed
            profile \(profile.rawValue)
            loss \(Figure.decimal(model.loss * 100, digits: 4))%
            delay \(roundTrip.nanoseconds / 2_000)us
            at \(seconds(warmUp)) measure \(seconds(quiet))
            at \(seconds(writing)) every \(seconds(writeGap)) for \(seconds(writeGap * Double(Self.writes))) put random plan/{n} "value {n}"
            at \(seconds(tagging)) every \(seconds(writeGap)) for \(seconds(writeGap * Double(Self.writes))) tag random role=r{n}
            at \(seconds(killing)) every \(seconds(killGap)) for \(seconds(killGap * Double(deaths))) kill random
            at \(seconds(downing)) every \(seconds(downGap)) for \(seconds(downGap * Double(deaths))) down random
            run \(seconds(end))
            """
    }

    func scenario() throws(ScenarioFailure) -> Scenario {
        try ScenarioParser.parse(text, file: "plan", name: "plan")
    }

    /// Figures by the fields of `Plan.Row`.
    func measured(_ report: SimulationReport) -> [String: Double] {
        var figures: [String: Double] = [:]
        for cause in ["kill", "down"] {
            let times = report.figures.detections.filter { $0.cause == cause }.compactMap(\.samples.summary)
            figures["\(cause)_first_seconds"] = Figure.mean(times.map(\.first.seconds))
            figures["\(cause)_all_seconds"] = Figure.mean(times.map(\.last.seconds))
        }
        let curves = report.figures.curves
        for (kind, field) in [(SpreadCurve.Kind.write, "change"), (.update, "update")] {
            let summaries = curves.filter { $0.kind == kind }.compactMap(\.arrivals.summary)
            figures["\(field)_median_seconds"] = Figure.median(summaries.map(\.median.seconds))
            figures["\(field)_last_seconds"] = summaries.map(\.last.seconds).max()
        }
        figures["udp_payload_bytes_per_second"] = report.perNodeSecond(report.window.traffic.datagramBytes)
        figures["datagrams_per_second"] = report.perNodeSecond(report.window.traffic.datagrams)
        let nodeYears = Double(report.nodes) * report.duration.seconds / PlanModel.secondsPerYear
        figures["false_failures_per_node_year"] = Double(report.falseFailures) / nodeYears
        return figures
    }
}
