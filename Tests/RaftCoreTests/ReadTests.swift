// SPDX-License-Identifier: Apache-2.0
// Owns the tests of reads, membership and transfers on one machine, and of messages that no honest peer sends.

import ClusterTypes
import RaftCore
import Testing

@Suite("Reads")
struct ReadTests {
    private func confirm(_ bench: inout Bench, from: Int) {
        bench.hear(.heartbeatResponse(round: bench.lastRound ?? 0, isRefetching: false), from: from)
    }

    @Test("a read waits for the term's first entry and for a round of heartbeats that began after it (thesis 6.4)")
    func order() {
        var bench = Bench()
        bench.lead(isEstablished: false)
        #expect(bench.read(1) == nil)
        confirm(&bench, from: 2)
        #expect(bench.reads.isEmpty && bench.lastRound == nil, "no round before the no-op is committed")
        bench.acknowledge(from: 2)
        #expect(bench.reads.isEmpty)
        confirm(&bench, from: 2)
        #expect(bench.reads.map(\.index) == [1])
    }

    @Test("reads that come together share one round")
    func batch() throws {
        var bench = Bench()
        bench.lead()
        for token in UInt64(1)...100 { try bench.raft.requestRead(token: token, now: bench.now) }
        bench.settle()
        #expect(bench.messages(to: 2).count == 1)
        confirm(&bench, from: 3)
        #expect(bench.reads.map(\.token) == Array(1...100))
    }

    @Test("etcd raft #397: an answer to an earlier round, term or process confirms nothing")
    func reusedIDs() {
        var bench = Bench()
        bench.lead()
        bench.read(1)
        let round = bench.lastRound ?? 0
        // Of the round before, and of this round's number in an earlier term.
        bench.hear(.heartbeatResponse(round: round - 1, isRefetching: false), from: 2)
        bench.hear(.heartbeatResponse(round: round, isRefetching: false), from: 2, term: bench.raft.term - 1)
        #expect(bench.reads.isEmpty)

        // A follower: the answer that its predecessor of the same node, with the same sequence, asked for.
        func asked(_ seed: UInt64) -> (bench: Bench, id: ReadID?) {
            var bench = Bench()
            bench.rng = SeededGenerator(seed: seed)
            let state = RestoredState(founding: bench.raft.membership)
            if let raft = try? Raft(
                configuration: RaftConfiguration(), id: id(1), restoring: state, now: bench.now, using: &bench.rng)
            {
                bench.raft = raft
            }
            bench.hear(.heartbeat(commit: 0, round: 1), from: 2, term: 3)
            bench.read(1)
            for message in bench.sent { if case .readIndex(let read) = message.body { return (bench, read) } }
            return (bench, nil)
        }
        let before = asked(5)
        var after = asked(6)
        #expect(before.id?.sequence == after.id?.sequence && before.id?.term == after.id?.term)
        if let stale = before.id { after.bench.hear(.readIndexResponse(stale, 1), from: 2) }
        #expect(after.bench.reads.isEmpty)
        if let own = after.id { after.bench.hear(.readIndexResponse(own, 7), from: 2) }
        #expect(after.bench.reads.map(\.index) == [7])
    }

    @Test("etcd #20418: a leader that stood still answers no read from before, and steps down first of all")
    func pausedLeader() {
        var bench = Bench()
        bench.lead()
        bench.read(1)
        bench.now = bench.now + .seconds(5)
        bench.raft.onTick(now: bench.now, using: &bench.rng)
        bench.settle()
        #expect(!bench.raft.isLeader && bench.reads.isEmpty)
        #expect(bench.failedReads.map(\.reason) == [.leaderChanged])
        confirm(&bench, from: 2)
        #expect(bench.reads.isEmpty)
    }

    @Test("reads are bounded, and refused where no leader is known")
    func bounds() throws {
        var bench = Bench()
        #expect(bench.read(1) == .notLeader(nil))
        bench.lead()
        for token in 0..<UInt64(RaftBounds.pendingReadsMax) { try bench.raft.requestRead(token: token, now: bench.now) }
        #expect(throws: RaftFailure.tooManyReads) { try bench.raft.requestRead(token: 0, now: bench.now) }
    }
}

