// SPDX-License-Identifier: Apache-2.0
// Owns how the writes of one request are checked against the store and each other before any of them is carried out.

import ClusterTypes

/// What a request will write, row by row.
struct StagedWrites {
    struct Item {
        var id: RowID
        /// The row before the request.
        var old: Row?
        var content: RowContent
    }

    /// Live rows under a key, as the request leaves them.
    struct LiveRows {
        var registers = 0
        var elements = 0
        var shares = 0
        /// The type that showed before the request.
        var visible: KeyType?
        /// By how much the request changes the counter.
        var counterChange: Int128 = 0

        subscript(type: KeyType) -> Int {
            get {
                switch type {
                case .register: registers
                case .set: elements
                case .counter: shares
                }
            }
            set {
                switch type {
                case .register: registers = newValue
                case .set: elements = newValue
                case .counter: shares = newValue
                }
            }
        }

        var liveType: KeyType? {
            if let visible, self[visible] > 0 { return visible }
            return KeyType.allCases.first { self[$0] > 0 }
        }
    }

    /// A request with one write needs to know nothing of itself.
    let isSingle: Bool
    private(set) var items: [Item] = []
    /// Rows that are not in the store yet.
    private(set) var added = 0
    private var index: [RowID: Int] = [:]
    /// By the register's row id, because texts are compared as bytes.
    private var keys: [RowID: LiveRows] = [:]

    init(isSingle: Bool) { self.isSingle = isSingle }

    func index(of id: RowID) -> Int? { isSingle ? nil : index[id] }
    func liveRows(_ key: String) -> LiveRows? { isSingle ? nil : keys[RowID(key: key, part: .register)] }
    mutating func set(_ live: LiveRows, of key: String) { keys[RowID(key: key, part: .register)] = live }

    mutating func put(_ content: RowContent, at index: Int) { items[index].content = content }

    mutating func append(_ item: Item) {
        if !isSingle { index[item.id] = items.count }
        if item.old == nil { added += 1 }
        items.append(item)
    }
}

extension Store {
    /// A row as the request has it so far.
    private struct Target {
        var id: RowID
        /// Among the staged items.
        var index: Int?
        var old: Row?
        var content: RowContent?
        /// What it has now shows, or will.
        var isShown: Bool
        /// The event that writes it.
        var counter: UInt64
    }

    /// The write's key is valid.
    func stage(_ write: StoreWrite, _ staged: inout StagedWrites) throws(StoreFailure) {
        switch write {
        case .put(let key, let value):
            try check(key, is: .register, staged)
            if value.count > Bounds.valueBytesMax { throw .valueTooLarge(bytes: value.count) }
            set(try target(RowID(key: key, part: .register), staged), .register(value), &staged)
        case .delete(let key):
            try stageDelete(key, &staged)
        case .add(let key, let element):
            let target = try elementTarget(key, element, staged)
            set(target, .element(added(to: target)), &staged)
        case .remove(let key, let element):
            let target = try elementTarget(key, element, staged)
            if target.isShown, let content = target.content { set(target, Self.cleared(content), &staged) }
        case .increment(let key, let amount):
            try stageIncrement(key, by: amount, &staged)
        }
    }

    private func elementTarget(
        _ key: String, _ element: [UInt8], _ staged: StagedWrites
    ) throws(StoreFailure) -> Target {
        try check(key, is: .set, staged)
        if element.count > Bounds.elementBytesMax { throw .elementTooLarge(bytes: element.count) }
        return try target(RowID(key: key, part: .element(element)), staged)
    }

    private func added(to target: Target) -> [ElementEntry] {
        var entries: [ElementEntry] = []
        if case .element(let known) = target.content { entries = known }
        if let index = entries.firstIndex(where: { $0.actor == actor }) {
            entries[index].added = target.counter
        } else {
            let index = entries.firstIndex { actor < $0.actor } ?? entries.count
            entries.insert(ElementEntry(actor: actor, added: target.counter, removed: 0), at: index)
        }
        return entries
    }

