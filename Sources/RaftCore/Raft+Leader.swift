// SPDX-License-Identifier: Apache-2.0
// Owns what a leader does by itself: proposals, heartbeats, the commit index, and when it stops to lead.

import ClusterTypes

extension Raft {
    /// Appends a command to the log. It is done when the entry at that index is applied with that term; when another
    /// term's is, or leadership is lost, its fate is unknown until then: repeat it under the same session number.
    package mutating func propose(_ command: [UInt8], now: Instant) throws(RaftFailure) -> LogPosition {
        self.now = max(now, self.now)
        do throws(RaftFailure) {
            try checkMayPropose()
            if command.count > configuration.commandBytesMax { throw .commandTooLarge(bytes: command.count) }
            let bytes = command.count + RaftBounds.entryOverheadBytes
            let uncommitted = leadership.uncommittedBytes
            if uncommitted > 0, uncommitted > configuration.uncommittedBytesMax - bytes {
                throw .tooMuchUncommitted(bytes: uncommitted)
            }
        } catch {
            statistics.refusedProposals &+= 1
            throw error
        }
        return append(.command(command))
    }

    func checkMayPropose() throws(RaftFailure) {
        guard isLeader else { throw .notLeader(leader) }
        if let transfer = leadership.transfer { throw .transferring(to: transfer.target) }
    }

    @discardableResult
    mutating func append(_ payload: LogEntry.Payload) -> LogPosition {
        let entry = LogEntry(term: term, index: log.lastIndex + 1, payload: payload)
        log.append(entry)
        leadership.uncommittedBytes += entry.bytes
        noteUnwritten()
        if case .membership = payload { onMembershipInForce() }
        return entry.position
    }

    /// Progress for every other member; what is known of those that stay is kept.
    mutating func refreshPeers() {
        let ids = (membership.voters + membership.learners).filter { $0 != id }.sorted()
        leadership.peers = ids.map { peer in
            if let place = leadership.place(of: peer) { return leadership.peers[place] }
            return Progress(id: peer, last: log.lastIndex, configuration: configuration, now: now)
        }
    }

    mutating func tickLeader() {
        if isDiskStalled {
            handOver()
            becomeFollower(term: term, leader: nil, .diskStalled)
            return
        }
        let reachable = reachableVoters(of: membership)
        if reachable < membership.quorum {
            becomeFollower(
                term: term, leader: nil, .quorumLost(reachable: reachable, needed: membership.quorum))
            return
        }
        if let transfer = leadership.transfer, now >= transfer.deadline {
            leadership.transfer = nil
            tell(.transferAborted(to: transfer.target))
        }
        if now >= leadership.heartbeatAt { beginHeartbeatRound() }
    }

    /// Also asked for by reads: the answers tell that nobody else led when they were sent (thesis 6.4).
    mutating func beginHeartbeatRound() {
        leadership.beginRound(now: now)
        leadership.heartbeatAt = now + configuration.heartbeatInterval
        for peer in leadership.peers {
            send(.heartbeat(commit: min(peer.match, commitIndex), round: leadership.round), to: peer.id)
        }
    }

    mutating func onHeartbeatResponse(round: UInt64, isRefetching: Bool, _ message: RaftMessage) {
        guard isLeader, let place = leadership.place(of: message.from) else { return }
        if round > leadership.round {
            refuse(message, .beyondLog)
            return
        }
        noteContact(place, isRefetching: isRefetching)
        if leadership.peers[place].isCounted {
            leadership.peers[place].ackedRound = max(leadership.peers[place].ackedRound, round)
        }
        // What was sent may have been lost: with the answer to a heartbeat the way is known to be open.
        switch leadership.peers[place].state {
        case .probe:
            leadership.peers[place].state = .probe(isWaiting: false)
            if leadership.peers[place].match < log.lastIndex { leadership.peers[place].needsProbe = true }
        case .replicate:
            if leadership.peers[place].inflight.isFull { leadership.peers[place].inflight.freeFirst() }
            if leadership.peers[place].match < log.lastIndex { leadership.peers[place].needsProbe = true }
        case .snapshot: retrySnapshot(place)
        }
        confirmReads()
        continueTransfer()
    }

