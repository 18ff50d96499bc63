// SPDX-License-Identifier: Apache-2.0
// Owns the tests of each type's own behaviour: registers, sets, counters, and their conflicts.

import ClusterTypes
import StoreCore
import Testing

@Suite struct RegisterTests {
    @Test("The later stamp wins on both sides")
    func lastWriterWins() throws {
        var a = store(1)
        var b = store(2)
        let first = try a.put(bytes("old"), for: "k", wall: wall(1))
        let second = try b.put(bytes("new"), for: "k", wall: wall(2))
        a.mergeAll(second.rows)
        #expect(b.merge(first.rows[0], wall: wall(2)) == .applied([]), "an older value changes nothing visible")
        #expect(a.text("k") == "new" && b.text("k") == "new")
        #expect(a.root == b.root)
        #expect(a.read("k")?.version == second.version)
    }

    @Test("A write after a merge wins even when the local clock is behind")
    func clockBehind() throws {
        var a = store(1)
        var b = store(2)
        b.mergeAll(try a.put(bytes("ahead"), for: "k", wall: wall(30_000)).rows)
        let later = try b.put(bytes("behind"), for: "k", wall: wall(0))
        a.mergeAll(later.rows)
        #expect(a.text("k") == "behind" && a.root == b.root)
    }

    @Test(
        "Equal stamps with different values converge",
        arguments: [("x", "y"), ("long value", ""), (nil, "value"), ("", nil)] as [(String?, String?)])
    func equalStamps(x: String?, y: String?) throws {
        let one = registerRow("k", x)
        let other = registerRow("k", y)
        #expect(Row.joined(one, other) == Row.joined(other, one))
        var a = store(5)
        var b = store(6)
        a.mergeAll([one, other])
        b.mergeAll([other, one])
        #expect(a.root == b.root)
        #expect(a.read("k") == b.read("k"))
        #expect(a.read("k") != nil, "a value wins over a delete")
    }

    @Test("A delete leaves a tombstone that a stale replica cannot undo")
    func tombstone() throws {
        var writer = store(1)
        var stale = store(2)
        var fresh = store(3)
        let put = try writer.put(bytes("v"), for: "k", wall: wall(0))
        stale.mergeAll(put.rows)
        let delete = try writer.delete("k", wall: wall(1))
        #expect(delete.changes.map(\.kind) == [.delete])
        fresh.mergeAll(delete.rows)
        fresh.pull(from: stale)
        #expect(fresh.read("k") == nil)
        stale.pull(from: fresh)
        writer.pull(from: stale)
        #expect(stale.read("k") == nil && writer.read("k") == nil)
        #expect(stale.root == writer.root && fresh.root == writer.root)
        #expect(fresh.liveKeyCount == 0 && fresh.rowCount == 1)
    }

    @Test("Deleting what is not there is refused and leaves no event")
    func deleteNothing() throws {
        var a = store(1)
        #expect(throws: StoreFailure.notFound) { try a.delete("k", wall: wall(0)) }
        _ = try a.put([], for: "k", wall: wall(0))
        _ = try a.delete("k", wall: wall(0))
        let before = a.context
        #expect(throws: StoreFailure.notFound) { try a.delete("k", wall: wall(0)) }
        #expect(a.context == before && a.nextCounter == 3)
    }
}

@Suite struct SetTests {
    @Test("An add wins against a concurrent remove")
    func addWins() throws {
        var a = store(1)
        var b = store(2)
        b.mergeAll(try a.add(bytes("x"), to: "s", wall: wall(0)).rows)
        let again = try a.add(bytes("x"), to: "s", wall: wall(1))
        #expect(again.changes.isEmpty, "the element was there already")
        let removed = try b.remove(bytes("x"), from: "s", wall: wall(9))
        #expect(removed.changes.map(\.kind) == [.remove(bytes("x"))])
        a.mergeAll(removed.rows)
        b.mergeAll(again.rows)
        #expect(a.elements("s") == ["x"] && b.elements("s") == ["x"])
        #expect(a.root == b.root)
    }

