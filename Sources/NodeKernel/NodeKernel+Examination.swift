// SPDX-License-Identifier: Apache-2.0
// Owns the examination of the ways to peers: small and large datagrams, streams, and what the peers say of this node.

import ClusterTypes
import SWIMCore

/// An examination under way.
struct ExaminationState: Sendable {
    struct Ping: Hashable, Sendable {
        var peer: NodeID
        var isLarge: Bool
    }

    /// Who waits for it: whoever asks while one is under way shares it.
    var clients: [CommandID]
    /// In the order in which they are told.
    var order: [NodeID]
    var peers: [NodeID: PeerExamination]
    var left: Int
    /// Of the requests of this examination.
    var id: UInt32
    var pings: [UInt32: Ping] = [:]
    /// Times that pings were sent.
    var round = 1
    var requestSentAt: Instant

    /// Peers that are asked at most, suspects first, then at random.
    static let peersMax = 64
    /// Silence is believed the second time: a single datagram may be lost.
    static let rounds = 2

    var isOver: Bool { peers.values.allSatisfy(\.isOver) }
}

extension NodeKernel {
    mutating func examine(_ command: CommandID, _ turn: inout Turn) {
        guard isReady(command, &turn) else { return }
        if examination != nil {
            examination?.clients.append(command)
            return
        }
        let table = membership.table
        let suspects = table.members.filter { $0.state == .suspect && $0.id != selfID }.map(\.id)
        var chosen = Array(suspects.prefix(ExaminationState.peersMax))
        let room = ExaminationState.peersMax - chosen.count
        chosen += table.randomPeers(room, using: &turn.rng) { table[$0]?.state == .alive }
        let members = chosen.compactMap { table[$0] }.sorted { ($0.info.name, $0.id) < ($1.info.name, $1.id) }
        let examined = members.map { ($0.id, PeerExamination(member: view($0))) }
        examination = ExaminationState(
            clients: [command], order: members.map(\.id), peers: Dictionary(examined) { first, _ in first },
            left: table.activePeers.count - members.count, id: UInt32(truncatingIfNeeded: turn.rng.next()),
            requestSentAt: turn.now)
        for member in members { openExaminationStream(to: member, &turn) }
        pingExamined(&turn)
        finishExaminationIfOver(&turn)
    }

    private mutating func openExaminationStream(to member: Member, _ turn: inout Turn) {
        let timeout = membership.operatorPingTimeout
        let stream = open(.examination(member.id), to: member.info.address, peer: member.id, timeout: timeout, &turn)
        examination?.peers[member.id]?.streamOpenedAt = turn.now
        if stream == nil { examination?.peers[member.id]?.stream = .notTried }
    }

    /// Sends a small and a large ping to each peer that has not answered such a one.
    private mutating func pingExamined(_ turn: inout Turn) {
        guard let order = examination?.order else { return }
        examination?.requestSentAt = turn.now
        for peer in order {
            guard let examined = examination?.peers[peer] else { continue }
            if examined.datagram == .waiting { pingExamined(peer, isLarge: false, &turn) }
            if examined.largeDatagram == .waiting { pingExamined(peer, isLarge: true, &turn) }
        }
        turn.actions.append(
            .setTimer(.examination, at: turn.now + membership.operatorPingTimeout + .milliseconds(10)))
    }

    private mutating func pingExamined(_ peer: NodeID, isLarge: Bool, _ turn: inout Turn) {
        guard let id = examination?.id,
            let sequence = membership.ping(member: peer, clock: turn.clock, into: &swimActions)
        else { return }
        examination?.pings[sequence] = ExaminationState.Ping(peer: peer, isLarge: isLarge)
        // The ping goes out in a datagram of its own: no gossip beside it, and of the size that is to be tried.
        for action in swimActions {
            guard case .send(let messages, let address) = action else { continue }
            var carried: [Message] = messages.compactMap { if case .ping(let ping) = $0 { .ping(ping) } else { nil } }
            if isLarge { fillUp(&carried) } else { carried.append(.viewRequest(id)) }
            turn.actions.append(
                .send(Packet(cluster: configuration.cluster, sender: selfID, messages: carried), to: address))
        }
        swimActions.removeAll { if case .send = $0 { true } else { false } }
        carryOutMembership(&turn)
    }

    private func fillUp(_ messages: inout [Message]) {
        let sizes = configuration.sizes
        let used = messages.reduce(sizes.header + sizes.message(.padding(0))) { $0 + sizes.message($1) }
        messages.append(.padding(max(0, configuration.datagramBytesMax - used)))
    }

