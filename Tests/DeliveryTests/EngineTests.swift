// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the engine of delivery: what is rendered when, what is told, what the fleet hears.

import AdminModel
import Delivery
import Testing

@Suite("The engine of delivery")
struct EngineTests {
    private static func begun(
        _ specs: [RenderSpec], problems: [RenderProblem] = [], _ prepare: (MemoryFleet) -> Void = { _ in }
    ) async -> EngineBench {
        let bench = EngineBench(specs, problems: problems)
        prepare(bench.fleet)
        await bench.engine.begin()
        await bench.settle(.seconds(6))
        return bench
    }

    @Test("At its beginning everything is rendered once, in one batch")
    func start() async throws {
        let bench = await Self.begun([
            try .test("a", key: "app/a", unit: "x.service"), try .test("b", key: "app/b", unit: "x.service"),
        ]) {
            $0.put("app/a", "one")
            $0.put("app/b", "two")
        }
        #expect(bench.applier.batches == [["a", "b"]])
        #expect(bench.applier.reloads == [["a", "b"]])
        #expect(bench.applier.text("a") == "one")
        #expect(await bench.status("a")?.state == .ok)
        #expect(await bench.status("a")?.version == ContentVersion.of(Array("one".utf8)))
        #expect(await bench.status("a")?.appliedAt != nil)
        #expect(bench.events.contains(.reloaded(target: "unit x.service", files: ["a", "b"], isWithFormer: false)))
    }

    @Test(
        "A stop does not wait until the node knows its fleet, and nothing is rendered after it",
        .timeLimit(.minutes(1)))
    func stopBeforeReady() async throws {
        let (waits, hasBegun) = AsyncStream<Void>.makeStream()
        let (never, end) = AsyncStream<Void>.makeStream()
        let bench = EngineBench([try .test("a", key: "app/a")]) {
            hasBegun.finish()
            for await _ in never {}
        }
        bench.fleet.put("app/a", "one")
        async let running: Void = bench.engine.run()
        for await _ in waits {}
        await bench.engine.note(.keys(["app/a"]))
        await bench.engine.stop()
        await running
        #expect(bench.applier.batches.isEmpty)
        #expect(bench.reports.isEmpty)
        end.finish()
    }

    @Test("A change renders the files of its key after the quiet time, and no others")
    func change() async throws {
        let bench = await Self.begun([try .test("a", key: "app/a"), try .test("b", key: "app/b")]) {
            $0.put("app/a", "one")
            $0.put("app/b", "two")
        }
        bench.fleet.put("app/a", "new")
        await bench.engine.note(.keys(["app/a", "unrelated"]))
        #expect(await bench.status("a")?.state == .pending)
        await bench.settle(.milliseconds(199))
        #expect(bench.applier.text("a") == "one")
        await bench.settle(.milliseconds(1))
        #expect(bench.applier.text("a") == "new")
        #expect(bench.applier.batches.last == ["a"])
    }

    @Test("Fifty keys of one import make one batch and one reload")
    func importOfMany() async throws {
        let prefix = try KeyPrefix("app/")
        let specs = [
            try RenderSpec.test("a", inputs: ["all": .prefix(prefix)], unit: "x.service"),
            try RenderSpec.test("b", inputs: ["all": .prefix(prefix)], unit: "x.service"),
        ]
        let bench = await Self.begun(specs) { $0.put("app/0", "0") }
        let before = bench.applier.reloads.count
        for number in 1...50 {
            bench.fleet.put("app/\(number)", "\(number)")
            await bench.engine.note(.keys(["app/\(number)"]))
            _ = await bench.engine.step()
        }
        await bench.settle()
        #expect(bench.applier.reloads.count == before + 1)
        #expect(bench.applier.batches.last == ["a", "b"])
    }

    @Test("The inputs of a batch are read in one moment")
    func oneMoment() async throws {
        let bench = await Self.begun([
            try .test("a", key: "app/a", unit: "x.service"), try .test("b", key: "app/b", unit: "x.service"),
        ]) {
            $0.put("app/a", "one")
            $0.put("app/b", "two")
        }
        #expect(bench.fleet.reads == 1)
    }

