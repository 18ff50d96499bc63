// SPDX-License-Identifier: Apache-2.0
// Owns a row of the table `history`: one change and what the key showed before it.

import BackupFormat
import ClusterTypes
import StoreCore

/// What a key showed before a change.
enum Before: Equatable {
    case content(KeyView.Content?)
    /// The change did not touch what was visible.
    case same
    /// Not kept: the past of this key ends here.
    case unknown

    private static let registerType: Int64 = 1
    private static let setType: Int64 = 2
    private static let counterType: Int64 = 3
    private static let sameType: Int64 = 8
    private static let unknownType: Int64 = 9

    /// The length of the column `before` where it holds bytes.
    var storedBytes: UInt64 {
        switch self {
        case .content(.register(let value)): UInt64(value.count)
        case .content(.set(let elements)): elements.reduce(0) { $0 + UInt64($1.count) + 4 }
        case .content(.counter), .content(nil), .same, .unknown: 0
        }
    }

    func bind(_ statement: Statement, type: CInt, content column: CInt) {
        statement.bindNull(column)
        switch self {
        case .content(nil): statement.bindNull(type)
        case .content(.register(let value)):
            statement.bind(type, Self.registerType)
            statement.bind(column, value)
        case .content(.set(let elements)):
            statement.bind(type, Self.setType)
            statement.bind(column, Self.encode(elements))
        case .content(.counter(let value)):
            statement.bind(type, Self.counterType)
            statement.bind(column, value)
        case .same: statement.bind(type, Self.sameType)
        case .unknown: statement.bind(type, Self.unknownType)
        }
    }

    /// Nil: the columns are damaged.
    static func read(_ statement: Statement, type: CInt, content column: CInt) -> Before? {
        guard let kind = statement.optionalInteger(type) else { return .content(nil) }
        switch kind {
        case registerType: return .content(.register(statement.bytes(column)))
        case setType: return statement.withBytes(column, decode).map { .content(.set($0)) }
        case counterType: return .content(.counter(statement.integer(column)))
        case sameType: return .same
        case unknownType: return .unknown
        case _: return nil
        }
    }

    /// Each element with its length in four bytes before it.
    private static func encode(_ elements: [[UInt8]]) -> [UInt8] {
        var bytes: [UInt8] = []
        for element in elements {
            withUnsafeBytes(of: UInt32(element.count).bigEndian) { bytes.append(contentsOf: $0) }
            bytes += element
        }
        return bytes
    }

    private static func decode(_ bytes: UnsafeRawBufferPointer) -> [[UInt8]]? {
        var elements: [[UInt8]] = []
        var at = 0
        while at < bytes.count {
            guard bytes.count - at >= 4 else { return nil }
            let length = Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self)))
            at += 4
            guard bytes.count - at >= length else { return nil }
            elements.append(Array(bytes[at..<(at + length)]))
            at += length
        }
        return elements
    }
}

/// An entry as it is kept. The value that a put wrote is not in it: it is the `before` of the next entry, or the row.
struct HistoryRow {
    enum Kind: Equatable {
        case put
        case delete
        case add([UInt8])
        case remove([UInt8])
        case increment(value: Int64, delta: Int64)
        case typeConflict(aside: KeyType)

        var code: Int64 {
            switch self {
            case .put: 1
            case .delete: 2
            case .add: 3
            case .remove: 4
            case .increment: 5
            case .typeConflict: 6
            }
        }
    }

    var revision: UInt64
    var key: String
    var type: KeyType
    var kind: Kind
    var before: Before
    var version: Version
    var details: EventDetails
    var appliedAt: WallTime

    init(_ record: ChangeRecord, before: Before) {
        let change = record.change
        revision = record.revision
        key = change.key
        type = change.type
        kind =
            switch change.kind {
            case .put: .put
            case .delete: .delete
            case .add(let element): .add(element)
            case .remove(let element): .remove(element)
            case .increment(let value, let delta): .increment(value: value, delta: delta)
            case .typeConflict(_, let aside): .typeConflict(aside: aside)
            }
        self.before = before
        version = change.version
        details = change.details
        appliedAt = record.appliedAt
    }

    /// When the change took effect, in milliseconds: a value that expired went at its expiry, not at its stamp.
    var time: UInt64 {
        kind == .delete ? max(version.stamp.milliseconds, details.expiresAt) : version.stamp.milliseconds
    }

    static let columns =
        "revision, key, type, kind, before_type, before, detail, value, stamp, author, user, reason, expires,"
        + " transaction_first, transaction_count, applied_at"

    static let insertion =
        "INSERT INTO history (\(columns)) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)"

    func bind(to statement: Statement) {
        statement.bind(1, revision)
        statement.bind(2, key)
        statement.bind(3, Int64(type.rawValue))
        statement.bind(4, kind.code)
        before.bind(statement, type: 5, content: 6)
        statement.bindNull(7)
        statement.bindNull(8)
        switch kind {
        case .put, .delete: if details.index > 0 { statement.bind(8, details.index) }
        case .add(let element), .remove(let element): statement.bind(7, element)
        case .increment(let value, let delta):
            statement.bind(7, delta)
            statement.bind(8, value)
        case .typeConflict(let aside): statement.bind(7, Int64(aside.rawValue))
        }
        statement.bind(9, version.stamp.rawValue)
        statement.bind(10, version.author.columnBytes)
        if details.user.isEmpty { statement.bindNull(11) } else { statement.bind(11, details.user) }
        if details.reason.isEmpty { statement.bindNull(12) } else { statement.bind(12, details.reason) }
        statement.bind(13, details.expiresAt == 0 ? nil : Int64(bitPattern: details.expiresAt))
        statement.bind(14, details.transaction.map { Int64(bitPattern: $0.first) })
        statement.bind(15, details.transaction.map { Int64($0.count) })
        statement.bind(16, appliedAt.milliseconds)
    }

    /// Of a statement that selects `columns`. Nil: the row is damaged.
    init?(_ statement: Statement) {
        guard let type = UInt8(exactly: statement.integer(2)).flatMap(KeyType.init),
            let before = Before.read(statement, type: 4, content: 5),
            let author = statement.withBytes(9, { ActorID(columnBytes: $0) })
        else { return nil }
        switch statement.integer(3) {
        case 1: kind = .put
        case 2: kind = .delete
        case 3: kind = .add(statement.bytes(6))
        case 4: kind = .remove(statement.bytes(6))
        case 5: kind = .increment(value: statement.integer(7), delta: statement.integer(6))
        case 6:
            guard let aside = UInt8(exactly: statement.integer(6)).flatMap(KeyType.init) else { return nil }
            kind = .typeConflict(aside: aside)
        case _: return nil
        }
        revision = statement.unsigned(0)
        key = statement.text(1)
        self.type = type
        self.before = before
        version = Version(stamp: HybridTimestamp(rawValue: statement.unsigned(8)), author: author)
        var transaction: EventDetails.Transaction?
        if let first = statement.optionalInteger(13) {
            transaction = EventDetails.Transaction(
                first: UInt64(bitPattern: first), count: UInt32(truncatingIfNeeded: statement.integer(14)))
        }
        details = EventDetails(
            user: statement.text(10), reason: statement.text(11), expiresAt: statement.unsigned(12),
            transaction: transaction)
        if kind == .put || kind == .delete { details.index = statement.unsigned(7) }
        appliedAt = WallTime(milliseconds: statement.unsigned(15))
    }
}
