// SPDX-License-Identifier: Apache-2.0
// Owns transactions from peers: their rows wait until all of them are here, so that no reader sees half.

import ClusterTypes
import StoreCore

extension NodeKernel {
    /// Sorts out the rows that belong to transactions; returns those that may be merged now, and must be in this turn.
    mutating func releasable(_ rows: [Row], _ turn: inout Turn) -> [Row] {
        var released: [Row] = []
        var touched: [TransactionStash.Key] = []
        for row in rows {
            guard let key = TransactionStash.key(of: row), mustWait(row, turn.clock.wall) else {
                released.append(row)
                continue
            }
            transactions.insert(row, key, now: turn.now)
            if touched.last != key { touched.append(key) }
            for dot in row.versions where dot.actor != key.actor {
                if let other = transactions.transaction(of: dot) { touched.append(other) }
            }
        }
        for key in touched { released += takeComplete(with: key, turn.now) }
        transactions.keepBounds(now: turn.now)
        return released
    }

    /// False for rows that change nothing, and for those that `merge` refuses: it says so better.
    private func mustWait(_ row: Row, _ wall: WallTime) -> Bool {
        guard row.defect == nil, !store.holds(row.versions),
            store.quarantine(of: row.stamp, at: wall) == nil
        else { return false }
        guard let own = store.row(row.id) else { return true }
        return Row.joined(own, row) != own
    }

    /// Rows of transactions that have become complete by what was merged just now.
    mutating func unlocked(by merged: [Row], _ turn: inout Turn) -> [Row] {
        var released: [Row] = []
        for row in merged where !transactions.isEmpty {
            for dot in row.versions {
                if let key = transactions.transaction(of: dot) { released += takeComplete(with: key, turn.now) }
            }
        }
        return released
    }

    private mutating func takeComplete(with key: TransactionStash.Key, _ now: Instant) -> [Row] {
        let rows = transactions.takeComplete(with: key, context: store.context)
        return hasRoom(for: rows, now) ? rows : []
    }

    /// Whether all of the rows fit into the store; half of them must not be taken.
    private mutating func hasRoom(for rows: [Row], _ now: Instant) -> Bool {
        guard store.rowCount + rows.count > store.configuration.rowsMax else { return true }
        let new = rows.count { store.row($0.id) == nil }
        if store.rowCount + new <= store.configuration.rowsMax { return true }
        statistics.rowsRefused += UInt64(rows.count)
        transactions.noteDropped(rows, now: now)
        return false
    }

    /// A complete exchange with a peer that holds `context` is over: what it sent of transactions is whole.
    ///
    /// - Returns: false when rows of the exchange were dropped or still wait: the context must not be adopted then.
    @discardableResult
    mutating func releaseStash(upTo context: CausalContext, _ turn: inout Turn) -> Bool {
        if transactions.isEmpty, oldestExchange == nil { return true }
        guard takesPeersRows else { return transactions.isEmpty }
        let oldest = oldestExchange
        transactions.forgetGaps(before: oldest)
        let rows = transactions.takeReflected(by: context, context: store.context)
        // A row that is refused now, by quarantine or as another strict group's, must come again.
        if !rows.isEmpty, hasRoom(for: rows, turn.now), !merge(rows, &turn) { return false }
        if let oldest, transactions.hasDropped(since: oldest) { return false }
        return !transactions.holdsEvents(of: context, beyond: store.context)
    }

    /// When the oldest exchange of stores that is under way began.
    private var oldestExchange: Instant? {
        streams.values.compactMap { if case .storeSync(let sync) = $0.role { sync.startedAt } else { nil } }.min()
    }

    /// Gives up on transactions that do not become complete. Not during an exchange: its end may complete them, and what
    /// is dropped meanwhile would make it futile.
    mutating func dropAgedTransactions(_ turn: inout Turn) {
        guard !transactions.isEmpty, oldestExchange == nil else { return }
        transactions.dropAged(now: turn.now)
    }
}
