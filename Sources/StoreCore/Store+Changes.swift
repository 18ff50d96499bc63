// SPDX-License-Identifier: Apache-2.0
// Owns the step from changed rows to what a watcher sees of them.

import ClusterTypes

extension Store {
    /// What a key showed before a row of it changed.
    struct Shown {
        /// Nil when the key had no rows.
        var visible: TypeSummary?
        /// Types that were kept aside with live content; sorted.
        var hidden: [KeyType]
    }

    func shown(_ key: UInt32?) -> Shown {
        guard let key else { return Shown(visible: nil, hidden: []) }
        return Shown(visible: keys.visible(key, actors: actors), hidden: hiddenTypes(key))
    }

    func hiddenTypes(_ key: UInt32) -> [KeyType] { keys.aside(key).filter { $0.live > 0 }.map(\.type) }

    /// Installs a row and describes what a watcher sees of it.
    mutating func apply(_ new: Row, over old: Row?, at place: Place) -> [Change] {
        let before = shown(place.key)
        let key = install(new, over: old, at: place)
        let after = keys.visible(key, actors: actors)
        var changes = conflicts(key, before: before, after: after, row: new)
        if let shown = before.visible, shown.type != after.type {
            changes += replacement(key, before: shown, after: after)
        } else if new.id.part.type == after.type {
            if let change = change(key, from: old, to: new, before: before.visible, after: after) {
                changes.append(change)
            }
        }
        return changes
    }

    /// Types that have just become hidden while they are live.
    private func conflicts(_ key: UInt32, before: Shown, after: TypeSummary, row: Row) -> [Change] {
        let isNew = before.visible?.type != after.type
        return hiddenTypes(key).filter { isNew || !before.hidden.contains($0) }.map {
            Change(
                key: row.id.key, type: after.type, kind: .typeConflict(kept: after.type, aside: $0),
                version: after.version)
        }
    }

    /// Another type became visible: its whole content, or a delete when there is none.
    private func replacement(_ key: UInt32, before: TypeSummary, after: TypeSummary) -> [Change] {
        let name = keys.key(key)
        guard after.live > 0 else {
            guard before.live > 0 else { return [] }
            return [Change(key: name, type: before.type, kind: .delete, version: after.version)]
        }
        var changes: [Change] = []
        if after.type == .counter {
            let value = Int64(clamping: counterValue(key))
            changes.append(
                Change(
                    key: name, type: .counter, kind: .increment(value: value, delta: value), version: after.version))
        } else {
            forEachRow(of: key) { handle in
                let row = row(at: handle)
                guard row.isLive, row.id.part.type == after.type else { return true }
                let kind: Change.Kind? =
                    switch (row.id.part, row.content) {
                    case (.element(let bytes), _): .add(bytes)
                    case (_, .register(.some(let value))): .put(value)
                    case (.register, _), (.counter, _): nil
                    }
                if let kind {
                    changes.append(Change(key: name, type: after.type, kind: kind, version: row.version))
                }
                return true
            }
        }
        return changes
    }

    /// A row of the visible type changed.
    private func change(
        _ key: UInt32, from old: Row?, to new: Row, before: TypeSummary?, after: TypeSummary
    ) -> Change? {
        let wasLive = old?.isLive ?? false
        let kind: Change.Kind
        switch (new.id.part, new.content) {
        case (_, .register(let value)):
            if let value {
                if let old, old.version == new.version, old.content == new.content { return nil }
                kind = .put(value)
            } else {
                guard wasLive else { return nil }
                kind = .delete
            }
        case (.element(let bytes), _):
            guard wasLive != new.isLive else { return nil }
            kind = new.isLive ? .add(bytes) : .remove(bytes)
        case (_, .counter(let entry)):
            let keyWasLive = (before?.live ?? 0) > 0
            if after.live == 0 {
                guard keyWasLive else { return nil }
                kind = .delete
            } else {
                var oldEntry = CounterEntry.zero
                if let old, case .counter(let entry) = old.content { oldEntry = entry }
                let sum = counterValue(key)
                let value = Int64(clamping: sum)
                let valueBefore = Int64(clamping: sum - entry.value + oldEntry.value)
                if keyWasLive, value == valueBefore { return nil }
                kind = .increment(value: value, delta: Int64(clamping: Int128(value) - Int128(valueBefore)))
            }
        case (.register, .element), (.counter, .element):
            return nil
        }
        return Change(key: new.id.key, type: after.type, kind: kind, version: new.version)
    }

    /// What the counter's rows sum up to, whichever type is visible.
    func counterValue(_ key: UInt32) -> Int128 {
        var sum: Int128 = 0
        var position = position(of: keys.key(key), handle: key, part: .counter(.lowest))
        while let row = order.element(at: position), rows[Int(row)].key == key {
            if case .counter(_, let entry) = rows[Int(row)].content { sum += entry.value }
            position = order.position(after: position)
        }
        return sum
    }
}

extension ActorID {
    /// Comes before every other actor.
    static let lowest = ActorID(node: .unknown, epoch: 0)
}
