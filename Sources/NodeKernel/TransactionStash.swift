// SPDX-License-Identifier: Apache-2.0
// Owns the rows of transactions that are not complete yet, and the rule that says when one is.

import ClusterTypes
import StoreCore

/// Rows of transactions that wait for the rest; bounded by rows, bytes and age.
///
/// A transaction is complete when each of its events is reflected: it is in the context, or a row that is merged in the
/// same turn names it. A row that waits for another transaction (it joins events of both) counts only together with that
/// one. An event whose row was overwritten by its author is named by no row any more: only the end of a complete exchange
/// tells that it will not come, see `takeReflected`.
///
/// Dictionaries are only looked up; what leaves is sorted.
struct TransactionStash: Sendable {
    /// Names a transaction by its first event.
    struct Key: Hashable, Comparable, Sendable {
        var actor: ActorID
        var first: UInt64

        static func < (a: Key, b: Key) -> Bool { a.actor != b.actor ? a.actor < b.actor : a.first < b.first }
    }

    private struct Group: Sendable {
        var count: UInt64
        /// By the counter of the transaction's event on the row.
        var rows: [UInt64: Row] = [:]
        var bytes = 0
        let since: Instant
        /// Its place among all that ever came.
        let number: UInt64
        /// Every event before this counter was reflected when it was last looked at.
        var reflectedTo: UInt64

        func end(_ key: Key) -> UInt64 { key.first + count }
    }

    /// Rows that were turned away: up to `upTo`, events of `actor` may be missing that nothing else tells of.
    private struct Gap: Sendable {
        var actor: ActorID
        var upTo: UInt64
        var at: Instant
    }

    /// More than one transaction of the largest size.
    static let rowsMax = 16 * Bounds.transactionWritesMax
    static let bytesMax = 4 * Bounds.transactionBytesMax
    /// Rows of a transaction that does not become complete are dropped after this; synchronisation brings them again.
    static let ageMax = Interval.seconds(30)
    /// What a waiting row takes beside its contents, about.
    private static let rowOverhead = 256
    /// Actors with gaps that are told apart.
    private static let gapsMax = 1_024
    /// Transactions that may hang together by joined rows; more wait for an exchange.
    private static let clusterMax = 64

    private var groups: [Key: Group] = [:]
    /// The first events of the transactions of each actor, sorted.
    private var firsts: [ActorID: [UInt64]] = [:]
    /// Which transactions have a row that names this event of somebody else.
    private var holders: [Dot: [Key]] = [:]
    /// In the order of arrival; may name transactions that are gone.
    private var arrivals: [(key: Key, number: UInt64)] = []
    private var arrivalsTaken = 0
    private(set) var rowCount = 0
    private(set) var bytes = 0
    /// Sorted by actor.
    private var gaps: [Gap] = []
    /// Set when there are more gaps than are told apart: nothing is known of any actor.
    private var unknownGapsAt: Instant?
    /// When rows that had been taken in were last dropped.
    private var droppedAt: Instant?
    private(set) var transactionsStashed: UInt64 = 0
    private(set) var transactionsDropped: UInt64 = 0

    let rowsMax: Int
    let bytesMax: Int

    init(rowsMax: Int = Self.rowsMax, bytesMax: Int = Self.bytesMax) {
        self.rowsMax = rowsMax
        self.bytesMax = bytesMax
    }

    var isEmpty: Bool { groups.isEmpty }
    var count: Int { groups.count }

    /// The transaction that the row's newest event belongs to; nil when it stands alone, or says what cannot be.
    static func key(of row: Row) -> Key? {
        guard let transaction = row.details.transaction, transaction.count > 1,
            transaction.count <= UInt32(Bounds.transactionWritesMax), transaction.first > 0,
            transaction.first <= Dot.counterMax, let own = ownEvent(of: row),
            own >= transaction.first, own - transaction.first < UInt64(transaction.count)
        else { return nil }
        return Key(actor: row.author, first: transaction.first)
    }

    private static func ownEvent(of row: Row) -> UInt64? {
        row.versions.first { $0.actor == row.author }?.counter
    }

    /// Takes a row of transaction `key`; it must be valid.
    mutating func insert(_ row: Row, _ key: Key, now: Instant) {
        guard let own = Self.ownEvent(of: row), let count = row.details.transaction?.count else { return }
        if groups[key] == nil { open(key, now: now) }
        // Moved out while it changes: no copy of the rows.
        guard var group = groups.removeValue(forKey: key) else { return }
        group.count = max(group.count, UInt64(count))
        var joined = row
        if let known = group.rows[own] {
            // One event on two rows is what only a defective peer makes; the first one counts.
            guard known.id == row.id else {
                groups[key] = group
                return
            }
            joined = Row.joined(known, row)
            account(known, key, by: -1, &group)
        }
        group.rows[own] = joined
        account(joined, key, by: 1, &group)
        groups[key] = group
    }

