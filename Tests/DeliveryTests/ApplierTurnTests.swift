// SPDX-License-Identifier: Apache-2.0
// Owns the proofs about requests at the same time: what shares nothing does not wait, the rest keeps its order.

import Glibc
import Synchronization
import Testing

@testable import Delivery

@Suite(.timeLimit(.minutes(2))) struct ApplierTurnTests {
    private let scene: ApplyScene

    init() throws { scene = try ApplyScene() }

    /// A check that says that it has begun, in `NAME.begun`, and ends when there is a file `go`.
    private func describeSlow(_ name: String, unit: String? = nil) {
        let script = "cd \(scene.folder.path); touch \(name).begun; while [ ! -e go ]; do sleep 0.02; done"
        scene.describe(name, unit: unit) {
            $0.check = ["sh", "-c", script, "x", "{file}"]
            $0.checkTimeout = .seconds(60)
        }
    }

    private func wait(for name: String) async throws {
        let folder = scene.folder
        let found = try await BlockingThread.run { () throws(DeliveryFailure) in
            for _ in 0..<3_000 where !folder.exists(name) { usleep(10_000) }
            return folder.exists(name)
        }
        try #require(found, "\(name) did not come")
    }

    @Test func `A slow check holds up neither files with nothing in common nor a look at its own`() async throws {
        describeSlow("slow", unit: "a.service")
        scene.describe("fast", unit: "b.service")
        let applier = LocalApplier(scene.applier)
        async let slow = applier.perform(ApplyScene.request(.apply, [("slow", "x")]))
        try await wait(for: "slow.begun")
        let fast = try await applier.perform(ApplyScene.request(.apply, [("fast", "x")]))
        #expect(fast.files.map(\.outcome) == [.applied])
        let look = try await applier.perform(ApplyScene.request(.compare, [("slow", "x"), ("fast", "x")]))
        #expect(look.files.map(\.outcome) == [.differs, .unchanged])
        try scene.folder.write("go", "")
        #expect(try await slow.files.map(\.outcome) == [.applied])
        #expect(scene.reloads == ["reload-or-restart b.service", "reload-or-restart a.service"])
        #expect(try scene.folder.names("state") == [])
    }

    @Test func `What shares a reload or a destination waits for who was there before`() async throws {
        describeSlow("slow", unit: "a.service")
        scene.describe("sibling", unit: "a.service")
        let applier = LocalApplier(scene.applier)
        async let first = applier.perform(ApplyScene.request(.apply, [("slow", "1")]))
        try await wait(for: "slow.begun")
        async let second = applier.perform(ApplyScene.request(.apply, [("sibling", "2")]))
        async let third = applier.perform(ApplyScene.request(.apply, [("slow", "3")]))
        // Nothing tells that somebody waits; if they did not, this would be more than enough to be seen.
        try await BlockingThread.run { () throws(DeliveryFailure) in _ = usleep(200_000) }
        #expect(try scene.folder.names("etc").filter { !$0.hasPrefix(".") } == [])
        try scene.folder.write("go", "")
        for answer in try await [first, second, third] { #expect(answer.files.map(\.outcome) == [.applied]) }
        #expect(scene.folder.text("etc/slow") == "3" || scene.folder.text("etc/slow") == "1")
        #expect(scene.reloads.count == 3)
    }

    @Test func `Turns are given in order of coming, and only to those that share nothing with an earlier one`() {
        let turns = ApplyTurns()
        let log = Mutex<[Int]>([])
        let (a, b) = (ApplyTurns.Lane.destination("/a"), ApplyTurns.Lane.reload(.unit("b")))
        let first = turns.queue([a])
        let second = turns.queue([a, b])
        // It would fit beside the first one, and must not overtake the second.
        let third = turns.queue([b])
        turns.wait(for: first)
        let ends = [second, third].enumerated().map { number, turn in
            ThreadEnd {
                turns.wait(for: turn)
                log.withLock { $0.append(number) }
                turns.leave(turn)
            }
        }
        usleep(100_000)
        #expect(log.withLock { $0 } == [])
        turns.leave(first)
        for end in ends { end.wait() }
        #expect(log.withLock { $0 } == [0, 1])
    }

    /// A thread that can be waited for.
    private final class ThreadEnd: Sendable {
        private let hasEnded = Atomic(false)

        init(_ body: @escaping @Sendable () -> Void) {
            let code = BlockingThread.start { [self] in
                body()
                hasEnded.store(true, ordering: .sequentiallyConsistent)
            }
            precondition(code == 0, "no thread: \(code)")
        }

        /// Waits up to ten seconds.
        func wait() {
            for _ in 0..<10_000 where !hasEnded.load(ordering: .sequentiallyConsistent) { usleep(1_000) }
        }
    }

    // MARK: The note

    private func pending(_ name: String, unit: String) throws -> PendingReloads {
        let destination = scene.describe(name, unit: unit)
        try scene.folder.write("etc/\(name)", "latter")
        var pending = PendingReloads()
        pending.reloads = [PendingReloads.Reload(.unit(unit), timeout: .seconds(20))]
        pending.files = [
            PendingReloads.File(
                name: name, destination: destination, temporary: ".\(name).gossipd-abc123",
                version: ContentVersion.of(Array("latter".utf8)), former: nil, reload: 0)
        ]
        return pending
    }

    @Test func `A note keeps what is left of several batches, and each is made good`() throws {
        let journal = ReloadJournal(StateFolder(path: scene.folder.path("state")))
        _ = try journal.begin(try pending("a", unit: "a.service"))
        let entry = try journal.begin(try pending("b", unit: "b.service"))
        _ = try journal.begin(try pending("c", unit: "c.service"))
        try journal.end(entry)
        let answer = scene.applier.resume()
        #expect(answer.reloads.map(\.target) == ["unit a.service", "unit c.service"])
        #expect(answer.files.map(\.name) == ["a", "c"])
        #expect(scene.reloads == ["reload-or-restart a.service", "reload-or-restart c.service"])
        #expect(try scene.folder.names("state") == [])
    }

    @Test func `What waits for what a kill has left is only what shares it`() async throws {
        let journal = ReloadJournal(StateFolder(path: scene.folder.path("state")))
        _ = try journal.begin(try pending("a", unit: "a.service"))
        scene.describe("b", unit: "b.service")
        let applier = scene.applier
        let leftovers = applier.prepare()
        #expect(leftovers.count == 1)
        #expect(applier.prepare().isEmpty)
        #expect(applier.perform(ApplyScene.request(.apply, [("b", "x")])).files.map(\.outcome) == [.applied])
        #expect(scene.reloads == ["reload-or-restart b.service"])
        async let later = LocalApplier(applier).perform(ApplyScene.request(.apply, [("a", "later")]))
        for leftover in leftovers { #expect(applier.makeGood(leftover).reloads.map(\.failure) == [nil]) }
        #expect(try await later.files.map(\.outcome) == [.applied])
        #expect(scene.reloads.suffix(2) == ["reload-or-restart a.service", "reload-or-restart a.service"])
    }
}
