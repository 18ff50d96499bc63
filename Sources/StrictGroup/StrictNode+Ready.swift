// SPDX-License-Identifier: Apache-2.0
// Owns the drive of Raft: what of a `Ready` goes where, in its order, and what follows when the disk has it.

import ClusterTypes
import RaftCore
import StrictCore

extension StrictNode {
    var group: UInt64? { founding.founded?.group }

    /// Carries out what Raft has to do until there is nothing.
    mutating func drive() {
        while true {
            followRole()
            retryOrders()
            guard let ready = raft?.takeReady() else { break }
            perform(ready)
        }
        noteOwnRemoval()
    }

    private mutating func perform(_ ready: Ready) {
        guard let group else { return }
        for message in ready.messages { out.append(.send(.raft(group: group, message), to: message.to)) }
        if let persistence = ready.persistence {
            var write = PendingWrite(number: 0, batch: (raftEpoch, persistence.number), loads: persistence.installs)
            write.messages.reserveCapacity(ready.messagesAfterPersistence.count)
            for message in ready.messagesAfterPersistence {
                write.messages.append((.raft(group: group, message), message.to))
            }
            if let installs = persistence.installs {
                // The machine is of another log from here on.
                loading = installs
                held.removeAll()
            }
            batchesInFlight += 1
            persist(write, raft: persistence, needsSync: persistence.needsSync)
        }
        for event in ready.events { out.append(.event(.raft(event))) }
        for order in ready.snapshotChunks { out.append(.readSnapshot(order)) }
        if !ready.committed.isEmpty { apply(ready.committed) }
        for state in ready.readStates { confirm(state) }
        for failed in ready.failedReads {
            if let read = reads.removeValue(forKey: failed.token) { loseRead(read.origin) }
        }
        if ready.wantsSnapshot { owesSnapshot = true }
        if owesSnapshot { makeSnapshot() }
    }

    mutating func persist(
        _ write: PendingWrite, founding: FoundingState? = nil, raft: Persistence? = nil, needsSync: Bool
    ) {
        var write = write
        write.number = nextWrite
        nextWrite += 1
        writes.append(write)
        out.append(
            .persist(StrictWrite(number: write.number, founding: founding, raft: raft, needsSync: needsSync)))
    }

    mutating func onPersisted(_ number: UInt64) {
        while let first = writes.first, first.number <= number, let write = writes.popFirst() {
            for (message, to) in write.messages {
                if to == id {
                    takeOwn(message)
                } else {
                    out.append(.send(message, to: to))
                }
            }
            if let batch = write.batch, batch.epoch == raftEpoch {
                batchesInFlight -= 1
                raft?.onPersisted(batch.number, now: clock.now, using: &rng)
                if let metadata = write.loads { out.append(.loadSnapshot(metadata)) }
            }
            if write.isFounding { actOnFounding(isNews: true) }
            if write.isRemoval { actOnRemoval(isNews: true) }
        }
    }

    mutating func onRaftMessage(_ message: RaftMessage, group: UInt64, from: NodeID) {
        // Its sender's identity is the stream's.
        guard message.from == from, message.to == id else { return }
        guard let own = self.group else {
            askFounding(from)
            return
        }
        guard group == own else {
            noteForeign(group, from: from)
            return
        }
        guard isFoundingDurable, recovering == nil, !isBroken, !isRemoved else { return }
        if case .installSnapshot(let chunk) = message.body, !chunk.isIntact {
            // The sender's disk or memory lies: it is asked again when it is silent about this piece.
            statistics.brokenChunks &+= 1
            return
        }
        if raft == nil {
            // A node that joins knows nobody: the log tells it who belongs to the group. Only a leader has it to tell; a voter that
            // is left of a group that is gone must not hold others there.
            guard message.body.isOfLeader else { return }
            startRaft(unstartedRaft ?? RestoredState(founding: .empty))
        }
        if knownVoters.contains(from) { heardFrom[from] = clock.now }
        tellIfRemoved(from)
        raft?.onMessage(message, now: clock.now, using: &rng)
    }

    // MARK: The state

    mutating func apply(_ entries: [LogEntry]) {
        if loading != nil {
            held += entries
            return
        }
        guard stoppedBy == nil else { return }
        let place = out.count
        var feed: [StrictFeedChange] = []
        for entry in entries where entry.index > machine.appliedIndex {
            switch entry.payload {
            case .empty:
                machine.skip(through: entry.index)
                settle(entry, nil)
            case .membership(let membership):
                machine.skip(through: entry.index)
                tellNewlyRemoved(membership)
                settleOrders(entry)
                settle(entry, nil)
            case .command(let bytes):
                do throws(StrictDecodeFailure) {
                    let outcome = try machine.apply(bytes, at: entry.index)
                    note(outcome, &feed)
                    settle(entry, outcome.answer)
                } catch {
                    stop(error)
                }
            }
            if stoppedBy != nil { break }
        }
        raft?.onApplied(through: machine.appliedIndex)
        // Whoever has the answer finds the change in the store.
        if !feed.isEmpty { out.insert(.changed(feed), at: place) }
        answerReads()
    }

