// SPDX-License-Identifier: Apache-2.0
// Owns the tests of values that expire: when that is told, whatever the clock and the disk do.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore
import Testing

@Suite("Expiry")
struct ExpiryTests {
    private func put(_ key: String, ttl: UInt64) -> Command {
        .write([.put(key: key, value: [1])], WriteOptions(ttlMilliseconds: ttl))
    }

    private func deleted(_ bench: KernelBench) -> [String] {
        bench.changes.filter { $0.change.kind == .delete }.map(\.change.key)
    }

    private func timers(_ bench: KernelBench) -> Int {
        bench.waiting { if case .expiry = $0 { true } else { false } }
    }

    @Test("a value is gone when its time is over, and that is told when it is durable")
    func expires() throws {
        var bench = KernelBench.knowing(2...3)
        bench.command(.put(key: "stays", value: [1]))
        #expect(timers(bench) == 0, "nothing expires, so nothing wakes")
        bench.command(put("b", ttl: 2_000))
        bench.command(put("a", ttl: 1_000))
        bench.passAnswering(.milliseconds(990))
        #expect(bench.value("a") == [1] && deleted(bench).isEmpty)
        bench.persistsAtOnce = false
        let revision = bench.kernel.revision
        let persists = bench.persists.count
        bench.passAnswering(.milliseconds(20))
        #expect(bench.value("a") == nil && bench.value("b") == [1])
        #expect(deleted(bench).isEmpty, "not durable yet")
        #expect(bench.kernel.revision == revision + 1)
        let batch = try #require(bench.persists.dropFirst(persists).first).records
        #expect(
            batch.contains {
                if case .store(.change(let record)) = $0 { record.revision == revision + 1 } else { false }
            })
        #expect(batch.contains { if case .store(.expiredThrough) = $0 { true } else { false } })
        bench.persistAll()
        #expect(deleted(bench) == ["a"])
        bench.persistsAtOnce = true
        bench.passAnswering(.seconds(2))
        #expect(deleted(bench) == ["a", "b"] && bench.kernel.statistics.valuesExpired == 2)
        bench.passAnswering(.seconds(120))
        #expect(timers(bench) == 0 && bench.value("stays") == [1])
    }

    @Test("a peer's value expires here by itself")
    func foreign() {
        var bench = KernelBench.knowing(2...3)
        var row = Row.register("a", [1], by: 2, counter: 1)
        row.details.expiresAt = bench.clock.wall.milliseconds + 500
        bench.hear([.row(row)], from: 2)
        #expect(bench.value("a") == [1])
        let root = bench.kernel.store.root
        bench.passAnswering(.milliseconds(510))
        #expect(bench.value("a") == nil && deleted(bench) == ["a"])
        #expect(bench.kernel.store.root == root, "every node comes to it alone")
    }

    @Test("the wall clock may jump: forward it is noticed within a minute, backward nothing expires early")
    func jumps() {
        var bench = KernelBench.knowing(2...3)
        bench.command(put("a", ttl: 3_600_000))
        bench.passAnswering(.seconds(30))
        bench.wallOffset += 3_600_000
        bench.passAnswering(.seconds(31))
        #expect(deleted(bench) == ["a"])

        var back = KernelBench.knowing(2...3)
        back.wallOffset = 7_200_000
        back.command(put("a", ttl: 10_000))
        back.wallOffset = 0
        back.passAnswering(.seconds(300))
        #expect(back.value("a") == [1] && deleted(back).isEmpty)
        back.wallOffset = 7_200_000
        back.passAnswering(.seconds(61))
        #expect(deleted(back) == ["a"])
        // One timer at a time, however often it was looked at.
        #expect(timers(back) <= 1)
    }

    @Test("what a clock ahead took for over shows again once it is set back, and watchers see it")
    func shownAgain() {
        var bench = KernelBench.knowing(2...3)
        bench.command(put("a", ttl: 3_600_000))
        bench.wallOffset += 86_400_000
        bench.passAnswering(.seconds(61))
        #expect(deleted(bench) == ["a"])
        let revision = bench.kernel.revision
        bench.events.removeAll()
        bench.wallOffset = 0
        bench.passAnswering(.seconds(10))
        #expect(bench.value("a") == [1])
        let told = bench.changes
        #expect(told.map(\.revision) == [revision + 1] && told.first?.change.kind == .put([1]))
        #expect(bench.disk.expiredThrough <= bench.clock.wall.milliseconds)
        bench.passAnswering(.seconds(3_600))
        #expect(bench.value("a") == nil && deleted(bench) == ["a"])
    }

    @Test("what expired while the node was down is told after its start")
    func recovered() throws {
        var store = Store(actor: ActorID(node: id(2), epoch: 1))
        let wall = WallTime(milliseconds: 1_700_000_000_000)
        _ = try store.write([.put(key: "a", value: [1])], options: WriteOptions(ttlMilliseconds: 10), wall: wall)
        var bench = KernelBench.recovered(RecoveredStore(store: store, revision: 7))
        bench.passAnswering(.milliseconds(10))
        #expect(bench.value("a") == nil)
        let told = bench.persists.flatMap(\.records).compactMap {
            if case .store(.change(let record)) = $0 { record } else { nil }
        }
        #expect(told.map(\.revision) == [8] && told.first?.change.kind == .delete)
    }

    @Test("while the disk is full nothing expires; when there is room it does")
    func fullDisk() {
        var bench = KernelBench.knowing(2...3)
        bench.command(put("a", ttl: 1_000))
        bench.handle(.storage(.full))
        let persists = bench.persists.count
        bench.passAnswering(.seconds(3))
        #expect(
            bench.persists.dropFirst(persists).allSatisfy {
                !$0.records.contains { if case .store = $0 { true } else { false } }
            })
        #expect(deleted(bench).isEmpty && timers(bench) == 1)
        bench.handle(.storage(.ok))
        bench.passAnswering(.milliseconds(1_100))
        #expect(deleted(bench) == ["a"])
    }
}
