// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the simulated disk: what is durable when, and what each kind of crash leaves.

import ClusterTypes
import NodeKernel
import Simulator
import StoreCore
import Testing

private func batch(_ number: UInt64, records: Int = 2) -> SimulatedDisk.Batch {
    let actor = ActorID(node: NodeID(high: 1, low: 1), epoch: 1)
    let rows = (0..<records).map { part in
        DurableRecord.store(
            .row(
                Row(
                    id: RowID(key: "\(number)/\(part)", part: .register),
                    versions: [Dot(actor: actor, counter: number * 10 + UInt64(part) + 1)],
                    stamp: HybridTimestamp(rawValue: number + 1), author: actor, content: .register([]))))
    }
    return SimulatedDisk.Batch(token: PersistToken(rawValue: number), records: rows)
}

@Suite("The simulated disk")
struct DiskTests {
    private let start = Instant.origin

    @Test("What is asked for during a commit goes into the next one, all of it")
    func groups() throws {
        var disk = SimulatedDisk(rng: SeededGenerator(seed: 1))
        let first = disk.submit(batch(1), at: start)
        let due = try #require(first)
        let others = (disk.submit(batch(2), at: start), disk.submit(batch(3), at: start))
        #expect(others == (nil, nil))
        #expect(disk.content.rows.isEmpty)
        var done = disk.finish()
        #expect(done.map(\.token.rawValue) == [1])
        #expect(disk.content.rows.count == 2)
        let next = disk.begin(at: due)
        #expect(try #require(next) > due)
        done = disk.finish()
        #expect(done.map(\.token.rawValue) == [2, 3])
        let none = disk.begin(at: due)
        #expect(none == nil)
        #expect(disk.content.rows.count == 6)
    }

    /// One commit is confirmed, one is under way and one waits.
    private func crashed(_ mode: CrashMode, seed: UInt64) -> (kept: Int, keys: [String]) {
        var disk = SimulatedDisk(rng: SeededGenerator(seed: seed))
        disk.crashMode = mode
        _ = disk.submit(batch(1), at: start)
        _ = disk.finish()
        _ = disk.submit(batch(2), at: start)
        _ = disk.submit(batch(3), at: start)
        let kept = disk.crash()
        return (kept, disk.content.rows.keys.map(\.key).sorted())
    }

    private static let first = ["1/0", "1/1"]
    private static let second = ["2/0", "2/1"]
    private static let third = ["3/0", "3/1"]

    @Test("A crash keeps what was confirmed and the first few batches, each whole")
    func torn() {
        let outcomes = Set((0..<40 as Range<UInt64>).map { crashed(.torn, seed: $0).keys })
        #expect(outcomes == [Self.first, Self.first + Self.second, Self.first + Self.second + Self.third])
    }