    /// A member was heard of, and told whether it still misses what it may have acknowledged.
    mutating func noteContact(_ place: Int, isRefetching: Bool) {
        leadership.peers[place].contactAt = now
        guard isRefetching == leadership.peers[place].isCounted else { return }
        leadership.peers[place].isCounted = !isRefetching
        if isRefetching { leadership.peers[place].forget(last: log.lastIndex) }
    }

    /// Voters heard of within an election timeout, this node included if it is one.
    ///
    /// Those that fetch their log again keep a leader in office: without it they could not fetch. `onlyCounted` leaves
    /// them out.
    func reachableVoters(of membership: RaftMembership, onlyCounted: Bool = false) -> Int {
        var count = membership.isVoter(id) ? 1 : 0
        for peer in leadership.peers where membership.isVoter(peer.id) && (peer.isCounted || !onlyCounted) {
            if now - peer.contactAt < configuration.electionTimeout { count += 1 }
        }
        return count
    }

    /// When the leader has not heard of a quorum for an election timeout, unless it hears of more.
    var quorumDeadline: Instant {
        quorumValue(own: Instant(nanoseconds: .max - configuration.electionTimeout.nanoseconds)) { $0.contactAt }
            + configuration.electionTimeout
    }

    /// The highest value that a quorum of the voters has reached. Few voters: insertion into a short array.
    func quorumValue<Value: Comparable>(own: Value, _ value: (Progress) -> Value) -> Value {
        var values: [Value] = []
        values.reserveCapacity(membership.voters.count)
        if membership.isVoter(id) { values.append(own) }
        for peer in leadership.peers where membership.isVoter(peer.id) { values.append(value(peer)) }
        // Every voter but this node is among the peers, so there are as many values as voters.
        values.sort(by: >)
        return values[membership.quorum - 1]
    }

    /// Moves the commit index to what a quorum holds durably, this node's own disk counting like the others'. Only
    /// entries of the present term are committed by counting; earlier ones with them (thesis 3.6.2 and figure 3.7).
    mutating func advanceCommit() {
        guard isLeader else { return }
        let reached = quorumValue(own: persistedIndex) { $0.countedMatch }
        guard reached > commitIndex, log.term(at: reached) == term else { return }
        leadership.uncommittedBytes -= log.bytes(after: commitIndex, through: reached)
        commitIndex = reached
        if leadership.noticeAt == nil, configuration.commitNoticeDelay > .zero {
            leadership.noticeAt = now + configuration.commitNoticeDelay
        }
        if !membership.isVoter(id), log.membershipIndex <= commitIndex {
            // This node is removed, which is committed: it led until here without counting itself (thesis 4.2.2).
            tellCommit()
            flushAppends()
            handOver()
            becomeFollower(term: term, leader: nil, .membership)
            return
        }
        confirmReads()
    }

    /// With the next `Ready` all others are told what is committed: one of them waits for it.
    package mutating func tellCommit() { leadership.noticeAt = nil }

    /// The latest time at which this node is known to have led, and to have had all that was committed until then: a leader that
    /// stood still is answered late, and the answers say nothing of the time since. nil: no leader, or not known yet.
    package func confirmedAt(now: Instant) -> Instant? {
        guard isLeader, isTermEstablished, log.term(at: appliedIndex) == term else { return nil }
        return membership.voters == [id] ? max(now, self.now) : leadership.confirmedAt
    }

    /// Whether an entry of this term is committed: then all that earlier leaders committed is, too.
    var isTermEstablished: Bool { log.term(at: commitIndex) == term }

    /// Asks the follower that is furthest to take over, so that nobody waits for an election timeout.
    mutating func handOver() {
        var best: Progress?
        for peer in leadership.peers where membership.isVoter(peer.id) && peer.isCounted {
            if peer.match > (best?.match ?? 0) { best = peer }
        }
        if let best { send(.timeoutNow(answered: 0), to: best.id) }
    }
}
