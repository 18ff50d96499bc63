// SPDX-License-Identifier: Apache-2.0
// Owns the tests of collection and folding in one store: what goes, what stays, and that the memory is used again.

import ClusterTypes
import Testing

@testable import StoreCore

func floor(_ time: UInt64, folding actors: [ActorID] = []) -> CollectionFloor {
    let cutoff = HybridTimestamp(wall: wall(time))
    return CollectionFloor(
        cutoff: cutoff, folded: actors.sorted().map { .init(Dot(actor: $0, counter: 1), cutoff: cutoff) })
}

@Suite struct CollectionTests {
    @Test("Dead are rows without live content, and expired values, both written by the cutoff")
    func deadRows() throws {
        var a = store(1)
        for key in ["live", "d/1", "d/2"] { _ = try a.put(bytes("v"), for: key, wall: wall(0)) }
        _ = try a.add(bytes("x"), to: "s", wall: wall(0))
        _ = try a.increment("c", by: 1, wall: wall(0))
        _ = try ExpiryTests.put(&a, "t/1", ttl: 10)
        _ = try ExpiryTests.put(&a, "t/2", ttl: 20)
        _ = try a.delete("d/1", wall: wall(5))
        _ = try a.remove(bytes("x"), from: "s", wall: wall(5))
        _ = try a.delete("d/2", wall: wall(15))
        _ = try a.delete("c", wall: wall(16))
        func count(_ time: UInt64) -> Int { a.deadRows(at: HybridTimestamp(wall: wall(time))).count }
        #expect(count(4) == 0 && count(6) == 2 && count(11) == 3 && count(17) == 5 && count(30) == 6)
        #expect(a.deadCount == 4, "t/1 and t/2 show until somebody says that their time is over")
        _ = a.expire(through: wall(12))
        #expect(a.deadCount == 5)
        var b = store(2)
        b.pull(from: a)
        for time in [4, 6, 11, 17, 30] as [UInt64] {
            let cutoff = HybridTimestamp(wall: wall(time))
            #expect(a.deadRows(at: cutoff) == b.deadRows(at: cutoff))
        }
        let cutoff = HybridTimestamp(wall: wall(30))
        let before = b.deadRows(at: cutoff)
        _ = try b.put([], for: "d/1", wall: wall(31))
        #expect(b.deadRows(at: cutoff).hash != before.hash)
        var c = store(3)
        c.pull(from: a, wall: wall(30))
        #expect(c.deadRows(at: cutoff) == before)
        _ = try c.put([], for: "unheard", wall: wall(20))
        #expect(c.deadRows(at: cutoff).count == before.count && c.deadRows(at: cutoff).hash != before.hash)
        #expect(c.deadRows(at: HybridTimestamp(wall: wall(4))) == a.deadRows(at: HybridTimestamp(wall: wall(4))))
    }

    @Test("Raising the floor drops what is dead at its cutoff and nothing else, and only grows")
    func raise() throws {
        var a = store(1)
        for index in 0..<10 { _ = try a.put(bytes("v"), for: "k/\(index)", wall: wall(0)) }
        for index in 0..<4 { _ = try a.delete("k/\(index)", wall: wall(5)) }
        _ = try a.delete("k/9", wall: wall(50))
        let context = a.context
        let listed = a.list()
        let change = a.raise(to: floor(10))
        #expect(change.removed == (0..<4).map { RowID(key: "k/\($0)", part: .register) })
        #expect(change.rewritten.isEmpty && change.folded == 0)
        #expect(a.context == context && a.list() == listed && a.rowCount == 6 && a.deadCount == 1)
        a.checkInvariants()
        #expect(a.raise(to: floor(10)) == FloorChange() && a.raise(to: floor(3)) == FloorChange())
        #expect(a.floor == floor(10))
        #expect(a.version(of: "k/0") == nil && a.version(of: "k/9") != nil)
        let next = try a.put([1], for: "k/0", wall: wall(0))
        #expect(next.rows[0].stamp > floor(10).cutoff, "no later write is before the floor")
    }

    @Test("Nothing that shows changes when a conflict's dead rows go")
    func conflictStays() throws {
        var a = store(1)
        var b = store(2)
        _ = try a.put(bytes("v"), for: "k", wall: wall(3))
        for element in ["x", "y"] { _ = try b.add(bytes(element), to: "k", wall: wall(1)) }
        _ = try b.remove(bytes("y"), from: "k", wall: wall(5))
        a.pull(from: b)
        #expect(a.text("k") == "v", "the newest row that is live decides")
        let view = a.read("k")
        _ = a.raise(to: floor(10))
        #expect(a.rowCount == 2 && a.read("k") == view)
        b.pull(from: a)
        b.mergeAll(try a.delete("k", wall: wall(20)).rows)
        #expect(a.read("k") == nil && b.read("k") == nil)
        #expect(a.raise(to: floor(30)).removed.count == 2 && a.rowCount == 0)
        a.checkInvariants()
    }

