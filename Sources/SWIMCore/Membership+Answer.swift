// SPDX-License-Identifier: Apache-2.0
// Owns the answers to other nodes' probes: acks, relayed pings, nacks; and the operator's ping.

import ClusterTypes

extension Membership {
    /// Answers a ping meant for this node. Whoever is wrongly thought to be gone hears so in the same datagram.
    mutating func onPing(
        _ ping: Ping, from sender: NodeID, at address: Address, clock: Clock, into actions: inout [SWIMAction]
    ) {
        guard isForMe(ping) else { return }
        var messages: [SWIMMessage] = [.ack(Ack(sequence: ping.sequence, wall: clock.wall.milliseconds))]
        if let refutation = takeRefutation(for: sender) { messages.append(.update(refutation)) }
        if let member = table[sender], !member.state.isActive {
            messages.append(.update(member.update(accuser: selfID)))
        } else if table[sender] == nil, let incarnation = reaped[sender] {
            // Dropped here, and synchronisation does not bring it back: only a higher incarnation does.
            let claim = MemberClaim.failed(by: selfID)
            messages.append(.update(MemberUpdate(subject: sender, incarnation: incarnation, claim: claim)))
        }
        actions.append(.send(messages, to: address))
    }

    /// The few transmissions of a refutation may all have missed `sender`, who still accuses: it is told directly, in the
    /// answer to its ping.
    package mutating func takeRefutation(for sender: NodeID) -> MemberUpdate? {
        guard accuser == sender, !isLeaving else { return nil }
        accuser = nil
        return me.update(accuser: selfID)
    }

    /// Called after an update was taken in: an accusation that is answered by what this node says of itself now.
    mutating func noteAccusation(_ update: MemberUpdate, by sender: NodeID) {
        guard update.subject == selfID, me.incarnation > update.incarnation else { return }
        switch update.claim {
        case .suspect, .failed: accuser = sender
        case .alive, .left, .forgotten, .evicted: break
        }
    }

    /// Whether a ping names this node; one meant for somebody else is counted and not answered.
    package mutating func isForMe(_ ping: Ping) -> Bool {
        if ping.target == selfID || ping.target == .unknown { return true }
        statistics.wrongTarget += 1
        return false
    }

    /// Pings the target for the requester (SWIM section 3.1), and nacks when 80 % of the requester's time is over.
    mutating func onIndirectPing(
        _ request: IndirectPing, from sender: NodeID, at address: Address, clock: Clock,
        into actions: inout [SWIMAction]
    ) {
        // Strangers are not served: nobody may use a node to send datagrams wherever he likes.
        guard relayed.count < Self.relayedMax, request.target != selfID, table[sender] != nil else { return }
        let sequence = takeSequence()
        relayed.append(
            RelayedPing(
                sequence: sequence, target: request.target, requester: sender, requesterAddress: address,
                requesterSequence: request.sequence))
        statistics.indirectPingsRelayed += 1
        var messages: [SWIMMessage] = []
        if let member = table[request.target], member.state == .suspect {
            messages.append(.update(member.update(accuser: accuser(of: request.target))))
        }
        messages.append(.ping(Ping(sequence: sequence, target: request.target)))
        actions.append(.send(messages, to: request.targetAddress))
        let deadline = Interval.milliseconds(Int(min(request.deadlineMilliseconds, 60_000)))
        actions.append(.setTimer(.relayNack(sequence: sequence), at: clock.now + deadline * 0.8))
        actions.append(.setTimer(.pingExpiry(sequence: sequence), at: clock.now + deadline))
    }

    /// The target did not answer the relay in time. A late ack is still passed on until the entry expires.
    mutating func onRelayNack(_ sequence: UInt32, into actions: inout [SWIMAction]) {
        guard let ping = relayed.first(where: { $0.sequence == sequence }), !ping.isAnswered else { return }
        statistics.nacksSent += 1
        actions.append(.send([.nack(Nack(sequence: ping.requesterSequence))], to: ping.requesterAddress))
    }

    mutating func onPingExpiry(_ sequence: UInt32, into actions: inout [SWIMAction]) {
        relayed.removeAll { $0.sequence == sequence }
        if let index = operatorPings.firstIndex(where: { $0.sequence == sequence }) {
            operatorPings.remove(at: index)
            actions.append(.pingAnswered(sequence: sequence, roundTrip: nil))
        }
    }

    /// Pings `id` once, because an operator asks; answered by `pingAnswered` within twice the probe timeout.
    /// Returns the sequence number that the answer carries; nil when there is no such member.
    package mutating func ping(member id: NodeID, clock: Clock, into actions: inout [SWIMAction]) -> UInt32? {
        guard let member = table[id] else { return nil }
        let sequence = takeSequence()
        operatorPings.append(OperatorPing(sequence: sequence, target: id, sentAt: clock.now))
        actions.append(.send([.ping(Ping(sequence: sequence, target: id))], to: member.info.address))
        actions.append(.setTimer(.pingExpiry(sequence: sequence), at: clock.now + operatorPingTimeout))
        return sequence
    }

    /// How long an operator's ping waits.
    package var operatorPingTimeout: Interval { configuration.probeTimeout * 2 }
}
