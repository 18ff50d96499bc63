// SPDX-License-Identifier: Apache-2.0
// Owns histories that are known to be right or wrong, and what is said of the wrong ones.

import Linearizability
import Testing

/// `from` and `to` are in milliseconds; no `to`: no answer.
func call(
    _ client: Int, _ from: Int64, _ to: Int64?, _ operation: HistoryOperation,
    _ observation: HistoryObservation = .nothing
) -> HistoryCall {
    HistoryCall(
        client: client, invoked: from * 1_000_000, returned: to.map { $0 * 1_000_000 }, operation, observation)
}

/// Puts key `a` if the lock `l` is held under the token.
private func fenced(_ token: UInt64, _ value: String) -> HistoryOperation {
    .transaction([.holds("l", token: token)], then: [.put("a", value)], otherwise: [])
}

struct KnownHistory: CustomTestStringConvertible {
    var testDescription: String
    var isRight: Bool
    var calls: [HistoryCall]

    init(_ title: String, _ isRight: Bool, _ calls: [HistoryCall]) {
        testDescription = title
        self.isRight = isRight
        self.calls = calls
    }

    static let registers: [KnownHistory] = [
        KnownHistory("nothing at all", true, []),
        KnownHistory(
            "a read during a write sees the old or the new value", true,
            [
                call(1, 0, 10, .put("a", "1")), call(1, 20, 90, .put("a", "2")),
                call(2, 30, 40, .get("a"), .found("1")), call(3, 50, 60, .get("a"), .found("2")),
            ]),
        KnownHistory(
            "two reads during a write that go back in time", false,
            [
                call(1, 0, 10, .put("a", "1")), call(1, 20, 90, .put("a", "2")),
                call(2, 30, 40, .get("a"), .found("2")), call(3, 50, 60, .get("a"), .found("1")),
            ]),
        KnownHistory(
            "a stale read", false,
            [
                call(1, 0, 10, .put("a", "1")), call(1, 20, 30, .put("a", "2")),
                call(2, 40, 50, .get("a"), .found("1")),
            ]),
        KnownHistory(
            "a lost write", false,
            [call(1, 0, 10, .put("a", "1")), call(2, 20, 30, .get("a"), .found(nil))]),
        KnownHistory(
            "an increment that was applied twice", false,
            [
                call(1, 0, 10, .increment("a", by: 1), .number(1)), call(1, 20, 30, .increment("a", by: 1), .number(3)),
            ]),
        KnownHistory(
            "two increments that saw the same number", false,
            [
                call(1, 0, 30, .increment("a", by: 1), .number(1)), call(2, 0, 30, .increment("a", by: 1), .number(1)),
            ]),
        KnownHistory(
            "a write without an answer that happened late", true,
            [
                call(1, 0, nil, .put("a", "1")), call(2, 10, 20, .get("a"), .found(nil)),
                call(2, 30, 40, .get("a"), .found("1")),
            ]),
        KnownHistory(
            "a write without an answer that never happened", true,
            [call(1, 0, nil, .put("a", "1")), call(2, 10, 20, .get("a"), .found(nil))]),
        KnownHistory(
            "a write without an answer that happened and was undone", false,
            [
                call(1, 0, nil, .put("a", "1")), call(2, 10, 20, .get("a"), .found("1")),
                call(2, 30, 40, .get("a"), .found(nil)),
            ]),
        KnownHistory(
            "a value that comes again, by a write without an answer", true,
            [
                call(1, 0, 10, .put("a", "1")), call(2, 0, nil, .put("a", "1")), call(1, 20, 30, .put("a", "2")),
                call(3, 40, 50, .get("a"), .found("2")), call(3, 60, 70, .get("a"), .found("1")),
            ]),
        KnownHistory(
            "a write without an answer that was applied twice", false,
            [
                call(1, 0, nil, .increment("a", by: 1)), call(2, 10, 20, .get("a"), .found("1")),
                call(2, 30, 40, .get("a"), .found("2")),
            ]),
        KnownHistory(
            "two of three increments without an answer happened", true,
            [
                call(1, 0, nil, .increment("a", by: 1)), call(2, 0, nil, .increment("a", by: 1)),
                call(3, 0, nil, .increment("a", by: 1)), call(4, 10, 20, .get("a"), .found("2", version: 2)),
            ]),
        KnownHistory(
            "a read from before the write that it sees was asked for", false,
            [call(2, 0, 10, .get("a"), .found("1")), call(1, 20, nil, .put("a", "1"))]),
        KnownHistory(
            "a version that skips a write", false,
            [
                call(1, 0, 10, .put("a", "1"), .written(version: 1)),
                call(1, 20, 30, .put("a", "2"), .written(version: 3)),
            ]),
        KnownHistory(
            "a version that begins anew after a delete", true,
            [
                call(1, 0, 10, .put("a", "1"), .written(version: 1)), call(1, 20, 30, .delete("a"), .existed(true)),
                call(1, 40, 50, .put("a", "1"), .written(version: 1)),
            ]),
    ]