    @Test("A crash that loses all keeps what was confirmed")
    func lost() {
        for seed in 0..<10 as Range<UInt64> { #expect(crashed(.lost, seed: seed).keys == Self.first) }
    }

    @Test("Disks that break their promises leave half a batch, or lose what they confirmed")
    func broken() {
        let halves = Set((0..<40 as Range<UInt64>).map { crashed(.half, seed: $0).keys })
        #expect(halves == [Self.first + ["2/0"], Self.first + Self.second + ["3/0"]])
        #expect(crashed(.unsynced, seed: 1).keys.isEmpty)
    }

    @Test("Recovery gives back all that was recorded")
    func recovery() throws {
        let actor = ActorID(node: NodeID(high: 1, low: 1), epoch: 1)
        var context = CausalContext()
        context.insert(Dot(actor: actor, counter: 7))
        let request = RequestRecord(id: "a", fingerprint: 1, key: "k", version: "v", at: WallTime(milliseconds: 1))
        var rows: [Row] = []
        for case .store(.row(let row)) in batch(2).records { rows.append(row) }
        let write = QueuedWrite(
            number: 4, cause: .beforeFloor, row: rows[0], queuedAt: WallTime(milliseconds: 1))
        let change = ChangeRecord(
            revision: 9, appliedAt: WallTime(milliseconds: 1),
            change: Change(key: "k", type: .register, kind: .delete, version: rows[0].version))
        let records: [StoreRecord] = [
            .row(rows[0]), .row(rows[1]), .rowRemoved(rows[1].id), .context(context), .promised(.zero),
            .promised(HybridTimestamp(rawValue: 3)), .change(change), .request(request), .queued(write),
            .expiredThrough(5), .expiredThrough(4),
        ]
        var content = DiskContent()
        #expect(content.recovered(StoreConfiguration()).store == nil)
        for record in records { content.apply(.store(record)) }
        let found = content.recovered(StoreConfiguration())
        let recovered = try #require(found.store)
        #expect(found.refused.isEmpty)
        #expect(recovered.store.row(rows[0].id) == rows[0] && recovered.store.rowCount == 1)
        #expect(recovered.store.context.contains(Dot(actor: actor, counter: 7)))
        // Of rows that are gone or overwritten too.
        #expect(rows.count == 2 && rows[1].versions.allSatisfy { recovered.store.context.contains($0) })
        #expect(recovered.revision == 9 && recovered.promised.rawValue == 3 && recovered.requests == [request])
        #expect(recovered.queuedCount == 1 && recovered.queuedLast == 4 && recovered.expiredThrough == 4)

        content.apply(.store(.dequeued([4])))
        content.apply(.store(.reset(revision: 20)))
        let empty = try #require(content.recovered(StoreConfiguration()).store)
        #expect(empty.store.rowCount == 0 && empty.store.context.isEmpty && empty.revision == 20)
        #expect(empty.queuedCount == 0 && empty.queuedLast == 4)
    }
}

@Suite("Disks that break their promises are found out")
struct BrokenDiskTests {
    private static func failures(crash: String, seed: UInt64) throws -> [String] {
        let text = try #require(BuiltInScenario.named("crashes")).text
        let scenario = try ScenarioParser.parse("crash \(crash)\n" + text, file: "broken", name: "broken")
        return try Simulation(scenario: scenario, seed: seed).run().failures
    }

    @Test("A disk that loses what it confirmed is found out by acknowledged writes")
    func unsynced() throws {
        let failures = try (1...3 as ClosedRange<UInt64>).flatMap { try Self.failures(crash: "unsynced", seed: $0) }
        #expect(failures.contains { $0.contains("acknowledged write") }, "\(failures)")
    }

    @Test("A disk that keeps half of a batch is found out by transactions")
    func half() throws {
        let text = """
            nodes 3
            crash half
            disk 20ms jitter 20ms
            at 2s every 30ms for 6s import n2 big/{n} 8 "x"
            at 3s every 1s for 4s bounce n2 for 300ms
            run 10s
            """
        let scenario = try ScenarioParser.parse(text, file: "broken", name: "broken")
        let failures = try Simulation(scenario: scenario, seed: 1).run().failures
        #expect(failures.contains { $0.contains("of the transaction") }, "\(failures)")
    }

    @Test("An honest disk that loses all it may is not", arguments: ["lost", "torn"])
    func honest(crash: String) throws {
        for seed in 1...3 as ClosedRange<UInt64> { #expect(try Self.failures(crash: crash, seed: seed).isEmpty) }
    }

    @Test("A stamp once written holds the clock after a restart, and a reset lets go of it, of requests and expiry")
    func clock() throws {
        let actor = ActorID(node: NodeID(high: 1, low: 1), epoch: 1)
        func row(_ counter: UInt64, _ milliseconds: UInt64) -> DurableRecord {
            .store(
                .row(
                    Row(
                        id: RowID(key: "k", part: .register), versions: [Dot(actor: actor, counter: counter)],
                        stamp: HybridTimestamp(wall: WallTime(milliseconds: milliseconds)), author: actor,
                        content: .register([]))))
        }
        let request = RequestRecord(id: "r", fingerprint: 1, key: "k", version: "v", at: WallTime(milliseconds: 1))
        var disk = DiskContent()
        for record in [row(1, 9_000), row(2, 8_000), .store(.request(request)), .store(.expiredThrough(9_000))] {
            disk.apply(record)
        }
        var found = try #require(disk.recovered(StoreConfiguration()).store)
        #expect(found.store.clock.seen.milliseconds == 9_000)
        disk.apply(.store(.expiredThrough(8_500)))
        #expect(disk.expiredThrough == 8_500)
        for record in [.store(.reset(revision: 7)), row(1, 2_000), .store(.expiredThrough(3_000))] {
            disk.apply(record)
        }
        found = try #require(disk.recovered(StoreConfiguration()).store)
        #expect(found.store.clock.seen.milliseconds == 2_000)
        #expect(found.expiredThrough == 3_000)
        #expect(found.requests.isEmpty)
    }
}