    @Test("A file whose inputs cannot be read does not keep the others from theirs")
    func unreadable() async throws {
        let bench = await Self.begun([
            try .test("a", inputs: ["all": .prefix(try KeyPrefix("huge/"))]), try .test("b", key: "app/b"),
        ]) { $0.put("app/b", "two") }
        #expect(bench.applier.text("b") == "two")
        #expect(await bench.status("a")?.state == .failed)
        #expect(await bench.status("a")?.error?.contains("more than one file may have") == true)
    }

    @Test("Each file fails alone, is told once, is tried again ever more rarely, and recovers")
    func failure() async throws {
        let bench = await Self.begun([try .test("a", key: "app/a"), try .test("b", key: "app/b")]) {
            $0.put("app/b", "two")
        }
        #expect(bench.applier.text("b") == "two")
        let failed = try #require(await bench.status("a"))
        #expect(failed.state == .failed)
        #expect(failed.error == "key \"app/a\" is missing")
        #expect(failed.nextTryAt != nil)
        await bench.settle(.seconds(120))
        let told = bench.events.filter { if case .trouble = $0 { true } else { false } }
        #expect(told.count == 1)
        #expect(await bench.status("a")?.errorSince == failed.errorSince)
        let counters = await bench.engine.statistics()
        #expect((3...7).contains(counters.failed))
        bench.fleet.put("app/a", "here")
        await bench.engine.note(.keys(["app/a"]))
        await bench.settle(.seconds(1))
        #expect(await bench.status("a")?.state == .ok)
        #expect(await bench.status("a")?.error == nil)
        #expect(bench.events.contains(.recovered(name: "a", destination: "/etc/a.conf")))
    }

    @Test("What is refused or rolled back says why, and what is rolled back is left in peace for five minutes")
    func turnedDown() async throws {
        let bench = await Self.begun([try .test("a", key: "app/a"), try .test("b", key: "app/b")]) {
            $0.put("app/a", "one")
            $0.put("app/b", "two")
        }
        bench.applier.refuse("a", "the check failed")
        bench.applier.rollBack("b", "the reload failed")
        bench.fleet.put("app/a", "bad")
        bench.fleet.put("app/b", "bad")
        await bench.engine.note(.everything)
        await bench.settle(.milliseconds(300))
        #expect(await bench.status("a")?.state == .refused)
        #expect(await bench.status("b")?.state == .rolledBack)
        #expect(await bench.status("a")?.version == ContentVersion.of(Array("one".utf8)))
        let batches = bench.applier.batches.count
        await bench.settle(.seconds(60))
        #expect(bench.applier.batches.dropFirst(batches).allSatisfy { $0 == ["a"] })
        #expect(bench.applier.batches.count > batches)
        #expect(bench.applier.text("b") == "two")
    }

    @Test("A plan, which runs no check, tells that the last try was refused")
    func planTellsRefusal() async throws {
        let bench = await Self.begun([try .test("a", key: "app/a")]) { $0.put("app/a", "one") }
        bench.applier.refuse("a", "its check failed: no")
        bench.fleet.put("app/a", "bad")
        await bench.engine.note(.everything)
        await bench.settle(.milliseconds(300))
        #expect(await bench.status("a")?.state == .refused)
        // A helper that is asked to compare finds nothing wrong with it.
        bench.applier.refuse("a", nil)
        let file = try await bench.engine.plan(["a"]).files.first
        #expect(file?.change == .changed)
        #expect(file?.error == "at the last try it was refused: its check failed: no")
    }

    @Test("What the helper's host could not do is a failure, in the state, the counters and a plan")
    func couldNot() async throws {
        let bench = await Self.begun([try .test("a", key: "app/a")]) { $0.put("app/a", "one") }
        bench.applier.refuse("a", "the folder /etc/a does not exist: create it", as: .failed)
        bench.fleet.put("app/a", "two")
        let plan = try await bench.engine.plan(["a"])
        #expect(plan.files.map(\.change) == [.failed])
        await bench.engine.note(.keys(["app/a"]))
        await bench.settle(.milliseconds(300))
        #expect(await bench.status("a")?.state == .failed)
        #expect(await bench.status("a")?.error == "the folder /etc/a does not exist: create it")
        let counters = await bench.engine.statistics()
        #expect(counters.failed == 1 && counters.refused == 0)
    }