    @Test("A remove takes out what it has seen, on every replica")
    func observedRemove() throws {
        var a = store(1)
        var b = store(2)
        b.mergeAll(try a.add(bytes("x"), to: "s", wall: wall(0)).rows)
        b.mergeAll(try a.add(bytes("y"), to: "s", wall: wall(0)).rows)
        a.mergeAll(try b.remove(bytes("x"), from: "s", wall: wall(0)).rows)
        #expect(a.elements("s") == ["y"] && a.root == b.root)
    }

    @Test("Removing what is not in the set makes no event")
    func removeNothing() throws {
        var a = store(1)
        let nothing = try a.remove(bytes("x"), from: "s", wall: wall(0))
        #expect(nothing == Mutation(rows: [], changes: [], version: nil))
        let added = try a.add(bytes("x"), to: "s", wall: wall(0))
        let root = a.root
        let again = try a.remove(bytes("other"), from: "s", wall: wall(0))
        #expect(again == Mutation(rows: [], changes: [], version: added.version))
        #expect(a.root == root && a.nextCounter == 2)
    }

    @Test("A delta that overtakes another never acts as a delete")
    func outOfOrder() throws {
        var a = store(1)
        var b = store(2)
        let first = try a.add(bytes("x"), to: "s", wall: wall(0))
        let second = try a.add(bytes("y"), to: "s", wall: wall(0))
        let third = try a.add(bytes("x"), to: "s", wall: wall(0))
        b.mergeAll(third.rows)
        #expect(b.context.hasGaps, "the events before it are missing")
        #expect(b.elements("s") == ["x"])
        a.pull(from: b)
        #expect(a.elements("s") == ["x", "y"], "a gap in b's context is not a delete")
        b.mergeAll(second.rows)
        b.mergeAll(first.rows)
        #expect(b.elements("s") == ["x", "y"] && b.root == a.root && !b.context.hasGaps)
    }

    @Test("Deleting a set removes each element with its own dot under one stamp")
    func deleteSet() throws {
        var a = store(1)
        for name in ["c", "a", "b"] { _ = try a.add(bytes(name), to: "s", wall: wall(0)) }
        let deleted = try a.delete("s", wall: wall(5))
        #expect(deleted.changes.map(\.kind) == [.remove(bytes("a")), .remove(bytes("b")), .remove(bytes("c"))])
        #expect(Set(deleted.rows.flatMap(\.versions)).count == 3)
        #expect(Set(deleted.rows.map(\.version)) == [try #require(deleted.version)])
        #expect(a.read("s") == nil)
    }
}

@Suite struct CounterTests {
    @Test("Increments on all replicas at once add up")
    func addsUp() throws {
        var replicas = (1...5).map { store($0) }
        var rows: [Row] = []
        for index in replicas.indices {
            for amount in [3, -1, Int64(index)] where amount != 0 {
                rows += try replicas[index].increment("c", by: amount, wall: wall(0)).rows
            }
        }
        for index in replicas.indices {
            replicas[index].mergeAll(rows.reversed())
            #expect(replicas[index].count("c") == 20)
            #expect(replicas[index].root == replicas[0].root)
        }
    }

    @Test("A delete sets back what it has seen and no more")
    func reset() throws {
        var a = store(1)
        var b = store(2)
        b.mergeAll(try a.increment("c", by: 5, wall: wall(0)).rows)
        let unseen = try a.increment("c", by: 2, wall: wall(0))
        let deleted = try b.delete("c", wall: wall(1))
        #expect(deleted.changes.map(\.kind) == [.delete])
        #expect(b.read("c") == nil)
        a.mergeAll(deleted.rows)
        b.mergeAll(unseen.rows)
        #expect(a.count("c") == 2 && b.count("c") == 2 && a.root == b.root)
    }

    @Test("A counter that sums up to zero is there")
    func zero() throws {
        var a = store(1)
        _ = try a.increment("c", by: 1, wall: wall(0))
        let back = try a.increment("c", by: -1, wall: wall(0))
        #expect(back.changes.map(\.kind) == [.increment(value: 0, delta: -1)])
        #expect(a.count("c") == 0)
        #expect(throws: StoreFailure.zeroIncrement) { try a.increment("c", by: 0, wall: wall(0)) }
    }

