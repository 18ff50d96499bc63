// SPDX-License-Identifier: Apache-2.0
// Owns what watchers see: versions of keys and the changes of their visible state.

import ClusterTypes

/// When and by whom something was last written. Equal on every node; ordered as the writes are.
package struct Version: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var stamp: HybridTimestamp
    package var author: ActorID

    package init(stamp: HybridTimestamp, author: ActorID) {
        self.stamp = stamp
        self.author = author
    }

    package static func < (a: Version, b: Version) -> Bool {
        a.stamp != b.stamp ? a.stamp < b.stamp : a.author < b.author
    }

    /// Sixteen hexadecimal digits of the stamp, a dash, the first eight of the author's node id.
    package var description: String { "\(Hex.string(stamp.rawValue))-\(author.node.short)" }
}

/// One change of a key's visible state. What happens in rows kept aside is no change.
package struct Change: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        /// The register was written (possibly with the value that it had).
        case put([UInt8])
        /// Nothing is live under the key any more. Sets say `remove` for each element instead, except when their whole
        /// content gives way to rows of another type.
        case delete
        case add([UInt8])
        case remove([UInt8])
        /// The counter now reads `value`; `delta` is the difference to what it read before (both saturate).
        case increment(value: Int64, delta: Int64)
        /// A merge brought two types under one key. `kept` is visible from now on; live rows of type `aside` are kept
        /// and replicated but not visible. The changes that follow for this key list the whole content of `kept`
        /// when it was not visible before. May be transient: a delete that is still under way ends it.
        case typeConflict(kept: KeyType, aside: KeyType)
    }

    package var key: String
    package var type: KeyType
    package var kind: Kind
    package var version: Version
    /// What a register or counter showed before; nil when nothing was live, and for elements of sets.
    package var old: KeyView.Content?
    /// Of the event that made the change.
    package var details: EventDetails

    package init(
        key: String, type: KeyType, kind: Kind, version: Version, old: KeyView.Content? = nil,
        details: EventDetails = .none
    ) {
        self.key = key
        self.type = type
        self.kind = kind
        self.version = version
        self.old = old
        self.details = details
    }

    package var stamp: HybridTimestamp { version.stamp }
    package var author: ActorID { version.author }

    /// What users are shown and compare with: the strict log's index, or stamp and author.
    package var shownVersion: String { details.index > 0 ? String(details.index) : version.description }
}

/// What a local write made. `rows` must be durable before any of them is sent and before the client is answered.
package struct Mutation: Hashable, Sendable {
    /// The changed rows, whole, in the order of their dots. Empty when there was nothing to do.
    package var rows: [Row]
    package var changes: [Change]
    /// The key's version after the write; nil only when the key was never written.
    package var version: Version?

    package init(rows: [Row], changes: [Change], version: Version?) {
        self.rows = rows
        self.changes = changes
        self.version = version
    }
}

/// What became of a row from a peer.
package enum MergeOutcome: Hashable, Sendable {
    /// The row taught us something; it must be durable before it is acknowledged or forwarded. `changes` is empty when
    /// nothing visible changed.
    case applied([Change])
    /// The store already held everything that the row says.
    case known
    /// The row's stamp is further ahead of our wall clock than `StoreConfiguration.clockSkewMax`. Nothing changed: not
    /// the rows, not the clock, not the context. Do not forward it.
    case quarantined(aheadMilliseconds: UInt64)
    /// The row breaks a bound or contradicts itself. Nothing changed. Do not forward it.
    case invalid(RowDefect)
    /// The row would be news, but it was written before the collection floor and nothing is known of it any more: it may
    /// have been deleted since. Nothing changed. Do not forward it; its sender has to reset.
    case beforeFloor
    /// The row is new and the store holds `StoreConfiguration.rowsMax` rows. Nothing changed.
    case storeFull
    /// The row carries an event of our own actor that we never issued: this store lost memory, or a copy of it is at
    /// work. Nothing changed. Mint a new epoch, call `Store.renewActor(to:)`, merge again.
    case foreignUseOfOwnActor(Dot)
}

/// What became of a peer's context after a complete exchange.
package enum AdoptOutcome: Hashable, Sendable {
    case adopted
    /// As in `MergeOutcome`. Nothing changed.
    case foreignUseOfOwnActor(Dot)
}
