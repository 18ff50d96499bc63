// SPDX-License-Identifier: Apache-2.0
// Owns the values that opening, reading and maintaining the store's database take and give.

import ClusterTypes
import StoreCore

/// How much of the past is kept.
package struct HistoryLimits: Hashable, Sendable {
    /// Entries applied longer ago than this are forgotten. Milliseconds; default 30 days.
    package var ageMilliseconds: UInt64
    /// Entries of one key beyond this many are forgotten, the oldest first. Default 100, at least 1.
    package var countPerKey: Int
    /// The newest changes that are never forgotten, so that watches can resume. Default 65 536, at least 1.
    package var changesKept: Int
    /// What those changes replaced takes at most this much together, else fewer are kept; values, without what the
    /// database adds. Bytes; default 1 GiB. Age and count alone decide about the others.
    package var changesKeptBytes: UInt64

    package init(
        ageMilliseconds: UInt64 = 30 * 86_400_000, countPerKey: Int = 100, changesKept: Int = 65_536,
        changesKeptBytes: UInt64 = 1 << 30
    ) {
        self.ageMilliseconds = ageMilliseconds
        self.countPerKey = max(countPerKey, 1)
        self.changesKept = max(changesKept, 1)
        self.changesKeptBytes = changesKeptBytes
    }
}

/// What an opening found.
package struct Recovery: Sendable {
    /// Names this history: minted with the database, 16 hexadecimal digits. Cursors of another one mean nothing here.
    package var storeID: String
    package var recovered: RecoveredStore
    /// Sentences to log once.
    package var warnings: [String]
    /// Where a damaged file was moved to; nil when there was none.
    package var setAside: String?
    /// How long the opening took.
    package var milliseconds: UInt64

    package init(
        storeID: String, recovered: RecoveredStore, warnings: [String] = [], setAside: String? = nil,
        milliseconds: UInt64 = 0
    ) {
        self.storeID = storeID
        self.recovered = recovered
        self.warnings = warnings
        self.setAside = setAside
        self.milliseconds = milliseconds
    }
}

/// Sizes for metrics and `status`; may lag one commit behind.
package struct StoreFileStatistics: Hashable, Sendable {
    package var databaseBytes: UInt64 = 0
    package var walBytes: UInt64 = 0
    package var commits: UInt64 = 0
    package var records: UInt64 = 0
    /// The oldest revision that a watch can resume after.
    package var historySince: UInt64 = 0
    package var revision: UInt64 = 0

    package init() {}
}

/// A point in this node's past.
package enum HistoryPoint: Hashable, Sendable {
    /// After the change with this revision.
    case revision(UInt64)
    /// At this wall time by the changes' stamps, in milliseconds since 1970.
    case time(UInt64)
}

/// A part of a list, in its order. It ends at the count asked for or about at `StoreReader.pageBytesMax`.
package struct StorePage<Entry: Hashable & Sendable>: Hashable, Sendable {
    package var entries: [Entry] = []
    /// There are more behind the last entry.
    package var hasMore = false

    package init() {}
}

/// Keeps the entries of one page within their bounds.
struct PageBudget {
    private var count: Int
    private var bytes = 0

    init(count: Int) { self.count = count }

    /// A page has one entry at least, if any were asked for.
    var isSpent: Bool { count <= 0 || bytes >= StoreReader.pageBytesMax }

    mutating func spend(_ bytes: Int) {
        count -= 1
        self.bytes += bytes
    }
}

extension KeyView.Content {
    /// About what it takes in a page.
    var pageBytes: Int {
        switch self {
        case .register(let value): value.count
        case .set(let elements): elements.reduce(0) { $0 + $1.count + 16 }
        case .counter: 8
        }
    }
}

extension Change.Kind {
    var pageBytes: Int {
        switch self {
        case .put(let bytes), .add(let bytes), .remove(let bytes): bytes.count
        case .delete, .increment, .typeConflict: 8
        }
    }
}

/// One change of a key, as history keeps it.
package struct HistoryEntry: Hashable, Sendable {
    package var revision: UInt64
    package var appliedAt: WallTime
    package var type: KeyType
    /// A put's bytes are empty when they are unknown: `new` is nil then.
    package var kind: Change.Kind
    /// What a register or counter showed before and after; nil when nothing was live, and for elements of sets.
    package var old: KeyView.Content?
    package var new: KeyView.Content?
    package var version: Version
    package var details: EventDetails

    package var author: ActorID { version.author }
    package var user: String { details.user }
    package var reason: String { details.reason }

    package init(
        revision: UInt64, appliedAt: WallTime, type: KeyType, kind: Change.Kind, old: KeyView.Content?,
        new: KeyView.Content?, version: Version, details: EventDetails
    ) {
        self.revision = revision
        self.appliedAt = appliedAt
        self.type = type
        self.kind = kind
        self.old = old
        self.new = new
        self.version = version
        self.details = details
    }
}

/// A key that showed something else at two points.
package struct HistoryDifference: Hashable, Sendable {
    package var key: String
    package var old: KeyView?
    package var new: KeyView?
    /// The key's history does not reach back to the first point: `old` is not known.
    package var isOldGone: Bool

    package init(key: String, old: KeyView?, new: KeyView?, isOldGone: Bool = false) {
        self.key = key
        self.old = old
        self.new = new
        self.isOldGone = isOldGone
    }
}

/// A part of a diff, in the order of the keys' bytes. `next`: pass as `after` to go on; nil when it is complete.
package struct HistoryDifferences: Hashable, Sendable {
    package var entries: [HistoryDifference]
    package var next: String?

    package init(entries: [HistoryDifference], next: String?) {
        self.entries = entries
        self.next = next
    }
}

/// Changes after a revision, in order.
package enum ChangesPage: Hashable, Sendable {
    /// At most as many as asked for; empty: there are none yet.
    case changes([ChangeRecord])
    /// History before this revision is gone, or the revision was never given out: read everything and go on from there.
    case gone(since: UInt64)
}

/// What an export or backup holds beside the rows.
package struct SnapshotHead: Hashable, Sendable {
    package var storeID: String
    package var revision: UInt64
    package var context: CausalContext
    package var floor: CollectionFloor
    package var rowCount: UInt64

    package init(
        storeID: String, revision: UInt64, context: CausalContext, floor: CollectionFloor, rowCount: UInt64
    ) {
        self.storeID = storeID
        self.revision = revision
        self.context = context
        self.floor = floor
        self.rowCount = rowCount
    }
}

/// Why a read of the past or of the file has no answer. Nothing changed.
package enum StoreReadFailure: Error, Hashable, Sendable {
    /// History before this revision is not kept (any more).
    case historyGone(since: UInt64)
    /// The revision asked for has not been given out yet; `revision` is the newest that was.
    case notYet(revision: UInt64)
    /// The read took so long that the log of changes could not be folded into the file; begin again.
    case evicted
    case storage(PersistenceFailure)
}
