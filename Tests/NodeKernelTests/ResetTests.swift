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
        cluster.ask(.forget("n3"), on: 1)
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
    func restores() {
        var bench = KernelBench()
        bench.handle(.start)
        let actor = bench.kernel.store.actor
        let row = Row.register("k", [1], by: 9, counter: 5, wall: 1_600_000_000_000)
        let floor = CollectionFloor(cutoff: HybridTimestamp(wall: WallTime(milliseconds: 1_650_000_000_000)))
        bench.persistsAtOnce = false
        let command = Command.restore(rows: [row], context: CausalContext(), floor: floor, revision: 500)
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
        #expect(bench.events.contains(.storeReset(peer: id(1), rows: 1, queued: 0)))
        let again = bench.command(command)
        guard case .failure(.storeNotEmpty(keys: 1))? = bench.answers(to: again).first else {
            Issue.record("restored over what is there")
            return
        }
        bench.checkDisk()
    }

    @Test("a restored node brings its rows to fresh ones and not the other way round")
    func restoredAmongFresh() {
        var cluster = KernelCluster.collecting(3)
        let floor = CollectionFloor(cutoff: HybridTimestamp(wall: WallTime(milliseconds: 1_650_000_000_000)))
        let row = Row.register("k", [1], by: 9, counter: 5, wall: 1_600_000_000_000)
        cluster.ask(.restore(rows: [row], context: CausalContext(), floor: floor, revision: 5), on: 2)
        cluster.run(.seconds(60))
        for number in 1...3 { #expect(cluster[number].value("k") == [1]) }
        let isAgreed = cluster.isAgreed
        #expect(isAgreed)
    }
}
