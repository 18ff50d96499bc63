// SPDX-License-Identifier: Apache-2.0
// Owns what waits for the disk: nothing that depends on a record leaves the kernel before the record is durable.

import ClusterTypes
import SWIMCore
import StoreCore

/// What is released when a `persist` completes.
enum PendingWrite: Sendable {
    case fence(UInt64)
    /// Rows written here or taken in from peers: gossip them, publish the changes, answer the client.
    case rows([Row], changes: [ChangeRecord], reply: (id: CommandID, report: WriteReport)?)
    case context
    case peers
    case collection(CollectionWrite)
    case ring(Ring, reply: CommandID?)

    var isRows: Bool { if case .rows = self { true } else { false } }
}

extension NodeKernel {
    /// Between two looks at whether the peers to remember have changed.
    static let rememberInterval = Interval.seconds(5)
    /// Peers remembered at most.
    static let rememberedPeersMax = 64
    /// Of them, those that are not there now.
    private static let rememberedLostMax = 24

    @discardableResult
    mutating func persist(
        _ records: [DurableRecord], then write: PendingWrite, _ turn: inout Turn
    ) -> PersistToken {
        // What follows may say that the feed's rows are on the disk, or change them.
        if records.contains(where: { if case .store = $0 { true } else { false } }) { flushFeed(&turn) }
        nextToken += 1
        let token = PersistToken(rawValue: nextToken)
        pendingWrites[token] = write
        turn.actions.append(.persist(token, records))
        noteOwedConfirmations(token)
        return token
    }

    mutating func onPersisted(_ token: PersistToken, _ turn: inout Turn) {
        guard let write = pendingWrites.removeValue(forKey: token) else { return }
        switch write {
        case .fence(let fence):
            onFencePersisted(fence, &turn)
        case .rows(let rows, let changes, let reply):
            disseminate(rows)
            onFeedPersisted(token, &turn)
            publish(changes, &turn)
            if let reply { turn.actions.append(.reply(reply.id, .written(reply.report))) }
            answerWaitingRequests(token, &turn)
            sendDurableBatches(&turn)
        case .collection(let write):
            onCollectionWrite(write, &turn)
        case .ring(let ring, let command):
            onRingPersisted(ring, command: command, &turn)
        case .context, .peers:
            break
        }
        answerOwedConfirmations(token, &turn)
        scheduleExpiry(&turn)
    }

    private mutating func disseminate(_ rows: [Row]) {
        let leavesFeedOut = rows.indices.contains { rows[$0].author.isStrictFeed } && isFeedToldByLog
        for place in rows.indices where !leavesFeedOut || !rows[place].author.isStrictFeed { disseminate(rows[place]) }
    }

    private func publish(_ records: [ChangeRecord], _ turn: inout Turn) {
        var told = 0
        for (place, record) in records.enumerated() {
            guard case .typeConflict(let kept, let aside) = record.change.kind else { continue }
            publishChanges(records[told..<place], &turn)
            told = place + 1
            turn.actions.append(
                .event(
                    .typeConflict(
                        key: record.change.key, kept: kept, aside: aside, revision: record.revision)))
        }
        // As a rule all of them, which need not be copied.
        if told == 0, !records.isEmpty { return turn.actions.append(.event(.keysChanged(records))) }
        publishChanges(records[told...], &turn)
    }

    private func publishChanges(_ records: ArraySlice<ChangeRecord>, _ turn: inout Turn) {
        if !records.isEmpty { turn.actions.append(.event(.keysChanged(Array(records)))) }
    }

    /// Makes rows and what they changed durable together, then gossips, publishes, answers.
    @discardableResult
    mutating func persistRows(
        _ rows: [Row], changes: [Change], reply: (id: CommandID, report: WriteReport)?, beside: [StoreRecord] = [],
        _ turn: inout Turn
    ) -> PersistToken {
        // Before these get their revisions.
        flushFeed(&turn)
        var records = rows.map { DurableRecord.store(.row($0)) }
        var numbered: [ChangeRecord] = []
        for change in changes {
            revision += 1
            let record = ChangeRecord(revision: revision, appliedAt: turn.clock.wall, change: change)
            numbered.append(record)
            records.append(.store(.change(record)))
            if case .typeConflict = change.kind { findings.noteConflict(change.key) }
        }
        records += beside.map { .store($0) }
        records += recordsVoiding(rows)
        return persist(records, then: .rows(rows, changes: numbered, reply: reply), &turn)
    }

    /// Takes in rows from a peer: those of transactions as soon as they are whole, the others at once. What is news
    /// becomes durable and is then gossiped on.
    ///
    /// - Returns: false when a row was quarantined, refused or put off: the peer's context must not be adopted then.
    mutating func take(in rows: [Row], _ turn: inout Turn) -> Bool {
        // A disk that stands still must not let peers fill our memory, nor end the driver that queues for it.
        guard takesPeersRows else {
            statistics.rowsDeferred += UInt64(rows.count)
            for row in rows { transactions.noteTurnedAway(row, now: turn.now) }
            return false
        }
        dropAgedTransactions(&turn)
        let isComplete = merge(releasable(rows, &turn), &turn)
        scheduleExpiry(&turn)
        return isComplete
    }

    /// While the disk is full or far behind, anti-entropy has to bring peers' rows again.
    var takesPeersRows: Bool { storage != .full && pendingWrites.count < configuration.pendingWritesMax }

