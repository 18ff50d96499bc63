// SPDX-License-Identifier: Apache-2.0
// Owns the row: the unit that is merged, sent, repaired and made durable.

import ClusterTypes

/// What a key holds.
package enum KeyType: UInt8, Hashable, Comparable, Sendable, CaseIterable {
    case register = 1
    case set = 2
    case counter = 3

    package static func < (a: KeyType, b: KeyType) -> Bool { a.rawValue < b.rawValue }
}

/// Names one row: a register has one, a set one per element, a counter one per actor.
package struct RowID: Hashable, Comparable, Sendable {
    package enum Part: Hashable, Comparable, Sendable {
        case register
        case element([UInt8])
        case counter(ActorID)

        package var type: KeyType {
            switch self {
            case .register: .register
            case .element: .set
            case .counter: .counter
            }
        }

        package static func < (a: Part, b: Part) -> Bool {
            switch (a, b) {
            case (.element(let x), .element(let y)): x.lexicographicallyPrecedes(y)
            case (.counter(let x), .counter(let y)): x < y
            case (.register, _), (.element, _), (.counter, _): a.type < b.type
            }
        }
    }

    package var key: String
    package var part: Part

    package init(key: String, part: Part) {
        self.key = key
        self.part = part
    }

    /// Keys compare as bytes, see `ConfigurationKey`.
    package static func == (a: RowID, b: RowID) -> Bool {
        a.part == b.part && ConfigurationKey.equal(a.key, b.key)
    }

    package static func < (a: RowID, b: RowID) -> Bool {
        let order = ConfigurationKey.order(a.key, b.key)
        return order != 0 ? order < 0 : a.part < b.part
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(ConfigurationKey.tableHash(key))
        hasher.combine(part)
    }
}

/// A row with everything known of it. A row always travels whole; merging is a join (commutative, associative,
/// idempotent), so order, loss and repetition of deltas cannot change where two nodes end.
package struct Row: Hashable, Sendable {
    package var id: RowID
    /// Per actor the last event on this row that it reflects, sorted by actor, each actor once. Folded actors are not
    /// named any more, so there may be none.
    package var versions: [Dot]
    /// The newest event on this row by (stamp, author): it names who wrote last and when.
    package var stamp: HybridTimestamp
    package var author: ActorID
    package var content: RowContent
    /// Of the newest event.
    package var details: EventDetails

    package init(
        id: RowID, versions: [Dot], stamp: HybridTimestamp, author: ActorID, content: RowContent,
        details: EventDetails = .none
    ) {
        self.id = id
        self.versions = versions
        self.stamp = stamp
        self.author = author
        self.content = content
        self.details = details
    }

    /// The newest event on this row.
    package var version: Version { Version(stamp: stamp, author: author) }

    /// True when the row adds to what its key shows: a register's value, an element that is in the set, a counter with
    /// increments or decrements that no delete has reset.
    package var isLive: Bool { content.isLive }

    /// No less than what the row takes on the wire: its variable parts in bytes, and 40 for each actor that it names.
    package var estimatedBytes: Int {
        let part =
            switch id.part {
            case .register: 0
            case .element(let bytes): bytes.count
            case .counter: 24
            }
        let held =
            switch content {
            case .register(let value): value?.count ?? 0
            case .element(let entries): entries.count * 40
            case .counter: 40
            }
        return 64 + id.key.utf8.count + part + held + versions.count * 40 + details.estimatedBytes
    }
}

/// What a row holds; its case agrees with the row id's part.
package enum RowContent: Hashable, Sendable {
    /// Last writer wins by (stamp, author, hash of the value); nil is a delete.
    case register([UInt8]?)
    /// Observed-remove, add wins: per actor its last add and the last of its adds that somebody removed.
    case element([ElementEntry])
    /// PN counter: the owner's totals, and how much of them a delete has observed and set back.
    case counter(CounterEntry)

    package var isLive: Bool {
        switch self {
        case .register(let value): value != nil
        case .element(let entries): entries.contains { $0.added > $0.removed }
        case .counter(let entry):
            entry.increments > entry.resetIncrements || entry.decrements > entry.resetDecrements
        }
    }
}

/// One actor's adds of a set element. The add is live while `added > removed`. Both only grow; merge takes the maximum.
/// For `ActorID.folded` they are numbers: of the folded actors that had added, and of those whose add was removed.
package struct ElementEntry: Hashable, Sendable {
    package var actor: ActorID
    /// Counter of the actor's last add, from 1.
    package var added: UInt64
    /// The highest `added` of this actor that a remove has observed.
    package var removed: UInt64

    /// Folded actors that are counted at most: far more than there can be, and sums of two still fit.
    package static let foldedMax: UInt64 = 1 << 32

    package init(actor: ActorID, added: UInt64, removed: UInt64) {
        self.actor = actor
        self.added = added
        self.removed = removed
    }
}

/// One actor's share of a PN counter. All four only grow; merge takes the maximum of each.
package struct CounterEntry: Hashable, Sendable {
    /// The event with which the owner began this share. A higher one replaces the totals of a lower one: after a
    /// collected counter begins anew, stale copies of the old share do not count.
    package var generation: UInt64
    package var increments: UInt64
    package var decrements: UInt64
    package var resetIncrements: UInt64
    package var resetDecrements: UInt64

    package init(
        generation: UInt64 = 0, increments: UInt64, decrements: UInt64, resetIncrements: UInt64, resetDecrements: UInt64
    ) {
        self.generation = generation
        self.increments = increments
        self.decrements = decrements
        self.resetIncrements = resetIncrements
        self.resetDecrements = resetDecrements
    }

    package static let zero = CounterEntry(increments: 0, decrements: 0, resetIncrements: 0, resetDecrements: 0)

    /// What the owner contributes to the counter's value.
    package var value: Int128 {
        Int128(increments) - Int128(resetIncrements) - Int128(decrements) + Int128(resetDecrements)
    }
}
