// SPDX-License-Identifier: Apache-2.0
// Owns the histories whose versions are places in one order of all writes, as log indexes are.

import ClusterTypes
import Linearizability
import Testing

@Suite("Versions that ascend over all keys")
struct AscendingTests {
    private func verdict(_ calls: [HistoryCall]) -> HistoryVerdict {
        var checker = HistoryChecker()
        checker.versions = .ascending
        return checker.check(calls)
    }

    private func put(_ client: Int, _ begin: Int64, _ end: Int64?, _ key: String, _ value: String, _ version: UInt64)
        -> HistoryCall
    {
        HistoryCall(
            client: client, invoked: begin, returned: end, .put(key, value),
            end == nil ? .nothing : .written(version: version))
    }

    private func get(_ client: Int, _ begin: Int64, _ end: Int64, _ key: String, _ value: String?, _ version: UInt64?)
        -> HistoryCall
    {
        HistoryCall(client: client, invoked: begin, returned: end, .get(key), .found(value, version: version))
    }

    private let base: [HistoryCall] = [
        HistoryCall(client: 1, invoked: 0, returned: 10, .put("a", "1"), .written(version: 5)),
        HistoryCall(client: 1, invoked: 20, returned: 30, .put("b", "2"), .written(version: 9)),
        HistoryCall(client: 1, invoked: 40, returned: 50, .delete("a"), .existed(true)),
        HistoryCall(client: 1, invoked: 60, returned: 70, .put("a", "3"), .written(version: 30)),
        HistoryCall(client: 2, invoked: 80, returned: nil, .put("a", "4")),
        HistoryCall(client: 1, invoked: 90, returned: 100, .get("a"), .found("4", version: 41)),
    ]

    @Test("may have gaps, and do not begin anew after a delete")
    func gaps() {
        #expect(verdict(base) == .linearizable)
        var counted = HistoryChecker()
        counted.versions = .counted
        #expect(!counted.check(base).isLinearizable)
    }

    @Test("that are lower than one seen before are wrong, on whichever key")
    func lower() {
        #expect(!verdict(base + [put(3, 110, 120, "b", "5", 40)]).isLinearizable)
        #expect(!verdict(base + [put(3, 110, 120, "c", "5", 41)]).isLinearizable)
        #expect(verdict(base + [put(3, 110, 120, "c", "5", 42)]) == .linearizable)
        // At the same time as others it may be lower.
        #expect(verdict(base + [put(3, 65, 120, "c", "5", 29)]) == .linearizable)
        #expect(!verdict(base + [put(3, 71, 120, "c", "5", 29)]).isLinearizable)
        #expect(!verdict(base + [get(3, 110, 120, "a", "3", 30)]).isLinearizable)
        let conditional = HistoryCall(
            client: 3, invoked: 110, returned: 120, .compareAndSet(.version("a", 30), "a", "6"),
            .branch(succeeded: true, [.written(version: 50)]))
        #expect(!verdict(base + [conditional]).isLinearizable)
    }

    @Test("that come twice are wrong: for two writes, for two values")
    func twice() {
        let both = [put(1, 0, 100, "a", "1", 5), put(2, 0, 100, "a", "2", 5)]
        let verdict = verdict(both)
        guard case .contradicted(let all) = verdict else {
            Issue.record("not found")
            return
        }
        #expect(all.map(\.calls) == [both])
        #expect(!self.verdict([put(1, 0, 100, "a", "1", 5), get(2, 0, 100, "a", "2", 5)]).isLinearizable)
        // Two keys of one transaction share theirs.
        let transaction = HistoryCall(
            client: 1, invoked: 0, returned: 10,
            .transaction([], then: [.put("a", "1"), .put("b", "1")], otherwise: []),
            .branch(succeeded: true, [.written(version: 7), .written(version: 7)]))
        #expect(self.verdict([transaction, get(2, 20, 30, "b", "1", 7)]) == .linearizable)
        #expect(!self.verdict([transaction, get(2, 20, 30, "b", "1", 6)]).isLinearizable)
    }