    /// Merges rows, and whatever becomes complete by them, in one batch; false when some were not taken.
    mutating func merge(_ rows: [Row], _ turn: inout Turn) -> Bool {
        var applied: [Row] = []
        var changes: [Change] = []
        var isComplete = true
        var rows = rows
        while !rows.isEmpty {
            for row in rows {
                if merge(row, applied: &applied, changes: &changes, &turn) { continue }
                transactions.noteTurnedAway(row, now: turn.now)
                isComplete = false
            }
            rows = unlocked(by: rows, &turn)
        }
        if !applied.isEmpty { persistRows(applied, changes: changes, reply: nil, &turn) }
        return isComplete
    }

    private mutating func merge(
        _ row: Row, applied: inout [Row], changes: inout [Change], _ turn: inout Turn
    ) -> Bool {
        if isForeignToStrictKey(row, turn) { return false }
        var outcome = store.merge(row, wall: turn.clock.wall)
        if case .foreignUseOfOwnActor = outcome {
            // Events under our own actor that we never made: write under another epoch from now on.
            renewActor()
            outcome = store.merge(row, wall: turn.clock.wall)
        }
        switch outcome {
        case .applied(let news):
            statistics.rowsApplied += 1
            // The merged row, not the one that came: it may join several writers.
            if let merged = store.row(row.id) { applied.append(merged) }
            changes += news
            return true
        case .known:
            statistics.rowsKnown += 1
            return true
        case .quarantined(let ahead):
            statistics.rowsQuarantined += 1
            noteQuarantine(aheadMilliseconds: ahead, turn.now)
            reportQuarantine(of: row, aheadMilliseconds: ahead, &turn)
            return false
        case .invalid, .storeFull, .foreignUseOfOwnActor, .beforeFloor:
            statistics.rowsRefused += 1
            return false
        }
    }

    /// Writes from now on under an actor of which no event was ever seen, whatever a peer has made up.
    mutating func renewActor() {
        var actor = store.actor
        var attempts: UInt32 = 0
        repeat {
            attempts += 1
            // Steps by one once the wide ones have come around.
            actor.epoch = actor.epoch &+ (attempts % 256 == 0 ? Self.epochStep + 1 : Self.epochStep)
        } while store.context.highest(of: actor) > 0
        store.renewActor(to: actor)
    }

    private mutating func noteQuarantine(aheadMilliseconds ahead: UInt64, _ now: Instant) {
        let wait = min(ahead, Self.reportedAheadMax) - min(ahead, store.configuration.clockSkewMaxMilliseconds)
        let end = now + .milliseconds(Int(clamping: wait))
        repair.quarantineEndsAt = min(end, repair.quarantineEndsAt ?? end)
    }

    /// A row that waits for its time comes back with each repair: one report for each author and minute.
    private mutating func reportQuarantine(of row: Row, aheadMilliseconds: UInt64, _ turn: inout Turn) {
        let author = row.author.node
        let ahead = Interval.milliseconds(Int(clamping: min(aheadMilliseconds, Self.reportedAheadMax)))
        findings.noteQuarantine(author: author, key: row.id.key, ahead: ahead)
        quarantineReports.removeAll { turn.now - $0.at >= Self.quarantineReportInterval }
        guard !quarantineReports.contains(where: { $0.author == author }),
            quarantineReports.count < Self.quarantineReportsMax
        else { return }
        quarantineReports.append((author, turn.now))
        turn.actions.append(.event(.quarantined(key: row.id.key, author: row.author, ahead: ahead)))
    }

    private static let quarantineReportInterval = Interval.seconds(60)
    /// Authors reported within one interval at most.
    private static let quarantineReportsMax = 64

    /// A restarted process counts epochs by one; renewals within a process stay clear of them.
    private static let epochStep: UInt32 = 1 << 24

    /// Milliseconds that a quarantined stamp is reported to be ahead at most: 278 years, which an `Interval` holds.
    private static let reportedAheadMax: UInt64 = 1 << 43

    /// Writes down where to find the cluster after a restart, when that has changed.
    mutating func rememberPeers(_ turn: inout Turn) {
        guard !membership.isLeaving else { return }
        turn.actions.append(.setTimer(.rememberPeers, at: turn.now + Self.rememberInterval))
        tryAbsentPeers(&turn)
        writePeers(&turn)
    }

    /// The first peer is written down at once: a process that dies soon after joining must find its way back.
    mutating func rememberFirstPeer(_ turn: inout Turn) {
        if rememberedPeers.isEmpty, !membership.isLeaving { writePeers(&turn) }
    }

    private mutating func writePeers(_ turn: inout Turn) {
        let me = selfID
        let active = membership.table.members.lazy.filter { $0.state.isActive && $0.id != me }
        // Alone, the node keeps what it remembers: that is when it will be needed.
        guard let first = active.first else { return }
        let lost = lostPeers().suffix(Self.rememberedLostMax)
        var peers = [remembered(first)]
        peers += active.dropFirst().prefix(Self.rememberedPeersMax - lost.count - 1).map { remembered($0) }
        peers += lost
        peers.sort { $0.id < $1.id }
        guard peers != rememberedPeers else { return }
        rememberedPeers = peers
        persist([.peers(peers)], then: .peers, &turn)
    }

    /// Who may be the other half of a cluster that is apart, the last one lost last: not heard of since an earlier process
    /// knew them, dropped from the table, failed. Were they not written down, halves that are started anew while they are
    /// apart would never find each other.
    private func lostPeers() -> [RememberedPeer] {
        var lost = rememberedPeers.filter { membership.table[$0.id] == nil }
        for peer in absentPeers where membership.table[peer.id] == nil && !lost.contains(where: { $0.id == peer.id }) {
            lost.append(peer)
        }
        return lost + membership.table.members(in: .failed).map { remembered($0) }
    }

    func remembered(_ member: Member) -> RememberedPeer {
        RememberedPeer(
            id: member.id, name: member.info.name, address: member.info.address,
            key: membership.pinnedKey(of: member.id))
    }
}