    @Test("A helper that cannot be reached fails every file, and nothing is lost when it comes back")
    func noHelper() async throws {
        let bench = EngineBench([try .test("a", key: "app/a")])
        bench.fleet.put("app/a", "one")
        bench.applier.fail(.helper("the helper cannot be reached"))
        await bench.engine.begin()
        await bench.settle(.seconds(2))
        #expect(await bench.status("a")?.error == "the helper cannot be reached")
        bench.applier.fail(nil)
        await bench.settle(.seconds(10))
        #expect(bench.applier.text("a") == "one")
    }

    @Test("Members render when what a template sees of them changes, not for a round trip time")
    func members() async throws {
        let filter = MemberFilter(states: [.alive], tags: ["role": "web"])
        let bench = await Self.begun([try .test("lb", inputs: ["web": .members(filter)])]) {
            $0.set([MemoryFleet.member("web-1", tags: ["role": "web"], rtt: 1)])
        }
        #expect(bench.applier.text("lb") == "web-1=alive")
        let batches = bench.applier.batches.count
        bench.fleet.set([
            MemoryFleet.member("web-1", tags: ["role": "web"], rtt: 2),
            MemoryFleet.member("db-1", tags: ["role": "db"]),
        ])
        await bench.engine.note(.members)
        await bench.settle(.seconds(10))
        #expect(bench.applier.batches.count == batches)
        bench.fleet.set([
            MemoryFleet.member("web-1", tags: ["role": "web"]), MemoryFleet.member("web-2", tags: ["role": "web"]),
        ])
        await bench.engine.note(.members)
        await bench.settle(.seconds(1))
        #expect(bench.applier.text("lb") == "web-1=alive,web-2=alive")
    }

    @Test("The regular look puts right what somebody else changed on disk")
    func drift() async throws {
        let bench = await Self.begun([try .test("a", key: "app/a")]) { $0.put("app/a", "one") }
        bench.applier.overwrite("a", "by hand")
        await bench.settle(.seconds(590))
        #expect(bench.applier.text("a") == "by hand")
        await bench.settle(.seconds(20))
        #expect(bench.applier.text("a") == "one")
    }

    @Test("Descriptions are read again: new files come, broken ones say so, others stay")
    func reload() async throws {
        let bench = await Self.begun([try .test("a", key: "app/a")]) { $0.put("app/a", "one") }
        bench.describe(
            [try .test("c", key: "app/a")], problems: [RenderProblem(name: "a", sentence: "a.toml:3: mode: no mode")])
        await bench.engine.reload()
        await bench.settle(.seconds(1))
        #expect(bench.applier.text("c") == "one")
        let broken = try #require(await bench.status("a"))
        #expect(broken.state == .failed && broken.error == "a.toml:3: mode: no mode")
        // What is on disk is still known.
        #expect(broken.version != nil)
        bench.describe([try .test("a", key: "app/a")])
        await bench.engine.reload()
        await bench.settle(.seconds(1))
        #expect(await bench.engine.status().files.map(\.name) == ["a"])
        #expect(await bench.status("a")?.state == .ok)
    }

    @Test("A plan shows both contents, names what fails, and changes nothing")
    func plan() async throws {
        let bench = await Self.begun([
            try .test("a", key: "app/a"), try .test("b", key: "app/b"), try .test("c", key: "app/c"),
            try .test("new", key: "app/new"),
        ]) {
            for name in ["a", "b", "c"] { $0.put("app/\(name)", "one") }
        }
        bench.fleet.put("app/a", "two")
        bench.fleet.put("app/c", "broken")
        bench.fleet.put("app/new", "first")
        let batches = bench.applier.batches
        let files = try await bench.engine.plan([]).files
        #expect(files.map(\.name) == ["a", "b", "c", "new"])
        #expect(files.map(\.change) == [.changed, .unchanged, .failed, .created])
        #expect(files[0].old == Array("one".utf8) && files[0].new == Array("two".utf8))
        #expect(files[2].error == "the template is broken")
        #expect(files[3].old == nil && files[3].new == Array("first".utf8))
        #expect(bench.applier.batches == batches)
        #expect(bench.applier.text("a") == "one")
        #expect(try await bench.engine.plan(["b"]).files.map(\.name) == ["b"])
        await #expect(throws: AdminFailure.self) { try await bench.engine.plan(["nope"]) }
    }

