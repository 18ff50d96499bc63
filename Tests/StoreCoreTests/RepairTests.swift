// SPDX-License-Identifier: Apache-2.0
// Owns the tests of anti-entropy: what is sent, in which batches, and what may change meanwhile.

import ClusterTypes
import Testing

@testable import StoreCore

@Suite struct RepairTests {
    static func filled(_ number: Int, keys: Int) throws -> Store {
        var filled = store(number)
        for index in 0..<keys { _ = try filled.put(bytes("v\(index)"), for: "k/\(index)", wall: wall(0)) }
        return filled
    }

    @Test("Only the row that differs is sent")
    func oneDifference() throws {
        var a = try Self.filled(1, keys: 500)
        var b = store(2)
        b.pull(from: a)
        #expect(b.root == a.root)
        let changed = try a.put(bytes("new"), for: "k/77", wall: wall(1))
        #expect(b.pull(from: a) == changed.rows)
        #expect(a.pull(from: b).isEmpty && a.root == b.root)
    }

    @Test("Batches keep their limits, except for a single row that exceeds them")
    func limits() throws {
        var a = try Self.filled(1, keys: 20)
        _ = try a.put(Array(repeating: 1, count: 5_000), for: "large", wall: wall(0))
        var cursor: RepairCursor?
        var ids: [RowID] = []
        var batches = 0
        repeat {
            let batch = a.rowsMissing(
                from: CausalContext(), limit: RepairLimit(rowsMax: 3, bytesMax: 500), resume: cursor)
            #expect(batch.rows.count <= 3 && !batch.rows.isEmpty)
            #expect(batch.bytes == batch.rows.reduce(0) { $0 + $1.estimatedBytes })
            #expect(batch.bytes <= 500 || batch.rows.count == 1)
            ids += batch.rows.map(\.id)
            cursor = batch.next
            batches += 1
        } while cursor != nil && batches < 100
        #expect(ids.count == 21 && Set(ids).count == 21)
    }

    @Test("A row with events of several actors is sent once")
    func once() throws {
        var a = store(1)
        var b = store(2)
        for index in 0..<10 {
            b.mergeAll(try a.put(bytes("a"), for: "k/\(index)", wall: wall(0)).rows)
            a.mergeAll(try b.put(bytes("b"), for: "k/\(index)", wall: wall(1)).rows)
        }
        var c = store(3)
        #expect(c.pull(from: a, limit: RepairLimit(rowsMax: 3, bytesMax: 10_000)).count == 10)
        #expect(c.root == a.root && c.context == a.context)
    }

    @Test(
        "What a peer has not seen of one node is what a look at each row finds",
        arguments: Array(1...20 as ClosedRange<UInt64>))
    func ofOneNode(seed: UInt64) throws {
        var rng = SeededGenerator(seed: seed)
        var a = store(1)
        var b = store(2)
        var peer = CausalContext()
        for step in 0..<200 {
            let key = "k/\(Int.random(in: 0..<40, using: &rng))"
            if step % 50 == 49 { a.renewActor(to: ActorID(node: a.actor.node, epoch: a.actor.epoch + 1)) }
            if Bool.random(using: &rng) {
                b.mergeAll(try a.put(bytes("a\(step)"), for: key, wall: wall(0)).rows)
            } else {
                a.mergeAll(try b.put(bytes("b\(step)"), for: key, wall: wall(1)).rows)
            }
            if step == 120 { peer = a.context }
        }
        // It has seen some later ones as well.
        for entry in a.context.entries where entry.contiguous > 2 {
            peer.insert(Dot(actor: entry.actor, counter: entry.contiguous - 1))
        }
        let folded = [ActorID(node: a.actor.node, epoch: a.actor.epoch): UInt64(seed % 8)]
        var expected: [Row] = []
        a.forEachRow { row in
            let isUnseen = row.versions.contains {
                $0.actor.node == a.actor.node && !peer.contains($0) && $0.counter > folded[$0.actor] ?? 0
            }
            if isUnseen { expected.append(row) }
        }
        #expect(!expected.isEmpty)
        #expect(a.rows(of: a.actor.node, missingFrom: peer, behind: folded) == expected)
        var walked: [Row] = []
        RowSnapshot(of: a).forEach { walked.append($0) }
        #expect(walked.count == a.rowCount && walked == walked.sorted { $0.id < $1.id })
    }

