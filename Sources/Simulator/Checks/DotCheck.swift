// SPDX-License-Identifier: Apache-2.0
// Owns the check that no event of the store is made twice and none is told before it is durable.

import ClusterTypes
import StoreCore

/// Watches every row that any node makes durable or sends.
///
/// - A dot (actor, counter) belongs to one row for ever.
/// - An actor's dots are made by one process: the first that was seen to make one.
/// - Nobody knows a dot before its author's process asked its disk to keep it.
/// - One set of events makes one row: rows with equal id and versions are equal in stamp, author and content.
/// - A process sends no row whose events its own disk has not confirmed.
package struct DotCheck: Sendable {
    /// A process of a simulated node.
    package struct Process: Hashable, Sendable {
        package var node: Int
        package var number: Int32

        package init(node: Int, number: Int32) {
            self.node = node
            self.number = number
        }
    }

    private struct RowState: Hashable {
        var id: RowID
        var versions: [Dot]

        /// nil: what folded actors did is in the row under another name, and no versions tell how much of it.
        init?(_ row: Row) {
            guard row.versions.contains(where: { $0.actor == row.author }), row.id.part != .counter(.folded) else {
                return nil
            }
            if case .element(let entries) = row.content, entries.contains(where: { $0.actor == .folded }) { return nil }
            id = row.id
            versions = row.versions
        }
    }

    private var rows: [Dot: RowID] = [:]
    private var authors: [ActorID: Process] = [:]
    private var states: [RowState: Hash128] = [:]
    /// States that are remembered to be compared; further ones are not, so that memory stays bounded.
    private static let statesMax = 2_000_000
    /// What the running process of each node has made durable.
    private var durable: [[RowID: [Dot]]]

    package private(set) var rowsSeen = 0
    package var dotsSeen: Int { rows.count }
    package private(set) var violations = Violations()

    package init(nodes: Int) { durable = Array(repeating: [:], count: nodes) }

    /// `process` of the node with this id asked its disk to keep `row`.
    package mutating func persisting(_ row: Row, id: NodeID, process: Process) {
        for dot in row.versions where rows[dot] == nil {
            if dot.actor.isStrictFeed {
                // The log made it, and each member takes it from there.
                rows[dot] = row.id
                continue
            }
            guard dot.actor.node == id else { continue }
            let author = authors[dot.actor] ?? process
            authors[dot.actor] = author
            if author != process {
                violations.add(
                    "\(dot) was made by process \(process.number) of n\(process.node + 1), but its actor belongs to "
                        + "process \(author.number) of n\(author.node + 1)")
            }
            rows[dot] = row.id
        }
        observe(row, at: process)
    }

    /// The disk of `process` confirmed `row`.
    package mutating func persisted(_ row: Row, process: Process) {
        durable[process.node][row.id, default: []] = Self.join(durable[process.node][row.id] ?? [], row.versions)
    }

    /// `process` put `row` into a packet.
    package mutating func sent(_ row: Row, process: Process) {
        observe(row, at: process)
        let kept = durable[process.node][row.id] ?? []
        for dot in row.versions where !kept.contains(where: { $0.actor == dot.actor && $0.counter >= dot.counter }) {
            let whose = authors[dot.actor] == process ? "its own event" : "a peer's event"
            violations.add("n\(process.node + 1) sent \(whose) \(dot) of '\(row.id.key)' before its disk confirmed it")
        }
    }

    /// The process of this node is gone, and its memory with it.
    package mutating func ended(node: Int) { durable[node] = [:] }

    /// A new process of the node found these rows on its disk.
    package mutating func recovered(_ rows: some Collection<Row>, node: Int) {
        for row in rows { durable[node][row.id] = row.versions }
    }

    private mutating func observe(_ row: Row, at process: Process) {
        rowsSeen += 1
        for dot in row.versions {
            switch rows[dot] {
            case nil:
                violations.add("n\(process.node + 1) knows \(dot) of '\(row.id.key)', which its author never made")
                rows[dot] = row.id
            case row.id?: break
            case let other?:
                violations.add("\(dot) was used twice: for '\(other.key)' and for '\(row.id.key)'")
            }
        }
        guard let state = RowState(row) else { return }
        let fingerprint = Self.fingerprint(row)
        if let known = states[state] {
            if known != fingerprint {
                violations.add(
                    "two rows of '\(row.id.key)' hold the same events \(row.versions) and differ in content: an event "
                        + "was made twice")
            }
        } else if states.count < Self.statesMax {
            states[state] = fingerprint
        }
    }

    private static func join(_ a: [Dot], _ b: [Dot]) -> [Dot] {
        var joined = a
        for dot in b {
            if let index = joined.firstIndex(where: { $0.actor == dot.actor }) {
                joined[index].counter = max(joined[index].counter, dot.counter)
            } else {
                joined.append(dot)
            }
        }
        return joined
    }

    private static func fingerprint(_ row: Row) -> Hash128 {
        var hasher = StableHasher()
        hasher.absorb(row.stamp.rawValue)
        hasher.absorb(row.author.node)
        hasher.absorb(row.author.epoch)
        hasher.absorb(counted: row.details.user.utf8)
        hasher.absorb(counted: row.details.reason.utf8)
        hasher.absorb(row.details.expiresAt)
        hasher.absorb(row.details.transaction?.first ?? 0)
        hasher.absorb(UInt64(row.details.transaction?.count ?? 0))
        hasher.absorb(row.details.index)
        switch row.content {
        case .register(nil): hasher.absorb(UInt8(0))
        case .register(let value?):
            hasher.absorb(UInt8(1))
            hasher.absorb(counted: value)
        case .element(let entries):
            hasher.absorb(UInt8(2))
            for entry in entries {
                hasher.absorb(entry.actor.node)
                hasher.absorb(entry.actor.epoch)
                hasher.absorb(entry.added)
                hasher.absorb(entry.removed)
            }
        case .counter(let entry):
            hasher.absorb(UInt8(3))
            for number in [
                entry.generation, entry.increments, entry.decrements, entry.resetIncrements, entry.resetDecrements,
            ] {
                hasher.absorb(number)
            }
        }
        return hasher.finalize()
    }
}

/// The first violations in full, and how many there were.
package struct Violations: Hashable, Sendable {
    package private(set) var first: [String] = []
    package private(set) var count = 0
    package static let keptMax = 10

    package init() {}

    package mutating func add(_ text: String) {
        count += 1
        if first.count < Self.keptMax { first.append(text) }
    }
}
