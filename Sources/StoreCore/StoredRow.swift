// SPDX-License-Identifier: Apache-2.0
// Owns the form in which a row is kept in memory: 56 bytes plus its value, where `Row` takes three times that.

import ClusterTypes

/// A packed row. Almost every row has one writer, so the first version is inline and the others cost an array.
struct StoredRow: Sendable {
    enum Content: Sendable {
        case tombstone
        case value([UInt8])
        indirect case element([UInt8], [ElementEntry])
        indirect case counter(ActorID, CounterEntry)

        var isLive: Bool {
            switch self {
            case .tombstone: false
            case .value: true
            case .element(_, let entries): RowContent.element(entries).isLive
            case .counter(_, let entry): RowContent.counter(entry).isLive
            }
        }

        /// Orders the rows of one key as their ids' parts do.
        var part: RowID.Part {
            switch self {
            case .tombstone, .value: .register
            case .element(let bytes, _): .element(bytes)
            case .counter(let owner, _): .counter(owner)
            }
        }
    }

    /// What few rows have.
    final class Extra: Sendable {
        let details: EventDetails
        /// The value's time is over: it does not show.
        let isExpired: Bool

        init(details: EventDetails, isExpired: Bool) {
            self.details = details
            self.isExpired = isExpired
        }
    }

    /// `firstActor` of a row without versions.
    private static let noActor = UInt32.max

    /// Handle of the key in the key index.
    var key: UInt32
    /// Hash of the part, for the table of parts.
    var partHash: UInt32
    /// Numbers in the actor table.
    var author: UInt32
    var firstActor: UInt32
    var firstCounter: UInt64
    var stamp: HybridTimestamp
    var moreVersions: [Dot]
    var content: Content
    var extra: Extra?

    /// The row must be valid.
    init(_ row: Row, isExpired: Bool, key: UInt32, actors: inout ActorTable) {
        self.key = key
        partHash = Self.hash(of: row.id.part, key: key)
        author = actors.number(of: row.author)
        firstActor = row.versions.first.map { actors.number(of: $0.actor) } ?? Self.noActor
        firstCounter = row.versions.first?.counter ?? 0
        stamp = row.stamp
        moreVersions = row.versions.count > 1 ? Array(row.versions[1...]) : []
        extra = row.details == .none ? nil : Extra(details: row.details, isExpired: isExpired)
        switch (row.id.part, row.content) {
        case (.element(let bytes), .element(let entries)): content = .element(bytes, entries)
        case (.counter(let owner), .counter(let entry)): content = .counter(owner, entry)
        case (_, .register(.some(let value))): content = .value(value)
        case (.register, _), (.element, _), (.counter, _): content = .tombstone
        }
    }

    /// The row as it travels.
    func row(key: String, actors: ActorTable) -> Row {
        var versions: [Dot] = []
        if let first = firstVersion(actors) { versions.append(first) }
        versions.append(contentsOf: moreVersions)
        let content: RowContent =
            switch content {
            case .tombstone: .register(nil)
            case .value(let value): .register(value)
            case .element(_, let entries): .element(entries)
            case .counter(_, let entry): .counter(entry)
            }
        return Row(
            id: RowID(key: key, part: self.content.part), versions: versions, stamp: stamp, author: actors[author],
            content: content, details: details)
    }

    /// The place of a row that is gone, until another takes it.
    static let vacant = StoredRow()

    private init() {
        key = .max
        partHash = 0
        author = 0
        firstActor = Self.noActor
        firstCounter = 0
        stamp = .zero
        moreVersions = []
        content = .tombstone
    }

    /// Nil for a row without versions.
    func firstVersion(_ actors: ActorTable) -> Dot? {
        firstActor == Self.noActor ? nil : Dot(actor: actors[firstActor], counter: firstCounter)
    }

    var details: EventDetails { extra?.details ?? .none }
    var isExpired: Bool { extra?.isExpired ?? false }

    /// True when the row adds to what its key shows.
    var isShown: Bool { content.isLive && !isExpired }

    /// Differs between processes: fit for tables, not for results.
    static func hash(of part: RowID.Part, key: UInt32) -> UInt32 {
        if part == .register { return key }
        var hasher = Hasher()
        hasher.combine(key)
        hasher.combine(part)
        return UInt32(truncatingIfNeeded: hasher.finalize())
    }
}
