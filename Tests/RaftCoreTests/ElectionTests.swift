// SPDX-License-Identifier: Apache-2.0
// Owns the tests of elections on one machine: votes, pre-votes, leases, and the failures of others around them.

import ClusterTypes
import RaftCore
import Testing

@Suite("Elections")
struct ElectionTests {
    @Test("a vote leaves only when it is durable, and so does a request for votes (thesis 3.8)")
    func voteAfterPersistence() {
        var bench = Bench()
        bench.isDiskHeld = true
        bench.hear(.vote(last: .zero, isTransfer: false), from: 2, term: 5)
        #expect(bench.sent.isEmpty)
        #expect(bench.held.first?.persistence?.hardState == HardState(term: 5, votedFor: id(2)))
        bench.releaseDisk()
        #expect(bench.messages(to: 2) == [.voteResponse(isGranted: true)])

        var other = Bench()
        other.isDiskHeld = true
        other.hear(.timeoutNow(answered: 0), from: 2)
        #expect(other.raft.role == .candidate && other.sent.isEmpty)
        other.releaseDisk()
        #expect(other.messages(to: 3) == [.vote(last: .zero, isTransfer: true)])
    }

    @Test("a candidate's own vote counts when it is durable: alone, it leads only then")
    func ownVote() {
        var bench = Bench(voters: 1)
        bench.isDiskHeld = true
        bench.pass(.milliseconds(250))
        bench.pass(.milliseconds(400))
        #expect(bench.raft.role == .candidate)
        bench.releaseDisk()
        #expect(bench.raft.isLeader && bench.raft.commitIndex == 1)
    }

    @Test("a leader whose process is known to have ended is replaced at once; no other end matters")
    func leaderGone() {
        var cluster = Cluster(voters: 3, seed: 4)
        cluster.run(for: .seconds(2))
        guard let leader = cluster.leader, let follower = cluster.order.first(where: { $0 != leader }) else {
            Issue.record("nobody leads")
            return
        }
        let now = cluster.now
        cluster.act(leader) { $0.onPeerGone(follower, now: now, using: &$1) }
        cluster.act(follower) { $0.onPeerGone(id(9), now: now, using: &$1) }
        cluster.run(for: .milliseconds(200))
        #expect(cluster.leader == leader && cluster.nodes[follower]?.raft?.leader == leader)
        cluster.crash(leader)
        let killed = cluster.now
        for other in cluster.order where other != leader {
            cluster.act(other) { $0.onPeerGone(leader, now: killed, using: &$1) }
        }
        cluster.run(for: .milliseconds(100))
        #expect(cluster.leader != nil && cluster.leader != leader)
        #expect(cluster.checker.violations.isEmpty)
    }

    @Test("one vote a term, the same answer to the same asker, also after a restart (thesis 3.4)")
    func oneVote() {
        var bench = Bench()
        bench.hear(.vote(last: .zero, isTransfer: false), from: 2, term: 5)
        bench.hear(.vote(last: .zero, isTransfer: false), from: 3, term: 5)
        bench.hear(.vote(last: .zero, isTransfer: false), from: 2, term: 5)
        #expect(bench.sent.map(\.body) == [true, false, true].map { .voteResponse(isGranted: $0) })
        var state = RestoredState(founding: bench.raft.membership)
        state.hardState = HardState(term: 5, votedFor: id(2))
        var again = Bench(restoring: state)
        again.hear(.vote(last: .zero, isTransfer: false), from: 3, term: 5)
        #expect(again.messages(to: 3) == [.voteResponse(isGranted: false)])
    }

    @Test(
        "a vote goes only to a log that is at least as up to date (thesis 3.6.1)",
        arguments: [
            (LogPosition(term: 2, index: 3), true), (LogPosition(term: 2, index: 2), false),
            (LogPosition(term: 3, index: 1), true), (LogPosition(term: 1, index: 9), false),
        ])
    func upToDate(last: LogPosition, isGranted: Bool) {
        var bench = Bench()
        bench.append(["x", "y", "z"], from: 3, term: 2)
        bench.now = bench.now + .seconds(1)
        bench.clear()
        bench.hear(.vote(last: last, isTransfer: false), from: 2, term: 4)
        #expect(bench.messages(to: 2) == [.voteResponse(isGranted: isGranted)])
    }