    @Test("Everything in the snapshot arrives although the store changes between batches", arguments: Array(1...20))
    func changesMeanwhile(seed: UInt64) throws {
        var rng = SeededGenerator(seed: seed)
        var a = store(1)
        var others = [store(2), store(3)]
        func change(_ a: inout Store, _ others: inout [Store]) throws {
            let key = "k/\(rng.index(below: 12))"
            let at = rng.index(below: 3)
            if at == 0 {
                _ = try a.put([UInt8(rng.index(below: 200))], for: key, wall: wall(0))
            } else {
                others[at - 1].pull(from: a)
                a.mergeAll(try others[at - 1].put([UInt8(rng.index(below: 200))], for: key, wall: wall(0)).rows)
            }
        }
        for _ in 0..<40 { try change(&a, &others) }
        var c = store(4)
        for _ in 0..<3 {
            let ours = c.context
            let before = a
            var cursor: RepairCursor?
            repeat {
                let batch = a.rowsMissing(
                    from: ours, limit: RepairLimit(rowsMax: 2, bytesMax: 10_000), resume: cursor)
                c.mergeAll(batch.rows)
                cursor = batch.next
                if cursor == nil {
                    #expect(batch.snapshot == before.context)
                    #expect(c.adopt(context: batch.snapshot) == .adopted)
                } else if rng.chance(0.7) {
                    try change(&a, &others)
                }
            } while cursor != nil
            #expect(c.context.isSuperset(of: before.context))
            for row in before.allRows {
                let held = try #require(c.row(row.id), "seed \(seed)")
                #expect(Row.joined(held, row) == held, "\(row.id) was left behind, seed \(seed)")
            }
            c.checkInvariants()
        }
        c.pull(from: a)
        #expect(c.root == a.root, "seed \(seed)")
    }

    @Test("Holes left by overwritten events close by adoption")
    func holes() throws {
        var a = store(1)
        for index in 0..<50 { _ = try a.put(bytes("\(index)"), for: "k", wall: wall(0)) }
        var b = store(2)
        b.mergeAll(a.allRows)
        #expect(b.context.hasGaps && b.context.cloudCount == 1)
        b.pull(from: a)
        #expect(!b.context.hasGaps && b.context == a.context)
    }

    @Test("The index holds one entry for each row and actor, however often rows are overwritten")
    func indexBound() throws {
        var a = store(1)
        var b = store(2)
        for round in 0..<200 {
            for key in ["x", "y", "z"] {
                let put = try a.put([UInt8(round)], for: key, wall: wall(0))
                b.mergeAll(put.rows)
                a.mergeAll(try b.put([UInt8(round), 1], for: key, wall: wall(0)).rows)
            }
        }
        #expect(a.actors.eventCount == 6 && b.actors.eventCount == 6)
        #expect(a.rowCount == 3 && a.nextCounter == 601)
        a.checkInvariants()
    }

    @Test("Of rows under one dot, which only a defective peer makes, those that came first are kept, and exchanges end")
    func sharedDot() {
        var a = store(1)
        let rows = (0..<5).map { registerRow("k/\($0)", "v", author: actor(9), counter: 4) }
        a.mergeAll(rows)
        #expect(a.allRows == [rows[0]])
        var b = store(2)
        b.loadAll(rows)
        b.checkInvariants()
        var batch = b.rowsMissing(from: CausalContext(), limit: RepairLimit(rowsMax: 1, bytesMax: 1))
        var sent = batch.rows
        while let next = batch.next {
            batch = b.rowsMissing(
                from: CausalContext(), limit: RepairLimit(rowsMax: 1, bytesMax: 1), resume: next)
            sent += batch.rows
        }
        #expect(sent.map(\.id) == rows.map(\.id))
    }

    @Test("A walk through all rows sends each once and in order, rows without versions too")
    func wholeWalk() throws {
        var a = try Self.filled(1, keys: 20)
        for element in ["x", "y", "z"] { _ = try a.add(bytes(element), to: "k/3/set", wall: wall(0)) }
        var bare = registerRow("bare", "v", author: actor(8))
        bare.versions = []
        a.loadAll([bare])
        #expect(!a.rowsMissing(from: CausalContext()).rows.contains(bare))
        let snapshot = a.context
        var sent: [Row] = []
        var cursor: RepairCursor?
        repeat {
            let batch = a.allRows(limit: RepairLimit(rowsMax: 4, bytesMax: 10_000), resume: cursor)
            #expect(batch.rows.count <= 4 && !batch.rows.isEmpty && batch.snapshot == snapshot)
            #expect(batch.bytes == batch.rows.reduce(0) { $0 + $1.estimatedBytes })
            sent += batch.rows
            cursor = batch.next
            // What is written meanwhile in front of the walk is sent, what is behind it is not.
            if sent.count == 4 {
                _ = try a.put(bytes("late"), for: "k/99", wall: wall(1))
                _ = try a.put(bytes("behind"), for: "a", wall: wall(1))
            }
        } while cursor != nil
        var walked: [Row] = []
        a.forEachRow { walked.append($0) }
        #expect(sent == walked.filter { $0.id.key != "a" } && sent.count == 25)
        #expect(sent.contains(bare))
        #expect(a.allRows(limit: RepairLimit(rowsMax: 1_000, bytesMax: 1)).rows.count == 1, "one row always goes")
    }

    @Test("The invariants notice a root that is not the sum of the rows")
    func tamperedRoot() async {
        await #expect(processExitsWith: .failure) {
            var a = store(1)
            _ = try a.put([1], for: "k", wall: wall(0))
            a.root.low &+= 1
            a.checkInvariants()
        }
    }
}
