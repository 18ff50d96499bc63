// SPDX-License-Identifier: Apache-2.0
// Owns the end of a simulation: the last looks and the report.

import ClusterTypes
import NodeKernel

extension Simulation {
    /// Keys that are read on every node at the end; more would not tell more.
    static let finalKeysMax = 200
    /// Nodes whose invariants are checked thoroughly at the end, about, in clusters of more than 1 000.
    static let finalChecksMax = 500

    mutating func finish() -> SimulationReport {
        for index in expectations.indices where expectations[index].expectation.within == nil {
            judgeAtEnd(index)
        }
        for index in expectations.indices where expectations[index].metAt == nil && !expectations[index].failed {
            fail(index, "the run ended before")
        }
        let keys = resurrection.keys.prefix(Self.finalKeysMax)
        let running = views.runningNodes
        // A check costs time in proportion to the members: of a large cluster a part is looked at.
        let stride = max(1, running.count / Self.finalChecksMax)
        for (place, node) in running.enumerated() {
            if place % stride == 0 {
                nodes[node].kernel?.checkInvariantsThoroughly()
                figures.invariantChecks += 1
            }
            for key in keys { resurrection.shown(read(key, at: node), node: node) }
            if let store = nodes[node].kernel?.store {
                acked.finish(node: node, store: store) { [self] in read($0, at: node) }
            }
        }
        replies.finish(at: now)
        strict.finish()
        userEvents.finish(
            at: now, processes: nodes.map { $0.isRunning ? (process: $0.process, startedAt: $0.startedAt) : nil })
        return report()
    }

    private mutating func judgeAtEnd(_ index: Int) {
        let expectation = expectations[index].expectation
        do {
            if let finding = try finding(against: expectation.condition, line: expectation.line) {
                fail(index, finding)
            } else {
                expectations[index].metAt = now - .origin
            }
        } catch {
            fail(index, error.reason)
        }
    }

    private var strictFigures: StrictFigures {
        var figures = StrictFigures(strict)
        figures.crashes = nodes.reduce(0) { $0 + Int($1.process) - ($1.isRunning ? 1 : 0) }
        figures.faults = faults
        return figures
    }

    private func report() -> SimulationReport {
        var roots: [Hash128: Int] = [:]
        var keys = 0
        for node in views.runningNodes {
            guard case .status(let status)? = nodes[node].query(.status, at: now) else { continue }
            roots[status.root, default: 0] += 1
            keys = max(keys, status.keys)
        }
        var failures: [String] = []
        for expectation in expectations where expectation.failed {
            failures.append(
                "line \(expectation.expectation.line), '\(expectation.expectation.text)': \(expectation.finding)")
        }
        for violations in [
            violations, dots.violations, resurrection.violations, replies.violations, acked.violations,
            revisions.violations, transactions.violations, userEvents.violations,
        ] + strict.violations {
            failures += violations.first
            let more = violations.count - violations.first.count
            if more > 0 { failures.append("and \(more) more of this kind") }
        }
        return SimulationReport(
            scenario: scenario.name, nodes: nodes.count, seed: seed, duration: scenario.duration, story: story,
            figures: figures,
            wholeRun: FigureBook.Window(
                from: .zero, length: scenario.duration, traffic: totalTraffic, isIdle: false),
            falseFailures: falseFailures.count, falselyFailed: falseFailures.subjectCount,
            running: views.runningCount,
            roots: roots.map { SimulationReport.Root(root: $0.key, nodes: $0.value) }
                .sorted { $0.nodes != $1.nodes ? $0.nodes > $1.nodes : $0.root < $1.root },
            keys: keys, dots: dots.dotsSeen, rowsChecked: dots.rowsSeen, statesChecked: resurrection.statesSeen,
            commands: replies.issued, replies: replies.answered, acknowledged: acked.count,
            transactionLooks: transactions.looks, userEventsSent: userEvents.sentCount,
            userEventsDelivered: userEvents.delivered, userEventsDue: userEvents.due,
            strict: scenario.strict == nil ? nil : strictFigures,
            expectationsMet: expectations.reduce(0) { $1.metAt == nil ? $0 : $0 + 1 },
            expectations: expectations.count, failures: failures, eventsHandled: eventsHandled,
            plotSamples: recorder?.samples ?? [])
    }
}
