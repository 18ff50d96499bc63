// SPDX-License-Identifier: Apache-2.0
// Owns the way of the strict group's changes into the store, and what is kept out of strict keys.

import ClusterTypes
import SWIMCore
import StoreCore
import StrictCore
import StrictGroup

extension NodeKernel {
    /// Rows of the feed that may wait for the disk before this node takes no more changes from its clients.
    static let feedRowsWaitingMax = 65_536

    /// Changes of strict keys become rows of the group's own author: from here on they are rows like any others.
    mutating func feed(_ changes: [StrictFeedChange], _ turn: inout Turn) {
        // What is thrown away soon is not needed; a peer brings it again.
        guard !changes.isEmpty, !reset.isUnderWay, let group = strict.node?.founding.founded?.group else { return }
        let actor = ActorID.strictFeed(group: group)
        let wall = turn.clock.wall
        for row in Self.rows(of: changes, by: actor) {
            switch store.follow(row) {
            case .applied(let change):
                statistics.rowsApplied += 1
                strict.feed.append(row, change.map { ChangeRecord(revision: 0, appliedAt: wall, change: $0) })
            case .unknown: merge(fed: row, wall)
            }
        }
        if let dueAt = strict.feed.dueAt, dueAt <= turn.now { flushFeed(&turn) }
    }

    private mutating func merge(fed row: Row, _ wall: WallTime) {
        switch store.merge(row, wall: wall) {
        case .applied(let changes):
            statistics.rowsApplied += 1
            guard let merged = store.row(row.id) else { return }
            let records = changes.map { ChangeRecord(revision: 0, appliedAt: wall, change: $0) }
            strict.feed.append(merged, records.first, records.dropFirst())
        case .known:
            statistics.rowsKnown += 1
        case .quarantined, .invalid, .storeFull, .foreignUseOfOwnActor, .beforeFloor:
            statistics.rowsRefused += 1
        }
    }

    /// Sends what waits to the store's disk.
    mutating func flushFeed(_ turn: inout Turn) {
        guard !strict.feed.isEmpty else { return }
        let fed = strict.feed.count
        var batch = strict.feed.take(at: turn.now)
        for place in batch.changes.indices {
            revision += 1
            batch.changes[place].revision = revision
            if case .typeConflict = batch.changes[place].change.kind {
                findings.noteConflict(batch.changes[place].change.key)
            }
        }
        let records = [DurableRecord.store(.fed(batch))] + recordsVoiding(batch.rows)
        let token = persist(records, then: .rows(batch.rows, changes: batch.changes, reply: nil), &turn)
        strict.feed.noteCommit(token, rows: fed)
    }

    mutating func onFeedPersisted(_ token: PersistToken, _ turn: inout Turn) {
        guard strict.feed.finish(token) else { return }
        releaseSnapshots(&turn)
        if let dueAt = strict.feed.dueAt, dueAt <= turn.now { flushFeed(&turn) }
    }

    /// After a crash the log makes only those changes again that come after its snapshot.
    mutating func makeSnapshot(_ action: StrictDiskAction, _ turn: inout Turn) {
        flushFeed(&turn)
        strict.feed.hold(action)
        releaseSnapshots(&turn)
    }

    private mutating func releaseSnapshots(_ turn: inout Turn) {
        for action in strict.feed.release() { turn.actions.append(.strict(action)) }
    }

    /// The rows of changes in the order of the log. Those of one entry are one transaction.
    package static func rows(of changes: [StrictFeedChange], by actor: ActorID) -> [Row] {
        var rows: [Row] = []
        rows.reserveCapacity(changes.count)
        var start = 0
        while start < changes.count {
            let first = changes[start]
            var end = start + 1
            while end < changes.count, changes[end].index == first.index { end += 1 }
            var transaction: EventDetails.Transaction?
            if end - start > 1, end - start <= Bounds.transactionWritesMax {
                transaction = EventDetails.Transaction(first: first.number, count: UInt32(end - start))
            }
            for change in changes[start..<end] {
                // The entry's place tells entries of one millisecond apart.
                let wall = min(change.time, HybridClock.wallMax.milliseconds)
                let stamp = HybridTimestamp(rawValue: wall << 16 | change.index & 0xffff)
                rows.append(
                    Row(
                        id: RowID(key: change.key.text, part: .register),
                        versions: [Dot(actor: actor, counter: change.number)], stamp: stamp, author: actor,
                        content: .register(change.value),
                        details: EventDetails(transaction: transaction, index: change.version)))
            }
            start = end
        }
        return rows
    }

    /// Whether others get the strict group's rows without our gossip: from their own log, or from the leader's gossip.
    var isFeedToldByLog: Bool {
        guard let mark = strict.node?.mark ?? strict.marks.newest else { return false }
        let voters = mark.voters
        if voters.contains(selfID), mark.leader != selfID { return true }
        guard membership.table.activeCount <= voters.count else { return false }
        return membership.table.members.allSatisfy { !$0.state.isActive || voters.contains($0.id) }
    }

    /// Why an ordinary write must not change this key; nil: it may.
    func refusal(ofOrdinaryWrites writes: [StoreWrite]) -> CommandFailure? {
        guard configuration.strict.isOn else { return nil }
        return writes.first { configuration.strict.covers($0.key) }.map { .strictKey($0.key) }
    }
}