@Suite("Membership and transfer")
struct MembershipTests {
    @Test("canonical/raft #336: no change of the membership before the term's first entry is committed (thesis 4.1)")
    func beforeNoOp() {
        var bench = Bench()
        bench.lead(isEstablished: false)
        #expect(bench.change(.addLearner(id(9))) == .termNotEstablished)
        bench.acknowledge(from: 2)
        #expect(bench.change(.addLearner(id(9))) == nil)
        #expect(bench.change(.addLearner(id(8))) == .changeInProgress(2))
    }

    @Test("a change is in force as soon as it is in the log, and taken back with its entry (thesis 4.1)")
    func takenBack() {
        var bench = Bench()
        let next = RaftMembership(voters: [id(1), id(2), id(3), id(4)])
        let change = LogEntry(term: 1, index: 1, payload: .membership(next))
        bench.hear(.append(AppendRequest(previous: .zero, commit: 0, entries: [change])), from: 2, term: 1)
        #expect(bench.raft.membership == next)
        let other = LogEntry(term: 2, index: 1, payload: .empty)
        bench.hear(.append(AppendRequest(previous: .zero, commit: 0, entries: [other])), from: 3, term: 2)
        #expect(bench.raft.membership.voters == [id(1), id(2), id(3)])
    }

    @Test(
        "who is removed by a change that is not committed still stands, and does not count its own vote (thesis 4.2.2)")
    func removedStands() {
        var bench = Bench()
        let next = RaftMembership(voters: [id(2), id(3)], retired: [id(1)])
        let change = LogEntry(term: 1, index: 1, payload: .membership(next))
        bench.hear(.append(AppendRequest(previous: .zero, commit: 0, entries: [change])), from: 2, term: 1)
        #expect(bench.raft.role == .follower)
        bench.hear(.timeoutNow(answered: 0), from: 2)
        bench.hear(.voteResponse(isGranted: true), from: 2)
        #expect(bench.raft.role == .candidate)
        bench.hear(.voteResponse(isGranted: true), from: 3)
        #expect(bench.raft.isLeader)
        for peer in 2...3 { bench.acknowledge(from: peer) }
        #expect(bench.raft.role == .learner && bench.raft.commitIndex == 2, "gone once that is committed")
    }

    @Test("consul #5922: no removal that leaves too few voters that were heard of")
    func quorumFloor() {
        var bench = Bench()
        bench.lead()
        bench.pass(.milliseconds(200))
        bench.acknowledge(from: 2)
        bench.pass(.milliseconds(200))
        #expect(bench.change(.remove(id(2))) == .wouldLoseQuorum(reachable: 1, needed: 2))
        #expect(bench.change(.remove(id(3))) == nil)
    }

    @Test("an id never comes back")
    func retired() throws {
        let membership = try RaftMembership(voters: [id(1), id(2)]).applying(.remove(id(2)))
        #expect(membership == RaftMembership(voters: [id(1)], retired: [id(2)]))
        #expect(throws: RaftFailure.retiredID) { try membership.applying(.addLearner(id(2))) }
        #expect(throws: RaftFailure.lastVoter) { try membership.applying(.remove(id(1))) }
        #expect(throws: RaftFailure.notMember) { try membership.applying(.promote(id(5))) }
    }

    @Test(
        "a transfer waits for the target to be awake and have all, asks it once, and is given up in time (thesis 3.10)")
    func transfer() throws {
        var bench = Bench()
        bench.lead()
        bench.propose("x")
        #expect(bench.transfer(to: 2) == nil)
        let round = try #require(bench.lastRound)
        #expect(bench.propose("y") == .transferring(to: id(2)))
        bench.acknowledge(from: 2)
        // It may have said that before it fell asleep.
        bench.hear(.heartbeatResponse(round: round - 1, isRefetching: false), from: 2)
        #expect(!bench.messages(to: 2).contains(.timeoutNow(answered: round)))
        bench.hear(.heartbeatResponse(round: round, isRefetching: false), from: 2)
        bench.acknowledge(from: 2)
        bench.hear(.heartbeatResponse(round: round, isRefetching: false), from: 2)
        #expect(bench.messages(to: 2).filter { $0 == .timeoutNow(answered: round) }.count == 1)
        bench.pass(.milliseconds(299))
        bench.acknowledge(from: 3)
        bench.pass(.milliseconds(2))
        #expect(bench.events.contains(.transferAborted(to: id(2))) && bench.propose("y") == nil)
    }

