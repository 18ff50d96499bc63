// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the checks about what lasts: on made-up histories that break each rule, and on near ones.

import ClusterTypes
import NodeKernel
import Simulator
import StoreCore
import Testing

private let alice = ActorID(node: NodeID(high: 1, low: 1), epoch: 1)
private let bob = ActorID(node: NodeID(high: 2, low: 2), epoch: 1)
private let ask = CommandID(rawValue: 1)
private let written = Reply.written(WriteReport(key: "k", version: "v", nodesHolding: 1, nodesTotal: 1))

private func register(
    _ key: String, _ value: String?, by author: ActorID = alice, counter: UInt64, stamp: UInt64,
    transaction: EventDetails.Transaction? = nil
) -> Row {
    Row(
        id: RowID(key: key, part: .register), versions: [Dot(actor: author, counter: counter)],
        stamp: HybridTimestamp(rawValue: stamp), author: author, content: .register(value.map { Array($0.utf8) }),
        details: EventDetails(transaction: transaction))
}

private func counter(_ key: String, _ count: UInt64, generation: UInt64 = 0, counter: UInt64, stamp: UInt64) -> Row {
    Row(
        id: RowID(key: key, part: .counter(alice)), versions: [Dot(actor: alice, counter: counter)],
        stamp: HybridTimestamp(rawValue: stamp), author: alice,
        content: .counter(
            CounterEntry(
                generation: generation, increments: count, decrements: 0, resetIncrements: 0, resetDecrements: 0)))
}

private func store(_ rows: [Row], floor: UInt64 = 0) -> Store {
    var store = Store(
        actor: .folded, configuration: StoreConfiguration(),
        floor: CollectionFloor(cutoff: HybridTimestamp(rawValue: floor)), context: CausalContext(), expiredThrough: 0)
    for row in rows { _ = store.load(row) }
    return store
}

@Suite("The check of acknowledged writes")
struct AckedWriteCheckTests {
    private func acknowledged(_ row: Row) -> AckedWriteCheck {
        var check = AckedWriteCheck(nodes: 2)
        check.issued(ask, [.put(key: row.id.key, value: [])])
        check.asked(ask, rows: [row])
        check.answered(ask, written, node: 0)
        return check
    }

    @Test("What was acknowledged and is there, or newer, is accepted")
    func kept() {
        let row = register("x", "1", counter: 1, stamp: 1)
        for found in [row, register("x", "2", counter: 2, stamp: 2)] {
            var check = acknowledged(row)
            check.recovered(node: 0, store: store([found]))
            check.recovered(node: 1, store: store([]))
            #expect(check.violations.count == 0)
            #expect(check.count == 1)
        }
    }

    @Test("What was acknowledged and is gone is found")
    func gone() {
        var check = acknowledged(register("x", "1", counter: 1, stamp: 1))
        check.recovered(node: 0, store: store([]))
        #expect(check.violations.first.contains { $0.contains("lost the acknowledged write of 'x'") })
    }

    @Test("An older state than the acknowledged one is found")
    func older() {
        var check = acknowledged(register("x", "2", counter: 2, stamp: 2))
        check.recovered(node: 0, store: store([register("x", "1", counter: 1, stamp: 1)]))
        #expect(check.violations.count == 1)
        check = acknowledged(counter("x", 5, counter: 2, stamp: 2))
        check.recovered(node: 0, store: store([counter("x", 4, counter: 2, stamp: 2)]))
        #expect(check.violations.count == 1)
        check.recovered(node: 0, store: store([counter("x", 1, generation: 3, counter: 3, stamp: 3)]))
        #expect(check.violations.count == 1, "it began anew")
    }

    @Test("What was not acknowledged may be gone")
    func notAcknowledged() {
        var check = AckedWriteCheck(nodes: 1)
        check.asked(ask, rows: [register("x", "1", counter: 1, stamp: 1)])
        check.answered(ask, .failure(.notReady), node: 0)
        check.recovered(node: 0, store: store([]))
        #expect(check.violations.count == 0)
    }

