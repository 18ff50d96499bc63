// SPDX-License-Identifier: Apache-2.0
// Owns the tests of resets, of the import queue and of restores.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore
import Testing

@Suite("Resets")
struct ResetTests {
    /// Node 3 was away while 1 and 2 deleted "gone" and collected it; it wrote "mine" alone. The cluster is still parted.
    private func parted() -> KernelCluster {
        var cluster = KernelCluster.collecting(3)
        cluster.ask(.put(key: "gone", value: [1]), on: 3)
        cluster.ask(.put(key: "stays", value: [2]), on: 3)
        cluster.run(.seconds(2))
        cluster.cut = [3]
        cluster.run(.seconds(20))
        cluster.ask(.put(key: "mine", value: [3]), on: 3)
        cluster.ask(.delete(key: "gone"), on: 1)
        cluster.ask(.forget("n3", isForced: false), on: 1)
        cluster.run(.seconds(100))
        return cluster
    }

    @Test("an interrupted reset begins again from scratch, and nothing of the old store leaves meanwhile")
    func interrupted() {
        var cluster = parted()
        #expect(cluster.floor(1) != .none && cluster.rows(1) == 1)
        cluster.act(on: 3) { $0.persistsAtOnce = false }
        cluster.cut = []
        cluster.run(.seconds(30))
        #expect(cluster[3].kernel.store.floor == cluster.floor(1), "taken over in memory")
        #expect(cluster.resets(3) == [], "but not yet on disk")
        if case .failure(.resetting)? = cluster.ask(.put(key: "x", value: [1]), on: 3) {
        } else {
            Issue.record("a write during a reset is refused")
        }
        cluster.crash(3)
        cluster.run(.seconds(5))
        cluster.recover(3)
        #expect(cluster[3].value("gone") == [1] && cluster.floor(3) == .none)
        cluster.run(.seconds(60))
        // Its former actor is folded; the floor tells which of its events were seen.
        #expect(cluster.resets(3) == [1])
        #expect(cluster[3].disk.queue.map(\.row.id.key) == ["mine"])
        for number in 1...3 {
            #expect(cluster[number].value("gone") == nil && cluster[number].value("stays") == [2])
            #expect(cluster[number].value("mine") == nil)
        }
        let isAgreed = cluster.isAgreed
        #expect(isAgreed)
        cluster.checkDisks()
    }

    @Test("how far a reset has come is told while it lasts")
    func progress() {
        var cluster = parted()
        let value = [UInt8](repeating: 7, count: 1_000)
        for number in 0..<600 { cluster.ask(.put(key: "k/\(number)", value: value), on: 1) }
        cluster.run(.seconds(5))
        cluster.cut = []
        var told: [(received: Int, total: Int)] = []
        for _ in 0..<20_000 where cluster.resets(3).isEmpty {
            cluster.run(.milliseconds(1))
            guard case .diagnosis(let diagnosis)? = cluster.ask(.diagnose, on: 3) else { continue }
            if diagnosis.isResetting, let catchUp = diagnosis.catchUp { told.append(catchUp) }
        }
        #expect(told.contains { $0.received > 0 && $0.received < $0.total && $0.total == 601 }, "\(told)")
        #expect(zip(told, told.dropFirst()).allSatisfy { $0.received <= $1.received })
        guard case .diagnosis(let diagnosis)? = cluster.ask(.diagnose, on: 3) else {
            Issue.record("no diagnosis")
            return
        }
        #expect(!diagnosis.isResetting && diagnosis.catchUp == nil)
    }

    @Test("a peer that dies during a reset is replaced by another")
    func peerGone() {
        var cluster = parted()
        cluster.cut = []
        cluster.crash(1)
        cluster.run(.seconds(60))
        let isAgreed = cluster.isAgreed
        #expect(cluster.resets(3) == [1] && isAgreed)
    }

    @Test("the queue is kept over restarts until the operator has decided")
    func queue() {
        var cluster = parted()
        cluster.cut = []
        cluster.run(.seconds(60))
        cluster.crash(3)
        cluster.run(.seconds(1))
        cluster.recover(3)
        cluster.run(.seconds(5))
        guard case .diagnosis(let diagnosis)? = cluster.ask(.diagnose, on: 3) else {
            Issue.record("no diagnosis")
            return
        }
        #expect(diagnosis.queuedWrites == 1)
        let numbers = cluster[3].disk.queue.map(\.number)
        cluster.act(on: 3) { $0.persistsAtOnce = false }
        let asked = cluster.command(.dequeue(numbers), on: 3)
        #expect(cluster[3].answers(to: asked).isEmpty)
        cluster.act(on: 3) { $0.persistAll() }
        guard case .done? = cluster[3].answers(to: asked).first else {
            Issue.record("not done")
            return
        }
        #expect(cluster[3].disk.queue.isEmpty)
    }

