// SPDX-License-Identifier: Apache-2.0
// Owns the check that what a client was told is written stays written: over crashes, and at the end everywhere.

import ClusterTypes
import NodeKernel
import StoreCore

/// Watches acknowledged writes. Whenever their node starts again, and at the end, its store must hold each of them or
/// something newer; a counter's value lies between what was acknowledged and what was asked for.
///
/// Excused: rows that died later and were collected, counters' shares of folded actors (the totals are still compared),
/// writes that a reset put into the import queue or that had lost to a newer one in the
/// store it took over, and all that a disk held which the scenario replaced.
package struct AckedWriteCheck: Sendable {
    /// One counter's sums over all commands: acknowledged, and of those without an answer what could have been written.
    private struct Tally: Sendable {
        var acknowledged: Int128 = 0
        var openIncrements: Int128 = 0
        var openDecrements: Int128 = 0
        var isExact = true
    }

    private struct Asked: Sendable {
        var rows: [Row] = []
        var amounts: [(key: String, amount: Int64)] = []
    }

    private var asked: [CommandID: Asked] = [:]
    /// The newest acknowledged state of each row, by node.
    private var held: [[RowID: Row]]
    /// The newest state of each row that shows nothing, or will one day.
    private var dead: [RowID: Version] = [:]
    private var tallies: [String: Tally] = [:]
    private var countersAreExact = true

    package private(set) var count = 0
    package private(set) var violations = Violations()

    package init(nodes: Int) { held = Array(repeating: [:], count: nodes) }

    /// A client asks for `writes`.
    package mutating func issued(_ id: CommandID, _ writes: [StoreWrite]) {
        for write in writes {
            switch write {
            case .increment(let key, let amount):
                asked[id, default: Asked()].amounts.append((key, amount))
                add(amount, to: key, sign: 1)
            case .delete(let key): tallies[key, default: Tally()].isExact = false
            case .put, .add, .remove: break
            }
        }
    }

    /// Adds an amount to what is open, or takes it away.
    private mutating func add(_ amount: Int64, to key: String, sign: Int128) {
        if amount > 0 {
            tallies[key, default: Tally()].openIncrements += sign * Int128(amount)
        } else {
            tallies[key, default: Tally()].openDecrements += sign * Int128(amount)
        }
    }

    /// The kernel made `rows` of the command.
    package mutating func asked(_ id: CommandID, rows: [Row]) { asked[id, default: Asked()].rows += rows }

    package mutating func answered(_ id: CommandID, _ reply: Reply, node: Int) {
        guard let entry = asked.removeValue(forKey: id) else { return }
        switch reply {
        case .written:
            count += 1
            for row in entry.rows { held[node][row.id] = row }
            for (key, amount) in entry.amounts {
                add(amount, to: key, sign: -1)
                tallies[key, default: Tally()].acknowledged += Int128(amount)
            }
        case .failure(.storageFull): break  // It may still be written.
        case .failure:
            for (key, amount) in entry.amounts { add(amount, to: key, sign: -1) }
        case .status, .statistics, .members, .explanation, .joined, .done, .left, .tags, .pinged, .roundTrips,
            .examined, .ring, .key, .keys, .survey, .confirmed, .verified, .diagnosis, .eventSent,
            .strict, .strictEntry, .strictAge:
            break
        }
    }

    /// Any process asked its disk to keep `row`.
    package mutating func persisting(_ row: Row, node: Int) {
        guard !row.isLive || row.details.expiresAt > 0 else { return }
        dead[row.id] = max(dead[row.id] ?? row.version, row.version)
    }

    /// The process of `node` takes over a peer's store, whose rows are `rows`. What lost to a newer write there is not
    /// handed to the operator; whoever made that write is held to it.
    package mutating func reset(node: Int, to rows: [Row]) {
        for row in rows {
            guard let before = held[node][row.id], row.version >= before.version, row.isLive || !before.isLive else {
                continue
            }
            held[node][row.id] = nil
        }
    }

    /// A reset handed the write to the operator.
    package mutating func queued(_ write: QueuedWrite, node: Int) {
        tallies[write.row.id.key, default: Tally()].isExact = false
        guard let row = held[node][write.row.id], row.version <= write.row.version else { return }
        held[node][row.id] = nil
    }

    package mutating func diskReplaced(of node: Int) {
        held[node] = [:]
        countersAreExact = false
    }

    /// A new process of `node` found `store` on its disk.
    package mutating func recovered(node: Int, store: borrowing Store) {
        look(node: node, store: store, when: "after its restart")
    }

    /// The simulation ends; `node` runs.
    package mutating func finish(node: Int, store: borrowing Store, read: (String) -> KeyView?) {
        look(node: node, store: store, when: "at the end")
        guard countersAreExact else { return }
        for (key, tally) in tallies.sorted(by: { $0.key < $1.key }) where tally.isExact {
            guard case .counter(let value)? = read(key)?.content ?? .counter(0) else { continue }
            let low = tally.acknowledged + tally.openDecrements
            let high = tally.acknowledged + tally.openIncrements
            if !(low...high).contains(Int128(value)) {
                violations.add(
                    "n\(node + 1) counts \(value) in '\(key)', and \(tally.acknowledged) were acknowledged"
                        + (low == high ? "" : " (\(low) to \(high) with those that were not)"))
            }
        }
    }

    private mutating func look(node: Int, store: borrowing Store, when: String) {
        let folded = Set(store.floor.folded.map(\.actor))
        for (id, row) in held[node].sorted(by: { $0.key < $1.key }) {
            if case .counter(let owner) = id.part, folded.contains(owner) { continue }
            let found = store.row(id)
            if let death = dead[id], death.stamp <= store.floor.cutoff, death >= row.version,
                found.map({ $0.version >= death || !$0.isLive }) ?? true
            {
                continue
            }
            guard let found else {
                violations.add("n\(node + 1) has lost the acknowledged write of '\(id.key)' at \(row.version) \(when)")
                continue
            }
            if let loss = RowLoss.between(row, found, folded: folded) {
                violations.add(
                    "n\(node + 1) has lost an acknowledged write of '\(id.key)' at \(row.version) \(when): \(loss)")
            }
        }
    }
}
