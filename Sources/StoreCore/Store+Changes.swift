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
        /// What a live register or counter read; nil for sets.
        var content: KeyView.Content?
    }

    func shown(_ key: UInt32?) -> Shown {
        guard let key else { return Shown(visible: nil, hidden: []) }
        let visible = keys.visible(key, actors: actors)
        var shown = Shown(visible: visible, hidden: hiddenTypes(key))
        if visible.live > 0 {
            switch visible.type {
            case .register:
                if case .value(let value) = rows[Int(keys.register(key))].content { shown.content = .register(value) }
            case .counter: shown.content = .counter(Int64(clamping: counterValue(key)))
            case .set: break
            }
        }
        return shown
    }

    func hiddenTypes(_ key: UInt32) -> [KeyType] { keys.aside(key).filter { $0.live > 0 }.map(\.type) }

    /// Installs a row and describes what a watcher sees of it.
    mutating func apply(_ new: Row, over old: Row?, at place: Place, wall: WallTime) -> [Change] {
        let before = shown(place.key)
        let wasShown = place.row.map { rows[Int($0)].isShown } ?? false
        let isExpired = isExpired(new, at: wall)
        let key = install(new, isExpired: isExpired, over: old, at: place)
        return changes(
            of: key, before: before, by: new, wasShown: wasShown, isShown: new.isLive && !isExpired, from: old)
    }

    /// What a watcher sees of a key after the row `new` came in the place of `old`, or stopped to show.
    func changes(
        of key: UInt32, before: Shown, by new: Row, wasShown: Bool, isShown: Bool, from old: Row?
    ) -> [Change] {
        let after = keys.visible(key, actors: actors)
        var changes = conflicts(key, before: before, after: after, row: new)
        if let type = before.visible?.type, type != after.type {
            changes += replacement(key, before: before, after: after, by: new)
        } else if new.id.part.type == after.type {
            if let kind = kind(key, from: wasShown ? old : nil, to: new, isShown: isShown, before: before, after: after)
            {
                changes.append(
                    Change(
                        key: new.id.key, type: after.type, kind: kind, version: new.version, old: before.content,
                        details: new.details))
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
                version: after.version, details: row.details)
        }
    }

    /// Another type became visible: its whole content, or a delete when there is none. The first change says what the
    /// former type showed.
    private func replacement(_ key: UInt32, before: Shown, after: TypeSummary, by cause: Row) -> [Change] {
        let name = keys.key(key)
        guard after.live > 0 else {
            guard let visible = before.visible, visible.live > 0 else { return [] }
            return [
                Change(
                    key: name, type: visible.type, kind: .delete, version: after.version, old: before.content,
                    details: cause.details)
            ]
        }
        var changes: [Change] = []
        var newest: Row?
        forEachRow(of: key) { handle in
            guard rows[Int(handle)].isShown else { return true }
            let row = row(at: handle)
            guard row.id.part.type == after.type else { return true }
            let kind: Change.Kind
            switch (row.id.part, row.content) {
            case (.element(let bytes), _): kind = .add(bytes)
            case (_, .register(.some(let value))): kind = .put(value)
            case (.register, _), (.counter, _):
                if newest.map({ $0.version < row.version }) ?? true { newest = row }
                return true
            }
            changes.append(
                Change(key: name, type: after.type, kind: kind, version: row.version, details: row.details))
            return true
        }
        if after.type == .counter {
            let value = Int64(clamping: counterValue(key))
            changes.append(
                Change(
                    key: name, type: .counter, kind: .increment(value: value, delta: value), version: after.version,
                    details: newest?.details ?? .none))
        }
        if !changes.isEmpty { changes[0].old = before.content }
        return changes
    }

    /// A row of the visible type changed; `old` is nil when it did not show.
    private func kind(
        _ key: UInt32, from old: Row?, to new: Row, isShown: Bool, before: Shown, after: TypeSummary
    ) -> Change.Kind? {
        switch (new.id.part, new.content) {
        case (_, .register(.some(let value))) where isShown:
            if let old, old.version == new.version, old.content == new.content, old.details.index == new.details.index {
                return nil
            }
            return .put(value)
        case (_, .register):
            return old == nil ? nil : .delete
        case (.element(let bytes), _):
            guard (old != nil) != isShown else { return nil }
            return isShown ? .add(bytes) : .remove(bytes)
        case (_, .counter):
            if after.live == 0 { return (before.visible?.live ?? 0) > 0 ? .delete : nil }
            var valueBefore: Int64 = 0
            if case .counter(let value) = before.content { valueBefore = value }
            let value = Int64(clamping: counterValue(key))
            if before.content != nil, value == valueBefore { return nil }
            return .increment(value: value, delta: Int64(clamping: Int128(value) - Int128(valueBefore)))
        case (.register, .element), (.counter, .element):
            return nil
        }
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