    static let transactions: [KnownHistory] = [
        KnownHistory(
            "two compare-and-sets from one version that both held", false,
            [
                call(1, 0, 10, .put("a", "0")),
                call(1, 20, 50, .compareAndSet(.version("a", 1), "a", "1"), .branch(succeeded: true)),
                call(2, 20, 50, .compareAndSet(.version("a", 1), "a", "2"), .branch(succeeded: true)),
            ]),
        KnownHistory(
            "one of two compare-and-sets held", true,
            [
                call(1, 0, 10, .put("a", "0")),
                call(1, 20, 50, .compareAndSet(.version("a", 1), "a", "1"), .branch(succeeded: true)),
                call(2, 20, 50, .compareAndSet(.version("a", 1), "a", "2"), .branch(succeeded: false)),
                call(2, 60, 70, .get("a"), .found("1", version: 2)),
            ]),
        KnownHistory(
            "half of a transaction", false,
            [
                call(
                    1, 0, 10, .transaction([], then: [.put("a", "1"), .put("b", "1")], otherwise: []),
                    .branch(succeeded: true)),
                call(2, 20, 30, .get("a"), .found("1")), call(2, 40, 50, .get("b"), .found(nil)),
            ]),
        KnownHistory(
            "write skew: each of two saw the other's key empty", false,
            [
                call(
                    1, 0, 30, .transaction([.exists("a", false)], then: [.put("b", "1")], otherwise: []),
                    .branch(succeeded: true, [.written(version: 1)])),
                call(
                    2, 0, 30, .transaction([.exists("b", false)], then: [.put("a", "1")], otherwise: []),
                    .branch(succeeded: true, [.written(version: 1)])),
            ]),
        KnownHistory(
            "each key by itself is right, a transaction that reads both is not", false,
            [
                call(1, 0, 10, .put("a", "1")), call(1, 20, 30, .put("b", "1")),
                call(
                    2, 5, 40, .transaction([], then: [.get("a"), .get("b")], otherwise: []),
                    .branch(succeeded: true, [.found(nil), .found("1")])),
            ]),
    ]

    static var all: [KnownHistory] { registers + transactions + unanswered }

    static let unanswered: [KnownHistory] = [
        KnownHistory(
            "of two writes without an answer the second came first", true,
            [
                call(1, 0, nil, .put("a", "1")), call(2, 0, nil, .put("a", "2")),
                call(3, 10, 20, .compareAndSet(.exists("a", true), "a", "9"), .branch(succeeded: true)),
                call(3, 30, 40, .compareAndSet(.value("a", "1"), "a", "5"), .branch(succeeded: true)),
            ]),
        KnownHistory(
            "a transaction without an answer writes keys whose versions differ", true,
            [
                call(1, 0, 10, .put("a", "1"), .written(version: 1)),
                call(2, 20, nil, .transaction([], then: [.put("a", "2"), .put("b", "2")], otherwise: [])),
                call(3, 30, 40, .get("a"), .found("2", version: 2)),
                call(3, 50, 60, .get("b"), .found("2", version: 1)),
            ]),
        KnownHistory(
            "of two writes without an answer one came twice", false,
            [
                call(1, 0, nil, .put("a", "1")), call(2, 0, nil, .put("a", "2")),
                call(3, 10, 20, .compareAndSet(.value("a", "1"), "a", "9"), .branch(succeeded: true)),
                call(3, 30, 40, .compareAndSet(.value("a", "1"), "a", "5"), .branch(succeeded: true)),
            ]),
    ]

