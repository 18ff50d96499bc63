// SPDX-License-Identifier: Apache-2.0
// Owns the tests of versions that move forward, and of keys that are told anew.

import ClusterTypes
import RaftCore
import StrictCore
import Testing

@Suite("The strict state: versions that move forward, keys told anew")
struct VersionTests {
    @Test("after a raise all that the group numbers is higher: versions, tokens, leases, sessions")
    func raises() throws {
        var bench = Bench()
        let (a, lock) = (try key("a"), try key("l"))
        try bench.apply(.put(a, value: [1], lease: 0))
        #expect(try bench.apply(.raiseVersions(above: 1_000, by: 50)).answer == .raised(to: 1_050))
        #expect(bench.machine.appliedIndex == 2 && bench.machine.revision == 1_050)
        // What is there stays as it is.
        #expect(bench.machine.entry(a)?.modified == 1)
        #expect(try bench.apply(.put(a, value: [2], lease: 0)).answer == .put(version: 2, modified: 1_051))
        let lease = try bench.lease()
        #expect(lease == 1_052)
        #expect(try bench.apply(.acquire(lock: lock, lease: lease, mayWait: false)).answer == .locked(token: 1_053))
        #expect(try bench.apply(.registerSession).answer == .session(1_054))
        #expect(try StrictMachine(snapshot: bench.machine.snapshot) == bench.machine)
    }

    @Test("a raise to what is behind lowers nothing, and one without bound is refused")
    func bounds() throws {
        var bench = Bench()
        #expect(try bench.apply(.raiseVersions(above: 500, by: 0)).answer == .raised(to: 500))
        #expect(try bench.apply(.raiseVersions(above: 400, by: 0)).answer == .raised(to: 501))
        #expect(try bench.apply(.raiseVersions(above: 0, by: 9)).answer == .raised(to: 511))
        let max = StrictBounds.versionMax
        for (above, step) in [(max, 1), (UInt64.max, 0), (UInt64.max, UInt64.max), (0, UInt64.max), (0, max - 511)]
            as [(UInt64, UInt64)]
        {
            let refused = try bench.apply(.raiseVersions(above: above, by: step)).answer
            #expect(refused == .refused(.versionOutOfRange), "above \(above) by \(step)")
        }
        #expect(bench.machine.revision == 516)
        #expect(try bench.apply(.raiseVersions(above: max, by: 0)).answer == .raised(to: max))
        // Entries go on counting.
        #expect(try bench.apply(.put(key("a"), value: [1], lease: 0)).answer == .put(version: 1, modified: max + 1))
        #expect(try StrictMachine(snapshot: bench.machine.snapshot) == bench.machine)
    }

    @Test("a condition on a version holds across a raise, and no version comes twice")
    func conditions() throws {
        var bench = Bench()
        let a = try key("a")
        try bench.apply(.put(a, value: [1], lease: 0))
        try bench.apply(.raiseVersions(above: 0, by: 1_000))
        let right = StrictTransaction(compares: [.modified(a, 1)], then: [.put(a, value: [2], lease: 0)])
        #expect(
            try bench.apply(.transaction(right)).answer == .transaction(succeeded: true, results: [.put(version: 2)]))
        #expect(bench.machine.entry(a)?.modified == 1_003)
        #expect(try bench.apply(.transaction(right)).answer == .transaction(succeeded: false, results: []))
    }

    @Test("a raise in a session is made once, however often it comes")
    func once() throws {
        var bench = Bench()
        guard case .session(let id) = try bench.apply(.registerSession).answer else {
            Issue.record("no session")
            return
        }
        let stamp = SessionStamp(session: id, sequence: 1, answeredThrough: 0)
        let first = try bench.apply(.raiseVersions(above: 0, by: 100), stamp)
        let again = try bench.apply(.raiseVersions(above: 0, by: 100), stamp)
        #expect(first.answer == .raised(to: 102) && again.answer == first.answer && again.isRepeat)
        #expect(bench.machine.revision == 103)
    }

    @Test("keys told anew are changes of the feed and none of the state, also those that are not there")
    func reissues() throws {
        var bench = Bench()
        let (a, b) = (try key("a"), try key("b"))
        try bench.apply(.put(a, value: [1], lease: 0))
        let before = bench.machine.entry(a)
        let outcome = try bench.apply(.reissue([a, b]))
        #expect(outcome.answer == .reissued(2) && outcome.changes.map(\.key) == [a, b])
        #expect(outcome.changes.map(\.new) == [before, nil] && outcome.changes.map(\.old) == [before, nil])
        #expect(bench.machine.entry(a) == before && bench.machine.keyCount == 1 && bench.machine.changeCount == 3)
        #expect(try StrictMachine(snapshot: bench.machine.snapshot) == bench.machine)
    }

    @Test("4 096 steps and the read that tells the version are a transaction")
    func largest() throws {
        let puts = try (0..<4_096).map { StrictStep.put(try key("k\($0)"), value: [1], lease: 0) }
        var bench = Bench()
        let whole = StrictTransaction(then: puts + [.get(try key("k0"))])
        guard case .transaction(succeeded: true, let results) = try bench.apply(.transaction(whole)).answer else {
            Issue.record("refused")
            return
        }
        #expect(results.count == 4_097 && whole.defect == nil)
        let more = StrictTransaction(then: puts + (0..<3).map { _ in .get(puts[0].key) })
        #expect(more.defect == .transactionTooLarge)
    }
}
