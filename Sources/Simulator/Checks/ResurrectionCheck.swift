// SPDX-License-Identifier: Apache-2.0
// Owns the check that what was deleted does not come back without a new write.

import ClusterTypes
import StoreCore

/// Watches what each process makes durable, tells its watchers and shows to readers.
///
/// The argument: a process's row only grows in the lattice - versions, (stamp, author), added and removed counters.
/// An add is live while `added > removed`; once a process has seen it removed, `removed` never falls below, so it is
/// live again only with a higher `added`, and that is a new dot, which `DotCheck` ties to a new write. A register
/// shows the value of its newest (stamp, author); once that is a delete, only a later write can replace it. So each
/// process that saw a delete keeps it for as long as it runs; and since converged nodes hold equal rows, nodes that
/// started later show it neither, as long as one process that saw the delete has kept running. When all of them lost
/// their memory the delete itself is lost, which this version allows, and the check stays silent.
package struct ResurrectionCheck: Sendable {
    /// Rows as the running process of each node last made them durable.
    private var held: [[RowID: Row]]
    /// The newest delete of a register that each node's watchers were told of.
    private var deletes: [[String: Version]]

    package private(set) var statesSeen = 0
    package private(set) var violations = Violations()

    package init(nodes: Int) {
        held = Array(repeating: [:], count: nodes)
        deletes = Array(repeating: [:], count: nodes)
    }

    /// The running process of `node` asked its disk to keep `row`.
    package mutating func persisting(_ row: Row, node: Int) {
        statesSeen += 1
        if let before = held[node][row.id], let loss = Self.loss(from: before, to: row) {
            violations.add("n\(node + 1) went back in '\(row.id.key)': \(loss)")
        }
        held[node][row.id] = row
    }

    /// The running process of `node` told its watchers of `change`.
    package mutating func told(_ change: Change, node: Int) {
        guard change.type == .register else { return }
        switch change.kind {
        case .delete: deletes[node][change.key] = change.version
        case .put:
            if let deleted = deletes[node][change.key], change.version <= deleted {
                violations.add(
                    "n\(node + 1) shows '\(change.key)' again as written at \(change.version), although it was deleted "
                        + "at \(deleted)")
            }
        case .add, .remove, .increment, .typeConflict: break
        }
    }

    /// A reader at `node` sees `view` under `key`; nil: nothing.
    package mutating func shown(_ view: KeyView?, node: Int) {
        guard let view else { return }
        switch view.content {
        case .register(let value):
            guard case .register(value?)? = held[node][RowID(key: view.key, part: .register)]?.content else {
                violations.add("n\(node + 1) shows a value of '\(view.key)' that its newest row does not hold")
                return
            }
        case .set(let elements):
            for element in elements {
                guard case .element(let entries)? = held[node][RowID(key: view.key, part: .element(element))]?.content,
                    entries.contains(where: { $0.added > $0.removed })
                else {
                    violations.add("n\(node + 1) shows an element of '\(view.key)' that was removed there")
                    continue
                }
            }
        case .counter: break
        }
    }

    /// The process of this node is gone, and its memory with it.
    package mutating func ended(node: Int) {
        held[node] = [:]
        deletes[node] = [:]
    }

    /// Keys that any process held, sorted.
    package var keys: [String] {
        var keys = Set<String>()
        for rows in held { for id in rows.keys { keys.insert(id.key) } }
        return keys.sorted()
    }

    /// What `after` has lost against `before`; nil when it only grew.
    private static func loss(from before: Row, to after: Row) -> String? {
        for dot in before.versions
        where !after.versions.contains(where: { $0.actor == dot.actor && $0.counter >= dot.counter }) {
            return "the event \(dot) is missing"
        }
        let old = Version(stamp: before.stamp, author: before.author)
        let new = Version(stamp: after.stamp, author: after.author)
        if new < old { return "version \(new) follows \(old)" }
        switch (before.content, after.content) {
        case (.register(let a), .register(let b)):
            return old == new && a != b ? "one version \(new) has two contents" : nil
        case (.element(let a), .element(let b)):
            for entry in a
            where !b.contains(where: {
                $0.actor == entry.actor && $0.added >= entry.added && $0.removed >= entry.removed
            }) {
                return "an add or a remove by \(entry.actor) is missing"
            }
            return nil
        case (.counter(let a), .counter(let b)):
            let grew =
                b.increments >= a.increments && b.decrements >= a.decrements
                && b.resetIncrements >= a.resetIncrements && b.resetDecrements >= a.resetDecrements
            return grew ? nil : "a counter's total fell"
        case (.register, _), (.element, _), (.counter, _): return "its type changed"
        }
    }
}
