// SPDX-License-Identifier: Apache-2.0
// Owns linearizable reads without the log: the read index (thesis 6.4), on the leader and for followers.

import ClusterTypes

extension Raft {
    /// Asks for the index that a linearizable read must see. The answer is a `ReadState` or a `FailedRead` with this
    /// token, which the caller never uses twice. All reads of one `Ready` share a round of heartbeats.
    package mutating func requestRead(token: UInt64, now: Instant) throws(RaftFailure) {
        self.now = max(now, self.now)
        if leader == nil { throw .notLeader(nil) }
        if reads.count >= RaftBounds.pendingReadsMax { throw .tooManyReads }
        reads.waiting.append(.local(token: token))
    }

    /// A leader's: begins a round for the reads that wait. None before an entry of its term is committed: until then
    /// its commit index may be behind that of the leader before.
    mutating func flushReads() {
        guard !reads.waiting.isEmpty, isTermEstablished, reads.rounds.count < RaftBounds.readRoundsMax else { return }
        statistics.readRounds &+= 1
        beginHeartbeatRound()
        reads.rounds.append(
            ReadQueue.Round(round: leadership.round, index: commitIndex, asks: reads.waiting))
        reads.waiting.removeAll(keepingCapacity: true)
        confirmReads()
    }

    mutating func confirmReads() {
        guard !reads.rounds.isEmpty || !leadership.roundsSent.isEmpty else { return }
        let confirmed = quorumValue(own: leadership.round) { $0.isCounted ? $0.ackedRound : 0 }
        leadership.confirm(confirmed)
        while let round = reads.rounds.first, round.round <= confirmed {
            reads.rounds.removeFirst()
            for ask in round.asks {
                switch ask {
                case .local(let token): outbox.readStates.append(ReadState(token: token, index: round.index))
                case .peer(let peer, let read): send(.readIndexResponse(read, round.index), to: peer)
                }
            }
        }
    }

    mutating func onReadIndex(_ read: ReadID, from peer: NodeID) {
        guard isLeader, leadership.place(of: peer) != nil, reads.count < RaftBounds.pendingReadsMax else {
            send(.readIndexResponse(read, nil), to: peer)
            return
        }
        reads.waiting.append(.peer(peer, read))
    }

    /// A follower's: all reads that wait travel as one, under an id that no other process or term has used.
    mutating func flushForwardedReads() {
        guard !reads.waiting.isEmpty, let leader, reads.forwarded.count < RaftBounds.readRoundsMax else { return }
        reads.sequence += 1
        let id = ReadID(term: term, process: process, sequence: reads.sequence)
        var tokens: [UInt64] = []
        for case .local(let token) in reads.waiting { tokens.append(token) }
        reads.waiting.removeAll(keepingCapacity: true)
        reads.forwarded.append(
            ReadQueue.Forwarded(id: id, tokens: tokens, deadline: now + configuration.electionTimeout))
        send(.readIndex(id), to: leader)
    }

    mutating func onReadIndexResponse(_ read: ReadID, index: LogIndex?) {
        guard let place = reads.forwarded.firstIndex(where: { $0.id == read }) else { return }
        for token in reads.forwarded.remove(at: place).tokens {
            if let index {
                outbox.readStates.append(ReadState(token: token, index: index))
            } else {
                outbox.failedReads.append(FailedRead(token: token, reason: .leaderChanged))
            }
        }
    }

    mutating func expireForwardedReads() {
        while let first = reads.forwarded.first, first.deadline <= now {
            reads.forwarded.removeFirst()
            for token in first.tokens { outbox.failedReads.append(FailedRead(token: token, reason: .timedOut)) }
        }
    }

    /// The leader that was to confirm them is none, or is not known any more.
    mutating func failReads(_ reason: FailedRead.Reason) {
        let asks = reads.rounds.flatMap(\.asks) + reads.waiting
        for ask in asks {
            switch ask {
            case .local(let token): outbox.failedReads.append(FailedRead(token: token, reason: reason))
            case .peer(let peer, let read): send(.readIndexResponse(read, nil), to: peer)
            }
        }
        for token in reads.forwarded.flatMap(\.tokens) {
            outbox.failedReads.append(FailedRead(token: token, reason: reason))
        }
        reads.rounds.removeAll()
        reads.waiting.removeAll()
        reads.forwarded.removeAll()
    }
}