    @Test("What died later may be collected, once the floor is there, and what lives may not")
    func collected() {
        let row = register("x", "1", counter: 1, stamp: 10)
        var check = acknowledged(row)
        check.persisting(register("x", nil, by: bob, counter: 1, stamp: 20), node: 1)
        check.recovered(node: 0, store: store([], floor: 20))
        #expect(check.violations.count == 0)
        check.recovered(node: 0, store: store([], floor: 19))
        #expect(check.violations.count == 1)
        check = acknowledged(row)
        check.recovered(node: 0, store: store([], floor: 20))
        #expect(check.violations.count == 1, "nobody deleted it")
        check = acknowledged(row)
        check.persisting(register("x", nil, by: bob, counter: 1, stamp: 20), node: 1)
        check.recovered(node: 0, store: store([row], floor: 20))
        #expect(check.violations.count == 0, "its delete has not arrived")
    }

    @Test("What lost to a newer write in the store that a reset took over is not looked for, all else is")
    func takenOver() {
        let row = register("x", "1", counter: 1, stamp: 10)
        for (taken, lost) in [
            (register("x", "2", by: bob, counter: 1, stamp: 20), 0),
            (register("x", "2", by: bob, counter: 1, stamp: 9), 1),
            (register("x", nil, by: bob, counter: 1, stamp: 20), 1),
        ] {
            var check = acknowledged(row)
            check.reset(node: 0, to: [taken])
            check.recovered(node: 0, store: store([taken]))
            #expect(check.violations.count == lost)
        }
    }

    @Test("What the import queue holds, and what a replaced disk held, is not looked for")
    func excused() {
        let row = register("x", "1", counter: 1, stamp: 1)
        var check = acknowledged(row)
        check.queued(
            QueuedWrite(number: 1, cause: .beforeFloor, row: row, queuedAt: WallTime(milliseconds: 0)), node: 0)
        check.recovered(node: 0, store: store([]))
        #expect(check.violations.count == 0)
        check = acknowledged(row)
        check.diskReplaced(of: 0)
        check.recovered(node: 0, store: store([]))
        #expect(check.violations.count == 0)
    }

    @Test(
        "A counter lies between what was acknowledged and what was asked for",
        arguments: [(2, true), (3, false), (4, false), (7, false), (8, true)])
    func counters(value: Int64, isWrong: Bool) {
        var check = AckedWriteCheck(nodes: 1)
        let refused = CommandID(rawValue: 2)
        let open = CommandID(rawValue: 3)
        check.issued(ask, [.increment(key: "c", by: 3)])
        check.issued(refused, [.increment(key: "c", by: 100)])
        check.issued(open, [.increment(key: "c", by: 4)])
        check.answered(ask, written, node: 0)
        check.answered(refused, .failure(.notReady), node: 0)
        let view = KeyView(
            key: "c", content: .counter(value), version: Version(stamp: .zero, author: alice), aside: [])
        check.finish(node: 0, store: store([])) { _ in view }
        #expect(check.violations.count == (isWrong ? 1 : 0))
    }
}

@Suite("The check of transactions")
struct TransactionCheckTests {
    private let parts = EventDetails.Transaction(first: 1, count: 2)
    private var one: Row { register("a", "1", counter: 1, stamp: 5, transaction: parts) }
    private var two: Row { register("b", "1", counter: 2, stamp: 5, transaction: parts) }

    private func afterWrite() -> TransactionCheck {
        var check = TransactionCheck()
        check.persisting([one, two], node: 0, id: alice.node, store: store([one, two]))
        #expect(check.violations.count == 0 && check.looks == 1)
        return check
    }

    @Test("All, nothing, or all with something newer is accepted")
    func whole() {
        var check = afterWrite()
        check.recovered(node: 0, store: store([]))
        check.recovered(node: 0, store: store([one, two]))
        let newer = register("b", "2", by: bob, counter: 1, stamp: 6)
        check.persisting([one, newer], node: 1, id: bob.node, store: store([one, newer]))
        check.recovered(node: 1, store: store([one], floor: 5))
        #expect(check.violations.count == 0)
    }

