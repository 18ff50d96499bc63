// SPDX-License-Identifier: Apache-2.0
// Owns what the store makes durable, as values: the kernel emits them, a disk keeps them, recovery gives them back.

import ClusterTypes

/// One durable fact. Records of one batch become durable together or not at all, batches in the order given.
package enum StoreRecord: Hashable, Sendable {
    /// A row in its newest state.
    case row(Row)
    /// As `row`, for each row of a store that takes the place of all that was.
    case rows(RowSnapshot)
    /// Changes of a strict group.
    case fed(FedChanges)
    /// The row is gone: collected, or folded into another.
    case rowRemoved(RowID)
    /// Events that count as seen beside those of the rows; joins what was recorded before.
    case context(CausalContext)
    /// Replaces the causal context: after collection has taken folded actors out of it.
    case contextReplaced(CausalContext)
    case floor(CollectionFloor)
    /// This node has promised to agree to the collection of everything dead at this stamp. Only grows.
    case promised(HybridTimestamp)
    /// A visible change, for history and watches. Revisions grow by one.
    case change(ChangeRecord)
    /// The answer to a request with an idempotency id.
    case request(RequestRecord)
    /// A write that a reset took out of the store, for the operator to decide on.
    case queued(QueuedWrite)
    /// The operator has decided.
    case dequeued([UInt64])
    /// Values that expired up to this wall time (milliseconds since 1970) have been reported as deleted. The last one
    /// counts, also when it is lower: then the clock was ahead, and they were reported as put again.
    case expiredThrough(UInt64)
    /// All rows, the context and the floor are gone; the rest of the batch is the new state. History before `revision`
    /// is gone for watches (they resync); revisions go on from it.
    case reset(revision: UInt64)

    /// Calls `body` with every row that the record keeps.
    package func forEachRow(_ body: (Row) -> Void) {
        switch self {
        case .row(let row): body(row)
        case .rows(let snapshot): snapshot.forEach(body)
        case .fed(let fed): fed.rows.forEach(body)
        case .rowRemoved, .context, .contextReplaced, .floor, .promised, .change, .request, .queued, .dequeued,
            .expiredThrough, .reset:
            break
        }
    }
}

/// Consecutive changes of a strict group, of each key its last state alone.
package struct FedChanges: Hashable, Sendable {
    /// In the order of their keys.
    package var rows: [Row]
    /// In the order of the log.
    package var changes: [ChangeRecord]
    /// The events of all changes, those included whose rows were overwritten by later ones.
    package var events: CausalContext

    package init(rows: [Row] = [], changes: [ChangeRecord] = [], events: CausalContext = CausalContext()) {
        self.rows = rows
        self.changes = changes
        self.events = events
    }
}

/// A visible change with what history needs to know of it.
package struct ChangeRecord: Hashable, Sendable {
    /// Local: counts this node's changes from 1, never goes backwards.
    package var revision: UInt64
    /// When this node applied it.
    package var appliedAt: WallTime
    package var change: Change

    package init(revision: UInt64, appliedAt: WallTime, change: Change) {
        self.revision = revision
        self.appliedAt = appliedAt
        self.change = change
    }
}

/// What was answered to a write with an idempotency id.
package struct RequestRecord: Hashable, Sendable {
    /// Chosen by the client; 1 to `Bounds.requestIDBytesMax` bytes.
    package var id: String
    /// A hash of what was asked: the same id with another request is a mistake of the client.
    package var fingerprint: UInt64
    package var key: String
    package var version: String
    package var at: WallTime

    package init(id: String, fingerprint: UInt64, key: String, version: String, at: WallTime) {
        self.id = id
        self.fingerprint = fingerprint
        self.key = key
        self.version = version
        self.at = at
    }
}

/// A local write that the cluster has never seen and that must not be merged by itself.
package struct QueuedWrite: Hashable, Sendable {
    package enum Cause: UInt8, Hashable, Sendable, CaseIterable {
        /// Made while this node was away beyond the collection floor.
        case beforeFloor = 1
        /// Stamped by a clock that was too far ahead.
        case clockAhead = 2
    }

    /// Numbers the queue; grows.
    package var number: UInt64
    package var cause: Cause
    /// The row as it was here.
    package var row: Row
    package var queuedAt: WallTime

    package init(number: UInt64, cause: Cause, row: Row, queuedAt: WallTime) {
        self.number = number
        self.cause = cause
        self.row = row
        self.queuedAt = queuedAt
    }
}

/// What recovery gives to a kernel: the store, built, and what lies beside it.
package struct RecoveredStore: Sendable {
    package var store: Store
    /// The last revision given out, or a higher number; the next change gets one more.
    package var revision: UInt64
    package var promised: HybridTimestamp
    /// Newest last, at most `Bounds.requestsMax`.
    package var requests: [RequestRecord]
    /// Writes in the import queue, and the number of the last one ever queued.
    package var queuedCount: Int
    package var queuedLast: UInt64
    package var expiredThrough: UInt64

    package init(
        store: Store, revision: UInt64 = 0, promised: HybridTimestamp = .zero, requests: [RequestRecord] = [],
        queuedCount: Int = 0, queuedLast: UInt64 = 0, expiredThrough: UInt64 = 0
    ) {
        self.store = store
        self.revision = revision
        self.promised = promised
        self.requests = requests
        self.queuedCount = queuedCount
        self.queuedLast = queuedLast
        self.expiredThrough = expiredThrough
    }
}
