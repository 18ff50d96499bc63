// SPDX-License-Identifier: Apache-2.0
// Owns snapshots: compaction behind them, sending them in chunks, and taking one over (thesis 5).

import ClusterTypes

extension Raft {
    /// What a snapshot of the state at `index` says of itself, but for its bytes.
    /// - Throws: `outOfRange` unless it is applied, durable, and later than the last one.
    package func snapshotMetadata(at index: LogIndex) throws(RaftFailure) -> SnapshotMetadata {
        let end = min(appliedIndex, persistedIndex)
        guard index > snapshot.position.index, index <= end, let term = log.term(at: index) else {
            throw .outOfRange(first: snapshot.position.index + 1, last: end)
        }
        return SnapshotMetadata(
            position: LogPosition(term: term, index: index), membership: log.membership(at: index))
    }

    /// The driver holds a durable snapshot of the state at `index`. Entries far enough before it are dropped.
    /// - Returns: What followers will be offered. The driver then drops its log up to `firstIndex`.
    package mutating func compact(
        at index: LogIndex, bytes: UInt64, digest: Hash128
    ) throws(RaftFailure) -> SnapshotMetadata {
        var metadata = try snapshotMetadata(at: index)
        metadata.bytes = min(bytes, RaftBounds.numberMax)
        metadata.digest = digest
        snapshot = metadata
        asksForSnapshot = false
        bytesSinceSnapshot = log.bytes(after: index, through: handedToApply)
        var through = index > UInt64(configuration.entriesKept) ? index - UInt64(configuration.entriesKept) : 0
        if isLeader, log.bytes <= configuration.logBytesMax {
            for peer in leadership.peers {
                // Whoever takes over an older snapshot continues behind that one.
                if case .snapshot(let outgoing) = peer.state {
                    through = min(through, outgoing.metadata.position.index)
                }
            }
        }
        log.compact(through: through)
        return metadata
    }

    mutating func beginSnapshot(_ place: Int) {
        leadership.peers[place].state = .snapshot(OutgoingSnapshot(metadata: snapshot, offset: 0, sentAt: now))
        tell(.snapshotSending(to: leadership.peers[place].id, snapshot.position))
        orderChunk(place)
    }

    /// The driver no longer has the bytes that it was to send.
    package mutating func onSnapshotUnavailable(to peer: NodeID) {
        guard isLeader, let place = leadership.place(of: peer) else { return }
        if case .snapshot(let outgoing) = leadership.peers[place].state, outgoing.metadata != snapshot {
            beginSnapshot(place)
        }
    }

    /// Has the next chunk read and sent; as long as the receiver has not said where it stands, only the offer.
    private mutating func orderChunk(_ place: Int) {
        guard case .snapshot(var outgoing) = leadership.peers[place].state else { return }
        outgoing.sentAt = now
        leadership.peers[place].state = .snapshot(outgoing)
        let rest = outgoing.metadata.bytes - outgoing.offset
        let bytes = outgoing.isAccepted ? min(UInt64(configuration.snapshotChunkBytesMax), rest) : 0
        outbox.snapshotChunks.append(
            SnapshotChunkOrder(
                to: leadership.peers[place].id, term: term, metadata: outgoing.metadata, offset: outgoing.offset,
                bytesMax: Int(bytes)))
    }

    mutating func retrySnapshot(_ place: Int) {
        guard case .snapshot(let outgoing) = leadership.peers[place].state,
            now - outgoing.sentAt >= configuration.electionTimeout
        else { return }
        orderChunk(place)
    }

    mutating func onSnapshotResponse(_ response: SnapshotResponse, _ message: RaftMessage) {
        guard isLeader, let place = leadership.place(of: message.from) else { return }
        noteContact(place, isRefetching: response.isRefetching)
        guard case .snapshot(var outgoing) = leadership.peers[place].state,
            outgoing.metadata.position == response.position, outgoing.metadata.digest == response.digest
        else { return }
        guard let missing = response.missingFrom else {
            let index = response.position.index
            leadership.peers[place].match = max(leadership.peers[place].match, index)
            leadership.peers[place].becomeProbe()
            leadership.peers[place].noteRound(last: log.lastIndex, now: now)
            advanceCommit()
            return
        }
        guard missing <= outgoing.metadata.bytes else {
            refuse(message, .chunkOutOfRange)
            return
        }
        // A doubled answer must not start a second chain of chunks. A receiver that restarted may be behind.
        let isRecent = now - outgoing.sentAt < configuration.heartbeatInterval
        if outgoing.isAccepted, missing <= outgoing.offset, isRecent { return }
        outgoing.isAccepted = true
        outgoing.offset = missing
        leadership.peers[place].state = .snapshot(outgoing)
        orderChunk(place)
    }

    mutating func onSnapshotChunk(_ chunk: SnapshotChunk, _ message: RaftMessage) {
        guard acceptLeader(message) else { return }
        let metadata = chunk.metadata
        if metadata.position.index <= commitIndex || log.contains(metadata.position) {
            // A snapshot is of what is committed.
            advanceCommit(to: metadata.position.index)
            answer(chunk, missingFrom: nil, to: message.from)
            return
        }
        if incoming?.metadata != metadata { incoming = IncomingSnapshot(metadata: metadata, received: 0) }
        guard var arrived = incoming else { return }
        if chunk.offset == arrived.received, !chunk.bytes.isEmpty {
            chunksToWrite.append(chunk)
            arrived.received += UInt64(chunk.bytes.count)
            incoming = arrived
            noteUnwritten()
        }
        let isWhole = arrived.received == metadata.bytes
        if isWhole { install(metadata) }
        answer(chunk, missingFrom: isWhole ? nil : arrived.received, to: message.from)
    }

    private mutating func answer(_ chunk: SnapshotChunk, missingFrom: UInt64?, to leader: NodeID) {
        let response = SnapshotResponse(
            position: chunk.metadata.position, digest: chunk.metadata.digest, missingFrom: missingFrom,
            isRefetching: isRefetching)
        sendDurably(.installSnapshotResponse(response), to: leader)
    }

    /// The snapshot takes the place of state and log: the log had nothing at its position, or something else.
    private mutating func install(_ metadata: SnapshotMetadata) {
        let index = metadata.position.index
        log = RaftLog(base: metadata.position, membership: metadata.membership)
        snapshot = metadata
        incoming = nil
        snapshotToInstall = metadata
        commitIndex = index
        appliedIndex = index
        handedToApply = index
        handedToDisk = index
        bytesSinceSnapshot = 0
        asksForSnapshot = false
        // Nothing of the log is durable until the snapshot is.
        persistedIndex = 0
        batches.truncate(from: 1)
        noteUnwritten()
        tell(.snapshotInstalled(metadata.position))
        onMembershipInForce()
    }
}
