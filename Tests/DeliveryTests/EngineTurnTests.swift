// SPDX-License-Identifier: Apache-2.0
// Owns the tests of what the engine of delivery does at the same time, and of what one file's failure means for others.

import AdminModel
import Delivery
import Testing

@Suite("The engine of delivery while a batch is under way", .timeLimit(.minutes(1)))
struct EngineTurnTests {
    /// Files `slow` and `sibling` of one unit, `fast` of none; all have content `1`.
    private static func begun() async throws -> EngineBench {
        let bench = EngineBench([
            try .test("slow", key: "app/slow", unit: "x.service"),
            try .test("sibling", key: "app/sibling", unit: "x.service"), try .test("fast", key: "app/fast"),
        ])
        for name in ["slow", "sibling", "fast"] { bench.fleet.put("app/\(name)", "1") }
        await bench.engine.begin()
        await bench.settle(.seconds(6))
        return bench
    }

    private static func change(_ names: [String], to value: String, _ bench: EngineBench) async {
        for name in names { bench.fleet.put("app/\(name)", value) }
        await bench.engine.note(.keys(names.map { "app/\($0)" }))
        bench.clock.move(by: .milliseconds(200))
    }

    private struct NeverHappened: Error {}

    /// Lets other tasks go on until it is so; far longer than they need.
    private static func until(_ condition: () -> Bool) async throws {
        for _ in 0..<1_000_000 {
            if condition() { return }
            await Task.yield()
        }
        throw NeverHappened()
    }

    /// Runs `body` while a batch with `slow` is at whoever writes, and lets it go then.
    private static func whileHeld(_ bench: EngineBench, _ body: () async throws -> Void) async throws {
        bench.applier.hold("slow")
        await change(["slow"], to: "2", bench)
        async let step = bench.engine.step()
        let outcome: Result<Void, any Error>
        do {
            try await until { bench.applier.heldCount > 0 }
            outcome = .success(try await body())
        } catch { outcome = .failure(error) }
        bench.applier.letGo("slow")
        _ = await step
        try outcome.get()
    }

    @Test("Other files are delivered and plans answered; those that share its reload wait, and go next")
    func independent() async throws {
        let bench = try await Self.begun()
        try await Self.whileHeld(bench) {
            await Self.change(["fast", "sibling"], to: "2", bench)
            _ = await bench.engine.step()
            #expect(bench.applier.text("fast") == "2")
            #expect(bench.applier.text("sibling") == "1")
            let plan = try await bench.engine.plan([])
            #expect(plan.files.map(\.change) == [.unchanged, .changed, .changed])
            #expect(try await bench.engine.apply(["fast"]).files.map(\.state) == [.ok])
        }
        #expect(bench.applier.text("slow") == "2" && bench.applier.text("sibling") == "1")
        _ = await bench.engine.step()
        #expect(bench.applier.text("sibling") == "2")
    }

    @Test("Its files are pending with the version that is still on disk")
    func pending() async throws {
        let bench = try await Self.begun()
        let version = ContentVersion.of(Array("1".utf8))
        try await Self.whileHeld(bench) {
            #expect(await bench.status("slow")?.state == .pending)
            #expect(await bench.status("slow")?.version == version)
            #expect(await bench.status("fast")?.state == .ok)
        }
        #expect(await bench.status("slow")?.state == .ok)
        #expect(await bench.status("slow")?.version != version)
    }

    @Test("What is applied by hand waits for the batch that shares its reload")
    func byHand() async throws {
        let bench = try await Self.begun()
        bench.fleet.put("app/sibling", "2")
        bench.fleet.put("app/fast", "2")
        let engine = bench.engine
        var document: RenderApplyDocument?
        try await withThrowingTaskGroup(of: RenderApplyDocument.self) { group in
            try await Self.whileHeld(bench) {
                group.addTask { try await engine.apply([]) }
                try await Self.until { bench.applier.text("fast") == "2" }
                #expect(bench.applier.text("sibling") == "1")
            }
            document = try await group.next()
        }
        #expect(document?.changed == ["fast", "sibling"])
        #expect(document?.files.map(\.state) == [.ok, .ok, .ok])
    }