    @Test("Applying by hand does not wait, and tells what was reloaded")
    func applyNow() async throws {
        let bench = await Self.begun([try .test("a", key: "app/a", unit: "x.service"), try .test("b", key: "app/b")]) {
            $0.put("app/a", "one")
            $0.put("app/b", "one")
        }
        bench.fleet.put("app/a", "two")
        bench.fleet.put("app/b", nil)
        let document = try await bench.engine.apply([])
        #expect(document.changed == ["a"])
        #expect(document.reloads == [.init(target: "unit x.service", files: ["a"])])
        #expect(document.files.map(\.state) == [.ok, .failed])
        #expect(bench.applier.text("a") == "two")
        #expect(bench.applier.text("b") == "one")
    }
}

@Suite("The report of delivery to the fleet")
struct ReportTests {
    @Test("It is written when something changed, at most every five seconds, and not for a mere look")
    func rate() async throws {
        let bench = EngineBench([try .test("a", key: "app/a")])
        bench.fleet.put("app/a", "0")
        await bench.engine.begin()
        await bench.settle(.seconds(2))
        #expect(bench.reports.count == 1)
        // Twenty changes in ten seconds, each one rendered.
        for number in 1...20 {
            bench.fleet.put("app/a", "\(number)")
            await bench.engine.note(.keys(["app/a"]))
            await bench.settle(.milliseconds(500))
        }
        await bench.settle(.seconds(6))
        #expect((3...4).contains(bench.reports.count))
        #expect(bench.reports.last??.files.first?.version == ContentVersion.of(Array("20".utf8)))
        let count = bench.reports.count
        await bench.settle(.seconds(3_000))
        #expect(bench.reports.count == count)
    }

    @Test("A failure that lasts is reported once")
    func lasting() async throws {
        let bench = EngineBench([try .test("a", key: "app/a")])
        await bench.engine.begin()
        await bench.settle(.seconds(600))
        #expect(bench.reports.count == 1)
        #expect(bench.reports.last??.files.first?.state == .failed)
        #expect(bench.reports.last??.files.first?.nextTryAt == nil)
    }

    @Test("A new process takes over when files were applied, and reports nothing that is known")
    func restart() async throws {
        var status = RenderFileStatus(name: "a", destination: "/etc/a.conf", state: .ok)
        status.version = ContentVersion.of(Array("one".utf8))
        status.appliedAt = Timestamp(milliseconds: 42)
        let bench = EngineBench([try .test("a", key: "app/a")], former: RenderReport(files: [status]))
        bench.fleet.put("app/a", "one")
        bench.applier.overwrite("a", "one")
        await bench.engine.begin()
        await bench.settle(.seconds(60))
        #expect(bench.reports.isEmpty)
        #expect(await bench.status("a")?.appliedAt == Timestamp(milliseconds: 42))
    }

    @Test("When the last description goes, the report is withdrawn")
    func withdrawn() async throws {
        let bench = EngineBench([try .test("a", key: "app/a")])
        bench.fleet.put("app/a", "one")
        await bench.engine.begin()
        await bench.settle(.seconds(1))
        bench.describe([])
        await bench.engine.reload()
        await bench.settle(.seconds(10))
        #expect(bench.reports.count == 2)
        #expect(bench.reports.last == .some(.none))
    }

    @Test("Without descriptions nothing is ever written")
    func idle() async {
        let bench = EngineBench([])
        await bench.engine.begin()
        await bench.settle(.seconds(3_600))
        #expect(bench.reports.isEmpty)
        #expect(await bench.engine.status().files.isEmpty)
    }
}