    @Test("the leader's word to stand is taken while it is fresh, by this node's clock, and dropped when it may be old")
    func staleTransfer() {
        /// Heartbeats were answered until the node stood still for so long; then the word came, before or after later heartbeats.
        func stands(after pause: Interval, laterRounds: Int, answered: UInt64 = 20) -> Bool {
            var bench = Bench()
            for round in 1...20 as ClosedRange<UInt64> {
                bench.hear(.heartbeat(commit: 0, round: round), from: 2, term: 1)
                bench.now = bench.now + .milliseconds(50)
            }
            bench.now = bench.now + pause
            for round in 0..<UInt64(laterRounds) {
                bench.hear(.heartbeat(commit: 0, round: 21 + round), from: 2)
            }
            bench.hear(.timeoutNow(answered: answered), from: 2)
            return bench.raft.role == .candidate
        }
        #expect(stands(after: .zero, laterRounds: 0) && stands(after: .milliseconds(90), laterRounds: 2))
        for rounds in [0, 1, 200] {
            #expect(!stands(after: .milliseconds(400), laterRounds: rounds))
            #expect(!stands(after: .seconds(10), laterRounds: rounds))
        }
        #expect(!stands(after: .zero, laterRounds: 0, answered: 3))
        // Its sender leads no more.
        #expect(stands(after: .seconds(10), laterRounds: 0, answered: 0))
        // Of another term.
        var other = Bench()
        other.hear(.heartbeat(commit: 0, round: 7), from: 2, term: 1)
        other.hear(.heartbeat(commit: 0, round: 1), from: 3, term: 2)
        other.hear(.timeoutNow(answered: 7), from: 2, term: 1)
        #expect(other.raft.role == .follower && other.raft.term == 2)
    }

    @Test("a damaged node does not vote, stand or count, and does again with all that it may have acknowledged")
    func refetching() {
        let founders = RaftMembership(voters: [id(1), id(2), id(3)])
        var state = RestoredState(founding: founders)
        state.hardState = HardState(term: 4, commit: 3)
        state.mayHaveAcknowledged = 3
        var bench = Bench(restoring: state)
        #expect(bench.persisted.first?.hardState?.refetch == Refetch(through: 3, term: 4), "also after a restart")
        bench.hear(.vote(last: LogPosition(term: 9, index: 9), isTransfer: true), from: 2, term: 9)
        #expect(bench.messages(to: 2) == [.voteResponse(isGranted: false)])
        bench.pass(.seconds(3))
        #expect(bench.raft.role == .follower && bench.raft.term == 9)
        bench.clear()
        let entries = (1...3).map { LogEntry(term: 4, index: $0, payload: .empty) }
        for count in 2...3 {
            let request = AppendRequest(previous: .zero, commit: 0, entries: Array(entries.prefix(count)))
            bench.hear(.append(request), from: 2, term: 9)
        }
        let flags = bench.sent.compactMap {
            if case .appendResponse(let response) = $0.body { response.isRefetching } else { nil }
        }
        #expect(flags == [true, true] && !bench.raft.isRefetching)
        // The leader's side: what it said before it was damaged is forgotten.
        var leader = Bench()
        leader.lead()
        leader.propose("x")
        leader.hear(.appendResponse(AppendResponse(outcome: .accepted(match: 2), isRefetching: true)), from: 2)
        #expect(leader.raft.commitIndex == 1)
        leader.acknowledge(from: 2)
        #expect(leader.raft.commitIndex == 2)
    }
}