    private mutating func open(_ key: Key, now: Instant) {
        transactionsStashed += 1
        groups[key] = Group(count: 0, since: now, number: transactionsStashed, reflectedTo: key.first)
        firsts[key.actor, default: []].insert(key.first, at: position(of: key))
        arrivals.append((key, transactionsStashed))
    }

    private mutating func account(_ row: Row, _ key: Key, by sign: Int, _ group: inout Group) {
        let size = row.estimatedBytes + Self.rowOverhead
        group.bytes += sign * size
        bytes += sign * size
        rowCount += sign
        for dot in row.versions where dot.actor != key.actor {
            if sign > 0 {
                holders[dot, default: []].append(key)
            } else if let index = holders[dot]?.firstIndex(of: key) {
                holders[dot]?.remove(at: index)
                if holders[dot]?.isEmpty ?? false { holders[dot] = nil }
            }
        }
    }

    private mutating func remove(_ key: Key) -> [Row] {
        guard var group = groups.removeValue(forKey: key) else { return [] }
        let rows = group.rows.sorted { $0.key < $1.key }.map(\.value)
        for row in rows { account(row, key, by: -1, &group) }
        let at = position(of: key)
        firsts[key.actor]?.remove(at: at)
        if firsts[key.actor]?.isEmpty ?? false { firsts[key.actor] = nil }
        if groups.isEmpty {
            arrivals.removeAll()
            arrivalsTaken = 0
        }
        return rows
    }