    static let locks: [KnownHistory] = [
        KnownHistory(
            "a lock that goes from hand to hand", true,
            [
                call(1, 0, 10, .acquire("l", owner: 1), .locked(token: 4)),
                call(2, 5, 50, .acquire("l", owner: 2), .locked(token: 9)),
                call(3, 15, 20, .acquire("l", owner: 3), .busy),
                call(1, 30, 40, .release("l", owner: 1), .existed(true)),
                call(1, 60, 70, .release("l", owner: 1), .existed(false)),
            ]),
        KnownHistory(
            "a lock with two holders", false,
            [
                call(1, 0, 10, .acquire("l", owner: 1), .locked(token: 4)),
                call(2, 20, 30, .acquire("l", owner: 2), .locked(token: 9)),
            ]),
        KnownHistory(
            "the holder's lease may have ended", true,
            [
                call(1, 0, 10, .acquire("l", owner: 1), .locked(token: 4)),
                call(0, 0, nil, .release("l", owner: 1)),
                call(2, 20, 30, .acquire("l", owner: 2), .locked(token: 9)),
            ]),
        KnownHistory(
            "a fencing token that goes back", false,
            [
                call(1, 0, 10, .acquire("l", owner: 1), .locked(token: 9)),
                call(1, 20, 30, .release("l", owner: 1), .existed(true)),
                call(2, 40, 50, .acquire("l", owner: 2), .locked(token: 4)),
            ]),
        KnownHistory(
            "busy although nobody held it", false, [call(3, 15, 20, .acquire("l", owner: 3), .busy)]),
        KnownHistory(
            "a holder writes, loses the lock and writes no more", true,
            [
                call(1, 0, 10, .acquire("l", owner: 1), .locked(token: 4)),
                call(1, 20, 30, fenced(4, "1"), .branch(succeeded: true)),
                call(0, 0, nil, .release("l", owner: 1)),
                call(2, 20, 60, .acquire("l", owner: 2), .locked(token: 9)),
                call(2, 70, 80, fenced(9, "2"), .branch(succeeded: true)),
                call(1, 85, 90, fenced(4, "3"), .branch(succeeded: false)),
                call(3, 100, 110, .get("a"), .found("2")),
            ]),
        KnownHistory(
            "a holder that lost the lock writes all the same", false,
            [
                call(1, 0, 10, .acquire("l", owner: 1), .locked(token: 4)),
                call(0, 0, nil, .release("l", owner: 1)),
                call(2, 20, 60, .acquire("l", owner: 2), .locked(token: 9)),
                call(1, 70, 80, fenced(4, "1"), .branch(succeeded: true)),
            ]),
        KnownHistory(
            "a write in the name of a lock that was given back", false,
            [
                call(1, 0, 10, .acquire("l", owner: 1), .locked(token: 4)),
                call(1, 20, 30, .release("l", owner: 1), .existed(true)),
                call(1, 40, 50, fenced(4, "1"), .branch(succeeded: true)),
            ]),
        KnownHistory(
            "the holder is refused", false,
            [
                call(1, 0, 10, .acquire("l", owner: 1), .locked(token: 4)),
                call(1, 40, 50, fenced(4, "1"), .branch(succeeded: false)),
            ]),
        KnownHistory(
            "the same holder is told another token", false,
            [
                call(1, 0, 10, .acquire("l", owner: 1), .locked(token: 4)),
                call(1, 20, 30, .acquire("l", owner: 1), .locked(token: 5)),
            ]),
        KnownHistory(
            "who acquired without an answer may write under a token that it heard of later", true,
            [
                call(1, 0, nil, .acquire("l", owner: 1)),
                call(1, 20, 30, fenced(4, "1"), .branch(succeeded: true)),
                call(2, 40, 50, .acquire("l", owner: 2), .busy),
            ]),
    ]
}

