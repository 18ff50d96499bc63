// SPDX-License-Identifier: Apache-2.0
// Owns the tests of how rows are judged beside the context and the floor (decision 0007), rule by rule.

import ClusterTypes
import StoreCore
import Testing

@Suite struct MergeRuleTests {
    /// Two stores that have collected the delete of `k`, and the row that was deleted.
    static func collected() throws -> (a: Store, b: Store, stale: Row) {
        var a = store(1)
        var b = store(2)
        let stale = try a.put(bytes("v"), for: "k", wall: wall(0)).rows[0]
        _ = try a.delete("k", wall: wall(1))
        b.pull(from: a)
        let floor = CollectionFloor(cutoff: HybridTimestamp(wall: wall(10)))
        #expect(a.raise(to: floor) == b.raise(to: floor))
        #expect(a.rowCount == 0 && b.rowCount == 0 && a.root == .zero)
        return (a, b, stale)
    }

    @Test("A row whose events were seen and which is gone was collected: it is known and stays gone")
    func known() throws {
        var (a, b, stale) = try Self.collected()
        #expect(b.merge(stale, wall: wall(11)) == .known)
        #expect(b.rowCount == 0 && b.context == a.context)
        var bare = stale
        bare.versions = []
        bare.author = actor(9)
        #expect(a.merge(bare, wall: wall(11)) == .known, "a row without versions is everywhere, or it was collected")
        a.checkInvariants()
    }

    @Test("A row of which nothing is known is refused up to the cutoff, and taken after it")
    func beforeFloor() throws {
        var (_, b, _) = try Self.collected()
        let before = (b.root, b.context, b.clock)
        for time in [0, 10] as [UInt64] {
            let row = registerRow("other", "v", author: actor(7), at: time)
            #expect(b.merge(row, wall: wall(11)) == .beforeFloor)
        }
        #expect((b.root, b.context, b.clock) == before)
        b.mergeAll([registerRow("other", "v", author: actor(7), at: 11)], wall: wall(11))
        #expect(b.text("other") == "v")
        // One that is held takes older news as ever.
        b.mergeAll([registerRow("other", "old", author: actor(8), at: 3)], wall: wall(11))
        #expect(b.text("other") == "v" && b.holds([Dot(actor: actor(8), counter: 1)]))
        b.checkInvariants()
    }

    @Test("An add that was seen and is gone counts as removed, beside news on the same element")
    func collectedAdd() throws {
        var a = store(1)
        var b = store(2)
        let stale = try a.add(bytes("x"), to: "s", wall: wall(0)).rows[0]
        b.mergeAll([stale])
        b.mergeAll(try a.remove(bytes("x"), from: "s", wall: wall(1)).rows)
        _ = a.raise(to: CollectionFloor(cutoff: HybridTimestamp(wall: wall(10))))
        _ = b.raise(to: CollectionFloor(cutoff: HybridTimestamp(wall: wall(10))))
        // The row as somebody has it who never heard of the remove, and has removed an add of their own.
        var news = stale
        news.versions.append(Dot(actor: actor(3), counter: 5))
        news.content = .element([
            ElementEntry(actor: actor(1), added: 1, removed: 0), ElementEntry(actor: actor(3), added: 4, removed: 4),
        ])
        news.stamp = HybridTimestamp(wall: wall(20))
        news.author = actor(3)
        b.mergeAll([news], wall: wall(20))
        #expect(b.elements("s").isEmpty, "the delete does not come back")
        let expected = [
            ElementEntry(actor: actor(1), added: 1, removed: 1), ElementEntry(actor: actor(3), added: 4, removed: 4),
        ]
        #expect(b.row(news.id)?.content == .element(expected))
        // A row begun anew: ours has no entry of the collected add either.
        let again = try a.add(bytes("x"), to: "s", wall: wall(30)).rows[0]
        var old = stale
        old.stamp = HybridTimestamp(wall: wall(5))
        #expect(again.versions == [Dot(actor: actor(1), counter: 3)])
        a.mergeAll([news], wall: wall(30))
        #expect(a.elements("s") == ["x"], "the new add stands")
        _ = try a.remove(bytes("x"), from: "s", wall: wall(31))
        a.mergeAll([stale, old, news], wall: wall(31))
        #expect(a.elements("s").isEmpty)
        a.checkInvariants()
        b.checkInvariants()
    }

    @Test("A counter that begins anew after it was collected ignores copies of its former share")
    func counterBeginsAnew() throws {
        var a = store(1)
        var b = store(2)
        let stale = try a.increment("c", by: 10, wall: wall(0)).rows[0]
        b.mergeAll([stale])
        b.mergeAll(try a.delete("c", wall: wall(1)).rows)
        let floor = CollectionFloor(cutoff: HybridTimestamp(wall: wall(10)))
        _ = a.raise(to: floor)
        let held = b
        _ = b.raise(to: floor)
        let again = try a.increment("c", by: 2, wall: wall(11)).rows[0]
        b.mergeAll([again], wall: wall(11))
        #expect(a.count("c") == 2 && b.count("c") == 2 && a.root == b.root)
        b.mergeAll([stale], wall: wall(11))
        #expect(b.count("c") == 2)
        // Whoever takes the new share before it collects the old one keeps the new one.
        var c = held
        c.mergeAll([again], wall: wall(11))
        #expect(c.count("c") == 2)
        _ = c.raise(to: floor)
        #expect(c.count("c") == 2)
        // Their row names the old events still; exchanged, all name them.
        for row in c.allRows { a.mergeAll([row], wall: wall(11)) }
        #expect(a.root == c.root && a.count("c") == 2)
    }

    @Test("A row that names a folded actor comes from before the floor")
    func folded() throws {
        var a = store(1)
        let row = registerRow("k", "v", author: actor(2))
        a.mergeAll([row])
        let cutoff = HybridTimestamp(wall: wall(0))
        _ = a.raise(
            to: CollectionFloor(cutoff: cutoff, folded: [.init(Dot(actor: actor(2), counter: 1), cutoff: cutoff)]))
        #expect(a.context.isEmpty && a.text("k") == "v" && a.row(row.id)?.versions == [])
        #expect(a.merge(row, wall: wall(1)) == .beforeFloor)
        var later = registerRow("k", "w", author: actor(3), at: 5)
        later.versions.insert(row.versions[0], at: 0)
        #expect(a.merge(later, wall: wall(5)) == .beforeFloor)
        later.versions.removeFirst()
        a.mergeAll([later], wall: wall(5))
        #expect(a.text("k") == "w")
        var peer = CausalContext()
        peer.insert(row.versions[0])
        #expect(a.adopt(context: peer) == .adopted)
        #expect(!a.holds(row.versions), "a folded actor does not come back into the context")
        a.checkInvariants()
    }
}