    @Test(
        "who hears of a leader neither votes nor takes over a later term, unless the leader asked for it (thesis 4.2.3)"
    )
    func lease() {
        var bench = Bench()
        bench.hear(.heartbeat(commit: 0, round: 1), from: 3, term: 2)
        bench.clear()
        bench.hear(.vote(last: .zero, isTransfer: false), from: 2, term: 9)
        #expect(bench.raft.term == 2 && bench.sent.isEmpty)
        bench.hear(.preVote(last: .zero), from: 2, term: 9)
        #expect(bench.raft.term == 2 && bench.messages(to: 2) == [.preVoteResponse(isGranted: false)])
        bench.hear(.vote(last: .zero, isTransfer: true), from: 2, term: 9)
        #expect(bench.raft.term == 9 && bench.raft.votedFor == id(2))
    }

    @Test("the lease ends with the election timeout")
    func leaseEnds() {
        var bench = Bench()
        bench.hear(.heartbeat(commit: 0, round: 1), from: 3, term: 2)
        bench.now = bench.now + bench.raft.configuration.electionTimeout
        bench.hear(.vote(last: .zero, isTransfer: false), from: 2, term: 9)
        #expect(bench.raft.term == 9 && bench.raft.votedFor == id(2))
    }

    @Test("a pre-vote changes nothing on either side (thesis 9.6)")
    func preVoteIsFree() {
        var bench = Bench()
        bench.hear(.preVote(last: .zero), from: 2, term: 7)
        #expect(bench.sent == [RaftMessage(from: id(1), to: id(2), term: 7, body: .preVoteResponse(isGranted: true))])
        #expect(bench.raft.term == 0 && bench.persisted.isEmpty)
        bench.pass(.milliseconds(700))
        #expect(bench.raft.role == .preCandidate && bench.raft.term == 0 && bench.persisted.isEmpty)
    }

    @Test("votes of strangers, of learners, and second answers count for nothing")
    func strangers() {
        var bench = Bench(voters: 5)
        bench.hear(.timeoutNow(answered: 0), from: 2)
        bench.hear(.voteResponse(isGranted: true), from: 9)
        bench.hear(.voteResponse(isGranted: true), from: 2)
        bench.hear(.voteResponse(isGranted: true), from: 2)
        #expect(bench.raft.role == .candidate)
        bench.hear(.voteResponse(isGranted: true), from: 3)
        #expect(bench.raft.isLeader)
    }

    @Test(
        "etcd #8501: a node with a later term and a shorter log tells the leader of former terms, which then gives way")
    func stuckWithLaterTerm() {
        // The stuck node: its answer to an append of a former term carries its own.
        var state = RestoredState(founding: RaftMembership(voters: [id(1), id(2), id(3)]))
        state.hardState = HardState(term: 10, votedFor: id(1))
        var stuck = Bench(restoring: state)
        stuck.hear(
            .append(AppendRequest(previous: .zero, commit: 0, entries: [])), from: 2, term: 5)
        #expect(stuck.sent.map(\.term) == [10])
        // The leader: takes the term over, and is elected above it.
        var leader = Bench()
        leader.lead()
        leader.hear(.appendResponse(AppendResponse(outcome: .staleTerm)), from: 3, term: 10)
        #expect(leader.raft.role == .follower && leader.raft.term == 10)
        leader.hear(.timeoutNow(answered: 0), from: 2)
        leader.hear(.voteResponse(isGranted: true), from: 3)
        #expect(leader.raft.isLeader && leader.raft.term == 11)
    }

    @Test("openraft #1796: a pre-vote that is refused for its term brings the asker up to date")
    func preVoteBehind() {
        var ahead = Bench()
        ahead.hear(.vote(last: .zero, isTransfer: false), from: 3, term: 8)
        ahead.clear()
        ahead.hear(.preVote(last: .zero), from: 2, term: 5)
        #expect(ahead.sent == [RaftMessage(from: id(1), to: id(2), term: 8, body: .preVoteResponse(isGranted: false))])
        var behind = Bench()
        behind.pass(.milliseconds(700))
        behind.hear(.preVoteResponse(isGranted: false), from: 3, term: 8)
        #expect(behind.raft.term == 8 && behind.raft.role == .follower)
    }

