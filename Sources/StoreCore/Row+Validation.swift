// SPDX-License-Identifier: Apache-2.0
// Owns the rules that a row from outside must keep.

import ClusterTypes

/// Which rule a row breaks.
package enum RowDefect: Hashable, Sendable {
    case invalidKey(KeyDefect)
    case valueTooLarge(bytes: Int)
    case elementTooLarge(bytes: Int)
    /// The content's case is not that of the id's part.
    case contentMismatch
    case unsortedVersions
    case tooManyActors
    /// A dot's counter is 0 or beyond `Dot.counterMax`.
    case counterOutOfRange
    /// The stamp is beyond `HybridClock.stampMax`.
    case stampOutOfRange
    /// A dot of `ActorID.folded`, which makes no events.
    case foldedVersion
    /// The author is an actor that we know and that is not folded, but made none of the events that the row holds.
    case unknownAuthor
    case unsortedEntries
    /// An element's entry was removed before it was added, or its add is not among the row's events.
    case impossibleEntry
    /// More of a counter was reset than was ever counted, or its owner made no event.
    case impossibleCounter
    /// A text is too long, something else than a value expires, or the transaction does not name the author's event.
    case impossibleDetails
}

extension Row {
    /// The first rule that the row breaks; nil for every row that an honest store makes. Nothing else may be joined.
    package var defect: RowDefect? {
        if let defect = ConfigurationKey.defect(of: id.key) { return .invalidKey(defect) }
        if case .element(let bytes) = id.part, bytes.count > Bounds.elementBytesMax {
            return .elementTooLarge(bytes: bytes.count)
        }
        if stamp > HybridClock.stampMax { return .stampOutOfRange }
        return versionsDefect ?? contentDefect ?? (hasSoundDetails ? nil : .impossibleDetails)
    }

    private var versionsDefect: RowDefect? {
        // Versions name no actors that are folded: there may be none, and the author need not be among them.
        if versions.count > Bounds.rowActorsMax { return .tooManyActors }
        var previous: ActorID?
        for dot in versions {
            if let previous, !(previous < dot.actor) { return .unsortedVersions }
            guard dot.counter > 0, dot.counter <= Dot.counterMax else { return .counterOutOfRange }
            if dot.actor == .folded { return .foldedVersion }
            previous = dot.actor
        }
        return nil
    }

    private var contentDefect: RowDefect? {
        switch (id.part, content) {
        case (.register, .register(let value)):
            let bytes = value?.count ?? 0
            return bytes > Bounds.valueBytesMax ? .valueTooLarge(bytes: bytes) : nil
        case (.element, .element(let entries)):
            return entriesDefect(entries)
        case (.counter(let owner), .counter(let entry)):
            let isPossible =
                entry.resetIncrements <= entry.increments && entry.resetDecrements <= entry.decrements
                && (owner == .folded || entry.generation <= lastEvent(of: owner) && lastEvent(of: owner) > 0)
            return isPossible ? nil : .impossibleCounter
        case (.register, _), (.element, _), (.counter, _):
            return .contentMismatch
        }
    }

    private func entriesDefect(_ entries: [ElementEntry]) -> RowDefect? {
        if entries.isEmpty || entries.count > Bounds.rowActorsMax { return .impossibleEntry }
        var previous: ActorID?
        for entry in entries {
            if let previous, !(previous < entry.actor) { return .unsortedEntries }
            guard entry.added > 0, entry.removed <= entry.added else { return .impossibleEntry }
            if entry.actor == .folded, entry.added > ElementEntry.foldedMax { return .impossibleEntry }
            if entry.actor != .folded, entry.added > lastEvent(of: entry.actor) { return .impossibleEntry }
            previous = entry.actor
        }
        return nil
    }

    /// The counter of the actor's last event on this row, 0 when it made none. Versions must be sorted.
    func lastEvent(of actor: ActorID) -> UInt64 {
        var low = 0
        var high = versions.count
        while low < high {
            let middle = (low + high) / 2
            if versions[middle].actor < actor { low = middle + 1 } else { high = middle }
        }
        return low < versions.count && versions[low].actor == actor ? versions[low].counter : 0
    }
}