    private func stageIncrement(_ key: String, by amount: Int64, _ staged: inout StagedWrites) throws(StoreFailure) {
        try check(key, is: .counter, staged)
        if amount == 0 { throw .zeroIncrement }
        let target = try target(RowID(key: key, part: .counter(actor)), staged)
        let value = (keys.find(key).map(counterValue) ?? 0) + (staged.liveRows(key)?.counterChange ?? 0)
        if Int64(exactly: value + Int128(amount)) == nil { throw .counterOverflow }
        var entry = CounterEntry.zero
        entry.generation = target.counter
        if case .counter(let known) = target.content { entry = known }
        let (total, overflow) = (amount > 0 ? entry.increments : entry.decrements)
            .addingReportingOverflow(amount.magnitude)
        if overflow { throw .counterOverflow }
        if amount > 0 { entry.increments = total } else { entry.decrements = total }
        set(target, .counter(entry), &staged)
    }

    private func stageDelete(_ key: String, _ staged: inout StagedWrites) throws(StoreFailure) {
        guard liveType(key, staged) != nil else { throw .notFound }
        var live: [RowID] = []
        if let handle = keys.find(key) {
            forEachRow(of: handle) { row in
                if rows[Int(row)].isShown { live.append(self.row(at: row).id) }
                return true
            }
        }
        // Rows that an earlier write of the request has made or brought back.
        for item in staged.items where !staged.isSingle && ConfigurationKey.equal(item.id.key, key) {
            if item.content.isLive, !(item.old?.isLive ?? false) { live.append(item.id) }
        }
        for id in live {
            let target = try target(id, staged)
            if target.isShown, let content = target.content { set(target, Self.cleared(content), &staged) }
        }
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

    private func liveType(_ key: String, _ staged: StagedWrites) -> KeyType? {
        if let live = staged.liveRows(key) { return live.liveType }
        guard let handle = keys.find(key), keys.isLive(handle) else { return nil }
        return keys.visibleType(handle)
    }

    private func check(_ key: String, is type: KeyType, _ staged: StagedWrites) throws(StoreFailure) {
        if let existing = liveType(key, staged), existing != type { throw .typeConflict(existing: existing) }
    }

    private func target(_ id: RowID, _ staged: StagedWrites) throws(StoreFailure) -> Target {
        let counter = nextCounter
        if let index = staged.index(of: id) {
            let item = staged.items[index]
            return Target(
                id: id, index: index, old: item.old, content: item.content, isShown: item.content.isLive,
                counter: counter + UInt64(index))
        }
        let next = counter + UInt64(staged.items.count)
        guard let handle = locate(id).row else {
            if rowCount + staged.added >= configuration.rowsMax { throw .storeFull }
            return Target(id: id, isShown: false, counter: next)
        }
        let old = row(at: handle)
        if old.versions.count >= Self.writtenActorsMax, old.lastEvent(of: actor) == 0 { throw .tooManyActors }
        return Target(id: id, old: old, content: old.content, isShown: rows[Int(handle)].isShown, counter: next)
    }

    private func set(_ target: Target, _ content: RowContent, _ staged: inout StagedWrites) {
        if !staged.isSingle {
            var live = staged.liveRows(target.id.key) ?? liveRows(target.id.key)
            live[target.id.part.type] += (content.isLive ? 1 : 0) - (target.isShown ? 1 : 0)
            if case .counter(let new) = content {
                live.counterChange += new.value
                if case .counter(let old) = target.content { live.counterChange -= old.value }
            }
            staged.set(live, of: target.id.key)
        }
        if let index = target.index {
            staged.put(content, at: index)
        } else {
            staged.append(StagedWrites.Item(id: target.id, old: target.old, content: content))
        }
    }

    private func liveRows(_ key: String) -> StagedWrites.LiveRows {
        var live = StagedWrites.LiveRows()
        guard let handle = keys.find(key) else { return live }
        let visible = keys.visible(handle, actors: actors)
        live.visible = visible.type
        for summary in keys.aside(handle) + [visible] { live[summary.type] = Int(summary.live) }
        return live
    }
}