    @Test("raft-rs #84: with pre-vote and check-quorum together, whoever has a later term rejoins and is led again")
    func preVoteAndCheckQuorum() {
        var cluster = Cluster(voters: 3, seed: 4)
        cluster.run(for: .milliseconds(700))
        // It stands without asking, alone, again and again: its term runs ahead.
        let lost = id(1)
        for other in [id(2), id(3)] { cluster.cuts.formUnion([[lost, other], [other, lost]]) }
        cluster.run(for: .seconds(2))
        let term = cluster.nodes[lost]?.raft?.term ?? 0
        for step in 0..<5 {
            cluster.crash(lost)
            cluster.restart(lost)
            let now = cluster.now
            let word = RaftMessage(from: id(2), to: lost, term: term + Term(step), body: .timeoutNow(answered: 0))
            cluster.act(lost) { $0.onMessage(word, now: now, using: &$1) }
            cluster.run(for: .milliseconds(5))
        }
        #expect(cluster.nodes[lost]?.raft?.term == term + 5)
        cluster.cuts.removeAll()
        cluster.run(for: .seconds(3))
        let terms = Set(cluster.order.compactMap { cluster.nodes[$0]?.raft?.term })
        #expect(terms.count == 1 && cluster.leader != nil)
        #expect(cluster.checker.violations.isEmpty)
    }

    @Test("a leader steps down without contact with a quorum within an election timeout, and not before (thesis 6.2)")
    func checkQuorum() {
        var bench = Bench(voters: 5)
        bench.hear(.timeoutNow(answered: 0), from: 2)
        bench.hear(.voteResponse(isGranted: true), from: 2)
        bench.hear(.voteResponse(isGranted: true), from: 3)
        for _ in 0..<10 {
            bench.pass(.milliseconds(200))
            for peer in [2, 3] {
                bench.hear(.heartbeatResponse(round: bench.lastRound ?? 0, isRefetching: false), from: peer)
            }
        }
        #expect(bench.raft.isLeader)
        bench.pass(.milliseconds(299))
        #expect(bench.raft.isLeader)
        bench.pass(.milliseconds(2))
        #expect(!bench.raft.isLeader && bench.raft.term == 1)
    }

    @Test("hashicorp/raft #503: a leader counts itself by its own disk, and steps down when that stalls")
    func diskStall() {
        var bench = Bench()
        bench.lead()
        bench.acknowledge(from: 3)
        bench.clear()
        bench.isDiskHeld = true
        bench.propose("x")
        // The appends do not wait for the leader's disk (thesis 10.2.1), its own vote for them does.
        #expect(bench.appends.count == 2)
        bench.acknowledge(from: 2)
        #expect(bench.raft.commitIndex == 1 && bench.raft.persistedIndex == 1)
        for _ in 0..<3 {
            bench.pass(.milliseconds(90))
            bench.hear(.heartbeatResponse(round: bench.lastRound ?? 0, isRefetching: false), from: 2)
        }
        #expect(bench.raft.isLeader)
        bench.pass(.milliseconds(40))
        #expect(bench.raft.role == .follower)
        #expect(bench.messages(to: 2).contains(.timeoutNow(answered: 0)), "the one that has most is asked to take over")
        #expect(
            bench.events.contains { if case .roleChanged(_, _, .diskStalled) = $0 { true } else { false } })
    }

    @Test("a node with a stalled disk does not stand")
    func stalledDoesNotStand() {
        var bench = Bench()
        bench.isDiskHeld = true
        bench.append(["x"], from: 2, term: 1)
        bench.pass(.seconds(3))
        #expect(bench.raft.role == .follower && bench.raft.term == 1 && bench.raft.leader == nil)
        bench.releaseDisk()
        bench.pass(.seconds(1))
        #expect(bench.raft.role == .preCandidate)
    }
}
