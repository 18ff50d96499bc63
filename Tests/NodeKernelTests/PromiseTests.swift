// SPDX-License-Identifier: Apache-2.0
// Owns the tests of one node's part in a collection: promises, floors, and what the disk has to do with them.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore
import Testing

@Suite("Promises")
struct PromiseTests {
    private let cutoff = HybridTimestamp(wall: WallTime(milliseconds: 1_700_000_900_000))

    /// A node that knows a dead row, written long before the cutoff, and two peers.
    private func bench(floor: CollectionFloor = .none, promised: HybridTimestamp = .zero) -> KernelBench {
        var bench = KernelBench(1, recovered: recovered(floor: floor, promised: promised)) { collecting(1, &$0) }
        bench.handle(.start)
        bench.hear([alive(2), alive(3)], from: 2)
        bench.settleGossip()
        bench.clear()
        bench.persistsAtOnce = false
        return bench
    }

    private var dead: Row {
        var row = Row.register("k", [1], by: 2, counter: 1, wall: 1_700_000_100_000)
        row.content = .register(nil)
        return row
    }

    private func recovered(floor: CollectionFloor, promised: HybridTimestamp) -> RecoveredStore {
        var store = Store(
            actor: ActorID(node: id(1), epoch: 1), configuration: StoreConfiguration(), floor: floor,
            context: CausalContext(), expiredThrough: 0)
        for row in [dead, .register("live", [7], by: 3, counter: 1, wall: 1_700_000_100_000)] {
            let isLoaded = store.load(row)
            #expect(isLoaded)
        }
        return RecoveredStore(store: store, promised: promised)
    }

    private func request(_ bench: KernelBench, at cutoff: HybridTimestamp? = nil) -> CollectRequest {
        let cutoff = cutoff ?? self.cutoff
        return CollectRequest(
            cutoff: cutoff, floorMark: bench.kernel.store.floor.mark,
            deadHash: bench.kernel.store.deadRows(at: cutoff).hash, folds: [])
    }

    private func answers(_ bench: KernelBench) -> [Bool] {
        bench.messages(to: 2).compactMap { if case .collectAnswer(let answer) = $0 { answer.agrees } else { nil } }
    }

    private func promises(_ bench: KernelBench) -> [HybridTimestamp] {
        bench.persists.flatMap(\.records).compactMap {
            if case .store(.promised(let stamp)) = $0 { stamp } else { nil }
        }
    }

    @Test("a promise is durable before it is given, and given once")
    func durableFirst() {
        var bench = bench()
        bench.hear([.collectRequest(request(bench))], from: 2)
        bench.now = bench.now + .seconds(1)
        bench.hear([.collectRequest(request(bench))], from: 2)
        #expect(promises(bench) == [cutoff] && answers(bench) == [])
        bench.persistAll()
        #expect(answers(bench) == [true])
        bench.now = bench.now + .seconds(1)
        bench.hear([.collectRequest(request(bench))], from: 2)
        #expect(promises(bench) == [cutoff] && answers(bench) == [true, true])
    }

    @Test(
        "no promise for other dead rows, for what is too young, or for less than was promised already",
        arguments: ["hash", "young", "less", "floor"])
    func refuses(_ reason: String) {
        var bench = bench()
        bench.persistsAtOnce = true
        var asked = request(bench)
        switch reason {
        case "hash": asked.deadHash += Hash128(high: 1, low: 1)
        case "young":
            asked = request(bench, at: HybridTimestamp(wall: WallTime(milliseconds: bench.clock.wall.milliseconds + 1)))
        case "less":
            bench.hear([.collectRequest(asked)], from: 2)
            bench.sent.removeAll()
            bench.now = bench.now + .seconds(1)
            asked = request(bench, at: HybridTimestamp(rawValue: cutoff.rawValue - 1))
        case _: asked.floorMark = 77
        }
        let before = promises(bench).count
        bench.hear([.collectRequest(asked)], from: 2)
        #expect(promises(bench).count == before)
        #expect(answers(bench) == (reason == "floor" ? [] : [false]))
        // Whoever stands on another floor is told ours.
        #expect(bench.messages(to: 2).contains(.floor(bench.kernel.store.floor)) == (reason == "floor"))
    }

    @Test("only the lowest active member is answered, and once a second at most: a question costs a look at every row")
    func bounded() {
        var bench = bench()
        bench.persistsAtOnce = true
        bench.hear([.collectRequest(request(bench))], from: 3)
        #expect(promises(bench).isEmpty && bench.messages(to: 3).isEmpty)
        var wrong = request(bench)
        wrong.deadHash += Hash128(high: 1, low: 1)
        for _ in 0..<100 { bench.hear([.collectRequest(wrong)], from: 2) }
        #expect(answers(bench) == [false])
        bench.now = bench.now + .seconds(1)
        bench.hear([.collectRequest(request(bench))], from: 2)
        #expect(answers(bench) == [false, true])
    }

