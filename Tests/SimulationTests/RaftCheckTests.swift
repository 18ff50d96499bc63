// SPDX-License-Identifier: Apache-2.0
// Owns the proof that each safety property of Raft is checked: real machines whose disks were tampered with, beside honest ones.

import ClusterTypes
import RaftCore
import Simulator
import Testing

private func entry(_ term: Term, _ index: LogIndex, _ text: String) -> LogEntry {
    LogEntry(term: term, index: index, payload: .command(Array(text.utf8)))
}

@Suite("The check of Raft's safety")
struct RaftCheckTests {
    private let now = Instant(nanoseconds: 1)

    private func look(_ nodes: Lone...) -> RaftCheck {
        var check = RaftCheck(nodes: nodes.count)
        for (node, lone) in nodes.enumerated() { _ = check.look(at: lone.raft, node: node, now: now) }
        return check
    }

    private func tells(_ check: RaftCheck, _ words: String) -> Bool {
        check.violations.first.contains { $0.contains(words) }
    }

    @Test("A leader, and a follower with a part of its log, are accepted, and what is committed is told once, in order")
    func honest() throws {
        var leader = try Lone(1, term: 0)
        leader.lead()
        var check = RaftCheck(nodes: 2)
        #expect(check.look(at: leader.raft, node: 0, now: now).map(\.index) == [1])
        for text in ["x", "y"] { try leader.write(text) }
        #expect(check.look(at: leader.raft, node: 0, now: now).map(\.index) == [2, 3])
        let behind = try Lone(2, term: 1, commit: 1, (1...2).compactMap { leader.raft.entry(at: $0) })
        #expect(check.look(at: behind.raft, node: 1, now: now).isEmpty)
        // It restarts, and what its disk brings back is looked at anew.
        check.ended(node: 0)
        #expect(check.look(at: leader.raft, node: 0, now: now).isEmpty)
        #expect(check.violations.count == 0 && check.leadersSeen == 1 && check.committedThrough == 3)
    }

    @Test("Election safety: two leaders in one term are found, in different terms they are not")
    func twoLeaders() throws {
        var (one, other) = (try Lone(1, term: 4), try Lone(2, term: 4))
        one.lead()
        other.lead()
        #expect(tells(look(one, other), "election safety: n2 and n1 both lead in term 5"))
        var later = try Lone(2, term: 5, [1].compactMap { one.raft.entry(at: $0) })
        later.lead()
        #expect(look(one, later).violations.count == 0)
    }

    @Test("Log matching: one position with two contents, or after two terms, is found before anything is committed")
    func twoEntries() throws {
        let one = try Lone(1, term: 2, [entry(1, 1, "x"), entry(2, 2, "y")])
        #expect(tells(look(one, try Lone(2, term: 2, [entry(1, 1, "z")])), "log matching: n2 has another entry 1/1"))
        let gone = try Lone(2, term: 2, [entry(2, 1, "x"), entry(2, 2, "y")])
        #expect(tells(look(one, gone), "log matching: n2 has another entry 2/2"))
        let replaced = try Lone(2, term: 2, [entry(1, 1, "x"), entry(1, 2, "w")])
        #expect(look(one, replaced).violations.count == 0)
    }

    @Test("Log matching: what a disk brings back changed is found")
    func rottenLog() throws {
        var check = look(try Lone(1, term: 2, [entry(1, 1, "x"), entry(2, 2, "y")]))
        check.ended(node: 0)
        _ = check.look(at: try Lone(1, term: 2, [entry(1, 1, "q"), entry(2, 2, "y")]).raft, node: 0, now: now)
        #expect(tells(check, "log matching: n1 has another entry 1/1"))
    }

    @Test("Leader completeness: a leader without what was committed is found, whichever of the two came first")
    func forgetfulLeader() throws {
        var one = try Lone(1, term: 0)
        one.lead()
        try one.write("x")
        var forgetful = try Lone(2, term: 3, [1].compactMap { one.raft.entry(at: $0) })
        forgetful.lead(commits: false)
        let words = "leader completeness: n%d leads in term 4 without the committed entry 1/2"
        #expect(tells(look(one, forgetful), words.replacing("%d", with: "2")))
        #expect(tells(look(forgetful, one), words.replacing("%d", with: "1")))
        var honest = try Lone(2, term: 3, (1...2).compactMap { one.raft.entry(at: $0) })
        honest.lead(commits: false)
        #expect(look(one, honest).violations.count == 0)
        #expect(look(honest, one).violations.count == 0)
    }

    @Test("State machine safety: two entries committed under one index are found")
    func twoCommitted() throws {
        let one = try Lone(1, term: 1, commit: 1, [entry(1, 1, "x")])
        let other = try Lone(2, term: 2, commit: 1, [entry(2, 1, "x")])
        #expect(tells(look(one, other), "state machine safety: n2 has committed 2/1, and another entry of term 1 was"))
        #expect(look(one, try Lone(2, term: 2, commit: 1, [entry(1, 1, "x")])).violations.count == 0)
    }
}