    @Test("one node with a later floor does not make three throw their stores away: it follows them")
    func outnumbered() {
        var cluster = KernelCluster(4, configure: collecting)
        cluster.cut = [4]
        cluster.start()
        cluster.run(.seconds(5))
        cluster.ask(.put(key: "fleet", value: [1]), on: 2)
        cluster.ask(.put(key: "k", value: [1]), on: 4)
        cluster.ask(.delete(key: "k"), on: 4)
        cluster.ask(.put(key: "lone", value: [4]), on: 4)
        cluster.run(.seconds(100))
        #expect(cluster.floor(4) != .none && cluster.floor(1) == .none)
        cluster.cut = []
        cluster.ask(.join([address(1).description]), on: 4)
        cluster.run(.seconds(90))
        let isAgreed = cluster.isAgreed
        #expect(isAgreed)
        for number in 1...4 { #expect(cluster[number].value("fleet") == [1]) }
        #expect((1...3).map { cluster.resets($0) } == [[], [], []])
        #expect(cluster.resets(4).count == 1)
        #expect(cluster[4].disk.queue.contains { $0.row.id.key == "lone" })
    }

    @Test("a restore needs an empty store, is durable before it is answered, and leaps in revisions")
    func restores() throws {
        var bench = KernelBench()
        bench.handle(.start)
        let actor = bench.kernel.store.actor
        let row = Row.register("k", [1], by: 9, counter: 5, wall: 1_600_000_000_000)
        let floor = CollectionFloor(cutoff: HybridTimestamp(wall: WallTime(milliseconds: 1_650_000_000_000)))
        bench.persistsAtOnce = false
        let command = Command.restore(try #require(RestoredStore([row], floor: floor)), revision: 500)
        let asked = bench.command(command)
        #expect(bench.answers(to: asked).isEmpty && bench.value("k") == [1])
        let refused = bench.command(.put(key: "x", value: [1]))
        bench.persistAll()
        bench.persistsAtOnce = true
        guard case .done? = bench.answers(to: asked).first,
            case .failure(.resetting)? = bench.answers(to: refused).first
        else {
            Issue.record("restored: \(bench.answers(to: asked)), written: \(bench.answers(to: refused))")
            return
        }
        #expect(bench.kernel.revision == 1_000_000_500 && bench.kernel.store.floor == floor)
        #expect(bench.kernel.store.actor != actor && bench.kernel.store.context.contains(row.versions[0]))
        #expect(bench.events.contains(.storeReset(peer: id(1), rows: 1, queued: 0, revision: 1_000_000_500)))
        let again = bench.command(command)
        guard case .failure(.storeNotEmpty(keys: 1))? = bench.answers(to: again).first else {
            Issue.record("restored over what is there")
            return
        }
        bench.checkDisk()
    }

    @Test("a takeover costs the kernel's turn a few records, however many rows there are, and the disk holds them all")
    func manyRows() throws {
        var bench = KernelBench()
        bench.handle(.start)
        let all = (1...5_000).map {
            Row.register("k/\($0)", [1], by: 9, counter: UInt64($0), wall: 1_600_000_000_000)
        }
        bench.clear()
        let restored = try #require(RestoredStore(all.sorted { $0.id < $1.id }, floor: .none))
        let asked = bench.command(.restore(restored, revision: 5))
        guard case .done? = bench.answers(to: asked).first else {
            Issue.record("not restored: \(bench.answers(to: asked))")
            return
        }
        #expect(bench.persists.map(\.records.count).max() ?? 0 < 16)
        #expect(bench.kernel.store.rowCount == 5_000)
        bench.checkDisk()
    }

    @Test("a backup from the future is refused", arguments: ["row", "floor", "end"])
    func futureBackup(_ what: String) {
        var bench = KernelBench()
        bench.handle(.start)
        let wall = bench.clock.wall.milliseconds + 3_600_000
        var row = Row.register("k", [1], by: 9, counter: 5, wall: what == "row" ? wall : 1_600_000_000_000)
        if what == "end" { row.stamp = HybridTimestamp(rawValue: .max) }
        let floor = CollectionFloor(cutoff: HybridTimestamp(wall: WallTime(milliseconds: what == "floor" ? wall : 1)))
        guard let restored = RestoredStore([row], floor: floor) else {
            // Who reads the backup refuses it.
            #expect(what == "end")
            return
        }
        let asked = bench.command(.restore(restored, revision: 5))
        if case .failure(.invalid)? = bench.answers(to: asked).first {} else { Issue.record("taken: \(what)") }
        let written = bench.command(.put(key: "k", value: [1]))
        if case .written? = bench.answers(to: written).first {} else { Issue.record("no writes any more") }
    }

    /// A blank node that fetches the store of node 2.
    private func resetting() -> (bench: KernelBench, stream: StreamID)? {
        var bench = KernelBench.knowing(2...3)
        bench.hear([.floor(someFloor)], from: 2)
        guard let stream = bench.opened.first?.id else { return nil }
        bench.handle(.streamOpened(stream))
        return (bench, stream)
    }

    @Test("a takeover brings no row that a merge would put into quarantine")
    func futureStaged() throws {
        var (bench, stream) = try #require(resetting())
        let row = Row.register("k", [1], by: 2, counter: 1, wall: bench.clock.wall.milliseconds + 3_600_000)
        bench.hear([.floor(someFloor), .row(row)], on: stream, from: 2)
        #expect(bench.closed.contains(stream) && bench.kernel.store.floor == .none)
        bench.passAnswering(.seconds(5))
        #expect(bench.opened.contains { $0.to == address(3) || $0.id != stream }, "and tries again")
    }

    @Test("a peer that knows more events of our actor than we do is taken over whole, under another actor")
    func ownEvents() throws {
        var (bench, stream) = try #require(resetting())
        let own = Dot(actor: bench.kernel.store.actor, counter: 9)
        var context = CausalContext()
        context.insert(own)
        let row = Row.register("k", [1], by: 2, counter: 1)
        bench.hear([.floor(someFloor), .row(row), .storeComplete(context)], on: stream, from: 2)
        #expect(bench.value("k") == [1] && bench.kernel.store.floor == someFloor)
        #expect(bench.kernel.store.context.contains(own) && bench.kernel.store.actor != own.actor)
        bench.checkDisk()
    }

    @Test("a reset forgets the answers to requests: they name writes that are gone")
    func requestsForgotten() {
        var cluster = KernelCluster.collecting(3)
        cluster.ask(.put(key: "gone", value: [1]), on: 1)
        cluster.run(.seconds(2))
        cluster.cut = [3]
        cluster.run(.seconds(20))
        let write = Command.write([.put(key: "mine", value: [3])], WriteOptions(requestID: "r"))
        cluster.ask(write, on: 3)
        cluster.ask(.delete(key: "gone"), on: 1)
        cluster.ask(.forget("n3", isForced: false), on: 1)
        cluster.run(.seconds(100))
        cluster.cut = []
        cluster.run(.seconds(60))
        #expect(cluster.resets(3).count == 1 && cluster[3].value("mine") == nil)
        cluster.ask(write, on: 3)
        cluster.run(.seconds(5))
        #expect(cluster[1].value("mine") == [3])
    }

    @Test("a write and the queued one that it decides about become durable in one batch")
    func dequeuesWithWrite() throws {
        let store = Store(actor: ActorID(node: id(1), epoch: 1))
        var bench = KernelBench.recovered(RecoveredStore(store: store, queuedCount: 3, queuedLast: 3))
        bench.persistsAtOnce = false
        let before = bench.persists.count
        let options = WriteOptions(dequeued: [1, 3])
        let failed = bench.command(.write([.remove(key: "k", element: [1])], options))
        if case .failure? = bench.answers(to: failed).first {} else { Issue.record("nothing to remove") }
        bench.command(.write([.put(key: "k", value: [1])], options))
        #expect(bench.persists.count == before + 1)
        let records = try #require(bench.persists.last).records
        #expect(records.contains(.store(.dequeued([1, 3]))))
        #expect(records.contains { if case .store(.row) = $0 { true } else { false } })
        let asked = bench.command(.diagnose)
        if case .diagnosis(let diagnosis)? = bench.answers(to: asked).first { #expect(diagnosis.queuedWrites == 1) }
    }

    @Test("on a full disk the queue stays as it is, and who waits is told")
    func dequeuesOnFullDisk() {
        var bench = KernelBench.knowing(2...3)
        bench.persistsAtOnce = false
        let waiting = bench.command(.dequeue([1]))
        bench.handle(.storage(.full))
        let persists = bench.persists.count
        let refused = bench.command(.dequeue([2]))
        #expect(bench.persists.count == persists)
        for id in [waiting, refused] {
            if case .failure(.storageFull)? = bench.answers(to: id).first {} else { Issue.record("\(id) is not told") }
        }
        bench.handle(.storage(.ok))
        bench.persistAll()
        #expect(bench.answers(to: waiting).count == 1)
    }

    @Test("a restored node brings its rows to fresh ones and not the other way round")
    func restoredAmongFresh() throws {
        var cluster = KernelCluster.collecting(3)
        let floor = CollectionFloor(cutoff: HybridTimestamp(wall: WallTime(milliseconds: 1_650_000_000_000)))
        let row = Row.register("k", [1], by: 9, counter: 5, wall: 1_600_000_000_000)
        cluster.ask(.restore(try #require(RestoredStore([row], floor: floor)), revision: 5), on: 2)
        cluster.run(.seconds(60))
        for number in 1...3 { #expect(cluster[number].value("k") == [1]) }
        let isAgreed = cluster.isAgreed
        #expect(isAgreed)
    }
}

extension RestoredStore {
    /// Nil when a row is not valid.
    fileprivate init?(_ rows: [Row], floor: CollectionFloor) {
        let wall = WallTime(milliseconds: 1_700_000_000_000)
        self.init(configuration: StoreConfiguration(), floor: floor, context: CausalContext(), wall: wall)
        for row in rows where !add(row) { return nil }
    }
}
