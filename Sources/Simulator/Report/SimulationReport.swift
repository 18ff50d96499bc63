// SPDX-License-Identifier: Apache-2.0
// Owns the report of a simulation: what happened, the figures, and whether all was well.

import ClusterTypes

/// The outcome of one simulation. Equal scenario and seed make equal reports.
package struct SimulationReport: Sendable {
    /// A root fingerprint of the store and how many running nodes hold it.
    package struct Root: Hashable, Sendable {
        package var root: Hash128
        package var nodes: Int
    }

    package var scenario: String
    package var nodes: Int
    package var seed: UInt64
    package var duration: Interval
    package var story: [StoryLine]
    package var figures: FigureBook
    package var wholeRun: FigureBook.Window
    package var falseFailures: Int
    package var falselyFailed: Int
    package var running: Int
    package var roots: [Root]
    package var keys: Int
    package var dots: Int
    package var rowsChecked: Int
    package var statesChecked: Int
    package var commands: Int
    package var replies: Int
    /// Writes that were acknowledged, and looks at whether a transaction was seen half.
    package var acknowledged: Int
    package var transactionLooks: Int
    /// User events, how often nodes handed one on, and how many of these deliveries had to be.
    package var userEventsSent: Int
    package var userEventsDelivered: Int
    package var userEventsDue: Int
    /// nil: no key is strict.
    package var strict: StrictFigures?
    package var expectationsMet: Int
    package var expectations: Int
    /// Expectations not met and checks violated; empty when all was well.
    package var failures: [String]
    package var eventsHandled: Int
    /// Empty unless the simulation recorded them.
    package var plotSamples: [PlotRecorder.Sample]

    package var isOK: Bool { failures.isEmpty }

    /// The window that the traffic figures speak of: the idle window where the scenario measures one.
    package var window: FigureBook.Window { figures.idleWindow ?? wholeRun }

    package func perNodeSecond(_ count: Int) -> Double {
        let seconds = window.length.seconds
        return seconds > 0 ? Double(count) / Double(nodes) / seconds : 0
    }
}

extension SimulationReport {
    /// The report for people.
    package var text: String {
        var out = "scenario \(scenario), \(nodes) nodes, seed \(seed), \(Figure.seconds(duration)) of cluster time\n"
        out += "\nwhat happened\n"
        for line in story {
            let time = Figure.decimal(line.at.seconds, digits: 3)
            out += String(repeating: " ", count: max(1, 10 - time.count)) + time + " s  " + line.text + "\n"
        }
        if story.count >= StoryLine.keptMax { out += "            and so on; --trace shows everything\n" }
        out += "\nfigures\n"
        for (name, value) in figureLines {
            out += "  " + name + String(repeating: " ", count: max(1, 24 - name.count)) + value + "\n"
        }
        out += "\n"
        if isOK { return out + "result: ok, \(expectationsMet) of \(expectations) expectations met\n" }
        out += "result: FAILED\n"
        for failure in failures { out += "  - \(failure)\n" }
        return out
    }

    private var figureLines: [(String, String)] {
        var lines: [(String, String)] = []
        lines.append(
            ("formation", figures.formation.map { Figure.seconds($0) + " after the last start" } ?? "not formed"))
        for detection in figures.detections.prefix(20) {
            let name = "\(detection.cause) n\(detection.node + 1) noticed"
            guard let times = detection.samples.summary else {
                lines.append((name, "by none of \(detection.survivors)"))
                continue
            }
            lines.append((name, Self.describe(times) + ", by \(times.count) of \(detection.survivors)"))
        }
        if figures.detections.count > 20 {
            lines.append(("", "and \(figures.detections.count - 20) more ends of processes"))
        }
        if let summary = figures.writes.summary {
            lines.append(
                (
                    "writes spread",
                    Self.describe(summary) + ", \(figures.writeCount) writes, "
                        + "\(summary.count) of \(figures.writePairs) arrivals seen"
                ))
        }
        if let summary = figures.updates.summary {
            lines.append(("member updates spread", Self.describe(summary) + ", \(summary.count) arrivals"))
        }
        let copies = [
            ("row", figures.copies.rows(among: running)), ("user event", figures.copies.events(among: running)),
            ("member update", figures.copies.updates(among: running)),
        ]
        for (what, summary) in copies {
            guard let summary else { continue }
            lines.append(
                (
                    "copies of a \(what)",
                    "\(Figure.decimal(summary.mean, digits: 1)) on average, median \(summary.median), p99 \(summary.p99)"
                ))
        }
        for healing in figures.healings.prefix(20) {
            lines.append(
                (
                    "healing at \(Figure.decimal(healing.at.seconds, digits: 1)) s",
                    healing.took.map { "agreed after \(Figure.seconds($0))" } ?? "not agreed again"
                ))
        }
        return lines + trafficLines + outcomeLines
    }