    /// An operator's ping was answered or not; false when it is none of an examination.
    mutating func onExaminationPing(_ sequence: UInt32, roundTrip: Interval?, _ turn: inout Turn) -> Bool {
        guard let ping = examination?.pings.removeValue(forKey: sequence) else { return false }
        guard let roundTrip else { return true }
        examination?.change(ping.peer) { peer in
            if ping.isLarge { peer.largeDatagram = .answered(roundTrip) } else { peer.datagram = .answered(roundTrip) }
        }
        finishExaminationIfOver(&turn)
        return true
    }

    mutating func onExaminationTimer(_ turn: inout Turn) {
        guard let state = examination else { return }
        // A timer of an earlier examination: this one has its own.
        guard turn.now - state.requestSentAt >= membership.operatorPingTimeout else { return }
        if state.round < ExaminationState.rounds {
            examination?.round += 1
            pingExamined(&turn)
            return
        }
        for peer in state.order {
            examination?.change(peer) { examined in
                if examined.datagram == .waiting { examined.datagram = examined.sendFailures > 0 ? .notSent : .silent }
                if examined.largeDatagram == .waiting {
                    examined.largeDatagram = examined.datagram.isAnswered ? .silent : .notTried
                }
                if examined.stream == .waiting { examined.stream = .failed(.timedOut) }
            }
        }
        finishExaminationIfOver(&turn)
    }

    mutating func noteSendFailure(to address: Address) {
        guard let order = examination?.order else { return }
        for peer in order where membership.table[peer]?.info.address == address {
            examination?.change(peer) { $0.sendFailures += 1 }
        }
    }

    /// The stream stands: ask over it what the peer thinks of us, and whether it answers.
    mutating func beginExamination(on id: StreamID, of peer: NodeID, _ turn: inout Turn) {
        guard let state = examination else { return close(id, &turn) }
        write([.viewRequest(state.id), .ping(Ping(sequence: state.id, target: peer))], to: id, &turn)
    }

    mutating func onExaminationAck(_ ack: Ack, on id: StreamID, of peer: NodeID, _ turn: inout Turn) {
        close(id, &turn)
        guard ack.sequence == examination?.id else { return }
        examination?.change(peer) { examined in
            let opened = examined.streamOpenedAt ?? turn.now
            examined.stream = .answered(turn.now - opened)
        }
        finishExaminationIfOver(&turn)
    }

    mutating func onExaminationStreamEnded(_ peer: NodeID, _ failure: JoinFailure, _ turn: inout Turn) {
        examination?.change(peer) { if $0.stream == .waiting { $0.stream = .failed(failure) } }
        finishExaminationIfOver(&turn)
    }

    /// A peer wants to know what we think of it.
    func viewAnswer(_ id: UInt32, to asker: NodeID, _ clock: Clock) -> Message {
        let member = membership.table[asker]
        let trip = member?.roundTrip.map { $0.smoothed.nanoseconds / 1_000 } ?? 0
        return .viewAnswer(
            ViewAnswer(
                id: id, state: member?.state, streamOnlyProbes: UInt8(clamping: member?.streamOnlyProbes ?? 0),
                awareness: UInt8(clamping: membership.awareness.score),
                roundTripMicroseconds: UInt32(clamping: trip), wall: clock.wall.milliseconds))
    }

    mutating func onViewRequest(_ id: UInt32, from sender: NodeID, at address: Address, _ turn: inout Turn) {
        // Strangers learn nothing.
        guard membership.table[sender] != nil else { return }
        let packet = Packet(
            cluster: configuration.cluster, sender: selfID, messages: [viewAnswer(id, to: sender, turn.clock)])
        turn.actions.append(.send(packet, to: address))
    }

    mutating func onViewAnswer(_ answer: ViewAnswer, from sender: NodeID, _ turn: inout Turn) {
        guard let state = examination, answer.id == state.id else { return }
        let trip = (turn.now - state.requestSentAt).nanoseconds / 1_000_000
        let own = Int64(clamping: turn.clock.wall.milliseconds)
        examination?.change(sender) { peer in
            guard peer.view == nil else { return }
            peer.view = answer
            peer.clockOffset = Int64(clamping: answer.wall) + trip / 2 - own
        }
    }

    private mutating func finishExaminationIfOver(_ turn: inout Turn) {
        guard let state = examination, state.isOver else { return }
        examination = nil
        let report = ExaminationReport(
            peers: state.order.compactMap { state.peers[$0] }, left: state.left,
            datagramBytes: configuration.datagramBytesMax)
        for client in state.clients { reply(client, .examined(report), &turn) }
    }

    /// The node is leaving: whoever waits is told.
    mutating func abandonExamination(_ turn: inout Turn) {
        for client in examination?.clients ?? [] { reply(client, .failure(.notReady), &turn) }
        examination = nil
    }
}

extension ExaminationState {
    mutating func change(_ peer: NodeID, _ body: (inout PeerExamination) -> Void) {
        guard var examined = peers.removeValue(forKey: peer) else { return }
        body(&examined)
        peers[peer] = examined
    }
}