    @Test("A counter that arrives with the value zero is reported")
    func zeroArrives() throws {
        var a = store(1)
        var b = store(2)
        _ = try a.increment("c", by: 1, wall: wall(0))
        let back = try a.increment("c", by: -1, wall: wall(0))
        let version = try #require(back.version)
        let change = Change(key: "c", type: .counter, kind: .increment(value: 0, delta: 0), version: version)
        #expect(b.merge(back.rows[0], wall: wall(0)) == .applied([change]))
        #expect(b.merge(back.rows[0], wall: wall(0)) == .known)
    }

    @Test("Overflow is refused at the writer and saturates at the reader")
    func overflow() throws {
        var a = store(1)
        var b = store(2)
        let most = try a.increment("c", by: .max, wall: wall(0))
        let root = a.root
        #expect(throws: StoreFailure.counterOverflow) { try a.increment("c", by: 1, wall: wall(0)) }
        #expect(a.root == root && a.nextCounter == 2)
        let more = try b.increment("c", by: 1, wall: wall(0))
        #expect(a.merge(more.rows[0], wall: wall(0)) == .applied([]), "the visible value stays at the end")
        #expect(a.count("c") == .max)
        b.mergeAll(most.rows)
        #expect(b.count("c") == .max)
        _ = try b.increment("c", by: -2, wall: wall(0))
        #expect(b.count("c") == Int64.max - 1)
        _ = try b.increment("low", by: .min, wall: wall(0))
        #expect(b.count("low") == .min)
        #expect(throws: StoreFailure.counterOverflow) { try b.increment("low", by: -1, wall: wall(0)) }
    }
}

@Suite struct TypeConflictTests {
    @Test("Two types under one key resolve alike everywhere, and the loser is kept aside and reported")
    func resolves() throws {
        var a = store(1)
        var b = store(2)
        let put = try a.put(bytes("v"), for: "k", wall: wall(1))
        let add = try b.add(bytes("x"), to: "k", wall: wall(2))
        let version = try #require(add.version)
        #expect(
            a.merge(add.rows[0], wall: wall(2))
                == .applied([
                    Change(key: "k", type: .set, kind: .typeConflict(kept: .set, aside: .register), version: version),
                    Change(
                        key: "k", type: .set, kind: .add(bytes("x")), version: version, old: .register(bytes("v"))),
                ]))
        #expect(
            b.merge(put.rows[0], wall: wall(2))
                == .applied([
                    Change(key: "k", type: .set, kind: .typeConflict(kept: .set, aside: .register), version: version)
                ]))
        #expect(a.read("k") == b.read("k"))
        #expect(a.read("k")?.aside == [.register])
        #expect(a.root == b.root && a.rowCount == 2)
        let more = try b.add(bytes("y"), to: "k", wall: wall(3))
        #expect(more.changes.map(\.kind) == [.add(bytes("y"))], "the conflict is reported once")
        #expect(a.merge(more.rows[0], wall: wall(3)) == .applied(more.changes))
        #expect(throws: StoreFailure.typeConflict(existing: .set)) { try a.put([], for: "k", wall: wall(3)) }
        a.checkInvariants()
    }

    @Test("A delete clears what is visible and what is kept aside, and then any type may be written")
    func deleteConflict() throws {
        var a = store(1)
        var b = store(2)
        _ = try a.put(bytes("v"), for: "k", wall: wall(1))
        a.mergeAll(try b.add(bytes("x"), to: "k", wall: wall(2)).rows)
        let deleted = try a.delete("k", wall: wall(3))
        #expect(a.read("k") == nil)
        let count = try a.increment("k", by: 4, wall: wall(4))
        for row in (deleted.rows + count.rows).reversed() { b.mergeAll([row]) }
        #expect(b.count("k") == 4 && b.read("k")?.aside == [])
        #expect(a.root == b.root)
        b.checkInvariants()
    }

    @Test("A tie of stamp and author goes to the same type everywhere")
    func tie() {
        let author = actor(1)
        let register = registerRow("k", "v", author: author, counter: 1)
        let set = Row(
            id: RowID(key: "k", part: .element(bytes("x"))), versions: [Dot(actor: author, counter: 2)],
            stamp: register.stamp, author: author,
            content: .element([ElementEntry(actor: author, added: 2, removed: 0)]))
        var a = store(5)
        var b = store(6)
        a.mergeAll([register, set])
        b.mergeAll([set, register])
        #expect(a.read("k")?.type == .set && a.read("k") == b.read("k") && a.root == b.root)
    }
}