    @Test("what was promised is dropped when the floor is told, in one batch", arguments: [false, true])
    func raises(afterRestart: Bool) {
        var bench = afterRestart ? self.bench(promised: cutoff) : self.bench()
        if !afterRestart {
            bench.hear([.collectRequest(request(bench))], from: 2)
            bench.persistAll()
        }
        bench.clear()
        let floor = CollectionFloor(cutoff: cutoff)
        bench.hear([.floor(floor)], from: 2)
        #expect(bench.kernel.store.floor == floor)
        #expect(bench.kernel.store.row(dead.id) == nil && bench.value("live") == [7])
        let records = bench.persists.last?.records ?? []
        #expect(records.contains(.store(.rowRemoved(dead.id))) && records.contains(.store(.floor(floor))))
        #expect(bench.events.isEmpty)
        bench.persistAll()
        #expect(bench.events == [.collected(rows: 1, folded: 0, cutoff: cutoff)])
        #expect(!bench.kernel.takesDeadRow(dead))
    }

    @Test("a promise is for one floor: neither a lower nor a higher one is taken for it", arguments: [-1, 1])
    func exactly(_ step: Int64) {
        var bench = bench()
        bench.hear([.collectRequest(request(bench))], from: 2)
        bench.persistAll()
        let other = HybridTimestamp(rawValue: UInt64(Int64(cutoff.rawValue) + step))
        bench.hear([.floor(CollectionFloor(cutoff: other))], from: 2)
        #expect(bench.kernel.store.floor == .none)
        #expect(bench.kernel.store.row(dead.id) != nil)
    }

    @Test("a dead row from before the cutoff that comes after the promise makes it void, on disk too")
    func voids() {
        var bench = bench()
        bench.hear([.collectRequest(request(bench))], from: 2)
        bench.persistAll()
        var late = Row.register("late", [1], by: 3, counter: 9, wall: 1_700_000_200_000)
        late.content = .register(nil)
        bench.hear([.row(late)], from: 3)
        bench.persistAll()
        #expect(promises(bench).last == HybridTimestamp(rawValue: cutoff.rawValue + 1))
        bench.hear([.floor(CollectionFloor(cutoff: cutoff))], from: 2)
        #expect(bench.kernel.store.floor == .none, "it resets instead: the others have never seen the late row")
        #expect(bench.kernel.store.row(late.id) != nil)
    }

    @Test(
        "a fold is refused of our own actor and of one that we know less or more of; the rows are promised all the same"
    )
    func vetoes() {
        for (fold, agrees) in [
            (Dot(actor: ActorID(node: id(3), epoch: 1), counter: 1), true),
            (Dot(actor: ActorID(node: id(3), epoch: 1), counter: 2), false),
            (Dot(actor: ActorID(node: id(4), epoch: 1), counter: 1), false),
            (Dot(actor: bench().kernel.store.actor, counter: 1), false),
        ] {
            var bench = bench()
            bench.hear(
                [failed(3, by: 2), .update(MemberUpdate(subject: id(3), incarnation: 1, claim: .left(nil)))], from: 2)
            bench.clear()
            var asked = request(bench)
            asked.folds = [fold]
            asked.deadHash = bench.kernel.store.deadRows(at: cutoff, folds: [fold]).hash
            bench.hear([.collectRequest(asked)], from: 2)
            bench.persistAll()
            let answers = bench.messages(to: 2).compactMap { message -> CollectAnswer? in
                if case .collectAnswer(let answer) = message { answer } else { nil }
            }
            #expect(answers.map(\.agrees) == [true] && answers.map(\.agreesToFolds) == [agrees], "\(fold)")
            #expect(answers.map(\.epoch) == [bench.kernel.store.actor.epoch])
        }
    }

    @Test("a floor in the future is not believed")
    func future() {
        var bench = bench()
        bench.persistsAtOnce = true
        let year = HybridTimestamp(wall: WallTime(milliseconds: bench.clock.wall.milliseconds + 31_536_000_000))
        for peer in 2...3 {
            bench.hear([.floor(CollectionFloor(cutoff: year))], from: peer)
            bench.hear([.floor(CollectionFloor(cutoff: year))], from: peer)
        }
        #expect(bench.opened.isEmpty && bench.kernel.store.floor == .none)
    }

    @Test("a floor too large for a datagram goes over a stream")
    func largeFloor() {
        let folded = (1...100).map { number in
            CollectionFloor.Folded(
                Dot(actor: ActorID(node: id(1_000 + number), epoch: 1), counter: 1),
                cutoff: HybridTimestamp(rawValue: 1 << 40))
        }
        let floor = CollectionFloor(cutoff: HybridTimestamp(rawValue: 1 << 41), folded: folded)
        var bench = KernelBench(1, recovered: recovered(floor: floor, promised: .zero)) {
            collecting(1, &$0)
            $0.sizes = WireSizes(header: 28) { message in
                if case .floor(let floor) = message {
                    16 + floor.folded.count * 29
                } else {
                    FakeSizes.size(of: message)
                }
            }
        }
        bench.handle(.start)
        bench.hear([alive(2)], from: 2)
        bench.settleGossip()
        bench.clear()
        bench.hear([.ping(Ping(sequence: 1, target: id(1))), .digest(Digest(members: 0, store: .zero))], from: 2)
        let stream = bench.opened.first { $0.to == address(2) }?.id
        #expect(stream != nil && !bench.messages(to: 2).contains(.floor(floor)))
        if let stream { bench.handle(.streamOpened(stream)) }
        #expect(bench.written.flatMap(\.packet.messages).contains(.floor(floor)))
    }
}

extension NodeKernel {
    /// Whether a collected row would come back.
    fileprivate func takesDeadRow(_ row: Row) -> Bool {
        var copy = store
        if case .applied = copy.merge(row, wall: WallTime(milliseconds: 1_700_001_000_000)) { return true }
        return false
    }
}
