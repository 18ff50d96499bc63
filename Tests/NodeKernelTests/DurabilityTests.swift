// SPDX-License-Identifier: Apache-2.0
// Owns the tests of what waits for the disk.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore
import Testing

@Suite("Durability")
struct DurabilityTests {
    @Test("start persists the fence before anything is sent")
    func start() throws {
        var bench = KernelBench(fence: 100) { $0.seeds = ["10.0.0.2:7946"] }
        bench.persistsAtOnce = false
        bench.handle(.start)
        #expect(bench.log.count == 1)
        let records = try #require(bench.persists.first).records
        guard case .incarnationFence(let fence)? = records.first, records.count == 1 else {
            Issue.record("\(records) is no fence")
            return
        }
        #expect(fence > 100)
        // Until then the node is deaf and takes no writes.
        bench.hear([.ping(Ping(sequence: 1, target: id(1)))], from: 2)
        let early = bench.command(.put(key: "a", value: [1]))
        guard case .failure(.notReady)? = bench.answers(to: early).first else {
            Issue.record("an early write was taken")
            return
        }
        #expect(bench.sent.isEmpty && bench.opened.isEmpty)
        bench.persistAll()
        #expect(bench.kernel.membership.me.incarnation == 101)
        #expect(bench.opened.map(\.to) == [address(2)])
    }

    @Test("a put replies and gossips only after persisted")
    func put() {
        var bench = KernelBench.knowing(2...4)
        bench.persistsAtOnce = false
        let id = bench.command(.put(key: "a", value: [1]))
        #expect(bench.log.count == 1, "nothing but the record: \(bench.log)")
        guard case .store(.row(let row))? = bench.persists.last?.records.first else {
            Issue.record("no row was made durable")
            return
        }
        #expect(row.id.key == "a")
        bench.pass(.milliseconds(1))
        #expect(bench.answers(to: id).isEmpty)
        bench.persistAll()
        #expect(bench.answers(to: id).count == 1)
        #expect(bench.sent.filter { $0.packet.messages.contains(.row(row)) }.count == 3)
        #expect(bench.changes.contains { $0.change.key == "a" })
    }

    @Test("a peer's row is passed on and told only after persisted")
    func remoteRow() {
        var bench = KernelBench.knowing(2...4)
        bench.persistsAtOnce = false
        let row = Row.register("a", [5], by: 2, counter: 1)
        bench.hear([.row(row)], from: 2)
        #expect(bench.sent.isEmpty && bench.events.isEmpty)
        #expect(bench.persists.last?.records.first == .store(.row(row)))
        bench.persistAll()
        #expect(bench.sent.count == 3 && bench.events.count == 1)
        // Hearing it again is no news: no record, no gossip.
        let count = bench.persists.count
        bench.hear([.row(row)], from: 3)
        #expect(bench.persists.count == count)
        #expect(bench.kernel.statistics.rowsKnown == 1)
    }

    @Test("rows of peers are put off while too many writes wait for the disk, and taken in when they come again")
    func slowDisk() {
        var bench = KernelBench.knowing(2...4) { $0.pendingWritesMax = 3 }
        bench.persistsAtOnce = false
        let rows = (1...5).map { Row.register("k\($0)", [UInt8($0)], by: 2, counter: UInt64($0)) }
        for row in rows { bench.hear([.row(row)], from: 2) }
        #expect(bench.kernel.statistics.rowsApplied == 3)
        #expect(bench.kernel.statistics.rowsDeferred == 2)
        #expect(bench.value("k3") == [3] && bench.value("k4") == nil)
        #expect(!bench.kernel.store.context.contains(rows[3].versions[0]))
        // Clients are not refused: each waits for its answer.
        bench.command(.put(key: "mine", value: [9]))
        #expect(bench.value("mine") == [9])
        bench.persistAll()
        for row in rows { bench.hear([.row(row)], from: 3) }
        #expect(bench.value("k5") == [5])
        #expect(bench.kernel.statistics.rowsDeferred == 2)
    }

