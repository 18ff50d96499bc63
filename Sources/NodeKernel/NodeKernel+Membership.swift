// SPDX-License-Identifier: Apache-2.0
// Owns the way of datagrams into membership and of membership's actions out of the kernel.

import ClusterTypes
import SWIMCore
import StoreCore

extension NodeKernel {
    /// One datagram: membership first, then what rides along.
    mutating func onDatagram(_ packet: Packet, from address: Address, _ turn: inout Turn) {
        guard membership.isStarted, accepts(packet, from: address, &turn) else { return }
        var rows: [Row] = []
        var floorMark: UInt64 = 0
        for message in packet.messages {
            switch message {
            case .ping(let ping):
                places.answering = packet.sender
                deliver(.ping(ping), packet.sender, address, &turn)
                places.answering = nil
            case .ack(let ack):
                deliver(.ack(ack), packet.sender, address, &turn)
            case .indirectPing(let request):
                deliver(.indirectPing(request), packet.sender, address, &turn)
            case .nack(let nack):
                deliver(.nack(nack), packet.sender, address, &turn)
            case .update(let update):
                deliver(.update(update), packet.sender, address, &turn)
            case .digest(let digest):
                noteFloorMark(of: digest, from: packet.sender, at: address, &turn)
                onDigest(digest, from: packet.sender, at: address, &turn)
            case .row(let row):
                rows.append(row)
            case .announcement(let dots):
                onAnnouncement(dots, from: packet.sender, &turn)
            case .floorMark(let mark):
                floorMark = mark
            case .confirmRequest(let request):
                onConfirmRequest(request, from: packet.sender, &turn)
            case .confirmed(let question):
                onConfirmed(question, from: packet.sender, &turn)
            case .collectRequest(let request):
                onCollectRequest(request, from: packet.sender, at: address, &turn)
            case .collectAnswer(let answer):
                onCollectAnswer(answer, from: packet.sender, &turn)
            case .floor(let floor):
                onFloor(floor, from: packet.sender, at: address, &turn)
            case .coordinate(let place):
                onCoordinate(place, from: packet.sender, now: turn.now)
            case .viewRequest(let id):
                onViewRequest(id, from: packet.sender, at: address, &turn)
            case .viewAnswer(let answer):
                onViewAnswer(answer, from: packet.sender, &turn)
            case .ringMark(let mark):
                onRingMark(mark, from: packet.sender, at: address, &turn)
            case .strictMark(let mark):
                onStrictMark(mark, &turn)
            case .padding:
                break
            case .userEvent(let notice):
                onUserEvent(notice, from: packet.sender, &turn)
            case .userEventMarks(let marks):
                onUserEventMarks(marks, from: packet.sender, &turn)
            case .memberTable, .storeRequest, .storeBatchEnd, .storeContinue, .storeComplete, .rowRequest, .ranges,
                .keyRing, .sentinel, .strict:
                ignore(.unexpected, from: address, &turn)
            }
        }
        guard !rows.isEmpty else { return }
        if takesRows(withFloor: floorMark) {
            _ = take(in: rows, &turn)
        } else {
            statistics.rowsDeferred += UInt64(rows.count)
            onFloorMark(floorMark, from: packet.sender, at: address, &turn)
        }
    }

    /// Whether a packet belongs to this cluster and comes from somebody else; what does not is counted.
    mutating func accepts(_ packet: Packet, from address: Address, _ turn: inout Turn) -> Bool {
        guard packet.cluster == configuration.cluster else {
            ignore(.otherCluster, from: address, &turn)
            return false
        }
        guard packet.sender != selfID else {
            hearOwnID(packet, from: address, &turn)
            return false
        }
        return true
    }

    /// Membership found this process stalled: at most one report in ten seconds, as every late timer tells.
    mutating func reportStall(_ turn: inout Turn) {
        guard stallReportedAt.map({ turn.now - $0 >= .seconds(10) }) ?? true else { return }
        stallReportedAt = turn.now
        turn.actions.append(.event(.stalled))
    }

    /// Counts a useless packet and reports it at most once in ten seconds for each reason.
    mutating func ignore(_ reason: IgnoredPacket, from address: Address, _ turn: inout Turn) {
        statistics.packetsIgnored[Int(reason.rawValue)] += 1
        if let last = ignoredReportedAt[reason], turn.now - last < .seconds(10) { return }
        ignoredReportedAt[reason] = turn.now
        turn.actions.append(.event(.packetIgnored(reason, from: address)))
    }

    private mutating func deliver(
        _ message: SWIMMessage, _ sender: NodeID, _ address: Address, _ turn: inout Turn
    ) {
        membership.onMessage(
            message, from: sender, at: address, clock: turn.clock, using: &turn.rng, into: &swimActions)
        carryOutMembership(&turn)
    }