    @Test("Removal keeps every index, and what comes after uses the memory again", arguments: Array(1...8) as [UInt64])
    func memory(seed: UInt64) throws {
        var rng = SeededGenerator(seed: seed)
        var a = store(1)
        var time: UInt64 = 1
        var places = 0
        for round in 0..<30 {
            var expected: [String: Int] = [:]
            for index in 0..<60 {
                let key = "k/\(rng.index(below: 4))/\(round)/\(index)"
                switch rng.index(below: 3) {
                case 0: _ = try a.put(bytes(key), for: key, wall: wall(time))
                case 1: for part in 0..<3 { _ = try a.add([UInt8(part)], to: key, wall: wall(time)) }
                default: _ = try a.increment(key, by: 3, wall: wall(time))
                }
                if rng.chance(0.8) { expected[key] = index }
            }
            for key in a.list(limit: .max).entries.map(\.key) where expected[key] == nil && rng.chance(0.5) {
                expected[key] = 0
            }
            for key in expected.keys.sorted() where a.read(key) != nil { _ = try a.delete(key, wall: wall(time + 1)) }
            let kept = a.list(limit: .max)
            let dead = a.deadCount
            let change = a.raise(to: floor(time + 100))
            #expect(change.removed.count == dead && a.deadCount == 0)
            #expect(change.removed == change.removed.sorted())
            #expect(a.list(limit: .max).entries.map(\.content) == kept.entries.map(\.content), "seed \(seed)")
            a.checkInvariants()
            time += 1_000
            if round == 9 { places = a.rows.count }
        }
        #expect(a.rows.count < places * 2 && a.keys.capacity < places * 2, "\(places) places, then \(a.rows.count)")
        #expect(a.rows.count == a.rowCount + a.free.count)
        var b = store(2)
        b.pull(from: a, wall: wall(time))
        #expect(b.root == a.root)
    }

    @Test("The table of handles stays whole while handles come and go", arguments: Array(1...8) as [UInt64])
    func table(seed: UInt64) {
        var rng = SeededGenerator(seed: seed)
        var table = HandleTable()
        // Few hashes, so that long runs form.
        let hashes = (0..<400).map { _ in UInt32(rng.index(below: 40)) &* 7 }
        var held: Set<UInt32> = []
        for _ in 0..<4_000 {
            let handle = UInt32(rng.index(below: 400))
            if held.contains(handle) {
                table.remove(handle, hash: hashes[Int(handle)]) { hashes[Int($0)] }
                held.remove(handle)
            } else {
                table.insert(handle, hash: hashes[Int(handle)]) { hashes[Int($0)] }
                held.insert(handle)
            }
            #expect(table.count == held.count)
        }
        for handle in 0..<UInt32(400) {
            #expect((table.find(hash: hashes[Int(handle)]) { $0 == handle } != nil) == held.contains(handle))
        }
    }

    @Test("The invariants notice a dead row that is not indexed")
    func tampered() async {
        await #expect(processExitsWith: .failure) {
            var a = store(1)
            _ = try a.put([1], for: "k", wall: wall(0))
            _ = try a.delete("k", wall: wall(1))
            a.dead.removeAll()
            a.checkInvariants()
        }
    }
}

@Suite struct FoldingTests {
    @Test("Folded actors leave context and versions; what they counted and added stays, in one share and one entry")
    func folds() throws {
        var a = store(1)
        for number in 2...5 {
            var peer = store(number)
            peer.pull(from: a)
            _ = try peer.increment("c", by: Int64(number), wall: wall(1))
            _ = try peer.add(bytes("x"), to: "s", wall: wall(1))
            _ = try peer.put(bytes("\(number)"), for: "r", wall: wall(1))
            a.pull(from: peer)
        }
        _ = try a.increment("c", by: -1, wall: wall(2))
        let listed = a.list()
        let gone = (2...5).map { actor($0) }
        let candidates = a.foldCandidates(isGone: { $0 != actor(1).node }, limit: 10)
        #expect(candidates == gone.map { Dot(actor: $0, counter: 3) })
        #expect(candidates.allSatisfy { a.holdsExactly($0) })
        let change = a.raise(to: floor(0, folding: gone))
        #expect(change.folded == 4)
        #expect(change.removed == gone.map { RowID(key: "c", part: .counter($0)) })
        #expect(change.rewritten.map(\.id.key) == ["c", "r", "s"])
        #expect(change.rewritten.allSatisfy { $0.versions.isEmpty && $0.defect == nil })
        let share = CounterEntry(
            generation: 1, increments: 14, decrements: 0, resetIncrements: 0, resetDecrements: 0)
        #expect(a.row(RowID(key: "c", part: .counter(.folded)))?.content == .counter(share))
        let entry = ElementEntry(actor: .folded, added: 4, removed: 0)
        #expect(a.row(RowID(key: "s", part: .element(bytes("x"))))?.content == .element([entry]))
        #expect(a.list() == listed && a.count("c") == 13)
        #expect(a.context.entries.map(\.actor) == [actor(1)])
        a.checkInvariants()
        // The folded share is reset, removed and collected like any other.
        _ = try a.delete("c", wall: wall(5))
        _ = try a.remove(bytes("x"), from: "s", wall: wall(5))
        #expect(a.read("c") == nil && a.read("s") == nil)
        #expect(a.raise(to: floor(9)).removed.count == 3)
        a.checkInvariants()
    }

