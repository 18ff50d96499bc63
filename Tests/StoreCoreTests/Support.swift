// SPDX-License-Identifier: Apache-2.0
// Owns what the store's tests share: short ways to name actors, times and rows, and exchanges between two stores.

import ClusterTypes
import StoreCore
import Testing

/// The nth test actor.
func actor(_ number: Int, epoch: UInt32 = 1) -> ActorID {
    ActorID(node: NodeID(high: UInt64(number) << 32, low: 7), epoch: epoch)
}

/// Milliseconds after the tests' noon.
func wall(_ milliseconds: UInt64) -> WallTime { WallTime(milliseconds: 1_800_000_000_000 + milliseconds) }

func store(_ number: Int, _ configuration: StoreConfiguration = StoreConfiguration()) -> Store {
    Store(actor: actor(number), configuration: configuration)
}

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

extension Store {
    /// Merges rows one by one; every one must come back as applied or known.
    mutating func mergeAll(
        _ rows: [Row], wall: WallTime = wall(0), sourceLocation: SourceLocation = #_sourceLocation
    ) {
        for row in rows {
            switch merge(row, wall: wall) {
            case .applied, .known: break
            case let outcome: Issue.record("\(row) came back as \(outcome)", sourceLocation: sourceLocation)
            }
        }
    }

    /// Loads rows one by one; each must be taken.
    mutating func loadAll(_ rows: [Row], sourceLocation: SourceLocation = #_sourceLocation) {
        for row in rows where !load(row) { Issue.record("\(row) was not taken", sourceLocation: sourceLocation) }
    }

    /// Everything the store holds that repair can send.
    var allRows: [Row] {
        rowsMissing(from: CausalContext(), limit: RepairLimit(rowsMax: .max, bytesMax: .max)).rows
    }

    /// One complete exchange: takes over what `peer` has and this store lacks. Returns the rows that were sent.
    @discardableResult
    mutating func pull(
        from peer: Store, limit: RepairLimit = RepairLimit(), wall: WallTime = wall(0),
        sourceLocation: SourceLocation = #_sourceLocation
    ) -> [Row] {
        let ours = context
        var sent: [Row] = []
        var cursor: RepairCursor?
        repeat {
            let batch = peer.rowsMissing(from: ours, limit: limit, resume: cursor)
            mergeAll(batch.rows, wall: wall, sourceLocation: sourceLocation)
            sent += batch.rows
            cursor = batch.next
            if cursor == nil {
                #expect(adopt(context: batch.snapshot) == .adopted, sourceLocation: sourceLocation)
            }
        } while cursor != nil
        return sent
    }

    /// The row of an element that this store, or a copy of it, adds.
    func adding(_ element: String, to key: String) throws -> Row {
        var copy = self
        return try copy.add(Array(element.utf8), to: key, wall: wall(0)).rows[0]
    }

    func elements(_ key: String) -> [String] {
        guard case .set(let elements) = read(key)?.content else { return [] }
        return elements.map { String(decoding: $0, as: UTF8.self) }
    }

    func text(_ key: String) -> String? {
        guard case .register(let value) = read(key)?.content else { return nil }
        return String(decoding: value, as: UTF8.self)
    }

    func count(_ key: String) -> Int64? {
        guard case .counter(let value) = read(key)?.content else { return nil }
        return value
    }
}

/// A register's row as `author`'s first event.
func registerRow(
    _ key: String = "k", _ value: String? = "v", author: ActorID = actor(1), counter: UInt64 = 1, at time: UInt64 = 0
) -> Row {
    Row(
        id: RowID(key: key, part: .register), versions: [Dot(actor: author, counter: counter)],
        stamp: HybridTimestamp(wall: wall(time)), author: author, content: .register(value.map(bytes)))
}
