// SPDX-License-Identifier: Apache-2.0
// Owns the tests of transactions from peers: nobody ever sees half of one.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore
import Testing

@Suite("Transactions")
struct TransactionTests {
    private static let wall = WallTime(milliseconds: 1_700_000_900_000)

    private func writer(_ number: Int) -> Store { Store(actor: ActorID(node: id(number), epoch: 1)) }

    /// The rows of one transaction that puts `value` under each of the keys.
    private func put(_ keys: [String], _ value: UInt8, on store: inout Store) throws -> [Row] {
        try store.write(keys.map { .put(key: $0, value: [value]) }, wall: Self.wall).rows
    }

    @Test(
        "rows wait until all are here, then become durable and visible in one batch", arguments: [1, 2, 3] as [UInt64])
    func order(seed: UInt64) throws {
        var rng = SeededGenerator(seed: seed)
        var bench = KernelBench.knowing(2...3)
        bench.persistsAtOnce = false
        var store = writer(2)
        let rows = try put(["a", "b", "c", "d"], 7, on: &store).shuffled(using: &rng)
        let persists = bench.persists.count
        for row in rows.dropLast() {
            bench.hear([.row(row), .row(row)], from: [2, 3].randomElement(using: &rng) ?? 2)
        }
        #expect(bench.persists.count == persists && bench.kernel.store.rowCount == 0)
        // A row that stands alone does not wait.
        bench.hear([.row(.register("alone", [1], by: 3, counter: 1))], from: 3)
        #expect(bench.value("alone") == [1])
        bench.hear([.row(rows[3])], from: 3)
        #expect(["a", "b", "c", "d"].allSatisfy { bench.value($0) == [7] })
        let batch = try #require(bench.persists.last).records
        #expect(batch.count == 8, "four rows and four changes: \(batch)")
        bench.persistAll()
        #expect(bench.changes.count == 5)
        // Known by now: nothing waits again.
        bench.hear(rows.prefix(2).map { .row($0) }, from: 2)
        let id = bench.command(.statistics)
        guard case .statistics(let view)? = bench.answers(to: id).first else { return }
        #expect(view.kernel.transactionsStashed == 1 && view.kernel.transactionsDropped == 0)
    }

    @Test("a row that another node wrote meanwhile brings the event along")
    func overwrittenByOther() throws {
        var bench = KernelBench.knowing(2...3)
        var store = writer(2)
        let rows = try put(["a", "b"], 1, on: &store)
        var other = writer(3)
        for row in rows { _ = other.merge(row, wall: Self.wall) }
        let newer = try other.write([.put(key: "a", value: [2])], wall: Self.wall).rows
        bench.hear([.row(rows[1])], from: 2)
        #expect(bench.value("b") == nil)
        bench.hear(newer.map { .row($0) }, from: 3)
        #expect(bench.value("a") == [2] && bench.value("b") == [1])
    }

    @Test("a row that belongs to another open transaction counts only together with that one")
    func interlocked() throws {
        var bench = KernelBench.knowing(2...3)
        var store = writer(2)
        let first = try put(["a", "b"], 1, on: &store)
        var other = writer(3)
        for row in first { _ = other.merge(row, wall: Self.wall) }
        let second = try put(["a", "c"], 2, on: &other)
        // Holds the events of both on `a`; the newest belongs to the second.
        bench.hear([.row(second[0])], from: 3)
        bench.hear([.row(first[1])], from: 2)
        #expect(bench.kernel.store.rowCount == 0, "b is from the first, a would be from the second, c is not here")
        bench.hear([.row(second[1])], from: 3)
        #expect(bench.value("a") == [2] && bench.value("b") == [1] && bench.value("c") == [2])
    }

    @Test("what its author overwrote is known when an exchange is complete, not before")
    func overwrittenByAuthor() throws {
        var bench = KernelBench.knowing(2...3)
        var store = writer(2)
        let rows = try put(["a", "b"], 1, on: &store)
        let newer = try store.write([.put(key: "a", value: [2])], wall: Self.wall).rows
        let stream = bench.accept(from: 2)
        bench.hear([.storeRequest(StoreRequest(context: store.context))], on: stream, from: 2)
        bench.hear([.row(rows[1]), .storeBatchEnd], on: stream, from: 2)
        #expect(bench.value("b") == nil)
        bench.hear([.row(newer[0])], on: stream, from: 2)
        #expect(bench.value("b") == nil && bench.value("a") == [2])
        bench.hear([.storeComplete(store.context)], on: stream, from: 2)
        #expect(bench.value("b") == [1] && bench.value("a") == [2])
        #expect(bench.kernel.store.root == store.root && bench.kernel.store.context == store.context)
    }

