// SPDX-License-Identifier: Apache-2.0
// Owns the check that each command is answered exactly once.

import ClusterTypes
import NodeKernel

/// Watches commands and replies. A command whose process ended, or that is still young, may be without an answer.
package struct ReplyCheck: Sendable {
    package struct Pending: Sendable {
        package var node: Int
        package var at: Instant
        /// When an answer is overdue.
        package var due: Instant
        package var name: String
    }

    /// The longest that any command but `leave` may take to answer.
    package static let patience = Interval.seconds(15)

    private var pending: [CommandID: Pending] = [:]
    private var nextID: UInt64 = 1
    package private(set) var issued = 0
    package private(set) var answered = 0
    package private(set) var violations = Violations()

    package init() {}

    /// The id of the command that is issued next.
    package var nextCommand: CommandID { CommandID(rawValue: nextID) }

    /// A client asks the process at `node`; its answer is due within `patience`.
    package mutating func issue(
        _ name: String, node: Int, at now: Instant, patience: Interval = ReplyCheck.patience
    ) -> CommandID {
        let id = CommandID(rawValue: nextID)
        nextID += 1
        issued += 1
        pending[id] = Pending(node: node, at: now, due: now + patience, name: name)
        return id
    }

    /// The process at `node` answered; returns what was asked.
    package mutating func answer(_ id: CommandID, node: Int) -> Pending? {
        guard let asked = pending[id], asked.node == node else {
            let reason = id.rawValue < nextID ? "a second time, or after it was restarted" : "although nobody asked"
            violations.add("n\(node + 1) answered command \(id.rawValue) \(reason)")
            return nil
        }
        pending[id] = nil
        answered += 1
        return asked
    }

    /// The process at `node` is gone: nobody waits for its answers.
    package mutating func ended(node: Int) { pending = pending.filter { $0.value.node != node } }

    /// The process at `node` did nothing for this long: its answers are due so much later.
    package mutating func delayed(node: Int, by interval: Interval) {
        pending = pending.mapValues { asked in
            var asked = asked
            if asked.node == node { asked.due = asked.due + interval }
            return asked
        }
    }

    /// The simulation ends: what is overdue is a violation.
    package mutating func finish(at end: Instant) {
        for (id, asked) in pending.sorted(by: { $0.key < $1.key }) where asked.due <= end {
            violations.add(
                "n\(asked.node + 1) never answered '\(asked.name)' (command \(id.rawValue)) of "
                    + Figure.seconds(asked.at - .origin))
        }
    }
}
