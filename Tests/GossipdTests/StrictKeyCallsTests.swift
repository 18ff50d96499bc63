// SPDX-License-Identifier: Apache-2.0
// Owns the tests of which calls of a bunch go to the strict group together, and what its replies become.

import AdminModel
import ClusterTypes
import NodeKernel
import StrictCore
import StrictGroup
import Synchronization
import Testing

@testable import gossipd

@Suite("Bunches of calls about strict keys")
struct StrictKeyCallsTests {
    /// Remembers what it is asked.
    private final class Asked: Sendable {
        let bunches = Mutex<[(calls: [(tag: UInt64, call: StrictCall)], within: Interval)]>([])
    }

    private let asked = Asked()

    private func calls() -> StrictKeyCalls {
        let access = StrictAccess(
            prefixes: ["strict/"], call: { _, _ in .failed(.notConfigured) },
            begin: { [asked] calls, within, _ in asked.bunches.withLock { $0.append((calls, within)) } }, age: { nil })
        return StrictKeyCalls(access) { _ in }
    }

    private func put(_ id: UInt64, _ key: String, _ change: (inout KeyWriteOptions) -> Void = { _ in }) throws
        -> KeyCall
    {
        var options = KeyWriteOptions()
        options.timeout = .seconds(2)
        change(&options)
        return KeyCall(id: id, .write(.put(try ConfigurationKey(key), [7]), options))
    }

    @Test("Puts of strict keys without a condition go together, in their order; everything else is left")
    func sorting() throws {
        let key = try ConfigurationKey("strict/a")
        let others = [
            try put(11, "plain/a"), try put(12, "strict/a") { $0.condition = .absent },
            try put(13, "strict/a") { $0.condition = .version("3") }, try put(14, "strict/a") { $0.message = "why" },
            try put(15, "strict/a") { $0.ttlMilliseconds = 5 }, try put(16, "strict/a") { $0.requestID = "mine" },
            try put(17, "strict/a") { $0.timeout = .seconds(3) }, try put(18, ".gossipd/a"),
            KeyCall(id: 19, .write(.delete(key), KeyWriteOptions())), KeyCall(id: 20, .get(key, ReadOptions(.local))),
            KeyCall(id: 21, .get(try ConfigurationKey("plain/a"), ReadOptions())),
        ]
        let first = try put(1, "strict/a")
        let second = try put(2, "strict/b")
        #expect(calls().begin([first] + others + [second]) == others)
        let bunches = asked.bunches.withLock { $0 }
        #expect(bunches.count == 1 && bunches.first?.within == .seconds(2))
        #expect(bunches.first?.calls.map(\.tag) == [1, 2])
        for (call, name) in zip(bunches.first?.calls ?? [], ["strict/a", "strict/b"]) {
            guard case .change(.put(let key, let value, lease: 0)) = call.call else {
                Issue.record("\(call)")
                continue
            }
            #expect(key.text == name && value == [7])
        }
    }

    @Test("Linearizable gets of strict keys go together, apart from puts")
    func gets() throws {
        let key = try ConfigurationKey("strict/a")
        let read = [
            KeyCall(id: 1, .get(key, ReadOptions(timeout: .seconds(2)))),
            KeyCall(id: 3, .get(key, ReadOptions(.linearizable, timeout: .seconds(2)))),
        ]
        #expect(calls().begin([read[0], try put(2, "strict/a"), read[1]]) == [])
        let bunches = asked.bunches.withLock { $0 }
        #expect(bunches.map { $0.calls.map(\.tag) } == [[2], [1, 3]])
        for call in bunches.last?.calls ?? [] {
            guard case .read(.entry(let read)) = call.call, read.text == "strict/a" else {
                Issue.record("\(call)")
                continue
            }
        }
    }

    @Test("A get is answered with the entry, and with the time that the store has for it")
    func found() throws {
        let name = try #require(StrictKey("strict/a"))
        let entry = StrictEntry(value: [7], created: 3, modified: 12, version: 2, lease: 0)
        let written = WallTime(milliseconds: 1_700_000_000_000)
        guard
            case .found(let document) = StrictKeyCalls.result(
                of: .strictEntry(name, entry, writtenAt: written), changes: false)
        else {
            Issue.record("not found")
            return
        }
        #expect(document.key == "strict/a" && document.version == "12" && document.content == .register([7]))
        #expect(document.keyClass == .strict && document.writtenAt == Timestamp(written))
        let missing = StrictKeyCalls.result(of: .strictEntry(name, nil, writtenAt: nil), changes: false)
        guard case .failed(let failure) = missing, failure.code == .notFound else {
            Issue.record("\(missing)")
            return
        }
        let lost = Reply.strict(.failed(.unavailable(missing: [], isOutcomeUnknown: true)))
        guard case .failed(let failure) = StrictKeyCalls.result(of: lost, changes: false), failure.outcome == nil else {
            Issue.record("a get changes nothing")
            return
        }
    }

    @Test("A bunch without such puts asks nothing of the group")
    func nothing() throws {
        let other = try put(1, "plain/a")
        #expect(calls().begin([other]) == [other] && calls().begin([]) == [])
        #expect(asked.bunches.withLock { $0.isEmpty })
    }

    @Test("Each reply becomes what a request of its own would be answered with")
    func replies() {
        let put = StrictKeyCalls.result(of: .strict(.answer(.put(version: 3, modified: 12))), changes: true)
        #expect(put == .committed(version: 12))
        let expected: [(Reply, AdminFailure.Code, AdminFailure.Outcome?)] = [
            (.strict(.failed(.tooManyCalls)), .busy, .notDone),
            (.strict(.failed(.unavailable(missing: [], isOutcomeUnknown: true))), .unavailable, .unknown),
            (.strict(.failed(.unavailable(missing: [], isOutcomeUnknown: false))), .unavailable, .notDone),
            (.strict(.failed(.notFormed(missing: []))), .unavailable, .notDone),
            (.strict(.failed(.tooLarge(bytes: 2, max: 1))), .tooLarge, .notDone),
            (.failure(.notReady), .unavailable, .notDone),
        ]
        for (reply, code, outcome) in expected {
            guard case .failed(let failure) = StrictKeyCalls.result(of: reply, changes: true) else {
                Issue.record("\(reply)")
                continue
            }
            #expect(failure.code == code && failure.outcome == outcome, "\(reply): \(failure)")
        }
        guard case .failed = StrictKeyCalls.result(of: .strict(.answer(.deleted(true))), changes: true) else {
            Issue.record("an answer to something else was taken")
            return
        }
    }
}