    @Test("what was overwritten by a row that is refused stays hidden at the end of the exchange too")
    func overwrittenByRefused() throws {
        var bench = KernelBench.knowing(2...3)
        var store = writer(2)
        let rows = try put(["a", "b"], 1, on: &store)
        let tomorrow = WallTime(milliseconds: Self.wall.milliseconds + 86_400_000)
        let newer = try store.write([.put(key: "a", value: [2])], wall: tomorrow).rows
        let stream = bench.accept(from: 2)
        bench.hear([.storeRequest(StoreRequest(context: store.context))], on: stream, from: 2)
        bench.hear([.row(rows[1]), .row(newer[0]), .storeComplete(store.context)], on: stream, from: 2)
        #expect(bench.kernel.statistics.rowsQuarantined == 1)
        #expect(bench.value("b") == nil, "b without a is half of the transaction")
        bench.hear([.row(rows[0])], from: 3)
        #expect(bench.value("a") == [1] && bench.value("b") == [1])
    }

    @Test(
        "rows that arrive in an exchange but are newer than its snapshot keep waiting, and the context is not adopted")
    func newerThanSnapshot() throws {
        var bench = KernelBench.knowing(2...3)
        var store = writer(2)
        var other = writer(3)
        for row in try other.write([.put(key: "a", value: [1])], wall: Self.wall).rows {
            _ = store.merge(row, wall: Self.wall)
        }
        let snapshot = store.context
        let rows = try put(["a", "b"], 2, on: &store)
        let stream = bench.accept(from: 2)
        bench.hear([.storeRequest(StoreRequest(context: store.context))], on: stream, from: 2)
        bench.hear([.row(rows[0]), .storeComplete(snapshot)], on: stream, from: 2)
        #expect(bench.value("a") == nil)
        #expect(bench.kernel.store.context == CausalContext(), "an event without a row would count as seen")
        bench.hear([.row(rows[1])], from: 2)
        #expect(bench.kernel.store.root == store.root)
    }

    @Test("what does not become complete is dropped after 30 s, counted, and taken when it comes again")
    func age() throws {
        var bench = KernelBench.knowing(2...3)
        var store = writer(2)
        let rows = try put(["a", "b"], 1, on: &store)
        bench.hear([.row(rows[0])], from: 2)
        bench.passAnswering(.milliseconds(29_900))
        #expect(dropped(&bench) == 0)
        bench.passAnswering(.milliseconds(200))
        #expect(dropped(&bench) == 1)
        bench.hear([.row(rows[1])], from: 2)
        #expect(bench.kernel.store.rowCount == 0)
        bench.hear([.row(rows[0])], from: 2)
        #expect(bench.kernel.store.root == store.root)
    }

    private func dropped(_ bench: inout KernelBench) -> UInt64? {
        let id = bench.command(.statistics)
        guard case .statistics(let view)? = bench.answers(to: id).first else { return nil }
        return view.kernel.transactionsDropped
    }

    @Test("waiting rows are bounded: the oldest transactions go, and an exchange that lost them is not complete")
    func bounds() throws {
        var bench = KernelBench.knowing(2...3)
        var store = writer(2)
        let value = [UInt8](repeating: 1, count: Bounds.valueBytesMax)
        let stream = bench.accept(from: 2)
        bench.hear([.storeRequest(StoreRequest(context: CausalContext()))], on: stream, from: 2)
        var last: [Row] = []
        // 16 MiB each, of which the last row does not come: its author overwrites it.
        for number in 0..<6 {
            let writes = (0..<31).map { StoreWrite.put(key: "t\(number)/\($0)", value: value) }
            let rows = try store.write(writes, wall: Self.wall).rows
            _ = try store.write([.put(key: "t\(number)/30", value: [1])], wall: Self.wall)
            for row in rows.dropLast() { bench.hear([.row(row)], on: stream, from: 2) }
            last.append(contentsOf: store.row(RowID(key: "t\(number)/30", part: .register)).map { [$0] } ?? [])
        }
        bench.hear(last.map { .row($0) }, on: stream, from: 2)
        let gone = try #require(dropped(&bench))
        #expect((2...3).contains(gone))
        #expect(bench.kernel.store.rowCount == 6)
        bench.hear([.storeComplete(store.context)], on: stream, from: 2)
        // Those that were kept are whole, the others will be asked for again.
        let visible = (0..<6).map { number in (0..<30).count { bench.value("t\(number)/\($0)") != nil } }
        #expect(visible == (0..<6).map { $0 < Int(gone) ? 0 : 30 })
        #expect(bench.kernel.store.context != store.context)
        bench.kernel.checkInvariantsThoroughly()
    }

