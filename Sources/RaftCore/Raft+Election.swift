// SPDX-License-Identifier: Apache-2.0
// Owns elections: who stands, who votes, who wins, and how one becomes a follower (thesis 3.4, 3.6.1, 9.6).

import ClusterTypes

extension Raft {
    mutating func becomeFollower(term newTerm: Term, leader newLeader: NodeID?, _ reason: RaftChangeReason) {
        if newTerm > term {
            term = newTerm
            votedFor = nil
            leaderContactAt = nil
            answeredRounds = AnsweredRounds()
            noteUnwritten()
        }
        failReads(.leaderChanged)
        ballot.removeAll()
        leadership = Leadership()
        change(role: mayLead ? .follower : .learner, reason)
        change(leader: newLeader, reason)
        electionDeadline = now + randomElectionTimeout
    }

    /// The process of this peer has ended, as the driver knows from its operating system. If it led, nobody waits for the
    /// election timeout any more: this node asks for votes within a heartbeat's time, drawn at random so that the others do
    /// not ask at once too, and gives them. Only time is saved: what elects and what commits stays as it is.
    package mutating func onPeerGone(_ peer: NodeID, now: Instant, using rng: inout SeededGenerator) {
        begin(now: now, using: &rng)
        guard !isLeader, leader == peer else { return }
        leaderContactAt = nil
        let wait = configuration.heartbeatInterval * (Double(entropy >> 11) * 0x1p-53)
        electionDeadline = min(electionDeadline, self.now + wait)
    }

    mutating func change(role newRole: RaftRole, _ reason: RaftChangeReason) {
        guard newRole != role else { return }
        role = newRole
        tell(.roleChanged(newRole, term: term, reason))
    }

    mutating func change(leader newLeader: NodeID?, _ reason: RaftChangeReason) {
        guard newLeader != leader else { return }
        leader = newLeader
        tell(.leaderChanged(newLeader, term: term, reason))
    }

    /// Whether this node is a voter, or was one before a change that is not committed: until then it may be the only
    /// one that can lead (thesis 4.2.2). In the latter case its own vote does not count.
    var mayLead: Bool {
        if membership.isVoter(id) { return true }
        return log.membershipIndex > commitIndex && log.membership(at: log.membershipIndex - 1).isVoter(id)
    }

    /// Whether this node may stand now: it may lead, has all it ever acknowledged, and a disk that works.
    var canCampaign: Bool {
        mayLead && !isRefetching && !isDiskStalled && term < RaftBounds.numberMax
            && log.lastIndex < RaftBounds.numberMax
    }

    mutating func campaignIfPossible() {
        electionDeadline = now + randomElectionTimeout
        guard canCampaign else {
            change(leader: nil, .electionTimeout)
            failReads(.noLeader)
            return
        }
        failReads(.noLeader)
        ballot.removeAll()
        record(vote: true, of: id)
        change(role: .preCandidate, .electionTimeout)
        change(leader: nil, .electionTimeout)
        for voter in membership.voters where voter != id {
            send(.preVote(last: log.last), to: voter, term: term + 1)
        }
        if countGranted >= membership.quorum { beginElection(.preVoteWon, isTransfer: false) }
    }

    /// The node's own vote counts when it is durable, like any other: see `onPersisted`.
    mutating func beginElection(_ reason: RaftChangeReason, isTransfer: Bool) {
        term += 1
        votedFor = id
        noteUnwritten()
        statistics.elections &+= 1
        ballot.removeAll()
        leaderContactAt = nil
        answeredRounds = AnsweredRounds()
        electionDeadline = now + randomElectionTimeout
        failReads(.noLeader)
        change(role: .candidate, reason)
        change(leader: nil, reason)
        for voter in membership.voters where voter != id {
            sendDurably(.vote(last: log.last, isTransfer: isTransfer), to: voter)
        }
    }

    mutating func onVoteRequest(_ message: RaftMessage, last: LogPosition, isPreVote: Bool) {
        // A pre-vote is about a later term, for which no vote is given yet.
        let isFree =
            isPreVote ? message.term > term : votedFor == message.from || (votedFor == nil && leader == nil)
        let isUpToDate = last.term > log.last.term || (last.term == log.last.term && last.index >= log.last.index)
        let isGranted = isFree && isUpToDate && !isRefetching && message.from != id
        if isPreVote {
            // Granted in the asker's term, refused in ours: a higher one brings the asker up to date.
            send(.preVoteResponse(isGranted: isGranted), to: message.from, term: isGranted ? message.term : term)
            return
        }
        if isGranted {
            if votedFor != message.from {
                votedFor = message.from
                noteUnwritten()
            }
            electionDeadline = now + randomElectionTimeout
        }
        sendDurably(.voteResponse(isGranted: isGranted), to: message.from)
    }

    mutating func onPreVoteResponse(_ message: RaftMessage, isGranted: Bool) {
        // Granted: in the term that was asked for. Otherwise the general rule has already dealt with a later term.
        guard role == .preCandidate, isGranted ? message.term == term + 1 : message.term == term else { return }
        record(vote: isGranted, of: message.from)
        if countGranted >= membership.quorum {
            beginElection(.preVoteWon, isTransfer: false)
        } else if isLost {
            becomeFollower(term: term, leader: nil, .lost)
        }
    }

    mutating func onVoteResponse(_ message: RaftMessage, isGranted: Bool) {
        guard role == .candidate else { return }
        record(vote: isGranted, of: message.from)
        concludeElection()
    }

    mutating func concludeElection() {
        if countGranted >= membership.quorum {
            becomeLeader()
        } else if isLost {
            becomeFollower(term: term, leader: nil, .lost)
        }
    }

    /// The first answer counts; those of others than voters do not.
    mutating func record(vote isGranted: Bool, of voter: NodeID) {
        guard membership.isVoter(voter), !ballot.contains(where: { $0.id == voter }) else { return }
        ballot.append((voter, isGranted))
    }

    var countGranted: Int { ballot.count { $0.isGranted && membership.isVoter($0.id) } }

    private var isLost: Bool {
        let refused = ballot.count { !$0.isGranted && membership.isVoter($0.id) }
        return membership.voters.count - refused < membership.quorum
    }

    private mutating func becomeLeader() {
        let votes = countGranted
        ballot.removeAll()
        leadership = Leadership()
        leadership.heartbeatAt = now + configuration.heartbeatInterval
        // Of use as soon as an entry of the term is committed: a quorum took what was sent after this.
        leadership.confirmedAt = now
        leadership.uncommittedBytes = log.bytes(after: commitIndex)
        change(role: .leader, .won(votes: votes, of: membership.voters.count))
        change(leader: id, .won(votes: votes, of: membership.voters.count))
        refreshPeers()
        append(.empty)
    }
}
