// SPDX-License-Identifier: Apache-2.0
// Owns the tests of writes with options: conditions, repeated requests, a full disk, several writes at once.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore
import Testing

@Suite("Writes")
struct WriteTests {
    private func failure(_ bench: KernelBench, _ id: CommandID) -> CommandFailure? {
        guard case .failure(let failure)? = bench.answers(to: id).first, bench.answers(to: id).count == 1 else {
            return nil
        }
        return failure
    }

    private func report(_ bench: KernelBench, _ id: CommandID) -> WriteReport? {
        guard case .written(let report)? = bench.answers(to: id).first, bench.answers(to: id).count == 1 else {
            return nil
        }
        return report
    }

    private func failure(_ bench: inout KernelBench, _ command: Command) -> CommandFailure? {
        let id = bench.command(command)
        return failure(bench, id)
    }

    private func report(_ bench: inout KernelBench, _ command: Command) -> WriteReport? {
        let id = bench.command(command)
        return report(bench, id)
    }

    private func put(_ key: String, _ value: UInt8, _ options: WriteOptions = .none) -> Command {
        .write([.put(key: key, value: [value])], options)
    }

    @Test("a condition that does not hold is answered with the present version, and nothing is written")
    func conditions() throws {
        var bench = KernelBench.knowing(2...3)
        let first = try #require(report(&bench, put("a", 1, WriteOptions(condition: .absent))))
        let again = bench.command(put("a", 2, WriteOptions(condition: .absent)))
        #expect(failure(bench, again) == .conditionFailed(key: "a", current: first.version))
        let persists = bench.persists.count
        let stale = bench.command(put("b", 2, WriteOptions(condition: .version(first.version))))
        #expect(failure(bench, stale) == .conditionFailed(key: "b", current: nil))
        #expect(bench.persists.count == persists)
        let next = bench.command(put("a", 3, WriteOptions(condition: .version(first.version))))
        #expect(report(bench, next) != nil && bench.value("a") == [3])
    }

    @Test("the same request again gets the same answer and writes nothing, also in a later process")
    func repeated() throws {
        var bench = KernelBench.knowing(2...3)
        let options = WriteOptions(reason: "why", requestID: "r1")
        let first = try #require(report(&bench, put("a", 1, options)))
        bench.command(put("a", 2))
        let records = bench.persists.flatMap(\.records)
        let second = try #require(report(&bench, put("a", 1, options)))
        #expect(second.version == first.version && second.key == "a")
        #expect(bench.value("a") == [2])
        #expect(bench.persists.flatMap(\.records).count == records.count)
        #expect(bench.kernel.statistics.requestsRepeated == 1)

        // The record lies in the batch of the row.
        let batch = bench.persists.map(\.records).first { batch in
            batch.contains { if case .store(.request) = $0 { true } else { false } }
        }
        #expect(batch?.contains { if case .store(.row(let row)) = $0 { row.id.key == "a" } else { false } } == true)
        let remembered = records.compactMap { if case .store(.request(let record)) = $0 { record } else { nil } }
        #expect(remembered.map(\.id) == ["r1"])

        var later = KernelBench.recovered(RecoveredStore(store: bench.kernel.store, requests: remembered))
        let third = try #require(report(&later, put("a", 1, options)))
        #expect(third.version == first.version)
        #expect(later.value("a") == [2])
    }

    @Test(
        "an id that was used for another request is refused",
        arguments: [
            Command.write([.put(key: "a", value: [2])], WriteOptions(requestID: "r1")),
            .write([.put(key: "b", value: [1])], WriteOptions(requestID: "r1")),
            .write([.delete(key: "a")], WriteOptions(requestID: "r1")),
            .write([.put(key: "a", value: [1])], WriteOptions(reason: "x", requestID: "r1")),
            .write([.put(key: "a", value: [1])], WriteOptions(ttlMilliseconds: 5, requestID: "r1")),
            .write([.put(key: "a", value: [1])], WriteOptions(condition: .absent, requestID: "r1")),
            .write([.put(key: "a", value: [1]), .delete(key: "b")], WriteOptions(requestID: "r1")),
        ])
    func reused(_ other: Command) {
        var bench = KernelBench.knowing(2...3)
        bench.command(put("a", 1, WriteOptions(requestID: "r1")))
        #expect(failure(&bench, other) == .requestIDReused("r1"))
        #expect(bench.value("a") == [1])
    }

    @Test("a request that comes again before the disk has answered is answered together with the first")
    func repeatedWhileWaiting() throws {
        var bench = KernelBench.knowing(2...3)
        bench.persistsAtOnce = false
        let ids = (0..<3).map { _ in bench.command(put("a", 1, WriteOptions(requestID: "r1"))) }
        #expect(bench.replies.isEmpty)
        #expect(bench.kernel.statistics.localWrites == 1)
        bench.persistAll()
        let versions = ids.compactMap { report(bench, $0)?.version }
        #expect(versions.count == 3 && Set(versions).count == 1)
    }

