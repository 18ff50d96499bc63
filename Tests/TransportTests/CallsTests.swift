// SPDX-License-Identifier: Apache-2.0
// Owns the tests of calls that go to the kernel in bunches: their bound, their answers, the stop.

import ClusterTypes
import NodeKernel
import StrictCore
import StrictGroup
import Synchronization
import Testing

@testable import Transport

@Suite("Bunches of calls")
struct CallsTests {
    /// One client's answers.
    private final class Answers: Sendable {
        private let state = Mutex<(answers: [(tag: UInt64, reply: Reply)], deliveries: Int)>(([], 0))

        func sink() -> CallSink {
            CallSink { [self] batch in
                state.withLock { state in
                    state.answers += batch
                    state.deliveries += 1
                }
            }
        }

        var tags: [UInt64] { state.withLock { $0.answers.map(\.tag) } }
        var replies: [Reply] { state.withLock { $0.answers.map(\.reply) } }
        var deliveries: Int { state.withLock { $0.deliveries } }

        func failures() -> [StrictFailure?] {
            replies.map { if case .strict(.failed(let failure)) = $0 { failure } else { nil } }
        }
    }

    private static func puts(_ tags: ClosedRange<UInt64>) throws -> [(tag: UInt64, call: StrictCall)] {
        let key = try #require(StrictKey("strict/a"))
        return tags.map { ($0, .change(.put(key, value: [1], lease: 0))) }
    }

    /// Its group never answers: nobody who votes is there.
    private func node(_ name: String, _ configure: (inout TransportConfiguration) -> Void = { _ in }) throws -> TestNode
    {
        let strict = StrictConfiguration(prefixes: ["strict/"], voters: .names(["x", "y", "z"]), isEligible: false)
        return try TestNode.make(name, strict: strict, configure: configure)
    }

    private func started(_ node: TestNode) async throws {
        try await eventually("the first fence") { try await node.status().alive == 1 }
    }

    @Test("those of one bunch that end together are answered together, each once, by its tag")
    func together() async throws {
        let node = try node("together")
        try await withNodes([node]) {
            try await started(node)
            let answers = Answers()
            node.driver.perform(try Self.puts(1...200), within: .milliseconds(100), to: answers.sink())
            try await eventually("the answers") { answers.tags.count >= 200 }
            #expect(answers.tags.sorted() == Array(1...200))
            #expect(answers.deliveries <= 2)
        }
    }

    @Test("more than the bound are refused at once and not begun, and ordinary commands go on")
    func bound() async throws {
        let node = try node("bound") { ($0.callsMax, $0.commandsMax) = (100, 4) }
        try await withNodes([node]) {
            try await started(node)
            let (waiting, refused, last) = (Answers(), Answers(), Answers())
            node.driver.perform(try Self.puts(1...90), within: .seconds(1), to: waiting.sink())
            node.driver.perform(try Self.puts(1...11), within: .seconds(1), to: refused.sink())
            node.driver.perform(try Self.puts(91...100), within: .seconds(1), to: last.sink())
            for _ in 0..<20 { #expect(try await node.status().alive == 1) }
            #expect(refused.tags == Array(1...11) && refused.deliveries == 1)
            #expect(refused.failures().allSatisfy { $0 == .tooManyCalls })
            #expect(waiting.tags.isEmpty && last.tags.isEmpty)
            #expect(node.driver.counters.commandsRefused == 11)
            try await eventually("the others") { waiting.tags.count == 90 && last.tags.count == 10 }
            let again = Answers()
            node.driver.perform(try Self.puts(1...100), within: .milliseconds(50), to: again.sink())
            try await eventually("as many as the bound, once more") { again.tags.count == 100 }
            #expect(!again.failures().contains(.tooManyCalls))
        }
    }

    @Test("a stop answers what is under way with an unknown outcome, and what comes after it with none begun")
    func stop() async throws {
        let node = try node("stopping")
        let (before, after) = (Answers(), Answers())
        let single = Mutex<Reply?>(nil)
        try await withNodes([node]) {
            try await started(node)
            node.driver.perform(try Self.puts(1...50), within: .seconds(60), to: before.sink())
            let call = try #require(try Self.puts(1...1).first?.call)
            async let alone = node.driver.perform(.strict(call, within: .seconds(60)))
            // Commands follow one another.
            _ = try await node.status()
            _ = try await node.status()
            await node.driver.stop()
            let reply = await alone
            single.withLock { $0 = reply }
            node.driver.perform(try Self.puts(1...5), within: .seconds(60), to: after.sink())
            try await eventually("the answers after the stop") { after.tags.count == 5 }
        }
        #expect(before.tags.sorted() == Array(1...50) && before.deliveries == 1)
        for failure in before.failures() {
            guard case .unavailable(_, isOutcomeUnknown: true)? = failure else {
                Issue.record("\(String(describing: failure))")
                continue
            }
        }
        // The one that came by itself either came before the stop or after it.
        switch single.withLock({ $0 }) {
        case .strict(.failed(.unavailable(_, isOutcomeUnknown: true))), .failure(.notReady): break
        case let reply: Issue.record("\(String(describing: reply))")
        }
        for reply in after.replies {
            guard case .failure(.notReady) = reply else {
                Issue.record("\(reply)")
                continue
            }
        }
    }
}
