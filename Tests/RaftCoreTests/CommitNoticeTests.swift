// SPDX-License-Identifier: Apache-2.0
// Owns the tests of when a leader tells the others what is committed.

import ClusterTypes
import RaftCore
import Testing

@Suite("Notices of commits")
struct CommitNoticeTests {
    private static func leader(_ delay: Interval) -> Bench {
        var bench = Bench { $0.commitNoticeDelay = delay }
        bench.lead()
        bench.pass(delay)
        bench.clear()
        return bench
    }

    /// Commits told to node 2, with the number of entries that went along.
    private static func told(_ bench: Bench) -> [[Int]] {
        bench.appends.filter { $0.to == id(2) }.map { [Int($0.request.commit), $0.request.entries.count] }
    }

    @Test("Without a delay others are told at once")
    func atOnce() {
        var bench = Self.leader(.zero)
        bench.propose("a")
        bench.acknowledge(from: 2)
        #expect(Self.told(bench) == [[1, 1], [2, 0]])
    }

    @Test("With a delay the next entries tell it, and there is no message of its own")
    func withEntries() {
        var bench = Self.leader(.milliseconds(2))
        bench.propose("a")
        bench.acknowledge(from: 2)
        #expect(bench.committed.count == 1, "the leader applies it at once")
        bench.propose("b")
        #expect(Self.told(bench) == [[1, 1], [2, 1]])
        bench.pass(.milliseconds(5))
        #expect(Self.told(bench).count == 2)
    }

    @Test("With a delay and nothing to send others are told when it is over")
    func whenOver() {
        var bench = Self.leader(.milliseconds(2))
        bench.propose("a")
        bench.acknowledge(from: 2)
        bench.pass(.microseconds(1_900))
        #expect(Self.told(bench) == [[1, 1]])
        bench.pass(.microseconds(200))
        #expect(Self.told(bench) == [[1, 1], [2, 0]])
    }

    @Test("Others are told at once when one of them waits for it")
    func hurried() {
        var bench = Self.leader(.milliseconds(2))
        bench.propose("a")
        bench.acknowledge(from: 2)
        bench.raft.tellCommit()
        bench.settle()
        #expect(Self.told(bench) == [[1, 1], [2, 0]])
    }

    @Test("A leader that the log removes tells it before it steps down")
    func removedLeader() {
        var bench = Self.leader(.milliseconds(2))
        #expect(bench.change(.remove(id(1))) == nil)
        bench.acknowledge(from: 2)
        bench.acknowledge(from: 3)
        #expect(!bench.raft.isLeader && Self.told(bench).last == [2, 0])
    }
}