    @Test("a synchronisation waits for the rows it sends to be durable")
    func syncWaits() {
        var bench = KernelBench.knowing(2...4)
        bench.persistsAtOnce = false
        bench.command(.put(key: "a", value: [1]))
        let stream = bench.accept(from: 2)
        bench.hear([.storeRequest(StoreRequest(context: CausalContext()))], on: stream, from: 2)
        #expect(bench.frames(on: stream).isEmpty, "a row that only memory holds left the node")
        // What is written meanwhile does not make it wait longer.
        bench.command(.put(key: "b", value: [2]))
        bench.handle(.persisted(bench.persists[bench.persists.count - 2].token))
        let frames = bench.frames(on: stream)
        #expect(frames.count == 2)
        guard case .row(let row)? = frames.first, case .storeComplete(let context)? = frames.last else {
            Issue.record("\(frames) is no batch")
            return
        }
        #expect(row.id.key == "a")
        #expect(context.highest(of: bench.kernel.store.actor) == 1)
    }

    @Test("where to find the cluster is written down when it changes, and kept when alone")
    func rememberedPeers() {
        var bench = KernelBench.knowing(2...3)
        // The first peer is written down at once, the next ones at the next look.
        func remembered() -> [[Int]] {
            bench.persists.flatMap(\.records).compactMap {
                if case .peers(let peers) = $0 { peers.map { Int($0.id.low) } } else { nil }
            }
        }
        #expect(remembered() == [[2]])
        bench.passAnswering(.seconds(6))
        #expect(remembered() == [[2], [2, 3]])
        bench.passAnswering(.seconds(12))
        #expect(remembered() == [[2], [2, 3]], "unchanged peers are not written again")
        bench.hear([failed(2, by: 3)], from: 3)
        bench.passAnswering(.seconds(6))
        #expect(remembered() == [[2], [2, 3]], "who failed may come back, and nobody else may know where it is")
        bench.hear([forgotten(2, by: 3)], from: 3)
        bench.passAnswering(.seconds(6))
        #expect(remembered() == [[2], [2, 3], [3]])
        bench.hear([failed(3, by: 2)], from: 2)
        bench.pass(.seconds(6))
        #expect(remembered() == [[2], [2, 3], [3]])
        #expect(bench.waiting { if case .rememberPeers = $0 { true } else { false } } == 1)
    }

    @Test("a row from the far future is quarantined and does no harm")
    func farFuture() {
        var bench = KernelBench.knowing(2...3)
        let row = Row.register("a", [1], by: 2, counter: 1, wall: HybridClock.wallMax.milliseconds)
        bench.hear([.row(row)], from: 2)
        #expect(bench.kernel.statistics.rowsQuarantined == 1)
        #expect(bench.value("a") == nil)
        guard case .quarantined(let key, let author, let ahead)? = bench.events.first else {
            Issue.record("\(bench.events)")
            return
        }
        #expect(key == "a" && author.node == id(2) && ahead > .seconds(3_600))
        #expect(bench.sent.allSatisfy { !$0.packet.messages.contains(.row(row)) })
    }

    @Test("forged events of our own actor do not stop the node")
    func forgedActor() {
        var bench = KernelBench.knowing(2...3)
        let step: UInt32 = 1 << 24
        for epoch in [1 + step, 1 + 2 * step] {
            bench.hear([.row(.register("k/\(epoch)", [1], by: 1, counter: 3, epoch: epoch))], from: 2)
        }
        bench.hear([.row(.register("k", [1], by: 1, counter: 9, epoch: 1))], from: 2)
        #expect(bench.value("k") == [1])
        let written = bench.command(.put(key: "mine", value: [4]))
        #expect(bench.answers(to: written).count == 1)
        #expect(bench.kernel.store.actor == ActorID(node: id(1), epoch: 1 + 3 * step))
    }
}
