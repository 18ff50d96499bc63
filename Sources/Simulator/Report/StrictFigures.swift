// SPDX-License-Identifier: Apache-2.0
// Owns what a simulation did with strict keys, in numbers: runs in which nothing happens would prove nothing.

import ClusterTypes

/// Counts of one simulation, or of many together.
package struct StrictFigures: Hashable, Sendable {
    /// Processes that ended, and steps of the scenario that disturbed something, repetitions included.
    package var crashes = 0
    package var faults = 0
    package var leaders = 0
    package var entries = 0
    /// Calls of clients; `unknown` had no clear answer.
    package var answered = 0
    package var failed = 0
    package var unknown = 0
    /// Steps after which the log was looked at, and states that were held against what the log comes to.
    package var looks = 0
    package var states = 0
    /// Commands that came a second time, leases that expired through the log, holders of locks, writes that a fencing token
    /// let through, and that it kept out.
    package var repeats = 0
    package var expiries = 0
    package var tokens = 0
    package var fencedWrites = 0
    package var fencedRefusals = 0
    /// Calls that the judge explained.
    package var history = 0

    package init() {}

    package init(_ check: StrictCheck) {
        leaders = check.sum { raft, _ in raft.leadersSeen }
        entries = check.sum { raft, _ in Int(raft.committedThrough) }
        answered = check.callsAnswered
        failed = check.callsFailed
        unknown = check.callsUnknown
        looks = check.sum { raft, _ in raft.looks }
        states = check.sum { _, state in state.comparisons }
        repeats = check.sum { _, state in state.repeats }
        expiries = check.sum { _, state in state.expiries }
        tokens = check.sum { _, state in state.tokens }
        fencedWrites = check.sum { _, state in state.fencedWrites }
        fencedRefusals = check.sum { _, state in state.fencedRefusals }
        history = check.history.count
    }

    private static var fields: [(String, WritableKeyPath<StrictFigures, Int>)] {
        [
            ("crashes", \.crashes), ("faults", \.faults), ("leaders", \.leaders), ("entries", \.entries),
            ("answered", \.answered), ("failed", \.failed), ("unknown", \.unknown), ("looks", \.looks),
            ("states", \.states), ("repeats", \.repeats), ("expired_leases", \.expiries), ("lock_holders", \.tokens),
            ("fenced_writes", \.fencedWrites), ("fenced_refusals", \.fencedRefusals), ("history", \.history),
        ]
    }

    package static func + (a: StrictFigures, b: StrictFigures) -> StrictFigures {
        var sum = a
        for (_, path) in fields { sum[keyPath: path] += b[keyPath: path] }
        return sum
    }

    var json: JSONText { .object(Self.fields.map { ($0, .integer(self[keyPath: $1])) }) }

    /// For people.
    package var text: String {
        func count(_ number: Int) -> String { Figure.grouped(number) }
        return
            "\(count(crashes)) crashes, \(count(faults)) faults, \(count(leaders)) leaders, \(count(entries)) entries, "
            + "\(count(answered)) calls answered, \(count(failed)) failed, \(count(unknown)) unknown, "
            + "\(count(repeats)) repeated, \(count(expiries)) leases expired, \(count(tokens)) lock holders, "
            + "\(count(fencedWrites)) fenced writes, \(count(fencedRefusals)) kept out, \(count(looks)) looks at logs, "
            + "\(count(states)) states compared"
    }
}

extension Scenario.Action {
    /// Whether it disturbs anything; neither what ends a trouble nor what clients ask for does.
    var isFault: Bool {
        switch self {
        case .kill, .hostDown, .bounce, .roll, .leave, .stall, .mute, .cut, .partition, .isolate, .link, .allLinks,
            .fault, .clockJump, .clockDrift, .strictAdd, .strictRemove, .strictTransfer, .strictRecover:
            true
        case .start, .forget, .tag, .mend, .heal, .disk, .clockRight, .write, .call, .userEvent, .measure, .note:
            false
        }
    }
}
