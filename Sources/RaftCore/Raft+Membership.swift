// SPDX-License-Identifier: Apache-2.0
// Owns changes of the membership, one at a time (thesis 4.1 to 4.3), and the transfer of leadership (thesis 3.10).

import ClusterTypes

extension Raft {
    /// Proposes one change. It is in force at once on whoever has the entry, and safe when that is committed.
    package mutating func propose(_ change: RaftMembership.Change, now: Instant) throws(RaftFailure) -> LogPosition {
        self.now = max(now, self.now)
        try checkMayPropose()
        // Erratum of 2015: a leader may hold an earlier leader's change that is not committed, and must settle it
        // first.
        guard isTermEstablished else { throw .termNotEstablished }
        guard log.membershipIndex <= commitIndex else { throw .changeInProgress(log.membershipIndex) }
        let next = try membership.applying(change)
        if case .promote(let learner) = change { try checkCaughtUp(learner) }
        if next.voters != membership.voters {
            let reachable = reachableVoters(of: next, onlyCounted: true)
            let needed = max(next.quorum, isRemoval(change) ? min(configuration.votersMin, membership.voters.count) : 0)
            if reachable < next.quorum || next.voters.count < needed {
                throw .wouldLoseQuorum(reachable: reachable, needed: needed)
            }
        }
        return append(.membership(next))
    }

    private func isRemoval(_ change: RaftMembership.Change) -> Bool {
        if case .remove = change { true } else { false }
    }

    /// Within an election timeout of the end of the log: else a quorum with this member could stand still for long
    /// (thesis 4.2.1).
    private func checkCaughtUp(_ learner: NodeID) throws(RaftFailure) {
        guard let place = leadership.place(of: learner) else { throw .notMember }
        let peer = leadership.peers[place]
        let timeout = configuration.electionTimeout
        guard case .replicate = peer.state, peer.isCounted, now - peer.contactAt < timeout, let round = peer.lastRound,
            round < timeout, peer.match >= log.lastIndex || now - peer.roundBegan < timeout
        else { throw .learnerBehind(match: peer.match, last: log.lastIndex) }
    }

    /// The last membership of the log changed: by a new entry, or because the entry with the last one was taken back.
    mutating func onMembershipInForce() {
        tell(.membershipChanged(membership, index: log.membershipIndex))
        switch role {
        case .leader:
            refreshPeers()
            if let transfer = leadership.transfer, !membership.isVoter(transfer.target) {
                leadership.transfer = nil
                tell(.transferAborted(to: transfer.target))
            }
        case .follower, .preCandidate, .candidate, .learner: followMembership()
        }
    }

    /// Takes the role that fits what is in force and committed.
    mutating func followMembership() {
        switch role {
        case .leader: break
        case .follower, .preCandidate, .candidate: if !mayLead { change(role: .learner, .membership) }
        case .learner: if mayLead { change(role: .follower, .membership) }
        }
    }

    /// Hands leadership to a voter: brings it up to date, takes no proposals meanwhile, and asks it to stand at once. It is asked when
    /// it has answered a heartbeat that was sent after this: one that stands still would find the message when it wakes. Given up
    /// after an election timeout.
    package mutating func transferLeadership(to target: NodeID, now: Instant) throws(RaftFailure) {
        self.now = max(now, self.now)
        try checkMayPropose()
        guard target != id, membership.isVoter(target), let place = leadership.place(of: target),
            leadership.peers[place].isCounted
        else { throw .cannotLead }
        beginHeartbeatRound()
        leadership.transfer = Leadership.Transfer(
            target: target, deadline: now + configuration.electionTimeout, round: leadership.round)
        tell(.transferBegan(to: target))
    }

    mutating func continueTransfer() {
        guard isLeader, let transfer = leadership.transfer, !transfer.isAsked,
            let place = leadership.place(of: transfer.target), leadership.peers[place].match == log.lastIndex,
            leadership.peers[place].ackedRound >= transfer.round
        else { return }
        leadership.transfer?.isAsked = true
        send(.timeoutNow(answered: leadership.peers[place].ackedRound), to: transfer.target)
    }

    /// Stands for election without asking first: the leader wants it. It did when the message was sent; when that may have been
    /// longer ago than a transfer takes, it has gone on leading.
    mutating func onTimeoutNow(answered: UInt64) {
        guard answered == 0 || answeredRounds.isRecent(answered, now: now, within: configuration.electionTimeout) else {
            return
        }
        switch role {
        case .follower, .preCandidate:
            if canCampaign { beginElection(.transfer, isTransfer: true) }
        case .candidate, .leader, .learner: break
        }
    }
}