    private var trafficLines: [(String, String)] {
        var lines: [(String, String)] = []
        let traffic = window.traffic
        let span =
            window.isIdle
            ? "idle, \(Figure.seconds(window.length)) from \(Figure.seconds(window.from))" : "whole run"
        lines.append(
            (
                "traffic per node",
                "\(Figure.decimal(perNodeSecond(traffic.datagramBytes), digits: 1)) B/s UDP payload, "
                    + "\(Figure.decimal(perNodeSecond(traffic.datagrams), digits: 2)) datagrams/s, "
                    + "\(Figure.decimal(perNodeSecond(traffic.messages), digits: 2)) messages/s, "
                    + "\(Figure.decimal(perNodeSecond(traffic.streamBytes), digits: 1)) B/s streams (\(span))"
            ))
        let total = wholeRun.traffic
        lines.append(
            (
                "traffic in all",
                "\(Figure.grouped(total.datagrams)) datagrams, \(Figure.grouped(total.datagramBytes)) B; "
                    + "\(Figure.grouped(total.streamsOpened)) streams, \(Figure.grouped(total.streamFrames)) frames, "
                    + "\(Figure.grouped(total.streamBytes)) B"
            ))
        lines.append(
            (
                "datagrams dropped",
                "\(figures.datagramsLost) lost, \(figures.datagramsCut) cut off, "
                    + "\(figures.datagramsDamaged) damaged (\(figures.damagedDecoded) of them decoded), "
                    + "\(figures.socketDrops) by full sockets"
            ))
        return lines
    }

    private var outcomeLines: [(String, String)] {
        var lines: [(String, String)] = []
        lines.append(
            (
                "false failures",
                "\(falseFailures) of \(falselyFailed) nodes; \(figures.failureEvents) failures told in all"
            ))
        lines.append(("suspicions", "\(figures.suspicions) told, \(figures.refutations) refuted"))
        lines.append(("synchronisations", "\(figures.syncs), \(figures.rowsSynced) rows received"))
        lines.append(
            (
                "final roots",
                "\(roots.count) on \(running) running nodes, \(keys) keys"
                    + (roots.first.map { ", \($0.root)" } ?? "")
            ))
        lines.append(
            (
                "checks",
                "\(dots) dots, \(rowsChecked) rows, \(statesChecked) row states, \(replies) of \(commands) "
                    + "commands answered, \(figures.commandsRefused) refused, \(acknowledged) writes acknowledged, \(transactionLooks) looks at transactions, \(figures.invariantChecks) invariant checks"
            ))
        if userEventsSent > 0 {
            lines.append(
                (
                    "user events",
                    "\(userEventsSent) sent, \(userEventsDelivered) deliveries, \(userEventsDue) of them due"
                ))
        }
        if let strict { lines.append(("strict keys", strict.text)) }
        lines.append(("events", Figure.grouped(eventsHandled)))
        return lines
    }

    private static func describe(_ times: Samples.Summary) -> String {
        "first \(Figure.seconds(times.first)), median \(Figure.seconds(times.median)), "
            + "p99 \(Figure.seconds(times.p99)), last \(Figure.seconds(times.last))"
    }
}
