// SPDX-License-Identifier: Apache-2.0
// Owns the output: what the next `Ready` holds, and what its completion brings about.

import ClusterTypes

extension Raft {
    /// What there is to do, nil when there is nothing. Entries, reads and messages that came in since the last call go
    /// together: taking it once after several inputs makes batches.
    package mutating func takeReady() -> Ready? {
        if isLeader {
            flushReads()
            flushAppends()
        } else {
            flushForwardedReads()
        }
        var ready = outbox
        outbox = Ready()
        if batches.batches.count < RaftBounds.batchesInFlightMax {
            ready.persistence = makePersistence(carries: !ready.messagesAfterPersistence.isEmpty)
            if ready.persistence == nil {
                // All that they depend on is durable already.
                ready.messages += ready.messagesAfterPersistence
                ready.messagesAfterPersistence.removeAll()
            }
        } else {
            outbox.messagesAfterPersistence = ready.messagesAfterPersistence
            ready.messagesAfterPersistence.removeAll()
        }
        takeCommitted(into: &ready)
        return ready.isEmpty ? nil : ready
    }

    /// - Parameter carries: Messages wait for it: for the sake of order an empty batch then follows those in flight.
    private mutating func makePersistence(carries: Bool) -> Persistence? {
        var persistence = Persistence(number: batches.nextNumber)
        persistence.snapshotChunks = chunksToWrite
        persistence.installs = snapshotToInstall
        persistence.entries = Array(log.slice(from: handedToDisk + 1, through: .max, bytesMax: .max))
        let hard = hardState
        if hard != handedHardState { persistence.hardState = hard }
        persistence.needsSync =
            !persistence.entries.isEmpty || persistence.installs != nil || !chunksToWrite.isEmpty
            || hard.needsSync(after: handedHardState)
        // A commit index alone is not worth a write: it goes with the next one.
        guard persistence.needsSync || (carries && !batches.batches.isEmpty) else { return nil }
        batches.batches.append(
            BatchQueue.Batch(
                number: persistence.number, last: persistence.entries.last?.index ?? 0,
                hardState: persistence.hardState, installs: snapshotToInstall?.position.index,
                since: unwrittenSince ?? now))
        batches.nextNumber += 1
        handedToDisk = log.lastIndex
        handedHardState = hard
        chunksToWrite.removeAll()
        snapshotToInstall = nil
        unwrittenSince = nil
        return persistence
    }

    /// Committed and durable here: the applied index never runs ahead of the log on the same disk.
    private mutating func takeCommitted(into ready: inout Ready) {
        let end = min(commitIndex, persistedIndex)
        guard end > handedToApply else { return }
        let slice = log.slice(from: handedToApply + 1, through: end, bytesMax: configuration.applyBytesMax)
        ready.committed = Array(slice)
        handedToApply += UInt64(slice.count)
        bytesSinceSnapshot += slice.reduce(0) { $0 + $1.bytes }
        if bytesSinceSnapshot >= configuration.snapshotLogBytes, !asksForSnapshot {
            asksForSnapshot = true
            ready.wantsSnapshot = true
        }
    }

    /// All batches up to `number` are durable.
    package mutating func onPersisted(_ number: UInt64, now: Instant, using rng: inout SeededGenerator) {
        begin(now: now, using: &rng)
        while let batch = batches.batches.first, batch.number <= number {
            batches.batches.removeFirst()
            if let hard = batch.hardState { persistedHardState = hard }
            if let index = batch.installs, index == log.base.index { persistedIndex = max(persistedIndex, index) }
            if batch.last > 0 { persistedIndex = max(persistedIndex, batch.last) }
        }
        endRefetchIfDone()
        if role == .candidate, persistedHardState.term == term, persistedHardState.votedFor == id {
            record(vote: true, of: id)
            concludeElection()
        }
        if isLeader { advanceCommit() }
    }

    /// The state machine has applied, durably with the state itself, everything up to `index`.
    package mutating func onApplied(through index: LogIndex) {
        appliedIndex = max(appliedIndex, min(index, handedToApply))
    }

    /// Since when the disk owes an answer.
    var oldestUnpersisted: Instant? { batches.batches.first?.since ?? unwrittenSince }

    /// A leader with such a disk would go on to hold its followers with heartbeats (hashicorp/raft #503, consul
    /// #22064).
    var isDiskStalled: Bool {
        guard let since = oldestUnpersisted else { return false }
        return now - since >= configuration.electionTimeout
    }
}
