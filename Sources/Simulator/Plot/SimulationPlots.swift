// SPDX-License-Identifier: Apache-2.0
// Owns the plots of a run: states over time, spread of news, bytes per node.

import ClusterTypes

extension SimulationReport {
    /// File names and their content, of a simulation that recorded plots.
    package var plots: [(name: String, svg: String)] {
        [
            ("states.svg", statesChart(plotSamples).svg), ("spread.svg", spreadChart.svg),
            ("traffic.svg", trafficChart(plotSamples).svg),
        ]
    }

    private var heading: String { "\(scenario), \(nodes) nodes, seed \(seed)" }

    /// The states as the mean running node sees them.
    private func statesChart(_ samples: [PlotRecorder.Sample]) -> LineChart {
        func line(_ count: (PlotRecorder.Sample) -> Int) -> [(x: Double, y: Double)] {
            samples.map { ($0.at.seconds, Double(count($0)) / Double(max(1, $0.running))) }
        }
        return LineChart(
            title: "Other members in each state, mean over all views: \(heading)", xLabel: "time, s", yLabel: "members",
            series: [
                LineChart.Series("alive", .blue, line(\.alive)), LineChart.Series("suspect", .orange, line(\.suspect)),
                LineChart.Series("failed", .vermillion, line(\.failed)),
            ])
    }

    /// For each piece of news, how many nodes had it how soon.
    private var spreadChart: LineChart {
        let curves = figures.curves.filter { $0.arrivals.offered > 0 }
        let slowest = curves.compactMap(\.arrivals.summary?.last.seconds).max() ?? 0
        let unit: (name: String, factor: Double) = slowest < 2 ? ("ms", 1e3) : ("s", 1)
        var isNamed: [SpreadCurve.Kind] = []
        let series = curves.map { curve in
            let name = curve.kind == .write ? "writes" : "member updates"
            let isFirst = !isNamed.contains(curve.kind)
            if isFirst { isNamed.append(curve.kind) }
            let times = curve.arrivals.values.sorted()
            // A step for each: between two arrivals nothing happens.
            let points = times.enumerated().flatMap { before, time in
                let x = Double(time) / 1e9 * unit.factor
                return [(x: x, y: Double(before)), (x: x, y: Double(before + 1))]
            }
            return LineChart.Series(
                name, curve.kind == .write ? .blue : .orange, [(x: 0, y: 0)] + points, isUnnamed: !isFirst)
        }
        return LineChart(
            title: "Nodes that have a piece of news: \(heading)", xLabel: "time since it was made, \(unit.name)",
            yLabel: "nodes", series: series)
    }

    /// Bytes sent in each distance of the samples, for each running node.
    private func trafficChart(_ samples: [PlotRecorder.Sample]) -> LineChart {
        func line(_ bytes: (PlotRecorder.Sample) -> Int) -> [(x: Double, y: Double)] {
            zip(samples, samples.dropFirst()).map { before, after in
                let time = max(1e-9, (after.at - before.at).seconds)
                return (after.at.seconds, Double(bytes(after) - bytes(before)) / time / Double(max(1, after.running)))
            }
        }
        return LineChart(
            title: "Bytes sent by a node: \(heading)", xLabel: "time, s", yLabel: "bytes per second and node",
            series: [
                LineChart.Series("UDP payload", .blue, line(\.datagramBytes)),
                LineChart.Series("streams", .orange, line(\.streamBytes)),
            ])
    }
}
