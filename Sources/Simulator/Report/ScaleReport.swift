// SPDX-License-Identifier: Apache-2.0
// Owns what `gossipsim scale` says: figures of clusters of several sizes in one table, and how they grow.

import ClusterTypes

/// The scale scenarios at several sizes.
package struct ScaleReport: Sendable {
    /// One size.
    package struct Column: Sendable {
        package var nodes: Int
        package var idleBytes: Double?
        package var idleDatagrams: Double?
        package var kill: Detection?
        package var down: Detection?
        package var write: Samples.Summary?
        package var update: Samples.Summary?
        /// Of rows whose announcement goes on where small ones do whole.
        package var largeWrite: Samples.Summary?
        /// Copies of one piece of news that a node receives; all but one are duplicates.
        package var rowCopies: CopyCount.Summary?
        package var largeRowCopies: CopyCount.Summary?
        package var eventCopies: CopyCount.Summary?
        package var updateCopies: CopyCount.Summary?

        package init(nodes: Int) { self.nodes = nodes }
    }

    /// Of several deaths: the median of when the first and the median survivor told it, and the latest that the last did.
    package struct Detection: Sendable {
        package var deaths: Int
        package var first: Double
        package var median: Double
        package var last: Double
    }

    /// A claim of growth and what was measured.
    package struct Growth: Sendable {
        package var what: String
        package var ratio: Double
        package var limit: Double
        package var holds: Bool { ratio <= limit }
    }

    /// A scenario without figures of its own in the table.
    package struct Trouble: Sendable {
        package var scenario: String
        package var nodes: Int
        package var failures: [String]
    }

    package var seed: UInt64
    package private(set) var columns: [Column] = []
    package private(set) var troubles: [Trouble] = []
    /// Expectations and checks that were broken on the way to the table.
    package private(set) var failures: [String] = []

    /// Idle traffic of the largest cluster to the smallest: DESIGN.md section 10.
    package static let idleGrowthMax = 1.2
    /// Times may grow as log10 n, and a tenth more: hops are whole, and deaths few.
    package static let chance = 1.1

    package init(seed: UInt64) { self.seed = seed }

    package var isOK: Bool {
        failures.isEmpty && troubles.allSatisfy(\.failures.isEmpty) && growths.allSatisfy(\.holds)
    }

    /// Takes a report of one of `BuiltInScenario.scaling` in.
    package mutating func add(_ report: SimulationReport) {
        if !BuiltInScenario.scaleTrouble.allSatisfy({ $0.name != report.scenario }) {
            troubles.append(Trouble(scenario: report.scenario, nodes: report.nodes, failures: report.failures))
            return
        }
        failures += report.failures.map { "\(report.scenario), \(report.nodes) nodes: \($0)" }
        let index =
            columns.firstIndex { $0.nodes == report.nodes }
            ?? {
                columns.append(Column(nodes: report.nodes))
                return columns.count - 1
            }()
        switch report.scenario {
        case "scale-idle":
            columns[index].idleBytes = report.perNodeSecond(report.window.traffic.datagramBytes)
            columns[index].idleDatagrams = report.perNodeSecond(report.window.traffic.datagrams)
        case "scale-kill": columns[index].kill = Self.detection(report)
        case "scale-down": columns[index].down = Self.detection(report)
        case "scale-spread":
            columns[index].write = report.figures.writes.summary
            columns[index].update = report.figures.updates.summary
            columns[index].rowCopies = report.figures.copies.rows(among: report.running)
            columns[index].updateCopies = report.figures.copies.updates(among: report.running)
        case "scale-large":
            columns[index].largeRowCopies = report.figures.copies.rows(among: report.running)
            columns[index].eventCopies = report.figures.copies.events(among: report.running)
            columns[index].largeWrite = report.figures.writes.summary
        default: failures.append("\(report.scenario) has no place in the table")
        }
    }

    private static func detection(_ report: SimulationReport) -> Detection? {
        let all = report.figures.detections
        // Those that die later may not tell any more; what others do not tell is told in seconds or not at all.
        let times = all.filter { $0.survivors - $0.samples.offered < all.count }.compactMap(\.samples.summary)
        guard !times.isEmpty, let first = Figure.median(times.map(\.first.seconds)),
            let median = Figure.median(times.map(\.median.seconds))
        else { return nil }
        return Detection(deaths: times.count, first: first, median: median, last: times.map(\.last.seconds).max() ?? 0)
    }

    /// From the smallest to the largest cluster.
    package var growths: [Growth] {
        let sorted = columns.sorted { $0.nodes < $1.nodes }
        guard let small = sorted.first, let large = sorted.last, large.nodes > small.nodes, small.nodes > 1 else {
            return []
        }
        let logarithm =
            Self.chance * Logarithm.base10(Double(large.nodes)) / Logarithm.base10(Double(small.nodes))
        var growths: [Growth] = []
        func add(_ what: String, _ value: (Column) -> Double?, _ limit: Double) {
            guard let a = value(small), let b = value(large), a > 0 else { return }
            growths.append(Growth(what: what, ratio: b / a, limit: limit))
        }
        add("idle bytes", \.idleBytes, Self.idleGrowthMax)
        add("idle datagrams", \.idleDatagrams, Self.idleGrowthMax)
        add("kill told, median", \.kill?.median, logarithm)
        add("host down told, median", \.down?.median, logarithm)
        add("write, median", \.write?.median.seconds, logarithm)
        add("write, last", \.write?.last.seconds, logarithm)
        add("write of 400 bytes, median", \.largeWrite?.median.seconds, logarithm)
        add("write of 400 bytes, last", \.largeWrite?.last.seconds, logarithm)
        add("member update, median", \.update?.median.seconds, logarithm)
        add("member update, last", \.update?.last.seconds, logarithm)
        return growths
    }

    /// For people.
    package var text: String {
        let sorted = columns.sorted { $0.nodes < $1.nodes }
        var rows = [["nodes"] + sorted.map { Figure.grouped($0.nodes) }]
        func row(_ title: String, _ cell: (Column) -> String?) { rows.append([title] + sorted.map { cell($0) ?? "-" }) }
        func decimal(_ value: Double?, _ digits: Int) -> String? { value.map { Figure.decimal($0, digits: digits) } }
        func times(_ detection: Detection?) -> String? {
            detection.map {
                [$0.first, $0.median, $0.last].map { Figure.decimal($0, digits: 2) }.joined(separator: " / ")
            }
        }
        func times(_ spread: Samples.Summary?) -> String? {
            spread.map {
                [$0.median, $0.last].map { Figure.decimal($0.milliseconds, digits: 1) }.joined(separator: " / ")
            }
        }
        func copies(_ summary: CopyCount.Summary?) -> String? { summary.map { "\($0.median) / \($0.p99)" } }
        row("idle: UDP payload sent by a node, B/s") { decimal($0.idleBytes, 1) }
        row("idle: datagrams sent by a node, 1/s") { decimal($0.idleDatagrams, 2) }
        row("kill -9 told, first / median / last, s") { times($0.kill) }
        row("host down told, first / median / last, s") { times($0.down) }
        row("write on a node, median / last, ms") { times($0.write) }
        row("member update on a node, median / last, ms") { times($0.update) }
        row("write of 400 bytes on a node, median / last, ms") { times($0.largeWrite) }
        row("copies of a write that a node receives, median / p99") { copies($0.rowCopies) }
        row("copies of a write of 400 bytes") { copies($0.largeRowCopies) }
        row("copies of a user event") { copies($0.eventCopies) }
        row("copies of a member update") { copies($0.updateCopies) }
        var out = PlainTable.text(rows)
        if !growths.isEmpty {
            out += "\ngrowth from the smallest to the largest; times may grow as log10 n, and a tenth more\n"
            let lines = growths.map { growth in
                [
                    growth.what, Figure.decimal(growth.ratio, digits: 2), "limit",
                    Figure.decimal(growth.limit, digits: 2), growth.holds ? "held" : "BROKEN",
                ]
            }
            out += PlainTable.text(lines)
        }
        if !troubles.isEmpty { out += "\n" }
        for trouble in troubles {
            out += "\(trouble.scenario), \(trouble.nodes) nodes: \(trouble.failures.isEmpty ? "ok" : "FAILED")\n"
            for failure in trouble.failures { out += "  - \(failure)\n" }
        }
        for failure in failures { out += "FAILED: \(failure)\n" }
        return out + "seed \(seed)\n"
    }

    /// For machines.
    package var json: JSONText {
        func optional(_ value: Double?) -> JSONText { value.map { .precise($0) } ?? .null }
        func detection(_ value: Detection?) -> JSONText {
            value.map {
                .object([
                    ("deaths", .integer($0.deaths)), ("first_seconds", .precise($0.first)),
                    ("median_seconds", .precise($0.median)), ("last_seconds", .precise($0.last)),
                ])
            } ?? .null
        }
        func spread(_ value: Samples.Summary?) -> JSONText {
            value.map {
                .object([("median_seconds", .precise($0.median.seconds)), ("last_seconds", .precise($0.last.seconds))])
            } ?? .null
        }
        return .object([
            ("seed", .string(String(seed))), ("ok", .bool(isOK)),
            (
                "sizes",
                .array(
                    columns.sorted { $0.nodes < $1.nodes }.map {
                        .object([
                            ("nodes", .integer($0.nodes)),
                            ("idle_udp_payload_bytes_per_second", optional($0.idleBytes)),
                            ("idle_datagrams_per_second", optional($0.idleDatagrams)), ("kill", detection($0.kill)),
                            ("down", detection($0.down)), ("write", spread($0.write)),
                            ("member_update", spread($0.update)), ("large_write", spread($0.largeWrite)),
                            ("write_copies", SimulationReport.json($0.rowCopies)),
                            ("large_write_copies", SimulationReport.json($0.largeRowCopies)),
                            ("user_event_copies", SimulationReport.json($0.eventCopies)),
                            ("member_update_copies", SimulationReport.json($0.updateCopies)),
                        ])
                    })
            ),
            (
                "growth",
                .array(
                    growths.map {
                        .object([
                            ("what", .string($0.what)), ("ratio", .precise($0.ratio)), ("limit", .precise($0.limit)),
                            ("holds", .bool($0.holds)),
                        ])
                    })
            ),
            (
                "scenarios",
                .array(
                    troubles.map {
                        .object([
                            ("scenario", .string($0.scenario)), ("nodes", .integer($0.nodes)),
                            ("failures", .array($0.failures.map { .string($0) })),
                        ])
                    })
            ), ("failures", .array(failures.map { .string($0) })),
        ])
    }
}
