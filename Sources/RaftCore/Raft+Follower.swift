// SPDX-License-Identifier: Apache-2.0
// Owns how a node takes entries and heartbeats from its leader (thesis 3.5).

import ClusterTypes

extension Raft {
    /// False: another node leads this term, so the message is not what it says.
    mutating func acceptLeader(_ message: RaftMessage) -> Bool {
        if isLeader || (leader != nil && leader != message.from) {
            refuse(message, .secondLeader)
            return false
        }
        switch role {
        case .preCandidate, .candidate: becomeFollower(term: term, leader: message.from, .heardLeader)
        case .follower, .learner, .leader: change(leader: message.from, .heardLeader)
        }
        leaderContactAt = now
        electionDeadline = now + randomElectionTimeout
        return true
    }

    mutating func onAppend(_ request: AppendRequest, _ message: RaftMessage) {
        guard acceptLeader(message) else { return }
        let previous = request.previous
        let outcome: AppendResponse.Outcome
        if previous.index < commitIndex {
            // Late, or doubled: all up to the commit index agrees with any leader's log.
            outcome = .accepted(match: commitIndex)
        } else if !log.contains(previous) {
            outcome = .rejected(previous: previous.index, conflict: conflict(at: previous.index))
        } else {
            guard store(request, message) else { return }
            let last = previous.index + UInt64(request.entries.count)
            advanceCommit(to: min(request.commit, last))
            outcome = .accepted(match: last)
        }
        sendDurably(
            .appendResponse(AppendResponse(outcome: outcome, isRefetching: isRefetching)), to: message.from)
    }

    private func conflict(at index: LogIndex) -> LogPosition {
        log.firstOfTerm(at: index) ?? LogPosition(term: 0, index: log.lastIndex + 1)
    }

    /// Takes what is new; removes what contradicts it, and nothing else: the message may be an old one.
    private mutating func store(_ request: AppendRequest, _ message: RaftMessage) -> Bool {
        guard let first = request.entries.firstIndex(where: { !log.contains($0.position) }) else { return true }
        let index = request.entries[first].index
        if index <= commitIndex {
            refuse(message, .conflictsWithCommitted)
            return false
        }
        let before = (log.membershipIndex, membership)
        if index <= log.lastIndex {
            log.truncate(from: index)
            batches.truncate(from: index)
            handedToDisk = min(handedToDisk, index - 1)
            persistedIndex = min(persistedIndex, index - 1)
        }
        for entry in request.entries[first...] { log.append(entry) }
        noteUnwritten()
        if (log.membershipIndex, membership) != before { onMembershipInForce() }
        return true
    }

    /// A follower's; the leader's has its own rule.
    mutating func advanceCommit(to index: LogIndex) {
        let index = min(index, log.lastIndex)
        if index > commitIndex {
            commitIndex = index
            followMembership()
        }
        endRefetchIfDone()
    }

    mutating func onHeartbeat(commit: LogIndex, round: UInt64, _ message: RaftMessage) {
        guard acceptLeader(message) else { return }
        answeredRounds.note(round, now: now, within: configuration.electionTimeout)
        advanceCommit(to: commit)
        // The answer says that this node takes no part in an earlier term, so the term must be durable. A slow write of
        // entries alone does not hold it up.
        if persistedHardState.term == term {
            send(.heartbeatResponse(round: round, isRefetching: isRefetching), to: message.from)
        } else {
            sendDurably(.heartbeatResponse(round: round, isRefetching: isRefetching), to: message.from)
        }
    }

    /// See `Refetch`.
    mutating func endRefetchIfDone() {
        guard let refetch else { return }
        let isPast = persistedIndex >= refetch.through
        let isSuperseded = commitIndex <= persistedIndex && (log.term(at: commitIndex) ?? 0) > refetch.term
        guard isPast || isSuperseded else { return }
        self.refetch = nil
        noteUnwritten()
        tell(.refetched(through: persistedIndex))
    }
}
