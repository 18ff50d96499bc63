// SPDX-License-Identifier: Apache-2.0
// Owns the inputs: time, messages, and the rules of terms that hold before a message's own.

import ClusterTypes

extension Raft {
    /// Time passed. To be called at `nextDeadline` at the latest; earlier does no harm.
    package mutating func onTick(now: Instant, using rng: inout SeededGenerator) {
        begin(now: now, using: &rng)
        switch role {
        case .leader: tickLeader()
        case .follower, .preCandidate, .candidate, .learner:
            expireForwardedReads()
            if now >= electionDeadline { campaignIfPossible() }
        }
    }

    /// When `onTick` has something to do next.
    package var nextDeadline: Instant {
        guard isLeader else {
            return reads.forwarded.reduce(electionDeadline) { min($0, $1.deadline) }
        }
        var deadline = min(leadership.heartbeatAt, quorumDeadline)
        if let notice = leadership.noticeAt { deadline = min(deadline, notice) }
        if let transfer = leadership.transfer { deadline = min(deadline, transfer.deadline) }
        if let since = oldestUnpersisted { deadline = min(deadline, since + configuration.electionTimeout) }
        return deadline
    }

    /// A message arrived, its sender's identity proven by the driver.
    package mutating func onMessage(_ message: RaftMessage, now: Instant, using rng: inout SeededGenerator) {
        begin(now: now, using: &rng)
        if let defect = message.defect(at: id) {
            refuse(message, defect)
            return
        }
        if message.term > term {
            guard adoptTerm(of: message) else { return }
        } else if message.term < term {
            answerStale(message)
            return
        }
        switch message.body {
        case .preVote(let last): onVoteRequest(message, last: last, isPreVote: true)
        case .vote(let last, _): onVoteRequest(message, last: last, isPreVote: false)
        case .preVoteResponse(let isGranted): onPreVoteResponse(message, isGranted: isGranted)
        case .voteResponse(let isGranted): onVoteResponse(message, isGranted: isGranted)
        case .append(let request): onAppend(request, message)
        case .appendResponse(let response): onAppendResponse(response, message)
        case .heartbeat(let commit, let round): onHeartbeat(commit: commit, round: round, message)
        case .heartbeatResponse(let round, let isRefetching):
            onHeartbeatResponse(round: round, isRefetching: isRefetching, message)
        case .installSnapshot(let chunk): onSnapshotChunk(chunk, message)
        case .installSnapshotResponse(let response): onSnapshotResponse(response, message)
        case .timeoutNow(let answered): onTimeoutNow(answered: answered)
        case .readIndex(let read): onReadIndex(read, from: message.from)
        case .readIndexResponse(let read, let index): onReadIndexResponse(read, index: index)
        }
    }

    mutating func begin(now: Instant, using rng: inout SeededGenerator) {
        self.now = max(now, self.now)
        entropy = rng.next()
    }

    /// The message is of a later term. False: nothing more is to be done with it.
    private mutating func adoptTerm(of message: RaftMessage) -> Bool {
        switch message.body {
        case .preVote:
            if isLeaderAlive {
                // Said, not silent: the asker may be behind in its term or may have to learn that there is a leader.
                send(.preVoteResponse(isGranted: false), to: message.from)
                return false
            }
            // The asker's term is only what it would be.
            return true
        case .vote(_, let isTransfer):
            // Who still hears of a leader takes no part in deposing it (thesis 4.2.3).
            if isLeaderAlive, !isTransfer { return false }
            becomeFollower(term: message.term, leader: nil, .laterTerm(from: message.from))
        case .preVoteResponse(let isGranted):
            if !isGranted { becomeFollower(term: message.term, leader: nil, .laterTerm(from: message.from)) }
        case .append, .heartbeat, .installSnapshot:
            becomeFollower(term: message.term, leader: message.from, .heardLeader)
        case .voteResponse, .appendResponse, .heartbeatResponse, .installSnapshotResponse, .timeoutNow, .readIndex,
            .readIndexResponse:
            becomeFollower(term: message.term, leader: nil, .laterTerm(from: message.from))
        }
        return true
    }

    /// The message is of a former term. Its sender must learn of the present one: a leader that is never told goes on
    /// leading, and this node would never hear of one again (etcd #8501, raft-rs #84, openraft #1796).
    private mutating func answerStale(_ message: RaftMessage) {
        switch message.body {
        case .append, .heartbeat, .installSnapshot:
            sendDurably(
                .appendResponse(AppendResponse(outcome: .staleTerm, isRefetching: isRefetching)), to: message.from)
        case .preVote: sendDurably(.preVoteResponse(isGranted: false), to: message.from)
        case .vote: sendDurably(.voteResponse(isGranted: false), to: message.from)
        case .readIndex(let read): send(.readIndexResponse(read, nil), to: message.from)
        case .preVoteResponse, .voteResponse, .appendResponse, .heartbeatResponse, .installSnapshotResponse,
            .timeoutNow, .readIndexResponse:
            break
        }
    }

    /// Whether this node has reason to believe that the leader of its term leads.
    var isLeaderAlive: Bool {
        if isLeader { return true }
        guard leader != nil, let contact = leaderContactAt else { return false }
        return now - contact < configuration.electionTimeout
    }

    mutating func refuse(_ message: RaftMessage, _ defect: RaftMessageDefect) {
        statistics.refusedMessages &+= 1
        tell(.refused(from: message.from, defect))
    }

    mutating func tell(_ event: RaftEvent) { outbox.events.append(event) }

    /// For what no crash can make untrue.
    mutating func send(_ body: RaftMessage.Body, to: NodeID, term: Term? = nil) {
        outbox.messages.append(RaftMessage(from: id, to: to, term: term ?? self.term, body: body))
    }

    /// For promises that must outlive a crash: leaves when all that this node decided so far is durable.
    mutating func sendDurably(_ body: RaftMessage.Body, to: NodeID, term: Term? = nil) {
        outbox.messagesAfterPersistence.append(
            RaftMessage(from: id, to: to, term: term ?? self.term, body: body))
    }

    /// Something changed that the disk must learn of.
    mutating func noteUnwritten() {
        if unwrittenSince == nil { unwrittenSince = now }
    }
}
