// SPDX-License-Identifier: Apache-2.0
// Owns the proof that a group which was recovered is checked as the one before it was.

import ClusterTypes
import RaftCore
import Simulator
import StrictCore
import Testing

@Suite("The check of strict groups one after another")
struct StrictGroupCheckTests {
    private let now = Instant(nanoseconds: 1)

    private static func command(_ operation: StrictOperation) -> [UInt8] {
        StrictCommand(time: 1, operation).encoded
    }

    /// What the entries come to that a node has committed.
    private func machine(_ lone: Lone, leavingOut left: LogIndex? = nil) throws -> StrictMachine {
        var machine = StrictMachine()
        for index in 1...lone.raft.commitIndex {
            guard index != left, case .command(let bytes)? = lone.raft.entry(at: index)?.payload else {
                machine.skip(through: index)
                continue
            }
            _ = try machine.apply(bytes, at: index)
        }
        return machine
    }

    /// A group that granted a lease and gave it a lock, as its only voter and the check know it.
    private func former() throws -> (Lone, StrictGroupCheck, lock: StrictKey) {
        let lock = try #require(StrictKey("deploy"))
        var lone = try Lone(1, term: 0)
        lone.lead()
        try lone.write(Self.command(.grantLease(milliseconds: 1_000)))
        try lone.write(Self.command(.acquire(lock: lock, lease: lone.raft.commitIndex, mayWait: true)))
        var check = StrictGroupCheck(group: 7, nodes: 2, keepsEntries: true)
        _ = check.look(at: lone.raft, try machine(lone), node: 0, now: now)
        #expect(check.violations.allSatisfy { $0.first.isEmpty })
        return (lone, check, lock)
    }

    /// The same log in a later term, and one more entry.
    private func recovered(from lone: Lone, _ more: StrictOperation) throws -> Lone {
        let entries = (1...lone.raft.commitIndex).compactMap { lone.raft.entry(at: $0) }
        var next = try Lone(2, term: lone.raft.term + 1, commit: lone.raft.commitIndex, entries)
        next.lead()
        try next.write(Self.command(more))
        return next
    }

    @Test("A group goes on with the locks and leases of the one before, and its entries are not counted twice")
    func honest() throws {
        let (lone, earlier, lock) = try former()
        let next = try recovered(from: lone, .release(lock: lock, lease: 2))
        var check = StrictGroupCheck(group: 8, nodes: 2, after: earlier, through: lone.raft.commitIndex)
        _ = check.look(at: next.raft, try machine(next), node: 1, now: now)
        #expect(check.violations.allSatisfy { $0.first.isEmpty }, "\(check.violations)")
        #expect(check.state.gave(lock, to: 2, token: 3))
        #expect(check.state.machine.lock(lock) == nil && check.state.comparisons == 1)
        #expect(earlier.state.tokens == 1 && check.state.tokens == 0)
    }

    @Test("A state that lost what the former group had committed is found")
    func lostState() throws {
        let (lone, earlier, lock) = try former()
        let next = try recovered(from: lone, .release(lock: lock, lease: 2))
        var check = StrictGroupCheck(group: 8, nodes: 2, after: earlier, through: lone.raft.commitIndex)
        _ = check.look(at: next.raft, try machine(next, leavingOut: 2), node: 1, now: now)
        #expect(check.violations.contains { $0.first.contains { $0.contains("has another state at") } })
    }

    @Test("A log that lost what the former group had committed is found")
    func lostEntry() throws {
        let (lone, earlier, lock) = try former()
        let through = lone.raft.commitIndex
        var next = try Lone(2, term: lone.raft.term + 1)
        next.lead()
        for _ in 0..<through { try next.write(Self.command(.release(lock: lock, lease: 2))) }
        var check = StrictGroupCheck(group: 8, nodes: 2, after: earlier, through: through)
        _ = check.look(at: next.raft, try machine(next), node: 1, now: now)
        #expect(check.violations.contains { $0.first.contains { $0.contains("has another state at") } })
    }
}
