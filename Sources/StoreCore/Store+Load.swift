// SPDX-License-Identifier: Apache-2.0
// Owns how a store is built from rows on disk or from a peer's whole store.

import ClusterTypes

extension Store {
    /// An empty store with the marks of the one that the rows come from. `load` the rows then, in the order of their
    /// ids.
    package init(
        actor: ActorID, configuration: StoreConfiguration, floor: CollectionFloor, context: CausalContext,
        expiredThrough: UInt64
    ) {
        self.init(actor: actor, configuration: configuration)
        self.floor = floor
        self.context = context
        self.expiredThrough = expiredThrough
        for entry in floor.folded { self.context.remove(entry.actor) }
        clock.observe(floor.cutoff)
        if floor.names(actor) { renewActor(to: actor) }
    }

    /// Stamps up to this one may have been given out, though no row shows it any more.
    package mutating func observe(_ stamp: HybridTimestamp) { clock.observe(stamp) }

    /// Takes over a row as it is, without the judgement of `merge`. False, and nothing changed, when the row breaks a
    /// rule, is there already, or is one too many. Any order works, that of ids is the fast one. A value that was
    /// expired already does not show.
    package mutating func load(_ row: Row) -> Bool {
        guard row.defect == nil, rowCount < configuration.rowsMax, !namesFolded(row) else { return false }
        let place = locate(row.id)
        guard place.row == nil else { return false }
        _ = install(row, isExpired: isExpired(row, at: WallTime(milliseconds: 0)), over: nil, at: place)
        return true
    }

    /// Calls `body` with every row, in the order of their ids.
    package func forEachRow(_ body: (Row) -> Void) { order.forEach { body(row(at: $0)) } }
}