    @Test("A made up number of folded adds never makes a row that a disk or a peer would refuse")
    func hostileFolds() throws {
        var a = store(1)
        var row = try store(2).adding("e", to: "s")
        row.content = .element([
            ElementEntry(actor: .folded, added: 1 << 62, removed: 0),
            ElementEntry(actor: actor(2), added: 1, removed: 0),
        ])
        #expect(a.merge(row, wall: wall(0)) == .invalid(.impossibleEntry))
        row.content = .element([
            ElementEntry(actor: .folded, added: ElementEntry.foldedMax, removed: ElementEntry.foldedMax),
            ElementEntry(actor: actor(2), added: 1, removed: 0),
        ])
        a.mergeAll([row])
        let stamp = HybridTimestamp(wall: wall(1))
        let folded = CollectionFloor.Folded(Dot(actor: actor(2), counter: 1), cutoff: stamp)
        let change = a.raise(to: CollectionFloor(cutoff: stamp, folded: [folded]))
        #expect(change.rewritten.count + change.removed.count == 1)
        #expect(change.rewritten.allSatisfy { $0.defect == nil })
        a.checkInvariants()
    }

    @Test("One after the other or at once, folding comes to the same")
    func anyGrouping() throws {
        var a = store(1)
        for number in 2...6 {
            var peer = store(number)
            peer.pull(from: a)
            if number == 4 { _ = try peer.delete("c", wall: wall(1)) }
            _ = try peer.increment("c", by: Int64(number), wall: wall(1))
            _ = try peer.add(bytes("x"), to: "s", wall: wall(1))
            if number == 3 { _ = try peer.remove(bytes("x"), from: "s", wall: wall(1)) }
            a.pull(from: peer)
        }
        var b = a
        var c = a
        let gone = (2...6).map { actor($0) }
        _ = a.raise(to: floor(0, folding: gone))
        for actor in gone { _ = b.raise(to: floor(0, folding: [actor])) }
        for actor in gone.reversed() { _ = c.raise(to: floor(0, folding: [actor])) }
        #expect(a.root == b.root && b.root == c.root && a.floor == c.floor && a.context == b.context)
        #expect(a.list() == c.list() && a.count("c") == 15)
        b.checkInvariants()
    }

    @Test("Our own actor is never agreed to, and when it is folded all the same no dot is used twice")
    func ownActor() throws {
        var a = store(1)
        _ = try a.put([1], for: "k", wall: wall(0))
        #expect(!a.holdsExactly(Dot(actor: actor(1), counter: 1)))
        #expect(a.foldCandidates(isGone: { _ in true }, limit: 10).isEmpty)
        _ = a.raise(to: floor(0, folding: [actor(1), actor(1, epoch: 2)]))
        #expect(a.actor == actor(1, epoch: 3))
        _ = try a.put([2], for: "k", wall: wall(1))
        a.checkInvariants()
    }

    @Test("Candidates have no gaps; of a living node the actors that were replaced, after those of nodes that are gone")
    func candidates() throws {
        var a = store(1)
        a.mergeAll([
            registerRow("k/1", "v", author: actor(2, epoch: 7), at: 1),
            registerRow("k/2", "v", author: actor(2, epoch: 3), at: 2),
            registerRow("k/3", "v", author: actor(3), at: 3),
            registerRow("k/4", "v", author: actor(4), counter: 2, at: 4),
            registerRow("k/5", "v", author: actor(1, epoch: 9), at: 5),
            registerRow("k/6", "v", author: actor(5), at: 6),
        ])
        _ = try a.put([], for: "k/7", wall: wall(7))
        func actors(_ limit: Int, gone: Set<NodeID>) -> [ActorID] {
            a.foldCandidates(isGone: { gone.contains($0) }, limit: limit).map(\.actor)
        }
        let gone: Set<NodeID> = [actor(3).node, actor(4).node]
        #expect(actors(10, gone: gone) == [actor(3), actor(1, epoch: 9), actor(2, epoch: 7)])
        #expect(actors(1, gone: gone) == [actor(3)] && actors(0, gone: gone).isEmpty)
        #expect(!a.holdsExactly(Dot(actor: actor(4), counter: 2)) && !a.holdsExactly(Dot(actor: actor(5), counter: 2)))
        #expect(a.holdsExactly(Dot(actor: actor(5), counter: 1)) && !a.holdsExactly(Dot(actor: actor(6), counter: 0)))
    }

