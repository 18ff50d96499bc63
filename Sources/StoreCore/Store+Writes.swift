// SPDX-License-Identifier: Apache-2.0
// Owns local writes: each makes events with new dots and yields whole rows.

import ClusterTypes

extension Store {
    /// Local writes add their actor only to rows with fewer actors than this. Rows may grow beyond it by merging, but
    /// hardly to `Bounds.rowActorsMax`, where nodes would have to refuse each other's rows.
    package static let writtenActorsMax = Bounds.rowActorsMax * 3 / 4

    /// Carries out all writes of a request or none of them, in their order. All rows get one stamp; each row is written
    /// once, with its state after the last write to it, and has a dot of its own; several rows form a transaction.
    /// A condition is judged on the key of the first write.
    package mutating func write(
        _ writes: [StoreWrite], options: WriteOptions = .none, wall: WallTime
    ) throws(StoreFailure) -> Mutation {
        return switch writes.first {
        case nil: Mutation(rows: [], changes: [], version: nil)
        case .put(let key, let value): try put(value, for: key, wall: wall)
        case .delete(let key): try delete(key, wall: wall)
        case .add(let key, let element): try add(element, to: key, wall: wall)
        case .remove(let key, let element): try remove(element, from: key, wall: wall)
        case .increment(let key, let amount): try increment(key, by: amount, wall: wall)
        }
    }

    /// Sets the register `key` to `value`.
    package mutating func put(_ value: [UInt8], for key: String, wall: WallTime) throws(StoreFailure) -> Mutation {
        try check(key, is: .register)
        if value.count > Bounds.valueBytesMax { throw .valueTooLarge(bytes: value.count) }
        let target = try target(RowID(key: key, part: .register))
        return write([(target, .register(value))], wall: wall)
    }

    /// Adds `element` to the set `key`. An element that is there already is added anew: the new add survives a
    /// concurrent remove.
    package mutating func add(_ element: [UInt8], to key: String, wall: WallTime) throws(StoreFailure) -> Mutation {
        try check(key, is: .set)
        if element.count > Bounds.elementBytesMax { throw .elementTooLarge(bytes: element.count) }
        let target = try target(RowID(key: key, part: .element(element)))
        var entries: [ElementEntry] = []
        if let old = target.old, case .element(let known) = old.content { entries = known }
        if let index = entries.firstIndex(where: { $0.actor == actor }) {
            entries[index].added = nextCounter
        } else {
            let index = entries.firstIndex { actor < $0.actor } ?? entries.count
            entries.insert(ElementEntry(actor: actor, added: nextCounter, removed: 0), at: index)
        }
        return write([(target, .element(entries))], wall: wall)
    }

    /// Removes every add of `element` that this node has seen. Makes no event when the element is not in the set.
    package mutating func remove(
        _ element: [UInt8], from key: String, wall: WallTime
    ) throws(StoreFailure) -> Mutation {
        try check(key, is: .set)
        if element.count > Bounds.elementBytesMax { throw .elementTooLarge(bytes: element.count) }
        let target = try target(RowID(key: key, part: .element(element)))
        guard let old = target.old, old.isLive else {
            return Mutation(rows: [], changes: [], version: version(of: key))
        }
        return write([(target, Self.cleared(old.content))], wall: wall)
    }

    /// Adds `amount`, which may be negative, to the counter `key`.
    package mutating func increment(
        _ key: String, by amount: Int64, wall: WallTime
    ) throws(StoreFailure) -> Mutation {
        try check(key, is: .counter)
        if amount == 0 { throw .zeroIncrement }
        let target = try target(RowID(key: key, part: .counter(actor)))
        if let handle = target.place.key, Int64(exactly: counterValue(handle) + Int128(amount)) == nil {
            throw .counterOverflow
        }
        var entry = CounterEntry.zero
        if let old = target.old, case .counter(let known) = old.content { entry = known }
        let (total, overflow) = (amount > 0 ? entry.increments : entry.decrements)
            .addingReportingOverflow(amount.magnitude)
        if overflow { throw .counterOverflow }
        if amount > 0 { entry.increments = total } else { entry.decrements = total }
        return write([(target, .counter(entry))], wall: wall)
    }

    /// Deletes everything live under `key`, of the visible type and of types kept aside: the register gets a tombstone,
    /// each element is removed, each actor's share of a counter is set back. One stamp, one dot for each row.
    package mutating func delete(_ key: String, wall: WallTime) throws(StoreFailure) -> Mutation {
        if let defect = ConfigurationKey.defect(of: key) { throw .invalidKey(defect) }
        guard let handle = keys.find(key), keys.isLive(handle) else { throw .notFound }
        var live: [UInt32] = []
        forEachRow(of: handle) { row in
            if rows[Int(row)].content.isLive { live.append(row) }
            return true
        }
        var writes: [(Target, RowContent)] = []
        for row in live {
            let old = self.row(at: row)
            writes.append((try target(old.id), Self.cleared(old.content)))
        }
        return write(writes, wall: wall)
    }

    /// The content with everything that is live taken out of it.
    private static func cleared(_ content: RowContent) -> RowContent {
        switch content {
        case .register: return .register(nil)
        case .element(let entries):
            return .element(
                entries.map { ElementEntry(actor: $0.actor, added: $0.added, removed: $0.added) })
        case .counter(var entry):
            entry.resetIncrements = entry.increments
            entry.resetDecrements = entry.decrements
            return .counter(entry)
        }
    }
}

extension Store {
    /// A row that is about to be written.
    struct Target {
        var id: RowID
        var place: Place
        var old: Row?
    }

    private func check(_ key: String, is type: KeyType) throws(StoreFailure) {
        if let defect = ConfigurationKey.defect(of: key) { throw .invalidKey(defect) }
        guard let handle = keys.find(key), keys.isLive(handle) else { return }
        let existing = keys.visibleType(handle)
        if existing != type { throw .typeConflict(existing: existing) }
    }

    private func target(_ id: RowID) throws(StoreFailure) -> Target {
        let place = locate(id)
        guard let handle = place.row else {
            if rows.count >= configuration.rowsMax { throw .storeFull }
            return Target(id: id, place: place, old: nil)
        }
        let old = row(at: handle)
        if old.versions.count >= Self.writtenActorsMax, old.lastEvent(of: actor) == 0 { throw .tooManyActors }
        return Target(id: id, place: place, old: old)
    }

    /// Makes one event for each row, all with one stamp. Nothing can fail from here on.
    private mutating func write(_ writes: [(Target, RowContent)], wall: WallTime) -> Mutation {
        let stamp = clock.next(wall: wall)
        var rows: [Row] = []
        var changes: [Change] = []
        for (target, content) in writes {
            let dot = Dot(actor: actor, counter: nextCounter)
            let row = Row(
                id: target.id, versions: Self.versions(target.old?.versions ?? [], with: dot), stamp: stamp,
                author: actor, content: content)
            rows.append(row)
            changes += apply(row, over: target.old, at: target.place)
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
}
