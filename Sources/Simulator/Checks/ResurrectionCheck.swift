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
/// process that saw a delete keeps it, and a later process of the node finds on its disk what the former was told to be
/// durable; since converged nodes hold equal rows, no node shows it in the end. What was collected may be written anew,
/// and only with a later version. A reset takes over what a peer has, and a disk that the scenario replaced is another
/// disk: there nothing is compared.
package struct ResurrectionCheck: Sendable {
    /// Rows as each node was last asked to keep them.
    private var held: [[RowID: Row]]
    /// The newest delete of a register that each node's watchers were told of.
    private var deletes: [[String: Version]]

    /// The version with which each node's rows were collected.
    private var buried: [[RowID: Version]]
    /// Actors that any floor names: what they did has moved to others' names.
    private var folded: Set<ActorID> = []

    package private(set) var statesSeen = 0
    package private(set) var violations = Violations()

    package init(nodes: Int) {
        held = Array(repeating: [:], count: nodes)
        deletes = Array(repeating: [:], count: nodes)
        buried = Array(repeating: [:], count: nodes)
    }

    /// The running process of `node` asked its disk to keep `row`.
    package mutating func persisting(_ row: Row, node: Int) {
        statesSeen += 1
        if let before = held[node][row.id], let loss = RowLoss.between(before, row, folded: folded) {
            violations.add("n\(node + 1) went back in '\(row.id.key)': \(loss)")
        }
        if let death = buried[node][row.id], row.isLive, row.version <= death {
            violations.add(
                "n\(node + 1) holds '\(row.id.key)' again as of \(row.version), although it was collected at \(death)")
        }
        held[node][row.id] = row
    }

    /// The running process of `node` asked its disk to drop the row.
    package mutating func removed(_ id: RowID, node: Int) {
        guard let row = held[node].removeValue(forKey: id), !isFolded(id) else { return }
        buried[node][id] = row.version
    }

    /// The share of a counter's owner has moved into that of the folded actors.
    private func isFolded(_ id: RowID) -> Bool {
        if case .counter(let owner) = id.part { return folded.contains(owner) || owner == .folded }
        return false
    }

    /// A process keeps `floor`.
    package mutating func raised(to floor: CollectionFloor) { for entry in floor.folded { folded.insert(entry.actor) } }

    /// The process of `node` takes over a peer's store.
    package mutating func reset(node: Int) {
        held[node] = [:]
        deletes[node] = [:]
    }

    /// The running process of `node` told its watchers of `change`.
    package mutating func told(_ change: Change, node: Int) {
        guard change.type == .register else { return }
        switch change.kind {
        case .delete:
            // What expired by a clock that was ahead may show again once that is set back.
            if change.details.expiresAt == 0 { deletes[node][change.key] = change.version }
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

    /// A new process of `node` found `rows` on its disk: what was not confirmed to the former may be among them or not.
    /// Values that expire up to `expiredThrough` do not show.
    package mutating func recovered(_ rows: [RowID: Row], expiredThrough: UInt64, node: Int) {
        held[node] = rows
        // What was collected in a batch that the crash lost was not collected.
        buried[node] = buried[node].filter { rows[$0.key] == nil }
        for (key, version) in deletes[node].sorted(by: { $0.key < $1.key }) {
            let row = rows[RowID(key: key, part: .register)]
            guard let row, row.isLive, row.version <= version else { continue }
            if row.details.expiresAt == 0 || row.details.expiresAt > expiredThrough {
                violations.add("n\(node + 1) shows '\(key)' after its restart, although it had told that it is deleted")
            }
        }
    }

    /// The node has another disk.
    package mutating func forgotten(by node: Int) {
        held[node] = [:]
        deletes[node] = [:]
        buried[node] = [:]
    }

    /// Keys that any process held, sorted.
    package var keys: [String] {
        var keys = Set<String>()
        for rows in held { for id in rows.keys { keys.insert(id.key) } }
        return keys.sorted()
    }
}