    /// Turns membership's actions into the kernel's, until there are none left.
    mutating func carryOutMembership(_ turn: inout Turn) {
        while !swimActions.isEmpty {
            var batch: [SWIMAction] = []
            swap(&batch, &swimActions)
            for action in batch { carryOut(action, &turn) }
            if swimActions.isEmpty {
                batch.removeAll(keepingCapacity: true)
                swap(&batch, &swimActions)
            }
        }
    }

    private mutating func carryOut(_ action: SWIMAction, _ turn: inout Turn) {
        switch action {
        case .send(let messages, let address):
            send(messages, to: address, &turn)
        case .openProbeStream(let sequence, let target, let address):
            openProbeStream(sequence: sequence, target: target, to: address, &turn)
        case .setTimer(let timer, let at):
            turn.actions.append(.setTimer(.swim(timer), at: at))
        case .persistFence(let fence):
            persist([.incarnationFence(fence)], then: .fence(fence), &turn)
        case .event(let event):
            record(event, &turn)
        case .note(let note, let id, let incarnation):
            remember(.note(note), of: id, incarnation: incarnation, turn.clock)
        case .awarenessChanged(let from, let to):
            turn.actions.append(.event(.awarenessChanged(from: from, to: to)))
        case .pingAnswered(let sequence, let roundTrip):
            if !onExaminationPing(sequence, roundTrip: roundTrip, &turn) {
                answerOperatorPing(sequence, roundTrip: roundTrip, &turn)
            }
        case .clockSample(let id, let wall, let roundTrip):
            onClockSample(id, wall: wall, roundTrip: roundTrip, &turn)
            noteRoundTrip(roundTrip, to: id, &turn)
        case .identityInUse(let address):
            reportIdentity(at: address, &turn)
        case .otherSelf(let address):
            askDouble(at: address, &turn)
        case .evicted(let operatorNode):
            onEviction(by: operatorNode, &turn)
        case .left(let acknowledged, let asked):
            finishLeaving(LeaveOutcome(acknowledged: acknowledged, asked: asked), &turn)
        }
    }

    /// Keeps the event for `member explain` and reports it.
    private mutating func record(_ event: MemberEvent, _ turn: inout Turn) {
        remember(.event(event), of: event.id, incarnation: event.incarnation, turn.clock)
        if case .alive(previously: .failed, after: _) = event.kind {
            // Back from a partition: what was written there meanwhile is fetched now, not at some later ping.
            startStoreRepair(with: event.id, &turn)
        }
        turn.actions.append(.event(.member(event)))
        if case .joined = event.kind { rememberFirstPeer(&turn) }
        let hasLeft = membership.table[event.id].map { $0.state >= .left } ?? true
        if hasLeft || event.kind == .reaped { forgetPlace(of: event.id) }
        if case .failed = event.kind { strictPeerIsGone(event.id, &turn) }
        if event.kind == .reaped { timeline.forget(event.id) }
    }

    private mutating func remember(
        _ what: TimelineEntry.What, of id: NodeID, incarnation: UInt64, _ clock: Clock
    ) {
        timeline.add(what, of: id, incarnation: incarnation, at: clock)
        timeline.trim()
    }

    /// The first incarnations are durable: the node takes part from now on.
    mutating func onFencePersisted(_ fence: UInt64, _ turn: inout Turn) {
        let wasStarted = membership.isStarted
        membership.onFencePersisted(fence, clock: turn.clock, using: &turn.rng, into: &swimActions)
        carryOutMembership(&turn)
        if !wasStarted {
            startCollection(&turn)
            keepRing(&turn)
            startJoining(&turn)
            startStrict(&turn)
            turn.actions.append(.setTimer(.rememberPeers, at: turn.now + Self.rememberInterval))
        }
    }

    /// The last word: every client that waits is answered, every stream closed, nothing follows.
    mutating func finishLeaving(_ outcome: LeaveOutcome, _ turn: inout Turn) {
        gossipRound(&turn)
        self.outcome = outcome
        for join in joins { reply(join.id, .failure(.notReady), &turn) }
        joins.removeAll()
        for sequence in operatorPings.keys.sorted() {
            if let (command, _) = operatorPings[sequence] { reply(command, .failure(.notReady), &turn) }
        }
        operatorPings.removeAll()
        abandonVerifications(&turn)
        abandonExamination(&turn)
        endConfirmations(&turn)
        for id in leaveCommands { turn.actions.append(.reply(id, .left(outcome))) }
        leaveCommands.removeAll()
        closeSentinels(&turn)
        endStrict(&turn)
        for id in streams.keys.sorted() { turn.actions.append(.closeStream(id)) }
        streams.removeAll()
        turn.actions.append(.stopped(outcome))
    }
}
