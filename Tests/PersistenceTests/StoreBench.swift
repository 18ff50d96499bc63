// SPDX-License-Identifier: Apache-2.0
// Owns what the tests of the store's database share: rows, changes, and a kernel's part played by a store.

import BackupFormat
import ClusterTypes
import Persistence
import StoreCore

let alice = ActorID(node: NodeID(high: 0xa11c_e000_0000_0000, low: 1), epoch: 7)
let bob = ActorID(node: NodeID(high: 0xb0b0_0000_0000_0000, low: 2), epoch: 9)
/// The author of a process that has written nothing yet.
func fresh(_ epoch: UInt32) -> ActorID { ActorID(node: alice.node, epoch: epoch) }

func wall(_ milliseconds: UInt64) -> WallTime { WallTime(milliseconds: milliseconds) }

func register(
    _ key: String, _ value: String?, _ counter: UInt64, at milliseconds: UInt64, by actor: ActorID = alice,
    details: EventDetails = .none
) -> Row {
    Row(
        id: RowID(key: key, part: .register), versions: [Dot(actor: actor, counter: counter)],
        stamp: HybridTimestamp(wall: wall(milliseconds)), author: actor,
        content: .register(value.map { Array($0.utf8) }), details: details)
}

func member(
    _ key: String, _ element: String, _ counter: UInt64, removed: Bool = false, at milliseconds: UInt64,
    by actor: ActorID = alice
) -> Row {
    let added = removed ? counter - 1 : counter
    return Row(
        id: RowID(key: key, part: .element(Array(element.utf8))), versions: [Dot(actor: actor, counter: counter)],
        stamp: HybridTimestamp(wall: wall(milliseconds)), author: actor,
        content: .element([ElementEntry(actor: actor, added: added, removed: removed ? added : 0)]))
}

func counter(
    _ key: String, _ total: UInt64, _ counter: UInt64, at milliseconds: UInt64, by actor: ActorID = alice
) -> Row {
    Row(
        id: RowID(key: key, part: .counter(actor)), versions: [Dot(actor: actor, counter: counter)],
        stamp: HybridTimestamp(wall: wall(milliseconds)), author: actor,
        content: .counter(
            CounterEntry(
                generation: 1, increments: total, decrements: 0, resetIncrements: 0, resetDecrements: 0)))
}

func text(_ string: String) -> KeyView.Content { .register(Array(string.utf8)) }

extension Row {
    /// The record of a visible change that this row makes.
    func change(
        _ revision: UInt64, _ kind: Change.Kind, old: KeyView.Content? = nil, appliedAt: UInt64? = nil
    ) -> ChangeRecord {
        ChangeRecord(
            revision: revision, appliedAt: wall(appliedAt ?? stamp.milliseconds),
            change: Change(
                key: id.key, type: id.part.type, kind: kind, version: version, old: old, details: details))
    }
}

/// Writes registers one after the other, as a kernel would record it.
struct RegisterWriter {
    var counter: UInt64 = 0
    var revision: UInt64 = 0
    private var shown: [String: String] = [:]

    init() {}

    mutating func put(
        _ key: String, _ value: String?, at milliseconds: UInt64, details: EventDetails = .none
    ) -> [StoreRecord] {
        counter += 1
        revision += 1
        let row = register(key, value, counter, at: milliseconds, details: details)
        let old = shown[key].map(text)
        shown[key] = value
        let kind: Change.Kind = value.map { .put(Array($0.utf8)) } ?? .delete
        return [.row(row), .change(row.change(revision, kind, old: old))]
    }
}

extension Scratch {
    func store(
        epoch: UInt32 = 100, history: HistoryLimits = HistoryLimits(), fault: StorageFault? = nil
    ) throws -> (database: StoreDatabase, recovery: Recovery) {
        try StoreDatabase.open(directory: data, actor: fresh(epoch), history: history, fault: fault)
    }
}
