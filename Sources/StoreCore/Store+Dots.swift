// SPDX-License-Identifier: Apache-2.0
// Owns the way from an event to the row that holds it.

import ClusterTypes

extension Store {
    /// The row of which `dot` is its actor's last event; nil when it was overwritten or never seen.
    package func row(holding dot: Dot) -> Row? {
        guard let number = number(of: dot.actor), dot.counter > 0 else { return nil }
        let position = actors.position(of: number, behind: .end(of: dot.counter - 1))
        guard let event = actors.event(of: number, at: position), event.counter == dot.counter else { return nil }
        return row(at: event.row)
    }

    /// The rows of which one of these events is the actor's last, in the order of the events; at most
    /// `Bounds.transactionWritesMax`.
    package func rowIDs(of actor: ActorID, _ counters: Range<UInt64>) -> [RowID] {
        guard let number = number(of: actor), counters.lowerBound > 0 else { return [] }
        var ids: [RowID] = []
        var position = actors.position(of: number, behind: .end(of: counters.lowerBound - 1))
        while let event = actors.event(of: number, at: position), event.counter < counters.upperBound,
            ids.count < Bounds.transactionWritesMax
        {
            ids.append(row(at: event.row).id)
            position = actors.position(of: number, after: position)
        }
        return ids
    }

    private func number(of actor: ActorID) -> UInt32? {
        let at = actors.insertionPoint(of: actor)
        guard at < actors.sorted.count, actors[actors.sorted[at]] == actor else { return nil }
        return actors.sorted[at]
    }
}
