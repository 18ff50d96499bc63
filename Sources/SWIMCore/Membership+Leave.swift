// SPDX-License-Identifier: Apache-2.0
// Owns the graceful leave: telling peers, counting who acknowledged, and giving up in time.

import ClusterTypes

/// A leave under way.
struct Departure: Hashable, Sendable {
    let deadline: Instant
    /// Peers asked to acknowledge, and the sequence number each of them was last asked with.
    var asked: [NodeID]
    var sequences: [UInt32]
    var acknowledged: [NodeID]
    var attempt: Int
}

extension Membership {
    /// Peers asked to acknowledge a leave: a majority of them is a quorum that gossip spreads the news from.
    static let leavePeersMax = 8

    /// Says goodbye. `left` follows when a majority of the peers asked has acknowledged, or at `deadline`.
    package mutating func leave(
        deadline: Instant, clock: Clock, using rng: inout SeededGenerator, into actions: inout [SWIMAction]
    ) {
        guard !isLeaving else { return }
        isLeaving = true
        generation += 1
        upkeepGeneration += 1
        probes.removeAll()
        suspicions.keys.sorted().forEach { id in
            table.change(id) { $0.state = .alive }
            suspicions[id] = nil
        }
        table.change(selfID) {
            $0.state = .left
            $0.since = clock
        }
        if let authorship {
            let statement = SelfStatement(subject: selfID, incarnation: me.incarnation, word: .left)
            table.change(selfID) { $0.info = $0.info.proven(by: authorship.sign(statement)) }
        }
        disseminate(me.update(accuser: selfID))
        emit(.left, of: selfID, into: &actions)
        let peers = table.randomPeers(Self.leavePeersMax, using: &rng)
        departure = Departure(deadline: deadline, asked: peers, sequences: [], acknowledged: [], attempt: 0)
        askForAcknowledgements(clock: clock, into: &actions)
    }

    mutating func onLeaveTimer(
        _ attempt: Int, clock: Clock, using rng: inout SeededGenerator, into actions: inout [SWIMAction]
    ) {
        guard let departure, departure.attempt == attempt else { return }
        if clock.now >= departure.deadline {
            finishLeaving(into: &actions)
        } else {
            askForAcknowledgements(clock: clock, into: &actions)
        }
    }

    /// An ack that answers a goodbye; true when it did.
    package mutating func onLeaveAck(_ ack: Ack, from sender: NodeID, into actions: inout [SWIMAction]) -> Bool {
        guard var departure, departure.sequences.contains(ack.sequence), departure.asked.contains(sender) else {
            return false
        }
        if !departure.acknowledged.contains(sender) { departure.acknowledged.append(sender) }
        self.departure = departure
        if departure.acknowledged.count * 2 > departure.asked.count { finishLeaving(into: &actions) }
        return true
    }

    private mutating func askForAcknowledgements(clock: Clock, into actions: inout [SWIMAction]) {
        guard var departure else { return }
        guard !departure.asked.isEmpty else {
            finishLeaving(into: &actions)
            return
        }
        departure.attempt += 1
        for id in departure.asked where !departure.acknowledged.contains(id) {
            guard let member = table[id] else { continue }
            let sequence = takeSequence()
            departure.sequences.append(sequence)
            actions.append(
                .send(
                    [.update(me.update(accuser: selfID)), .ping(Ping(sequence: sequence, target: id))],
                    to: member.info.address))
        }
        self.departure = departure
        let next = min(departure.deadline, clock.now + configuration.leaveRetryInterval)
        actions.append(.setTimer(.leave(attempt: departure.attempt), at: next))
    }

    private mutating func finishLeaving(into actions: inout [SWIMAction]) {
        guard let departure else { return }
        self.departure = nil
        actions.append(.left(acknowledged: departure.acknowledged.count, asked: departure.asked.count))
    }
}