    /// Where the transaction is, or would be, among those of its actor.
    private func position(of key: Key) -> Int {
        guard let list = firsts[key.actor] else { return 0 }
        var low = 0
        var high = list.count
        while low < high {
            let middle = (low + high) / 2
            if list[middle] < key.first { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The waiting transaction that the event belongs to.
    func transaction(of dot: Dot) -> Key? {
        guard let list = firsts[dot.actor] else { return nil }
        let after = position(of: Key(actor: dot.actor, first: dot.counter + 1))
        guard after > 0 else { return nil }
        let key = Key(actor: dot.actor, first: list[after - 1])
        return groups[key].map { dot.counter < $0.end(key) } ?? false ? key : nil
    }

    /// Takes out the rows that are complete together with transaction `key`; empty when it is not complete.
    mutating func takeComplete(with key: Key, context: CausalContext) -> [Row] {
        guard groups[key] != nil, isReflected(key, context) else { return [] }
        var cluster = [key]
        var next = 0
        while next < cluster.count {
            let member = cluster[next]
            next += 1
            for other in needed(by: member, context).joined() where !cluster.contains(other) {
                guard cluster.count < Self.clusterMax else { return [] }
                cluster.append(other)
            }
        }
        let complete = whole(cluster) { needed(by: $0, context) }
        guard complete.contains(key) else { return [] }
        return complete.sorted().flatMap { remove($0) }
    }

    /// Goes on from where it stopped the last time, so that a large transaction is not looked through for each row.
    private mutating func isReflected(_ key: Key, _ context: CausalContext) -> Bool {
        guard var group = groups.removeValue(forKey: key) else { return false }
        let end = group.end(key)
        while group.reflectedTo < end {
            let dot = Dot(actor: key.actor, counter: group.reflectedTo)
            guard group.rows[dot.counter] != nil || holders[dot] != nil || context.contains(dot) else { break }
            group.reflectedTo += 1
        }
        let isReflected = group.reflectedTo >= end
        groups[key] = group
        return isReflected
    }

    /// For each event of the transaction that neither its own rows nor the context reflect: who has a row that does.
    private func needed(by key: Key, _ context: CausalContext) -> [[Key]] {
        guard let group = groups[key] else { return [] }
        var needed: [[Key]] = []
        for counter in key.first..<group.end(key) where group.rows[counter] == nil {
            let dot = Dot(actor: key.actor, counter: counter)
            if !context.contains(dot) { needed.append(holders[dot] ?? []) }
        }
        return needed
    }

    /// The largest part of `keys` in which everything that is needed is held by the part itself.
    private func whole(_ keys: [Key], _ needed: (Key) -> [[Key]]) -> Set<Key> {
        var part = Set(keys)
        var open = keys.map { (key: $0, needed: needed($0)) }.filter { !$0.needed.isEmpty }
        var isShrinking = true
        while isShrinking {
            isShrinking = false
            open.removeAll { entry in
                if entry.needed.allSatisfy({ $0.contains { part.contains($0) } }) { return false }
                part.remove(entry.key)
                isShrinking = true
                return true
            }
        }
        return part
    }
}

extension TransactionStash {
    /// Takes out what is complete once a peer has sent all that it holds of `snapshot`: what of a transaction in it has not
    /// come was overwritten, and what overwrote it has come. Not so where rows were turned away meanwhile.
    mutating func takeReflected(by snapshot: CausalContext, context: CausalContext) -> [Row] {
        guard unknownGapsAt == nil, !groups.isEmpty else { return [] }
        let union = context.union(snapshot)
        var contiguous: [ActorID: UInt64] = [:]
        for entry in union.entries(cloudMax: 0) { contiguous[entry.actor] = entry.contiguous }
        let candidates = groups.keys.filter { key in !gaps.contains { $0.actor == key.actor && $0.upTo >= key.first } }
        let complete = whole(candidates.sorted()) { key in
            // Mostly the whole of it lies in the vector.
            if let group = groups[key], group.end(key) <= (contiguous[key.actor] ?? 0) + 1 { return [] }
            return needed(by: key, union)
        }
        return complete.sorted().flatMap { remove($0) }
    }

    /// Whether a row that waits holds an event of `snapshot` that is not in `context`: the snapshot must not be adopted,
    /// or the event would count as seen without a row that reflects it.
    func holdsEvents(of snapshot: CausalContext, beyond context: CausalContext) -> Bool {
        groups.values.contains { group in
            group.rows.values.contains { row in
                row.versions.contains { snapshot.contains($0) && !context.contains($0) }
            }
        }
    }

    /// Rows were dropped since `moment` that their sender takes to be here.
    func hasDropped(since moment: Instant) -> Bool { droppedAt.map { $0 >= moment } ?? false }

    /// Drops the oldest transactions until the bounds are kept. The oldest, because of one author they come in the order
    /// of its events, and what was overwritten by something that is kept must not be shown without it.
    mutating func keepBounds(now: Instant) {
        while rowCount > rowsMax || bytes > bytesMax, arrivalsTaken < arrivals.count { dropOldest(now: now) }
    }

    mutating func dropAged(now: Instant) {
        while let since = oldestSince, now - since >= Self.ageMax { dropOldest(now: now) }
    }

    /// When the oldest transaction came.
    var oldestSince: Instant? {
        mutating get {
            while arrivalsTaken < arrivals.count {
                let (key, number) = arrivals[arrivalsTaken]
                if let group = groups[key], group.number == number { return group.since }
                arrivalsTaken += 1
            }
            return nil
        }
    }

    private mutating func dropOldest(now: Instant) {
        let (key, number) = arrivals[arrivalsTaken]
        arrivalsTaken += 1
        if arrivalsTaken > 1_024, arrivalsTaken * 2 > arrivals.count {
            arrivals.removeFirst(arrivalsTaken)
            arrivalsTaken = 0
        }
        guard groups[key]?.number == number else { return }
        noteDropped(remove(key), now: now)
    }

    /// Rows that were taken out are not wanted after all.
    mutating func noteDropped(_ rows: [Row], now: Instant) {
        for row in rows { noteTurnedAway(row, now: now) }
        droppedAt = now
        transactionsDropped += 1
    }

    /// The row is not here although it was sent: what its author did before may have been overwritten by it.
    mutating func noteTurnedAway(_ row: Row, now: Instant) {
        for dot in row.versions {
            let at = gaps.firstIndex { !($0.actor < dot.actor) } ?? gaps.count
            if at < gaps.count, gaps[at].actor == dot.actor {
                gaps[at].upTo = max(gaps[at].upTo, dot.counter)
                gaps[at].at = now
            } else if gaps.count < Self.gapsMax {
                gaps.insert(Gap(actor: dot.actor, upTo: dot.counter, at: now), at: at)
            } else {
                unknownGapsAt = now
            }
        }
    }

    /// Forgets the gaps from before `moment`, when the oldest exchange under way began; nil: there is none.
    mutating func forgetGaps(before moment: Instant?) {
        guard !gaps.isEmpty || unknownGapsAt != nil else { return }
        guard let moment else {
            gaps.removeAll()
            unknownGapsAt = nil
            return
        }
        gaps.removeAll { $0.at < moment }
        if let at = unknownGapsAt, at < moment { unknownGapsAt = nil }
    }

    func checkBounds() {
        precondition(rowCount <= rowsMax && bytes <= bytesMax, "\(rowCount) rows, \(bytes) bytes wait")
    }

    func checkInvariants() {
        checkBounds()
        precondition(groups.values.reduce(0) { $0 + $1.rows.count } == rowCount, "\(rowCount) rows are miscounted")
        precondition(!groups.isEmpty || (bytes == 0 && holders.isEmpty && firsts.isEmpty), "\(bytes) bytes of nothing")
    }
}