@Suite("Histories known to be right or wrong")
struct KnownHistoryTests {
    @Test("is judged as it is", arguments: KnownHistory.all + KnownHistory.locks)
    func known(history: KnownHistory) {
        let verdict = HistoryChecker().check(history.calls)
        #expect(verdict.isLinearizable == history.isRight, "\(verdict)")
        // The order of the list is of no meaning.
        #expect(HistoryChecker().check(history.calls.reversed()).isLinearizable == history.isRight)
    }

    @Test("is judged by brute force as well", arguments: KnownHistory.all)
    func bruteForce(history: KnownHistory) {
        #expect(isLinearizableByBruteForce(history.calls) == history.isRight)
    }

    @Test("an answer that the operation cannot give is wrong")
    func absurd() {
        #expect(!HistoryChecker().check([call(1, 0, 1, .put("a", "1"), .number(3))]).isLinearizable)
        let few = call(
            1, 0, 1, .transaction([], then: [.get("a")], otherwise: []), .branch(succeeded: true, [.nothing, .nothing]))
        #expect(!HistoryChecker().check([few]).isLinearizable)
        #expect(
            !HistoryChecker().check([
                call(1, 0, 1, .increment("a", by: 1)), call(1, 2, 3, .put("a", "x")),
                call(1, 4, 5, .increment("a", by: 1)),
            ]).isLinearizable)
    }

    @Test("nothing is held against a history whose keys were in use before")
    func inUse() {
        var checker = HistoryChecker()
        checker.beginsEmpty = false
        let calls = [
            call(1, 0, 10, .get("a"), .found("7", version: 4)), call(1, 20, 30, .increment("a", by: 1), .number(8)),
            call(1, 40, 50, .get("a"), .found("8", version: 5)),
        ]
        #expect(checker.check(calls) == .linearizable)
        #expect(!HistoryChecker().check(calls).isLinearizable)
        #expect(!checker.check(calls + [call(2, 60, 70, .get("a"), .found("7"))]).isLinearizable)
    }

    @Test("a contradiction is told by the calls that make it, in text to be read")
    func text() throws {
        var calls: [HistoryCall] = []
        for number in Int64(0)..<100 {
            calls.append(call(1, number * 10, number * 10 + 5, .put("app/color", "c\(number)")))
            calls.append(call(2, number * 10 + 1, number * 10 + 8, .get("app/color"), .found("c\(number)")))
            calls.append(call(3, number * 10, number * 10 + 5, .put("app/size", "s\(number)")))
        }
        calls.append(call(4, 616, 618, .get("app/color"), .found("c60")))
        guard case .contradicted(let all) = HistoryChecker().check(calls) else {
            Issue.record("not found")
            return
        }
        let expected = """
            app/color: not linearizable between 0.611000 s and 0.618000 s. No order of these calls explains their answers:
              client 1  [0.610000 s - 0.615000 s]  put app/color = c61 -> done
              client 2  [0.611000 s - 0.618000 s]  get app/color -> c61
              client 4  [0.616000 s - 0.618000 s]  get app/color -> c60
            """
        #expect(all.map(\.description) == [expected])
        #expect(all[0].from == 611_000_000 && all[0].others == 0)
    }

    @Test("a value that nobody wrote is told by the read and the write before it")
    func fromNowhere() {
        var calls = (Int64(0)..<200).map {
            call(1, $0 * 10, $0 * 10 + 5, .put("a", "\($0)"), .written(version: UInt64($0) + 1))
        }
        calls.append(call(2, 907, 908, .get("a"), .found("x")))
        let verdict = HistoryChecker().check(calls)
        guard case .contradicted(let all) = verdict else {
            Issue.record("not found")
            return
        }
        #expect(all[0].calls == [calls[90], calls[200]], "\(verdict)")
    }

    @Test("who gives up says so and for which keys")
    func undecided() {
        var checker = HistoryChecker()
        checker.configurationsMax = 50
        var calls = (0..<12).map { call($0, 0, 100, .put("a", "\($0)")) }
        calls.append(call(20, 200, 210, .get("a"), .found("3", version: 40)))
        #expect(checker.check(calls) == .undecided(keys: ["a"]))
    }
}
