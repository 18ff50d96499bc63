// SPDX-License-Identifier: Apache-2.0
// Owns local writes: each makes events with new dots and yields whole rows.

import ClusterTypes

extension Store {
    /// Local writes add their actor only to rows with fewer actors than this. Rows may grow beyond it by merging, but
    /// hardly to `Bounds.rowActorsMax`, where nodes would have to refuse each other's rows.
    package static let writtenActorsMax = Bounds.rowActorsMax * 3 / 4

    /// Carries out all writes of a request or none of them, in their order. All rows get one stamp; each row is written
    /// once, with its state after the last write to it, and has a dot of its own; several rows form a transaction.
    /// Removes of elements that are not in their set write nothing. A condition is judged on the key of the first write
    /// before any of them; a request with a condition should write to one key only.
    package mutating func write(
        _ writes: [StoreWrite], options: WriteOptions = .none, wall: WallTime
    ) throws(StoreFailure) -> Mutation {
        guard let first = writes.first else { return Mutation(rows: [], changes: [], version: nil) }
        try check(options, of: writes)
        var staged = StagedWrites(isSingle: writes.count == 1)
        for (index, write) in writes.enumerated() {
            do throws(StoreFailure) {
                if let defect = ConfigurationKey.defect(of: write.key) { throw .invalidKey(defect) }
                if index == 0 { try check(options.condition, of: write.key) }
                try stage(write, &staged)
            } catch {
                throw writes.count == 1 ? error : .ofWrite(index: index, key: write.key, error)
            }
        }
        // A single delete of a large set is allowed, see `commit`.
        if writes.count > 1, staged.items.count > Bounds.transactionWritesMax { throw .transactionTooLarge }
        if staged.items.isEmpty { return Mutation(rows: [], changes: [], version: version(of: first.key)) }
        return commit(staged.items, options: options, wall: wall)
    }

    /// Sets the register `key` to `value`.
    package mutating func put(_ value: [UInt8], for key: String, wall: WallTime) throws(StoreFailure) -> Mutation {
        try write([.put(key: key, value: value)], wall: wall)
    }

    /// Adds `element` to the set `key`. An element that is there already is added anew: the new add survives a
    /// concurrent remove.
    package mutating func add(_ element: [UInt8], to key: String, wall: WallTime) throws(StoreFailure) -> Mutation {
        try write([.add(key: key, element: element)], wall: wall)
    }

    /// Removes every add of `element` that this node has seen. Makes no event when the element is not in the set.
    package mutating func remove(
        _ element: [UInt8], from key: String, wall: WallTime
    ) throws(StoreFailure) -> Mutation {
        try write([.remove(key: key, element: element)], wall: wall)
    }

    /// Adds `amount`, which may be negative, to the counter `key`.
    package mutating func increment(
        _ key: String, by amount: Int64, wall: WallTime
    ) throws(StoreFailure) -> Mutation {
        try write([.increment(key: key, by: amount)], wall: wall)
    }

    /// Deletes everything live under `key`, of the visible type and of types kept aside: the register gets a tombstone,
    /// each element is removed, each actor's share of a counter is set back. One stamp, one dot for each row.
    package mutating func delete(_ key: String, wall: WallTime) throws(StoreFailure) -> Mutation {
        try write([.delete(key: key)], wall: wall)
    }
}

extension Store {
    private func check(_ options: WriteOptions, of writes: [StoreWrite]) throws(StoreFailure) {
        if options.reason.utf8.count > Bounds.reasonBytesMax { throw .reasonTooLong }
        if let ttl = options.ttlMilliseconds {
            let arePuts = writes.allSatisfy { if case .put = $0 { true } else { false } }
            guard arePuts, ttl > 0, ttl <= Bounds.ttlMillisecondsMax else { throw .invalidTTL }
        }
        if writes.count == 1 { return }
        if writes.count > Bounds.transactionWritesMax { throw .transactionTooLarge }
        var bytes = 0
        for write in writes { bytes += write.key.utf8.count + write.contentBytes }
        if bytes > Bounds.transactionBytesMax { throw .transactionTooLarge }
    }

    private func check(_ condition: WriteCondition, of key: String) throws(StoreFailure) {
        let current = keys.find(key).flatMap { handle in
            keys.isLive(handle) ? keys.visible(handle, actors: actors).version.description : nil
        }
        switch condition {
        case .always: break
        case .absent: if current != nil { throw .conditionFailed(current: current) }
        case .version(let version): if current != version { throw .conditionFailed(current: current) }
        }
    }

    /// Makes one event for each row, all with one stamp. Nothing can fail from here on.
    private mutating func commit(_ items: [StagedWrites.Item], options: WriteOptions, wall: WallTime) -> Mutation {
        let stamp = clock.next(wall: wall)
        let first = nextCounter
        var details = EventDetails(user: Self.prefix(of: options.user), reason: options.reason)
        // Peers keep back the rows of a transaction until it is complete, and only so many.
        if items.count > 1, items.count <= Bounds.transactionWritesMax {
            details.transaction = EventDetails.Transaction(first: first, count: UInt32(items.count))
        }
        var rows: [Row] = []
        var changes: [Change] = []
        rows.reserveCapacity(items.count)
        for (index, item) in items.enumerated() {
            let dot = Dot(actor: actor, counter: first + UInt64(index))
            var row = Row(
                id: item.id, versions: Self.versions(item.old?.versions ?? [], with: dot), stamp: stamp,
                author: actor, content: item.content, details: details)
            if let ttl = options.ttlMilliseconds, case .register(.some) = item.content {
                row.details.expiresAt = stamp.milliseconds + ttl
            }
            rows.append(row)
            // Earlier rows of the request may have made the key.
            changes += apply(row, over: item.old, at: locate(item.id), wall: WallTime(milliseconds: 0))
        }
        return Mutation(rows: rows, changes: changes, version: Version(stamp: stamp, author: actor))
    }

    private static func versions(_ versions: [Dot], with dot: Dot) -> [Dot] {
        var versions = versions
        if let index = versions.firstIndex(where: { $0.actor == dot.actor }) {
            versions[index] = dot
        } else {
            versions.insert(dot, at: versions.firstIndex { dot.actor < $0.actor } ?? versions.count)
        }
        return versions
    }

    /// As much of a user's name as fits; it is told, not judged.
    private static func prefix(of user: String) -> String {
        if user.utf8.count <= Bounds.userBytesMax { return user }
        var prefix = String.UnicodeScalarView()
        var bytes = 0
        for scalar in user.unicodeScalars {
            bytes += UTF8.width(scalar)
            if bytes > Bounds.userBytesMax { break }
            prefix.append(scalar)
        }
        return String(prefix)
    }
}

extension StoreWrite {
    /// Bytes of the value or element.
    fileprivate var contentBytes: Int {
        switch self {
        case .put(_, let value): value.count
        case .add(_, let element), .remove(_, let element): element.count
        case .delete, .increment: 8
        }
    }
}