    private mutating func note(_ outcome: StrictOutcome, _ feed: inout [StrictFeedChange]) {
        var number = machine.changeCount - UInt64(outcome.changes.count)
        for change in outcome.changes {
            number += 1
            feed.append(
                StrictFeedChange(
                    number: number, index: change.index, version: change.new?.modified, time: machine.logTime,
                    key: change.key, value: change.new?.value))
        }
        for change in outcome.lockChanges { out.append(.event(.lockChanged(change))) }
        if ledTerm != nil, !outcome.leaseChanges.isEmpty { leases.note(outcome.leaseChanges, now: clock.now) }
    }

    /// A replica that guessed would go its own way. One that cannot apply does not lead either.
    private mutating func stop(_ failure: StrictDecodeFailure) {
        guard case .unknownFormat(let format) = failure else { return }
        stoppedBy = format
        out.append(.event(.unknownFormat(format)))
        for read in confirmedReads { loseRead(read.read.origin) }
        confirmedReads.removeAll()
        for proposal in proposals.takeAll() { lose(proposal.origin) }
        handLeadAway()
    }

    private mutating func settle(_ entry: LogEntry, _ answer: StrictAnswer?) {
        while let first = proposals.first, first.position.index <= entry.index, let proposal = proposals.popFirst() {
            if proposal.position == entry.position, let answer {
                reply(proposal.origin, .answer(answer))
            } else {
                lose(proposal.origin)
            }
        }
    }

    // MARK: Reads

    var waitingReads: Int { reads.count + confirmedReads.count }

    mutating func askRead(_ read: StrictRead, for origin: Origin) -> Bool {
        guard waitingReads < Self.askedMax, stoppedBy == nil else { return false }
        let token = nextToken
        do throws(RaftFailure) {
            guard try raft?.requestRead(token: token, now: clock.now) != nil else { return false }
        } catch {
            return false
        }
        nextToken += 1
        reads[token] = PendingRead(read: read, origin: origin)
        return true
    }

    private mutating func confirm(_ state: ReadState) {
        guard let read = reads.removeValue(forKey: state.token) else { return }
        if loading == nil, stoppedBy == nil, machine.appliedIndex >= state.index {
            reply(read.origin, .found(find(read.read), at: machine.revision))
        } else if stoppedBy != nil {
            loseRead(read.origin)
        } else {
            confirmedReads.append(ConfirmedRead(index: state.index, read: read))
        }
    }

    mutating func answerReads() {
        guard !confirmedReads.isEmpty, loading == nil else { return }
        let applied = machine.appliedIndex
        let due = confirmedReads.filter { $0.index <= applied }
        guard !due.isEmpty else { return }
        confirmedReads.removeAll { $0.index <= applied }
        for read in due { reply(read.read.origin, .found(find(read.read.read), at: machine.revision)) }
    }

    /// Bytes of keys and values in one answer; one entry may exceed it.
    static let listBytesMax = 512 * 1024
    static let listMax = 4_096

    private func find(_ read: StrictRead) -> StrictFound {
        switch read {
        case .entry(let key): return .entry(machine.entry(key))
        case .lock(let name): return .lock(machine.lock(name))
        case .lease(let id): return .lease(machine.lease(id))
        case .list(let prefix, let after, let limit):
            var bytes = 0
            var listed: [StrictListed] = []
            let limit = min(max(limit, 1), Self.listMax)
            machine.visitEntries(withPrefix: prefix, after: after) { key, entry in
                bytes += key.bytes + entry.value.count + StrictBounds.entryOverheadBytes
                if !listed.isEmpty, bytes > Self.listBytesMax { return false }
                listed.append(StrictListed(key: key, entry: entry))
                return listed.count < limit
            }
            return .list(listed)
        case .locks(let after, let limit):
            let held = machine.heldLocks(after: after, max: min(max(limit, 1), 64))
            return .locks(held.map { StrictHeld(name: $0.name, lock: $0.lock) })
        }
    }
}

extension RaftMessage.Body {
    /// Whether a leader says it to its followers.
    fileprivate var isOfLeader: Bool {
        switch self {
        case .append, .heartbeat, .installSnapshot: true
        case .preVote, .preVoteResponse, .vote, .voteResponse, .appendResponse, .heartbeatResponse,
            .installSnapshotResponse,
            .timeoutNow, .readIndex, .readIndexResponse:
            false
        }
    }
}
