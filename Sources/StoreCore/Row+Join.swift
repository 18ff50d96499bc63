// SPDX-License-Identifier: Apache-2.0
// Owns the join of two states of one row: commutative, associative, idempotent.

import ClusterTypes

extension Row {
    /// The least row that holds everything both rows hold. Both must have the same id and contents that agree with it.
    package static func joined(_ a: Row, _ b: Row) -> Row {
        precondition(a.id == b.id, "rows \(a.id) and \(b.id) cannot be joined")
        let newer = precedes(a, b) ? b : a
        return Row(
            id: a.id, versions: joinedVersions(a.versions, b.versions), stamp: newer.stamp, author: newer.author,
            content: joinedContent(a, b), details: joinedDetails(a, b))
    }

    /// Whether the newest event of `a` came before that of `b`. The strict log's order is that of its changes' numbers; their
    /// stamps follow it but within one millisecond.
    static func precedes(_ a: Row, _ b: Row) -> Bool {
        if a.author == b.author, a.author.isStrictFeed { return a.lastEvent(of: a.author) < b.lastEvent(of: b.author) }
        return a.version < b.version
    }

    /// Neither came before the other: they are one event.
    private static func haveOneEvent(_ a: Row, _ b: Row) -> Bool { !precedes(a, b) && !precedes(b, a) }

    /// Those of the newest event.
    static func joinedDetails(_ a: Row, _ b: Row) -> EventDetails {
        if !haveOneEvent(a, b) { return precedes(a, b) ? b.details : a.details }
        return EventDetails.precedes(a.details, b.details) ? b.details : a.details
    }

    /// Per actor the higher counter; both lists sorted by actor.
    static func joinedVersions(_ a: [Dot], _ b: [Dot]) -> [Dot] {
        if a == b { return a }
        return merged(a, b, by: \.actor) { $0.counter < $1.counter ? $1 : $0 }
    }

    private static func joinedContent(_ a: Row, _ b: Row) -> RowContent {
        switch (a.content, b.content) {
        case (.register(let x), .register(let y)):
            if !haveOneEvent(a, b) { return precedes(a, b) ? b.content : a.content }
            return .register(winner(x, y))
        case (.element(let x), .element(let y)):
            if x == y { return a.content }
            return .element(
                merged(x, y, by: \.actor) {
                    ElementEntry(
                        actor: $0.actor, added: max($0.added, $1.added), removed: max($0.removed, $1.removed))
                })
        case (.counter(let x), .counter(let y)):
            if x.generation != y.generation { return x.generation < y.generation ? b.content : a.content }
            return .counter(
                CounterEntry(
                    generation: x.generation, increments: max(x.increments, y.increments),
                    decrements: max(x.decrements, y.decrements),
                    resetIncrements: max(x.resetIncrements, y.resetIncrements),
                    resetDecrements: max(x.resetDecrements, y.resetDecrements)))
        case (.register, _), (.element, _), (.counter, _):
            preconditionFailure("row \(a.id) holds \(a.content) here and \(b.content) there")
        }
    }

    /// Two values under one stamp of one author: only a defective peer makes them, but all nodes must still agree
    /// (PEERS.md: corrosion #128). A value beats a delete, the higher hash beats the lower, the later bytes the earlier.
    private static func winner(_ x: [UInt8]?, _ y: [UInt8]?) -> [UInt8]? {
        guard let x, let y else { return x ?? y }
        if x == y { return x }
        let left = hash(of: x)
        let right = hash(of: y)
        if left != right { return left < right ? y : x }
        return x.lexicographicallyPrecedes(y) ? y : x
    }

    private static func hash(of value: [UInt8]) -> Hash128 {
        var hasher = StableHasher()
        hasher.absorb(counted: value)
        return hasher.finalize()
    }

    /// Merges two lists that are sorted by actor; entries of one actor become one.
    private static func merged<Item>(
        _ a: [Item], _ b: [Item], by actor: (Item) -> ActorID, join: (Item, Item) -> Item
    ) -> [Item] {
        var result: [Item] = []
        result.reserveCapacity(max(a.count, b.count))
        var i = 0
        var j = 0
        while i < a.count, j < b.count {
            let left = actor(a[i])
            let right = actor(b[j])
            if left == right {
                result.append(join(a[i], b[j]))
                i += 1
                j += 1
            } else if left < right {
                result.append(a[i])
                i += 1
            } else {
                result.append(b[j])
                j += 1
            }
        }
        result.append(contentsOf: a[i...])
        result.append(contentsOf: b[j...])
        return result
    }
}
