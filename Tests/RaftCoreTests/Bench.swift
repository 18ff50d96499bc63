// SPDX-License-Identifier: Apache-2.0
// Owns the bench for one machine alone: messages are put in by hand, what comes out is looked at.

import ClusterTypes
import RaftCore

/// Node 1 of a group, with a disk that is as fast as the test wants it.
struct Bench {
    var raft: Raft
    var rng = SeededGenerator(seed: 1)
    var now = Instant(nanoseconds: 1_000_000_000)
    /// What came out since `clear`, in order.
    var sent: [RaftMessage] = []
    var persisted: [Persistence] = []
    var committed: [LogEntry] = []
    var reads: [ReadState] = []
    var failedReads: [FailedRead] = []
    var events: [RaftEvent] = []
    var chunks: [SnapshotChunkOrder] = []
    /// Batches and the messages that wait for them, while the disk is held.
    var held: [Ready] = []
    var isDiskHeld = false
    var wantsSnapshot = false

    init(
        voters: Int = 3, restoring state: RestoredState? = nil,
        configure: (inout RaftConfiguration) -> Void = { _ in }
    ) {
        var configuration = RaftConfiguration()
        configure(&configuration)
        let state = state ?? RestoredState(founding: RaftMembership(voters: (1...voters).map(id)))
        guard let raft = try? Raft(configuration: configuration, id: id(1), restoring: state, now: now, using: &rng)
        else { preconditionFailure("\(state)") }
        self.raft = raft
        settle()
    }

    mutating func settle() {
        while let ready = raft.takeReady() {
            sent += ready.messages
            committed += ready.committed
            reads += ready.readStates
            failedReads += ready.failedReads
            events += ready.events
            chunks += ready.snapshotChunks
            if ready.wantsSnapshot { wantsSnapshot = true }
            if let last = ready.committed.last { raft.onApplied(through: last.index) }
            if ready.persistence != nil { held.append(ready) }
            if !isDiskHeld { finishWrites() }
        }
        raft.checkInvariants()
    }

    /// The disk finishes all that it was given.
    mutating func finishWrites() {
        while !held.isEmpty {
            let ready = held.removeFirst()
            guard let batch = ready.persistence else { continue }
            persisted.append(batch)
            sent += ready.messagesAfterPersistence
            raft.onPersisted(batch.number, now: now, using: &rng)
        }
    }

    mutating func releaseDisk() {
        isDiskHeld = false
        finishWrites()
        settle()
    }

    mutating func hear(_ body: RaftMessage.Body, from: Int, term: Term? = nil) {
        let message = RaftMessage(from: id(from), to: raft.id, term: term ?? raft.term, body: body)
        raft.onMessage(message, now: now, using: &rng)
        settle()
    }

    mutating func pass(_ interval: Interval) {
        let end = now + interval
        while raft.nextDeadline <= end {
            now = max(now + .microseconds(1), raft.nextDeadline)
            raft.onTick(now: now, using: &rng)
            settle()
        }
        now = end
    }

    /// Elected in its next term by node 2, the no-op committed by it.
    mutating func lead(isEstablished: Bool = true) {
        hear(.timeoutNow(answered: 0), from: 2)
        hear(.voteResponse(isGranted: true), from: 2)
        precondition(raft.isLeader, "\(raft.role) in \(raft.term)")
        if isEstablished { acknowledge(from: 2) }
        clear()
    }

    /// A follower says that it has all.
    mutating func acknowledge(from: Int, match: LogIndex? = nil) {
        hear(.appendResponse(AppendResponse(outcome: .accepted(match: match ?? raft.lastPosition.index))), from: from)
    }

    /// Entries of the term that follow the log.
    mutating func append(_ commands: [String], from: Int, term: Term, commit: LogIndex = 0) {
        let entries = commands.enumerated().map { offset, text in
            LogEntry(
                term: term, index: raft.lastPosition.index + 1 + UInt64(offset), payload: .command(Array(text.utf8)))
        }
        hear(
            .append(AppendRequest(previous: raft.lastPosition, commit: commit, entries: entries)), from: from,
            term: term)
    }

    @discardableResult
    mutating func propose(_ text: String) -> RaftFailure? {
        refusal { bench throws(RaftFailure) in _ = try bench.raft.propose(Array(text.utf8), now: bench.now) }
    }

    @discardableResult
    mutating func change(_ change: RaftMembership.Change) -> RaftFailure? {
        refusal { bench throws(RaftFailure) in _ = try bench.raft.propose(change, now: bench.now) }
    }

    @discardableResult
    mutating func read(_ token: UInt64) -> RaftFailure? {
        refusal { bench throws(RaftFailure) in try bench.raft.requestRead(token: token, now: bench.now) }
    }

    @discardableResult
    mutating func transfer(to: Int) -> RaftFailure? {
        refusal { bench throws(RaftFailure) in try bench.raft.transferLeadership(to: id(to), now: bench.now) }
    }

    private mutating func refusal(_ body: (inout Bench) throws(RaftFailure) -> Void) -> RaftFailure? {
        var failure: RaftFailure?
        do throws(RaftFailure) {
            try body(&self)
        } catch {
            failure = error
        }
        settle()
        return failure
    }

    mutating func clear() {
        sent.removeAll()
        persisted.removeAll()
        committed.removeAll()
        reads.removeAll()
        failedReads.removeAll()
        events.removeAll()
        chunks.removeAll()
    }

    func messages(to: Int) -> [RaftMessage.Body] { sent.filter { $0.to == id(to) }.map(\.body) }

    /// The round of the last heartbeat that went out.
    var lastRound: UInt64? {
        for message in sent.reversed() { if case .heartbeat(_, let round) = message.body { return round } }
        return nil
    }

    var appends: [(to: NodeID, request: AppendRequest)] {
        sent.compactMap { message in
            if case .append(let request) = message.body { (message.to, request) } else { nil }
        }
    }
}
