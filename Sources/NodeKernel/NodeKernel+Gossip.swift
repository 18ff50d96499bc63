// SPDX-License-Identifier: Apache-2.0
// Owns the packing of datagrams and the rounds of gossip: fresh news leaves at once, then rides what is sent anyway.

import ClusterTypes
import SWIMCore
import StoreCore

/// A change of the store as gossip carries it.
enum StoreGossip: Hashable, Sendable {
    case row(Row)
    /// The row is too large to ride: say that it is here.
    case announcement(Dot)
}

/// When the next round of gossip is due.
struct GossipSchedule: Hashable, Sendable {
    var generation: UInt64 = 0
    var timerAt: Instant?
    var lastRound: Instant?
    /// News was first carried by an answer to one peer; the others have not been told.
    var owesRound = false
    /// Rounds that still follow soon after the last one.
    var soonRounds = 0
    /// The last round could send nothing of what is fresh: it fits into no datagram and must not hurry the next one.
    var isStuck = false
}

extension NodeKernel {
    /// Between two rounds while there is news that was never sent: many changes at once share datagrams.
    static let burstSpacing = Interval.milliseconds(2)
    /// The second and the third round of news follow after this part of the interval: the first wave misses a member or two
    /// of a hundred, and they need not wait for what is sent against loss (decision 13).
    package static let soonRoundShare = 4
    package static let soonRoundsMax = 2
    /// Datagrams to one peer in one round, at most.
    static let datagramsPerRoundMax = 4
    /// A row that is larger on the wire is announced instead (DESIGN.md section 5: about 1 KB).
    static let gossipRowBytesMax = 1_024
    /// A row of at least so many bytes travels whole in the first half of its transmissions alone; then its announcement does
    /// (decision 13).
    static let reminderRowBytesMin = 256
    /// The rows of a transaction of more events are announced by its last one: whoever pulls it gets them all.
    static let gossipTransactionMax: UInt32 = 64

    /// Called at the end of each input: news that has not been sent leaves now, or within `burstSpacing`.
    mutating func gossipFresh(_ turn: inout Turn) {
        guard hasFresh && !gossip.isStuck || gossip.owesRound else { return }
        guard let last = gossip.lastRound, turn.now - last < Self.burstSpacing else {
            gossipRound(&turn)
            return
        }
        setGossipTimer(at: last + Self.burstSpacing, &turn)
    }

    private var hasFresh: Bool {
        membership.queue.hasFresh || userEventSchedule.queue.hasFresh || hasStoreNews && storeQueue.hasFresh
    }

    /// Nothing of a store that is being thrown away leaves the node.
    private var hasStoreNews: Bool { !storeQueue.isEmpty && !reset.isUnderWay }

    mutating func onGossipTimer(_ generation: UInt64, _ turn: inout Turn) {
        guard generation == gossip.generation else { return }
        gossip.timerAt = nil
        gossipRound(&turn)
    }

    /// Sends what waits to a few random peers and sets the next round while anything is left.
    mutating func gossipRound(_ turn: inout Turn) {
        defer { gossip.owesRound = false }
        guard !membership.queue.isEmpty || hasUserEventNews || hasStoreNews else { return }
        let wasFresh = hasFresh
        gossip.lastRound = turn.now
        statistics.gossipRounds += 1
        let peers = membership.gossipPeers(using: &turn.rng)
        guard !peers.isEmpty else {
            // Nobody is there; whoever comes will synchronise.
            membership.forgetQueue()
            storeQueue.removeAll()
            userEventSchedule.queue.removeAll()
            return
        }
        var isSending = false
        for peer in peers {
            guard let address = membership.table[peer]?.info.address else { continue }
            for _ in 0..<Self.datagramsPerRoundMax {
                let packet = fill([], now: turn.now)
                if packet.messages.isEmpty { break }
                turn.actions.append(.send(packet, to: address))
                isSending = true
                if !userEventSchedule.queue.hasFresh, !hasStoreNews || !storeQueue.hasFresh { break }
            }
        }
        gossip.isStuck = hasFresh && !isSending
        if !membership.queue.isEmpty || hasUserEventNews || hasStoreNews {
            setGossipTimer(at: turn.now + waitForNextRound(wasFresh: wasFresh, isSending: isSending), &turn)
        }
    }

    private mutating func waitForNextRound(wasFresh: Bool, isSending: Bool) -> Interval {
        let interval = configuration.swim.gossipInterval
        if hasFresh { return isSending ? Self.burstSpacing : interval }
        if wasFresh { gossip.soonRounds = Self.soonRoundsMax }
        guard gossip.soonRounds > 0 else { return interval }
        gossip.soonRounds -= 1
        return interval / Self.soonRoundShare
    }

