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

    var message: Message {
        switch self {
        case .row(let row): .row(row)
        case .announcement(let dot): .announcement([dot])
        }
    }
}

/// When the next round of gossip is due.
struct GossipSchedule: Hashable, Sendable {
    var generation: UInt64 = 0
    var timerAt: Instant?
    var lastRound: Instant?
    /// News was first carried by an answer to one peer; the others have not been told.
    var owesRound = false
    /// The last round could send nothing of what is fresh: it fits into no datagram and must not hurry the next one.
    var isStuck = false
}

extension NodeKernel {
    /// Between two rounds while there is news that was never sent: many changes at once share datagrams.
    static let burstSpacing = Interval.milliseconds(2)
    /// Datagrams to one peer in one round, at most.
    static let datagramsPerRoundMax = 4
    /// A row that is larger on the wire is announced instead (DESIGN.md section 5: about 1 KB).
    static let gossipRowBytesMax = 1_024

    /// Called at the end of each input: news that has not been sent leaves now, or within `burstSpacing`.
    mutating func gossipFresh(_ turn: inout Turn) {
        guard hasFresh && !gossip.isStuck || gossip.owesRound else { return }
        guard let last = gossip.lastRound, turn.now - last < Self.burstSpacing else {
            gossipRound(&turn)
            return
        }
        setGossipTimer(at: last + Self.burstSpacing, &turn)
    }

    private var hasFresh: Bool { membership.queue.hasFresh || storeQueue.hasFresh }

    mutating func onGossipTimer(_ generation: UInt64, _ turn: inout Turn) {
        guard generation == gossip.generation else { return }
        gossip.timerAt = nil
        gossipRound(&turn)
    }

    /// Sends what waits to a few random peers and sets the next round while anything is left.
    mutating func gossipRound(_ turn: inout Turn) {
        defer { gossip.owesRound = false }
        guard !membership.queue.isEmpty || !storeQueue.isEmpty else { return }
        gossip.lastRound = turn.now
        statistics.gossipRounds += 1
        let peers = membership.gossipPeers(using: &turn.rng)
        guard !peers.isEmpty else {
            // Nobody is there; whoever comes will synchronise.
            membership.forgetQueue()
            storeQueue.removeAll()
            return
        }
        var isSending = false
        for peer in peers {
            guard let address = membership.table[peer]?.info.address else { continue }
            for _ in 0..<Self.datagramsPerRoundMax {
                let packet = fill([])
                if packet.messages.isEmpty { break }
                turn.actions.append(.send(packet, to: address))
                isSending = true
                if !storeQueue.hasFresh { break }
            }
        }
        gossip.isStuck = hasFresh && !isSending
        if !membership.queue.isEmpty || !storeQueue.isEmpty {
            let wait = hasFresh && isSending ? Self.burstSpacing : configuration.swim.gossipInterval
            setGossipTimer(at: turn.now + wait, &turn)
        }
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
                carried.append(.ack(ack))
                wantsDigest = true
            case .indirectPing(let request): carried.append(.indirectPing(request))
            case .nack(let nack): carried.append(.nack(nack))
            case .update(let update): carried.append(.update(update))
            }
        }
        if wantsDigest { carried.append(.digest(digest)) }
        turn.actions.append(.send(fill(carried), to: address))
    }

    /// A packet of `messages` and as much gossip as fits beside them: membership before configuration.
    private mutating func fill(_ messages: [Message]) -> Packet {
        if hasFresh { gossip.owesRound = true }
        var messages = messages
        var budget = configuration.datagramBytesMax - configuration.sizes.header
        for message in messages { budget -= configuration.sizes.message(message) }
        if !membership.queue.isEmpty {
            var updates: [MemberUpdate] = []
            budget -= membership.takeUpdates(budget: budget, into: &updates)
            for update in updates { messages.append(.update(update)) }
        }
        if !storeQueue.isEmpty {
            var changes: [StoreGossip] = []
            budget -= storeQueue.take(budget: budget, limit: membership.transmissionsMax, into: &changes)
            for change in changes { messages.append(change.message) }
        }
        return Packet(cluster: configuration.cluster, sender: selfID, messages: messages)
    }

    /// Queues a durable change for gossip.
    mutating func disseminate(_ row: Row) {
        let bytes = configuration.sizes.message(.row(row))
        let roomMax = min(Self.gossipRowBytesMax, configuration.datagramBytesMax - configuration.sizes.header)
        if bytes <= roomMax {
            storeQueue.enqueue(.row(row), for: row.id, bytes: bytes)
            return
        }
        guard let dot = row.versions.first(where: { $0.actor == row.author }) ?? row.versions.first else { return }
        let announcement = StoreGossip.announcement(dot)
        storeQueue.enqueue(announcement, for: row.id, bytes: configuration.sizes.message(announcement.message))
    }

    private mutating func setGossipTimer(at: Instant, _ turn: inout Turn) {
        if let set = gossip.timerAt, set <= at { return }
        gossip.generation += 1
        gossip.timerAt = at
        turn.actions.append(.setTimer(.gossip(generation: gossip.generation), at: at))
    }
}
