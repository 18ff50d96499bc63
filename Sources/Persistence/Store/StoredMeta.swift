// SPDX-License-Identifier: Apache-2.0
// Owns the one row of the table `meta`: the numbers that must not run back, but by a reset.

import ClusterTypes
import StoreCore

/// See Docs/storage.md for what each number is for.
struct StoredMeta: Equatable {
    var storeID: String
    var revision: UInt64 = 0
    /// The highest stamp made durable since the last reset: a clock that runs back does not reuse one.
    var clock = HybridTimestamp.zero
    var promised = HybridTimestamp.zero
    var queuedLast: UInt64 = 0
    var expiredThrough: UInt64 = 0
    /// History up to this revision was never here: a reset or a restore.
    var historySince: UInt64 = 0
    /// Entries of all keys up to this revision were forgotten for their age, the latest of them of `prunedTime` (ms).
    var prunedThrough: UInt64 = 0
    var prunedTime: UInt64 = 0
    /// The highest revision forgotten because its key had too many.
    var gapThrough: UInt64 = 0
    /// Entries up to this revision have been looked at for that.
    var swept: UInt64 = 0

    /// Every entry with a higher revision is there.
    var completeAfter: UInt64 { max(historySince, prunedThrough, gapThrough) }
    /// Of a key that never had too many, every entry with a higher revision is there.
    var keptAfter: UInt64 { max(historySince, prunedThrough) }

    /// Mints a store id from 64 bits of the operating system's generator.
    static func mint() throws(PersistenceFailure) -> StoredMeta {
        StoredMeta(storeID: Hex.string(try NodeIdentity.mint().id.high))
    }

    var checksum: Int64 {
        var hasher = StableHasher()
        hasher.absorb(counted: storeID.utf8)
        for number in numbers { hasher.absorb(number) }
        return Int64(bitPattern: hasher.finalize().low)
    }

    private var numbers: [UInt64] {
        [
            revision, clock.rawValue, promised.rawValue, queuedLast, expiredThrough, historySince, prunedThrough,
            prunedTime, gapThrough, swept,
        ]
    }

    static let columns =
        "store_id, revision, clock, promised, queued_last, expired_through, history_since, pruned_through, pruned_time,"
        + " gap_through, swept, checksum"

    static let replacement =
        "INSERT OR REPLACE INTO meta (id, \(columns)) VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"

    func bind(to statement: Statement) {
        statement.bind(1, storeID)
        for (index, number) in numbers.enumerated() { statement.bind(CInt(index + 2), number) }
        statement.bind(12, checksum)
    }

    /// Nil when there is no row.
    static func read(_ connection: Connection) throws(PersistenceFailure) -> StoredMeta? {
        let statement = try connection.prepare("SELECT \(columns) FROM meta WHERE id = 1")
        guard try statement.step() else { return nil }
        let meta = StoredMeta(
            storeID: statement.text(0), revision: statement.unsigned(1),
            clock: HybridTimestamp(rawValue: statement.unsigned(2)),
            promised: HybridTimestamp(rawValue: statement.unsigned(3)), queuedLast: statement.unsigned(4),
            expiredThrough: statement.unsigned(5), historySince: statement.unsigned(6),
            prunedThrough: statement.unsigned(7), prunedTime: statement.unsigned(8),
            gapThrough: statement.unsigned(9), swept: statement.unsigned(10))
        guard statement.integer(11) == meta.checksum else {
            throw .corrupt(file: connection.file, reason: "the checksum of its meta data does not match")
        }
        return meta
    }
}