    /// Sends membership's messages in one datagram: pings and acks get the digest, the rest of the space gets gossip.
    mutating func send(_ messages: [SWIMMessage], to address: Address, _ turn: inout Turn) {
        var carried: [Message] = []
        carried.reserveCapacity(messages.count + 1)
        var wantsDigest = false
        for message in messages {
            switch message {
            case .ping(let ping):
                carried.append(.ping(ping))
                wantsDigest = true
            case .ack(let ack):
                // In front of the ack, whose round trip is measured to this place.
                if let place = placeToTell() { carried.append(.coordinate(place)) }
                carried.append(.ack(ack))
                wantsDigest = true
            case .indirectPing(let request): carried.append(.indirectPing(request))
            case .nack(let nack): carried.append(.nack(nack))
            case .update(let update): carried.append(.update(update))
            }
        }
        if wantsDigest { carried.append(.digest(digest)) }
        if wantsDigest, let ringMark { carried.append(ringMark) }
        if wantsDigest, let mark = strictMarkToTell(turn) {
            let bytes = configuration.sizes.header + carried.reduce(0) { $0 + configuration.sizes.message($1) }
            let message = Message.strictMark(mark)
            if bytes + configuration.sizes.message(message) <= configuration.datagramBytesMax {
                carried.append(message)
            }
        }
        turn.actions.append(.send(fill(carried, hasMarks: wantsDigest, now: turn.now), to: address))
    }

    /// A packet of `messages` and as much gossip as fits beside them: membership, user events, configuration. With
    /// `hasMarks` it also says which user events this node has.
    private mutating func fill(_ messages: [Message], hasMarks: Bool = false, now: Instant) -> Packet {
        if hasFresh { gossip.owesRound = true }
        var messages = messages
        var budget = configuration.datagramBytesMax - configuration.sizes.header
        for message in messages { budget -= configuration.sizes.message(message) }
        if !membership.queue.isEmpty {
            var updates: [MemberUpdate] = []
            budget -= membership.takeUpdates(budget: budget, into: &updates)
            for update in updates { messages.append(.update(update)) }
        }
        if hasMarks { addUserEventMarks(to: &messages, budget: &budget, now: now) }
        if hasUserEventNews { budget -= addUserEvents(to: &messages, budget: budget, now: now) }
        if hasStoreNews { addStoreNews(to: &messages, budget: budget) }
        return Packet(cluster: configuration.cluster, sender: selfID, messages: messages)
    }

    /// Rows and announcements, behind the mark of the floor that they stand on; all announcements as one message.
    private mutating func addStoreNews(to messages: inout [Message], budget: Int) {
        let mark = Message.floorMark(store.floor.mark)
        let hasMark = mark != .floorMark(0)
        let room = hasMark ? budget - configuration.sizes.message(mark) : budget
        var changes: [StoreGossip] = []
        _ = storeQueue.take(budget: room, limit: membership.transmissionsMax, into: &changes)
        if changes.isEmpty { return }
        if hasMark { messages.append(mark) }
        var announced: [Dot] = []
        for change in changes {
            switch change {
            case .row(let row): messages.append(.row(row))
            case .announcement(let dot): announced.append(dot)
            }
        }
        if !announced.isEmpty { messages.append(.announcement(announced.sorted())) }
    }

    /// Queues a durable change for gossip. What came with a catch-up is known to everybody else.
    mutating func disseminate(_ row: Row) {
        if isBulkPersisting, row.author.node != selfID { return }
        if let transaction = row.details.transaction, transaction.count > Self.gossipTransactionMax {
            let last = transaction.first &+ UInt64(transaction.count) &- 1
            let dot = Dot(actor: row.author, counter: last)
            if row.versions.contains(dot) { announce(dot, of: row) }
            return
        }
        let bytes = configuration.sizes.message(.row(row))
        let mark = store.floor.mark
        let header = configuration.sizes.header + (mark == 0 ? 0 : configuration.sizes.message(.floorMark(mark)))
        let dot = row.versions.first { $0.actor == row.author } ?? row.versions.first
        if bytes <= min(Self.gossipRowBytesMax, configuration.datagramBytesMax - header) {
            storeQueue.enqueue(.row(row), for: row.id, bytes: bytes, later: reminder(of: dot, bytes: bytes))
        } else if let dot {
            announce(dot, of: row)
        }
    }

    /// Nearly everybody has a row after half of its transmissions, under heavy loss too; to the others it is enough to say
    /// that it exists.
    /// Nil: it is so small that this would save little.
    private func reminder(of dot: Dot?, bytes: Int) -> DisseminationQueue<RowID, StoreGossip>.Later? {
        guard let dot, bytes >= Self.reminderRowBytesMin else { return nil }
        return .init(
            .announcement(dot), bytes: announcementBytes(of: dot), after: max(1, membership.transmissionsMax / 2))
    }

    // Sharing a message with others, an announcement takes no more than alone.
    private func announcementBytes(of dot: Dot) -> Int { configuration.sizes.message(.announcement([dot])) }

    private mutating func announce(_ dot: Dot, of row: Row) {
        storeQueue.enqueue(.announcement(dot), for: row.id, bytes: announcementBytes(of: dot))
    }

    private mutating func setGossipTimer(at: Instant, _ turn: inout Turn) {
        if let set = gossip.timerAt, set <= at { return }
        gossip.generation += 1
        gossip.timerAt = at
        turn.actions.append(.setTimer(.gossip(generation: gossip.generation), at: at))
    }
}