    @Test("Half of it is found, in a step and after a restart")
    func half() {
        var check = afterWrite()
        check.recovered(node: 0, store: store([one]))
        #expect(check.violations.first.contains { $0.contains("shows 'a' of the transaction") })
        check.persisting([two], node: 1, id: bob.node, store: store([two]))
        #expect(check.violations.count == 2)
        let older = register("b", "0", by: bob, counter: 1, stamp: 4)
        check.persisting([one], node: 1, id: bob.node, store: store([one, older]))
        #expect(check.violations.count == 3)
    }

    @Test("A transaction that says of itself what is not so is found")
    func wrongCount() {
        var check = TransactionCheck()
        check.persisting([one], node: 0, id: alice.node, store: store([one]))
        #expect(check.violations.first.contains { $0.contains("wrote 1 rows") })
    }
}

@Suite("The check of revisions")
struct RevisionCheckTests {
    @Test("Revisions that grow, also over a restart, are accepted")
    func honest() {
        var check = RevisionCheck(nodes: 1)
        check.told(1, durable: 1, node: 0)
        check.told(3, durable: 4, node: 0)
        check.recovered(4, node: 0)
        check.told(5, durable: 5, node: 0)
        check.diskReplaced(of: 0)
        check.recovered(0, node: 0)
        check.told(1, durable: 1, node: 0)
        #expect(check.violations.count == 0)
    }

    @Test("A revision told twice, too early, or forgotten by a restart is found")
    func dishonest() {
        var check = RevisionCheck(nodes: 1)
        check.told(2, durable: 2, node: 0)
        check.told(2, durable: 2, node: 0)
        #expect(check.violations.count == 1)
        check.told(3, durable: 2, node: 0)
        #expect(check.violations.count == 2)
        check.recovered(2, node: 0)
        #expect(check.violations.count == 3)
    }
}

@Suite("The check of deletes over restarts and collection")
struct LastingDeleteTests {
    private let death = register("x", nil, counter: 2, stamp: 2)
    private let life = register("x", "1", counter: 1, stamp: 1)

    @Test("A restart that lost a delete of which watchers were told is found")
    func restart() {
        var check = ResurrectionCheck(nodes: 1)
        check.persisting(death, node: 0)
        check.told(Change(key: "x", type: .register, kind: .delete, version: death.version), node: 0)
        check.recovered([death.id: death], expiredThrough: 0, node: 0)
        #expect(check.violations.count == 0)
        check.recovered([:], expiredThrough: 0, node: 0)
        #expect(check.violations.count == 0, "it was collected")
        check.recovered([life.id: life], expiredThrough: 0, node: 0)
        #expect(check.violations.count == 1)
    }

    @Test("A value that was told to be expired is found when it shows again after a restart, for its expiry was lost")
    func expired() {
        var row = life
        row.details.expiresAt = 9
        for (through, found) in [(9, 0), (8, 1)] as [(UInt64, Int)] {
            var check = ResurrectionCheck(nodes: 1)
            check.persisting(row, node: 0)
            check.told(Change(key: "x", type: .register, kind: .delete, version: row.version), node: 0)
            check.recovered([row.id: row], expiredThrough: through, node: 0)
            #expect(check.violations.count == found)
        }
    }

    @Test("A collected row that comes back as it was is found; one that is written anew is not")
    func collected() {
        var check = ResurrectionCheck(nodes: 1)
        check.persisting(death, node: 0)
        check.removed(death.id, node: 0)
        check.persisting(register("x", "3", counter: 3, stamp: 3), node: 0)
        #expect(check.violations.count == 0)
        check.reset(node: 0)
        check.persisting(life, node: 0)
        #expect(check.violations.first.contains { $0.contains("although it was collected") })
    }

    @Test("What folded actors did may move to other names")
    func folded() {
        var check = ResurrectionCheck(nodes: 1)
        check.raised(
            to: CollectionFloor(folded: [CollectionFloor.Folded(Dot(actor: alice, counter: 1), cutoff: .zero)]))
        check.persisting(life, node: 0)
        var after = life
        after.versions = []
        check.persisting(after, node: 0)
        #expect(check.violations.count == 0)
    }
}