    @Test("a request that failed has left nothing behind: its id may be used again")
    func failedRequest() {
        var bench = KernelBench.knowing(2...3)
        let options = WriteOptions(requestID: "r1")
        let missing = bench.command(.write([.remove(key: "s", element: [1])], options))
        #expect(failure(bench, missing) != nil)
        #expect(report(&bench, put("a", 1, options)) != nil)
    }

    @Test("only as many requests are remembered as the bound says, the oldest are forgotten")
    func bound() {
        let fingerprint = UInt64(7)
        let records = (0...Bounds.requestsMax).map {
            RequestRecord(
                id: "r\($0)", fingerprint: fingerprint, key: "a", version: "v", at: WallTime(milliseconds: 1))
        }
        let store = Store(actor: ActorID(node: id(1), epoch: 1))
        var bench = KernelBench.recovered(RecoveredStore(store: store, requests: records))
        #expect(failure(&bench, put("a", 1, WriteOptions(requestID: "r1"))) == .requestIDReused("r1"))
        #expect(report(&bench, put("a", 1, WriteOptions(requestID: "r0"))) != nil)
        // That one has taken the place of r1.
        #expect(report(&bench, put("a", 2, WriteOptions(requestID: "r1"))) != nil)
    }

    @Test("a full disk: whoever waits is told at once, once, and the rows count when there is room again")
    func fullDisk() throws {
        var bench = KernelBench.knowing(2...3)
        bench.persistsAtOnce = false
        let options = WriteOptions(requestID: "r1")
        let waiting = [
            bench.command(put("a", 1, options)), bench.command(put("a", 1, options)), bench.command(put("b", 2)),
        ]
        bench.handle(.storage(.full))
        for id in waiting { #expect(failure(bench, id) == .storageFull) }
        // New writes and repeated ones are refused at once, peers' rows put off; reads go on.
        #expect(failure(&bench, put("c", 3)) == .storageFull)
        #expect(failure(&bench, put("a", 1, options)) == .storageFull)
        #expect(failure(&bench, put("a", 9, options)) == .requestIDReused("r1"))
        bench.hear([.row(.register("theirs", [1], by: 2, counter: 1))], from: 2)
        #expect(bench.value("theirs") == nil && bench.kernel.statistics.rowsDeferred == 1)
        #expect(bench.value("a") == [1])
        #expect(bench.events == [.storage(.full)], "nothing is published before it is durable")
        bench.clear()

        bench.handle(.storage(.ok))
        let again = bench.command(put("a", 1, options))
        #expect(bench.replies.isEmpty, "not durable yet")
        bench.persistAll()
        #expect(report(bench, again)?.key == "a")
        #expect(bench.replies.count == 1, "the others have had their answers")
        #expect(bench.changes.count == 2)
        #expect(bench.sent.contains { $0.packet.messages.contains { if case .row = $0 { true } else { false } } })
        #expect(bench.kernel.statistics.localWrites == 2)
        bench.hear([.row(.register("theirs", [1], by: 2, counter: 1))], from: 2)
        #expect(bench.value("theirs") == [1])
    }

    @Test("whoever waits while the node leaves gets one answer: the disk's")
    func leaving() {
        var bench = KernelBench.knowing(2...2)
        bench.persistsAtOnce = false
        let options = WriteOptions(requestID: "r1")
        let ids = [bench.command(put("a", 1, options)), bench.command(put("a", 1, options))]
        let late = bench.command(put("b", 1))
        bench.command(.leave(deadline: .milliseconds(100)))
        bench.pass(.seconds(1))
        #expect(bench.stopped.count == 1)
        let token = bench.persists.last { !$0.records.isEmpty }?.token
        bench.handle(.storage(.full))
        for id in ids + [late] { #expect(failure(bench, id) == .storageFull) }
        if let token { bench.handle(.persisted(token)) }
        for id in ids + [late] { #expect(bench.answers(to: id).count == 1) }
        #expect(failure(&bench, put("c", 1)) == .notReady)
    }

    @Test("after leaving, repeated requests are still answered when the write is durable")
    func leavingDurable() {
        var bench = KernelBench.knowing(2...2)
        bench.persistsAtOnce = false
        let options = WriteOptions(requestID: "r1")
        let ids = [bench.command(put("a", 1, options)), bench.command(put("a", 1, options))]
        bench.command(.leave(deadline: .milliseconds(100)))
        bench.pass(.seconds(1))
        bench.persistAll()
        for id in ids { #expect(report(bench, id)?.key == "a") }
    }

    @Test("several writes become durable and visible together, with one stamp and the details given")
    func transaction() throws {
        var bench = KernelBench.knowing(2...3)
        bench.persistsAtOnce = false
        let writes: [StoreWrite] = [
            .put(key: "a", value: [1]), .add(key: "s", element: [2]), .increment(key: "c", by: 3),
        ]
        let id = bench.command(.write(writes, WriteOptions(user: "root", reason: "release 7")))
        let batch = try #require(bench.persists.last).records
        let rows = batch.compactMap { if case .store(.row(let row)) = $0 { row } else { nil } }
        let changes = batch.compactMap { if case .store(.change(let change)) = $0 { change } else { nil } }
        #expect(rows.map(\.id.key) == ["a", "s", "c"] && Set(rows.map(\.stamp)).count == 1)
        #expect(rows.allSatisfy { $0.details.transaction?.count == 3 && $0.details.user == "root" })
        #expect(changes.map(\.revision) == [1, 2, 3])
        #expect(changes.allSatisfy { $0.change.details.reason == "release 7" })
        bench.persistAll()
        #expect(report(bench, id)?.key == "a")
        // One that cannot be carried out undoes none and does none.
        let bad = bench.command(.write([.put(key: "x", value: [1]), .increment(key: "a", by: 1)], .none))
        #expect(failure(bench, bad) == .typeConflict(key: "a", existing: .register, requested: .counter))
        #expect(bench.value("x") == nil && bench.kernel.revision == 3)
    }

    @Test("options out of bounds are refused")
    func bounds() {
        var bench = KernelBench.knowing(2...3)
        for options in [
            WriteOptions(requestID: ""), WriteOptions(requestID: String(repeating: "x", count: 129)),
            WriteOptions(user: String(repeating: "u", count: 65)),
            WriteOptions(reason: String(repeating: "r", count: 513)), WriteOptions(ttlMilliseconds: 0),
        ] {
            guard case .invalid? = failure(&bench, put("a", 1, options)) else {
                Issue.record("\(options) were taken")
                continue
            }
        }
        guard case .invalid? = failure(&bench, .write([], .none)) else {
            Issue.record("nothing was written")
            return
        }
        #expect(bench.value("a") == nil)
    }

    @Test("revisions go on from the recovered one, for type conflicts too")
    func revisions() {
        let store = Store(actor: ActorID(node: id(1), epoch: 1))
        var bench = KernelBench.recovered(RecoveredStore(store: store, revision: 41))
        bench.command(put("a", 1))
        bench.hear([.row(.element("a", [5], by: 2, counter: 1, wall: 1_700_000_009_000))], from: 2)
        let told = bench.persists.flatMap(\.records).compactMap {
            if case .store(.change(let record)) = $0 { record } else { nil }
        }
        #expect(told.map(\.revision) == Array(42..<42 + UInt64(told.count)))
        #expect(told.contains { if case .typeConflict = $0.change.kind { true } else { false } })
        #expect(bench.kernel.revision == told.last?.revision)
    }

    @Test("doctor learns of quarantined authors and of type conflicts that are not over")
    func diagnosis() throws {
        var bench = KernelBench.knowing(2...3)
        for number in 1...70 {
            bench.hear([.row(.register("far/\(number)", [1], by: number + 100, counter: 1, wall: 1 << 42))], from: 2)
        }
        bench.hear([.row(.register("far/again", [1], by: 170, counter: 2, wall: 1 << 42))], from: 2)
        bench.command(put("a", 1))
        bench.command(put("b", 1))
        for (index, key) in ["a", "b"].enumerated() {
            let counter = UInt64(index + 1)
            bench.hear([.row(.element(key, [5], by: 2, counter: counter, wall: 1_700_001_009_000))], from: 2)
        }
        #expect(try diagnose(&bench).typeConflicts == ["a", "b"])
        bench.command(.delete(key: "b"))
        let diagnosis = try diagnose(&bench)
        #expect(diagnosis.typeConflicts == ["a"])
        #expect(diagnosis.quarantined.count == 64)
        #expect(diagnosis.quarantined.last?.key == "far/again")
        #expect(diagnosis.quarantined.count { $0.author.id == id(170) } == 1)
        #expect(diagnosis.revision == bench.kernel.revision && diagnosis.actors == 2)
    }

    private func diagnose(_ bench: inout KernelBench) throws -> StoreDiagnosis {
        let id = bench.command(.diagnose)
        guard case .diagnosis(let diagnosis)? = bench.answers(to: id).first else {
            throw Unexpected(what: "\(bench.answers(to: id))")
        }
        return diagnosis
    }
}