    @Test("Whoever is known to write, is wanted or not, decides before any guess")
    func knownWriters() throws {
        var a = store(1)
        a.mergeAll([
            registerRow("k/1", "v", author: actor(2, epoch: 7), at: 1),
            registerRow("k/2", "v", author: actor(2, epoch: 3), at: 2),
            registerRow("k/3", "v", author: actor(3), at: 3),
        ])
        func folds(_ writer: ActorID?, _ isWanted: (ActorID) -> Bool = { _ in true }) -> [ActorID] {
            a.foldCandidates(isGone: { $0 == actor(3).node }, writer: { _ in writer }, where: isWanted, limit: 9).map(
                \.actor)
        }
        #expect(folds(nil) == [actor(3), actor(2, epoch: 7)])
        #expect(folds(actor(2, epoch: 7)) == [actor(3), actor(2, epoch: 3)])
        #expect(folds(actor(2, epoch: 99)) == [actor(3), actor(2, epoch: 3), actor(2, epoch: 7)])
        #expect(folds(actor(2, epoch: 99), { $0.epoch == 7 }) == [actor(2, epoch: 7)])
        #expect(a.rowCount(naming: actor(3)) == 1 && a.rowCount(naming: actor(4)) == 0)
    }

    @Test("A cutoff is low enough that only so many rows are dropped at once, expired ones too")
    func boundedCutoff() throws {
        var a = store(1)
        for number in 1...9 { _ = try a.put([1], for: "k/\(number)", wall: wall(UInt64(number))) }
        for number in 1...9 { _ = try a.delete("k/\(number)", wall: wall(UInt64(10 + number))) }
        let limit = HybridTimestamp(wall: wall(100))
        #expect(a.cutoff(upTo: limit, rowsMax: 9) == limit)
        for rows in 1...8 {
            let cutoff = a.cutoff(upTo: limit, rowsMax: rows)
            #expect(a.deadRows(at: cutoff).count == rows && cutoff < limit)
        }
        #expect(a.cutoff(upTo: HybridTimestamp(wall: wall(5)), rowsMax: 1) == HybridTimestamp(wall: wall(5)))
    }

    @Test("A transaction of a folded author is over")
    func transaction() throws {
        var a = store(2)
        let rows = try a.write(
            [.put(key: "k/1", value: [1]), .put(key: "k/2", value: [2])], options: WriteOptions(user: "u"),
            wall: wall(0)
        ).rows
        var b = store(1)
        b.pull(from: a)
        let change = b.raise(to: floor(0, folding: [actor(2)]))
        #expect(change.rewritten.map(\.details) == [EventDetails(user: "u"), EventDetails(user: "u")])
        #expect(change.rewritten.map(\.content) == rows.map(\.content))
    }

    @Test("The hash of dead rows tells whether all hold the same of the actors to fold")
    func remainders() throws {
        var a = store(1)
        var b = store(2)
        b.mergeAll(try a.add(bytes("x"), to: "s", wall: wall(0)).rows)
        b.mergeAll(try a.increment("c", by: 5, wall: wall(0)).rows)
        b.mergeAll(try a.put([], for: "r", wall: wall(0)).rows)
        let cutoff = HybridTimestamp(wall: wall(100))
        let folds = [Dot(actor: actor(1), counter: 3)]
        func agree() -> Bool { a.deadRows(at: cutoff, folds: folds) == b.deadRows(at: cutoff, folds: folds) }
        #expect(agree())
        _ = try b.put([1], for: "r", wall: wall(1))
        _ = try b.add(bytes("x"), to: "s", wall: wall(1))
        _ = try b.increment("c", by: 1, wall: wall(1))
        #expect(!agree(), "a has not got all that was written by the cutoff")
        a.pull(from: b)
        #expect(agree())
        let later = try b.put([1], for: "late", wall: wall(200))
        #expect(agree(), "others may write on")
        a.mergeAll(later.rows, wall: wall(200))
        #expect(a.deadRows(at: cutoff, folds: []).hash != a.deadRows(at: cutoff, folds: folds).hash)
        _ = try b.remove(bytes("x"), from: "s", wall: wall(201))
        _ = try b.add(bytes("x"), to: "s", wall: wall(202))
        #expect(!agree(), "a remove of folded adds is under way")
    }
}