    @Test("a store without room for all of a transaction takes none of it")
    func noRoom() throws {
        var bench = KernelBench.knowing(2...3) { $0.store = StoreConfiguration(rowsMax: 2) }
        var store = writer(2)
        bench.command(.put(key: "x", value: [1]))
        for row in try put(["a", "b"], 1, on: &store) { bench.hear([.row(row)], from: 2) }
        #expect(bench.kernel.store.rowCount == 1 && bench.kernel.statistics.rowsRefused == 2)
        // Where the rows are there already, there is room for new values of them.
        bench.command(.put(key: "y", value: [1]))
        for row in try put(["x", "y"], 2, on: &store) { bench.hear([.row(row)], from: 2) }
        #expect(bench.value("x") == bench.value("y") && bench.kernel.statistics.rowsApplied == 2)
    }

    @Test(
        "whatever order, loss and repetition: readers never see half, and all ends equal",
        arguments: 1...60 as ClosedRange<UInt64>)
    func fuzz(seed: UInt64) throws {
        var rng = SeededGenerator(seed: seed)
        var bench = KernelBench.knowing(2...5)
        var writers = (2...4).map(writer)
        var pool: [Row] = []
        let groups = ["x", "y"].map { group in (0..<3).map { "\(group)/\($0)" } }
        func check(_ moment: String) {
            for keys in groups {
                let values = Set(keys.map { bench.value($0) })
                #expect(values.count == 1, "\(moment): \(keys.map { bench.value($0) ?? [] })")
            }
        }
        for value in 1...24 as ClosedRange<UInt8> {
            let index = rng.index(below: writers.count)
            if rng.chance(0.4) {
                // A writer learns all that another knows; its rows then join the events of both.
                let rows = all(of: writers[rng.index(below: writers.count)])
                for row in rows { _ = writers[index].merge(row, wall: Self.wall) }
                pool += all(of: writers[index])
            }
            pool += try put(groups[rng.index(below: groups.count)], value, on: &writers[index])
        }
        pool.shuffle(using: &rng)
        for row in pool where !rng.chance(0.3) {
            bench.hear(Array(repeating: .row(row), count: 1 + rng.index(below: 2)), from: 2 + rng.index(below: 3))
            check("gossip")
            if rng.chance(0.02) { bench.passAnswering(.seconds(31)) }
        }
        for (index, other) in writers.enumerated() {
            for row in all(of: other) { _ = writers[0].merge(row, wall: Self.wall) }
            #expect(writers[0].adopt(context: other.context) == .adopted, "writer \(index)")
        }
        let stream = bench.accept(from: 2)
        bench.hear([.storeRequest(StoreRequest(context: writers[0].context))], on: stream, from: 2)
        // Its gossip goes first; then it says that it has nothing to send.
        bench.passAnswering(.milliseconds(200))
        var cursor: RepairCursor?
        let known = bench.kernel.store.context
        repeat {
            let batch = writers[0].rowsMissing(from: known, limit: RepairLimit(rowsMax: 1), resume: cursor)
            bench.hear(batch.rows.map { .row($0) }, on: stream, from: 2)
            check("exchange")
            cursor = batch.next
        } while cursor != nil
        bench.hear([.storeComplete(writers[0].context)], on: stream, from: 2)
        check("end")
        #expect(bench.closed == [stream])
        #expect(bench.kernel.store.root == writers[0].root)
        #expect(bench.kernel.store.context == writers[0].context)
        bench.kernel.checkInvariantsThoroughly()
    }

    private func all(of store: Store) -> [Row] {
        store.rowsMissing(from: CausalContext(), limit: RepairLimit(rowsMax: .max, bytesMax: .max)).rows
    }

    @Test("a cluster carries transactions whole to every node, large ones too", arguments: [1, 2] as [UInt64])
    func cluster(seed: UInt64) {
        var cluster = KernelCluster(4, seed: seed)
        cluster.start()
        cluster.run(.seconds(3))
        let keys = (0..<300).map { "k/\($0)" }
        let sample = stride(from: 0, to: 300, by: 7).map { keys[$0] }
        for value in 1...4 as ClosedRange<UInt8> {
            let bytes = [UInt8](repeating: value, count: value == 3 ? 2_000 : 20)
            _ = cluster.command(.write(keys.map { .put(key: $0, value: bytes) }, .none), on: Int(value))
            for _ in 0..<40 {
                cluster.run(.milliseconds(5))
                for node in cluster.nodes {
                    #expect(Set(sample.map { node.value($0)?.first }).count == 1, "node \(node.number)")
                }
            }
            #expect(cluster.nodes.allSatisfy { $0.value("k/7")?.first == value }, "\(value)")
        }
        #expect(cluster.isAgreed)
    }
}