    @Test("So many batches go at once and no more, and all of them in the end")
    func bound() async throws {
        let names = (10..<30).map { "f\($0)" }
        let bench = EngineBench(try names.map { try .test($0, key: "app/\($0)") })
        for name in names {
            bench.fleet.put("app/\(name)", "1")
            bench.applier.hold(name)
        }
        await bench.engine.begin()
        bench.clock.move(by: .milliseconds(200))
        async let step = bench.engine.step()
        let isFull: Void? = try? await Self.until { bench.applier.heldCount == DeliverySchedule.batchesMax }
        // Another look finds no room.
        async let second = bench.engine.step()
        for _ in 0..<1_000 { await Task.yield() }
        #expect(isFull != nil && bench.applier.heldCount == DeliverySchedule.batchesMax)
        for name in names { bench.applier.letGo(name) }
        _ = await (step, second)
        await bench.settle(.seconds(1))
        #expect(names.allSatisfy { bench.applier.text($0) == "1" })
    }

    @Test("What becomes of a description that was changed meanwhile is not told of the new one")
    func stale() async throws {
        let bench = try await Self.begun()
        var other = try RenderSpec.test("slow", key: "app/slow", unit: "x.service")
        other.destination = "/etc/elsewhere.conf"
        bench.applier.refuse("slow", "its check failed")
        try await Self.whileHeld(bench) {
            bench.describe([other])
            await bench.engine.reload()
        }
        let status = try #require(await bench.status("slow"))
        #expect(status.state == .pending && status.error == nil && status.version == nil)
        #expect(status.destination == "/etc/elsewhere.conf")
    }

    // MARK: Failures and others

    @Test("When the culprit of a failed reload is corrected, those it took with it are tried again soon")
    func innocents() async throws {
        let bench = try await Self.begun()
        for name in ["slow", "sibling"] { bench.applier.rollBack(name, "the reload failed") }
        await Self.change(["slow", "sibling"], to: "bad", bench)
        _ = await bench.engine.step()
        #expect(await bench.status("sibling")?.state == .rolledBack)
        for name in ["slow", "sibling"] { bench.applier.rollBack(name, nil) }
        let batches = bench.applier.batches.count
        await Self.change(["slow"], to: "good", bench)
        await bench.settle(.seconds(1))
        #expect(bench.applier.batches.dropFirst(batches) == [["slow"]])
        await bench.settle(.seconds(5))
        #expect(bench.applier.batches.dropFirst(batches) == [["slow"], ["sibling"]])
        #expect(await bench.status("sibling")?.state == .ok)
    }

    @Test("Descriptions that are read again, and a change of a key, make the next failure a first one")
    func renewed() async throws {
        let bench = try await Self.begun()
        func wait() async throws -> Int64 {
            let status = try #require(await bench.status("fast"))
            let next = try #require(status.nextTryAt)
            return next.milliseconds - bench.clock.wall.milliseconds
        }
        bench.applier.refuse("fast", "its check failed")
        await Self.change(["fast"], to: "2", bench)
        await bench.settle(.seconds(400))
        #expect(try await wait() > 5_000)
        await bench.engine.reload()
        bench.clock.move(by: .milliseconds(200))
        _ = await bench.engine.step()
        #expect(try await wait() == 5_000)
        await bench.settle(.seconds(400))
        #expect(try await wait() > 5_000)
        await Self.change(["fast"], to: "3", bench)
        _ = await bench.engine.step()
        #expect(try await wait() == 5_000)
    }

    @Test("A version stays known when the helper cannot look at the file")
    func unseen() async throws {
        let bench = try await Self.begun()
        bench.applier.blind("fast")
        await Self.change(["fast"], to: "2", bench)
        _ = await bench.engine.step()
        let status = try #require(await bench.status("fast"))
        #expect(status.state == .refused)
        #expect(status.version == ContentVersion.of(Array("1".utf8)))
    }

    @Test("A reload with the former contents is told as that")
    func former() async throws {
        let bench = try await Self.begun()
        bench.applier.rollBack("slow", "the reload failed")
        await Self.change(["slow"], to: "bad", bench)
        _ = await bench.engine.step()
        let told = bench.events.filter { if case .reloaded = $0 { true } else { false } }
        #expect(told.last == .reloaded(target: "unit x.service", files: ["slow"], isWithFormer: true))
        await Self.change(["slow"], to: "worse", bench)
        #expect(try await bench.engine.apply(["slow"]).reloads.map(\.isWithFormer) == [nil, true])
    }
}
