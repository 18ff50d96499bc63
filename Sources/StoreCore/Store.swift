// SPDX-License-Identifier: Apache-2.0
// Owns the configuration store of one node: its rows, and the indexes that every change must keep in step.

import ClusterTypes

/// The replicated configuration of the fleet as one node holds it (DESIGN.md section 5).
///
/// Every write is an event with a dot that no other event has. A row joins all events on it, so rows may arrive in any
/// order, twice, or late. What never arrives is found by `rowsMissing(from:)` and closed by `adopt(context:)`.
///
/// The invariant under everything: when the context holds a dot, the local row of that event already reflects it.
package struct Store: Sendable {
    /// The author of local writes.
    package internal(set) var actor: ActorID
    package let configuration: StoreConfiguration
    package internal(set) var clock = HybridClock()
    /// The events that the rows reflect.
    package internal(set) var context = CausalContext()
    /// The sum of the hashes of all rows, tombstones included: equal on two nodes that hold the same rows.
    package internal(set) var root = Hash128.zero
    /// What was collected and folded; only grows.
    package internal(set) var floor = CollectionFloor.none
    /// The sum of `Row.estimatedBytes` of all rows: about what a peer would have to send. Memory is about 200 bytes a
    /// row more.
    package internal(set) var bytes = 0

    /// Values that expire up to this time (milliseconds since 1970) do not show any more. Goes back when the wall clock
    /// turns out to have been ahead.
    package internal(set) var expiredThrough: UInt64 = 0

    /// Stamps up to this one are taken, however far ahead of the wall clock they are: most of the fleet has stamps of the
    /// future, and goes on behind them. Not durable.
    package var toleratedThrough = HybridTimestamp.zero
    /// The highest time of expiry of the values that were judged to be over, by whatever clock.
    var hiddenThrough: UInt64 = 0

    /// By handle; vacant places are those in `free`.
    var rows: [StoredRow] = []
    /// Handles to use again.
    var free: [UInt32] = []
    /// Handles of the rows without live content. Its order never leaves the store.
    var dead: Set<UInt32> = []
    /// Rows whose value does not show because it is expired.
    var expiredCount = 0
    var expiry = ExpiryIndex()
    var keys = KeyIndex()
    var actors = ActorTable()
    /// Handles of all rows in the order of their ids, with the sums of their hashes.
    var order = RowOrder()
    /// Handles of all rows but registers, by key and part.
    var parts = HandleTable()

    package init(actor: ActorID, configuration: StoreConfiguration = StoreConfiguration()) {
        self.actor = actor
        self.configuration = configuration
    }

    /// Rows in the store, tombstones included.
    package var rowCount: Int { rows.count - free.count }

    /// Keys whose visible type has live content.
    package var liveKeyCount: Int { keys.liveCount }

    /// The counter that the next local event gets. It continues from the context, so that no dot is made twice.
    package var nextCounter: UInt64 { context.highest(of: actor) + 1 }

    /// Writes from now on under `actor`, or under its next epoch of which no event is known and that was not folded: a
    /// peer may have claimed events of any epoch. Afterwards `actor` names the one taken.
    package mutating func renewActor(to actor: ActorID) {
        var actor = actor
        while context.highest(of: actor) > 0 || floor.names(actor) || actor == .folded { actor.epoch &+= 1 }
        self.actor = actor
    }

    /// The row as it would be sent; nil when there is none.
    package func row(_ id: RowID) -> Row? { locate(id).row.map(row(at:)) }
}

extension Store {
    /// Where a row is, or is not.
    struct Place {
        var key: UInt32?
        var row: UInt32?
    }

    func locate(_ id: RowID) -> Place {
        guard let key = keys.find(id.key) else { return Place() }
        if id.part == .register {
            let row = keys.register(key)
            return Place(key: key, row: row == KeyIndex.none ? nil : row)
        }
        let hash = StoredRow.hash(of: id.part, key: key)
        let row = parts.find(hash: hash) {
            let row = rows[Int($0)]
            return row.partHash == hash && row.key == key && row.content.part == id.part
        }
        return Place(key: key, row: row)
    }

    func row(at handle: UInt32) -> Row {
        rows[Int(handle)].row(key: keys.key(rows[Int(handle)].key), actors: actors)
    }

    /// The first row that is not before the key and part; without part, the first row of the key or after it.
    func position(of key: String, handle: UInt32?, part: RowID.Part?) -> RowOrder.Position {
        order.partitionPoint { row in
            if rows[Int(row)].key == handle {
                guard let part else { return false }
                return rows[Int(row)].content.part < part
            }
            return keys.precedes(rows[Int(row)].key, key)
        }
    }

    /// Calls `body` with the handle of each row of the key, in order, until it returns false.
    func forEachRow(of key: UInt32, _ body: (UInt32) -> Bool) {
        var position = position(of: keys.key(key), handle: key, part: nil)
        while let row = order.element(at: position), rows[Int(row)].key == key, body(row) {
            position = order.position(after: position)
        }
    }
}