    @Test("leave no room for writes without an answer to explain a stale read")
    func stale() {
        var calls: [HistoryCall] = []
        for number in Int64(0)..<300 {
            let version = UInt64(number) * 3 + 1
            if number % 3 == 0 { calls.append(put(1, number * 10, nil, "a", "lost \(number)", 0)) }
            calls.append(put(2, number * 10, number * 10 + 5, "a", "\(number)", version))
            calls.append(get(3, number * 10 + 6, number * 10 + 8, "a", "\(number)", version))
        }
        #expect(verdict(calls) == .linearizable)
        let stale = get(4, 1_509, 1_509, "a", "149", 448)
        guard case .contradicted(let all) = verdict(calls + [stale]) else {
            Issue.record("not found")
            return
        }
        #expect(all.count == 1 && all[0].calls.last == stale && all[0].calls.count == 2, "\(all)")
    }

    @Test("let 100 transactions without an answer be judged, half of which took effect and were seen much later")
    func manyOpen() {
        var calls: [HistoryCall] = []
        var version: UInt64 = 0
        for number in Int64(0)..<100 {
            let begin = number * 100
            let write = [HistoryStep.put("a", "\(number)"), .put("b", "\(number)")]
            let condition = HistoryCondition.version("a", version)
            if number % 2 == 0 {
                // Never took effect, though its condition held for a while.
                calls.append(
                    HistoryCall(
                        client: 1, invoked: begin, returned: nil, .transaction([condition], then: write, otherwise: []))
                )
                continue
            }
            version += 7
            calls.append(
                HistoryCall(
                    client: 2, invoked: begin, returned: nil, .transaction([condition], then: write, otherwise: [])))
            let results = ["a", "b"].map { _ in HistoryObservation.found("\(number)", version: version) }
            calls.append(
                HistoryCall(
                    client: 3, invoked: begin + 50, returned: begin + 60,
                    .transaction([], then: [.get("a"), .get("b")], otherwise: []), .branch(succeeded: true, results)))
        }
        #expect(verdict(calls) == .linearizable)
        // One of them was seen by halves.
        let half = HistoryObservation.branch(
            succeeded: true, [.found("51", version: 7 * 26), .found("49", version: 7 * 25)])
        calls.append(
            HistoryCall(
                client: 4, invoked: 5_155, returned: 5_156,
                .transaction([], then: [.get("a"), .get("b")], otherwise: []), half))
        guard case .contradicted(let all) = verdict(calls) else {
            Issue.record("not found")
            return
        }
        #expect(all[0].calls.contains { $0.observation == half } && all[0].calls.allSatisfy(calls.contains), "\(all)")
    }

    @Test("are judged right for right histories, and random tampering with a version is found", arguments: 1...3)
    func random(seed: UInt64) {
        var rng = SeededGenerator(seed: seed)
        var calls: [HistoryCall] = []
        var state: [String: (value: String, version: UInt64)] = [:]
        var index: UInt64 = 0
        for number in Int64(0)..<200 {
            index += 1 + UInt64(rng.index(below: 3))
            let key = ["a", "b", "c"][rng.index(below: 3)]
            let begin = number * 10 - Int64(rng.index(below: 30))
            let end = number * 10 + Int64(rng.index(below: 30))
            switch rng.index(below: 4) {
            case 0:
                calls.append(get(1, begin, end, key, state[key]?.value, state[key]?.version))
            case 1:
                let condition = HistoryCondition.version(key, state[key]?.version ?? 0)
                calls.append(
                    HistoryCall(
                        client: 1, invoked: begin, returned: end, .compareAndSet(condition, key, "\(number)"),
                        .branch(succeeded: true, [.written(version: index)])))
                state[key] = ("\(number)", index)
            case 2 where rng.chance(0.3):
                calls.append(
                    HistoryCall(
                        client: 1, invoked: begin, returned: end, .delete(key), .existed(state[key] != nil)))
                state[key] = nil
            case _:
                calls.append(put(1, begin, rng.chance(0.2) ? nil : end, key, "\(number)", index))
                state[key] = ("\(number)", index)
            }
        }
        #expect(verdict(calls) == .linearizable, "seed \(seed)")
        var found = 0
        for _ in 0..<20 {
            var wrong = calls
            let place = rng.index(below: wrong.count)
            guard case .written(let version) = wrong[place].observation, version > 60 else { continue }
            wrong[place].observation = .written(version: version - 60)
            #expect(!verdict(wrong).isLinearizable, "seed \(seed)")
            found += 1
        }
        #expect(found > 1)
    }
}
