// SPDX-License-Identifier: Apache-2.0
// Owns the streams: who opened them for what, their first message, their idleness and their end.

import ClusterTypes
import SWIMCore
import StoreCore

/// One stream as the kernel knows it.
struct StreamState: Sendable {
    enum Role: Sendable {
        /// Ours: a ping over the stream because the datagram went unanswered.
        case probe(sequence: UInt32, target: NodeID)
        /// Ours: exchange member tables; with a seed when it is to join.
        case memberSync(seed: String?)
        /// Exchange what the stores lack; see `StoreSync`.
        case storeSync(StoreSync)
        /// Ours: fetch rows that were announced.
        case pull(PullStream)
        /// Ours: compare the stores without changing anything.
        case comparison(ComparisonStream)
        /// Ours: fetch a peer's whole store.
        case reset
        /// Ours: does the peer answer over a stream, and what does it think of us?
        case examination(NodeID)
        /// Ours: our floor is too large for a datagram.
        case tellFloor
        /// Ours: exchange key rings.
        case ringSync
        /// Ours: its end is the news. Held once the peer has agreed to keep it.
        case sentinel(target: NodeID, isHeld: Bool)
        /// A peer's sentinel.
        case watched
        /// Ours: for the strict group.
        case strict(NodeID)
        /// A peer's, for the strict group.
        case strictPeer
        /// A peer's, before its first message or after its request was served.
        case accepted
    }

    var role: Role
    let address: Address
    /// Known from the first packet on an accepted stream.
    var peer: NodeID?
    let openedAt: Instant
    var lastProgress: Instant
    var isOpen: Bool
    /// The member table was sent on it; once is enough.
    var hasServedTable = false
    /// The floor that the peer named last.
    var floorMark: UInt64 = 0
    /// Keys may be told on it.
    var isSealed = false
    /// The key ring was sent on it; once is enough.
    var hasToldRing = false

    /// An exchange of stores that the peer has asked for.
    var isServingExchange: Bool { if case .storeSync(let sync) = role { !sync.isInitiator } else { false } }
    var awaitsDurability: Bool {
        if case .storeSync(let sync) = role { sync.outgoing?.awaited != nil } else { false }
    }
}

extension NodeKernel {
    /// Opens a stream; nil when this node has as many as it may.
    mutating func open(
        _ role: StreamState.Role, to address: Address, peer: NodeID?, timeout: Interval, _ turn: inout Turn
    ) -> StreamID? {
        guard streams.count < configuration.streamsMax else { return nil }
        nextStream += 2
        let id = StreamID(rawValue: nextStream)
        streams[id] = StreamState(
            role: role, address: address, peer: peer, openedAt: turn.now, lastProgress: turn.now, isOpen: false)
        turn.actions.append(.openStream(id, to: address, timeout: timeout))
        return id
    }

    mutating func openProbeStream(
        sequence: UInt32, target: NodeID, to address: Address, _ turn: inout Turn
    ) {
        let timeout = configuration.swim.probeTimeout * (membership.awareness.score + 1)
        let role = StreamState.Role.probe(sequence: sequence, target: target)
        if open(role, to: address, peer: target, timeout: timeout, &turn) == nil {
            report(sequence, .notTried, &turn)
        }
    }

    /// To a probe the host's word counts as with a plain stream: whoever accepts and is mute may only stand still.
    mutating func onStreamConnected(_ id: StreamID, _ turn: inout Turn) {
        if case .probe(let sequence, _)? = streams[id]?.role { report(sequence, .connected, &turn) }
    }

    mutating func onStreamOpened(_ id: StreamID, _ turn: inout Turn) {
        guard let stream = streams[id] else { return }
        streams[id]?.isOpen = true
        progress(on: id, &turn)
        setIdleTimer(id, &turn)
        switch stream.role {
        case .probe(let sequence, let target):
            // The digest comes along: where only streams get through, they alone tell that something differs.
            // So does the suspicion, as with a datagram.
            var messages: [Message] = []
            if let member = membership.table[target], member.state == .suspect {
                messages.append(.update(member.update(accuser: selfID)))
            }
            messages += [.ping(Ping(sequence: sequence, target: target)), .digest(digest)]
            write(messages, to: id, &turn)
            report(sequence, .connected, &turn)
        case .memberSync:
            tellRing(on: id, &turn)
            writeTable(role: .request, to: id, &turn)
        case .storeSync:
            beginStoreSync(on: id, &turn)
        case .pull(let pull):
            beginPull(pull, on: id, &turn)
        case .comparison:
            beginComparison(on: id, &turn)
        case .reset:
            onResetStreamOpened(id, &turn)
        case .examination(let peer):
            beginExamination(on: id, of: peer, &turn)
        case .tellFloor:
            write([.floor(store.floor)], to: id, &turn)
            close(id, &turn)
        case .ringSync:
            if !tellRing(on: id, &turn) { close(id, &turn) }
        case .sentinel:
            write([.sentinel(.hold)], to: id, &turn)
        case .strict(let peer):
            onStrictStreamOpened(id, to: peer, &turn)
        case .watched, .strictPeer, .accepted:
            break
        }
    }

    mutating func onStreamAccepted(_ id: StreamID, from address: Address, _ turn: inout Turn) {
        guard membership.isStarted, acceptedCount < configuration.acceptedStreamsMax,
            streams.count < configuration.streamsMax
        else {
            turn.actions.append(.closeStream(id))
            return
        }
        streams[id] = StreamState(
            role: .accepted, address: address, peer: nil, openedAt: turn.now, lastProgress: turn.now, isOpen: true)
        setIdleTimer(id, &turn)
    }

    /// Streams that peers opened; they have odd numbers.
    private var acceptedCount: Int { streams.keys.count { !$0.rawValue.isMultiple(of: 2) } }

    mutating func onStreamPacket(_ id: StreamID, _ packet: Packet, _ turn: inout Turn) {
        guard let stream = streams[id] else { return }
        if packet.cluster == configuration.cluster, packet.sender == selfID {
            meetSelf(on: id, stream, &turn)
            return
        }
        guard accepts(packet, from: stream.address, &turn) else {
            rejectStream(id, stream, packet, &turn)
            return
        }
        streams[id]?.peer = packet.sender
        progress(on: id, &turn)
        if case .reset = stream.role { return onResetPacket(packet, on: id, &turn) }
        var rows: [Row] = []
        for message in packet.messages {
            if case .row(let row) = message {
                rows.append(row)
                continue
            }
            takeRows(&rows, on: id, &turn)
            onStreamMessage(message, on: id, from: packet.sender, &turn)
        }
        takeRows(&rows, on: id, &turn)
    }

    private mutating func onStreamMessage(
        _ message: Message, on id: StreamID, from sender: NodeID, _ turn: inout Turn
    ) {
        guard let stream = streams[id] else { return }
        switch message {
        case .ping(let ping):
            if membership.isForMe(ping) {
                // The ack ends the stream, so it comes last.
                let refutation = membership.takeRefutation(for: sender).map { [Message.update($0)] } ?? []
                write(refutation + [.digest(digest), .ack(Ack(sequence: ping.sequence))], to: id, &turn)
            }
        case .ack(let ack):
            if case .examination(let peer) = stream.role, sender == peer {
                return onExaminationAck(ack, on: id, of: peer, &turn)
            }
            guard case .probe(let sequence, let target) = stream.role, ack.sequence == sequence, sender == target
            else { return }
            close(id, &turn)
            report(sequence, .acknowledged, &turn)
        case .memberTable(let part):
            onMemberTable(part, on: id, from: sender, &turn)
        case .storeRequest(let request):
            serveStoreSync(on: id, request, &turn)
        case .rowRequest(let dots):
            onRowRequest(dots, on: id, from: sender, &turn)
        case .ranges(let message):
            onRanges(message, on: id, from: sender, &turn)
        case .floor(let floor):
            onStreamFloor(floor, on: id, from: sender, &turn)
        case .floorMark(let mark):
            streams[id]?.floorMark = mark
        case .storeBatchEnd:
            if case .pull(let pull) = stream.role {
                onPullBatch(pull, on: id, &turn)
            } else {
                write([.storeContinue], to: id, &turn)
            }
        case .storeContinue:
            onStoreContinue(on: id, &turn)
        case .storeComplete(let context):
            onStoreComplete(context, on: id, &turn)
        case .sentinel(let sentinel):
            onSentinel(sentinel, on: id, from: sender, &turn)
        case .update(let update):
            membership.onMessage(
                .update(update), from: sender, at: stream.address, clock: turn.clock, using: &turn.rng,
                into: &swimActions)
            carryOutMembership(&turn)
        case .digest(let digest):
            let address = membership.table[sender]?.info.address ?? stream.address
            onDigest(digest, from: sender, at: address, &turn)
        case .viewRequest(let question):
            if membership.table[sender] != nil { write([viewAnswer(question, to: sender, turn.clock)], to: id, &turn) }
        case .viewAnswer(let answer):
            onViewAnswer(answer, from: sender, &turn)
        case .strict(let message):
            onStrictMessage(message, on: id, from: sender, &turn)
        case .keyRing(let bytes):
            onKeyRing(bytes, on: id, from: sender, &turn)
        case .announcement, .indirectPing, .nack, .row, .confirmRequest, .confirmed, .collectRequest, .collectAnswer,
            .coordinate, .ringMark, .padding, .userEvent, .userEventMarks, .strictMark:
            ignore(.unexpected, from: stream.address, &turn)
        }
    }

    /// The other end has our own id. Either a seed is this node under another of its addresses, and both ends are ours:
    /// then the accepting end hears of it while the connecting end waits. Or there is a double.
    private mutating func meetSelf(on id: StreamID, _ stream: StreamState, _ turn: inout Turn) {
        switch stream.role {
        case .accepted:
            let isJoining = streams.values.contains {
                if case .memberSync(.some) = $0.role { true } else { false }
            }
            // Say who we are, so that the connecting end can tell.
            write([], to: id, &turn)
            close(id, &turn)
            if isJoining {
                selfContactAt = turn.now
            } else {
                reportIdentity(at: stream.address, &turn)
            }
        case .memberSync(let seed?) where selfContactAt.map { $0 >= stream.openedAt } ?? false:
            close(id, &turn)
            seedIsSelf(seed, &turn)
        case .memberSync, .storeSync, .pull, .comparison, .reset, .tellFloor, .ringSync, .probe, .examination,
            .sentinel, .watched, .strict, .strictPeer:
            close(id, &turn)
            reportIdentity(at: stream.address, &turn)
            end(stream, joinFailure: .brokenOff, &turn)
        }
    }

    /// A packet of another cluster: say who we are once, so that the peer can name the reason.
    private mutating func rejectStream(
        _ id: StreamID, _ stream: StreamState, _ packet: Packet, _ turn: inout Turn
    ) {
        if case .accepted = stream.role { write([], to: id, &turn) }
        close(id, &turn)
        let isForeign = packet.cluster != configuration.cluster
        end(stream, joinFailure: isForeign ? .otherCluster : .brokenOff, &turn)
    }

    mutating func onStreamClosed(_ id: StreamID, _ reason: StreamEnd, _ turn: inout Turn) {
        guard let stream = streams.removeValue(forKey: id) else { return }
        switch stream.role {
        case .probe(let sequence, _):
            let outcome: StreamProbeOutcome =
                switch reason {
                case .refused: .refused
                case .localLimit: .notTried
                case .finished, .timedOut, .unreachable, .reset, .unsealed, .invalid: .failed
                }
            report(sequence, outcome, &turn)
        case .storeSync(let sync) where reason == .finished && sync.mayEnd:
            finish(sync, with: stream.peer, &turn)
        case .memberSync, .storeSync, .pull, .comparison, .reset, .tellFloor, .ringSync, .examination:
            let failure: JoinFailure =
                switch reason {
                case .refused: .refused
                case .timedOut: .timedOut
                case .unreachable: .unreachable
                case .unsealed: .noCommonKey
                case .finished, .reset, .invalid, .localLimit: .brokenOff
                }
            end(stream, joinFailure: failure, &turn)
        case .sentinel(let target, let isHeld):
            sentinelEnded(id, target: target, isHeld: isHeld, reason, &turn)
        case .watched:
            if let peer = stream.peer { watchedStreamEnded(of: peer, reason, &turn) }
        case .strict(let peer):
            strictStreamEnded(id, to: peer, reason, &turn)
        case .strictPeer:
            if let peer = stream.peer { strictPeerStreamEnded(id, of: peer, reason, &turn) }
        case .accepted:
            break
        }
    }

    /// What a stream that ended too early means for whoever waits for it.
    mutating func end(_ stream: StreamState, joinFailure: JoinFailure, _ turn: inout Turn) {
        switch stream.role {
        case .probe(let sequence, _):
            report(sequence, .failed, &turn)
        case .memberSync(let seed):
            statistics.streamsEndedEarly += 1
            if let seed {
                seedFailed(seed, joinFailure, &turn)
            } else {
                repair.memberSyncEnded()
            }
        case .storeSync(let sync):
            statistics.streamsEndedEarly += 1
            abandon(sync, &turn)
        case .pull(let pull):
            statistics.streamsEndedEarly += 1
            pullEnded(pull, with: stream.peer, &turn)
        case .comparison(let comparison):
            statistics.streamsEndedEarly += 1
            comparisonFailed(comparison, joinFailure, &turn)
        case .reset:
            statistics.streamsEndedEarly += 1
            onResetStreamEnded(nil, peer: stream.peer, &turn)
        case .sentinel(let target, _):
            sentinels.settle(target, retryAt: nextSentinelTry(target, &turn))
        case .examination(let peer):
            onExaminationStreamEnded(peer, joinFailure, &turn)
        case .strict(let peer):
            strictStreamLost(to: peer, &turn)
        case .tellFloor, .ringSync, .watched, .strictPeer, .accepted:
            break
        }
    }

    private mutating func report(_ sequence: UInt32, _ outcome: StreamProbeOutcome, _ turn: inout Turn) {
        membership.onStreamProbe(sequence: sequence, outcome: outcome, clock: turn.clock, into: &swimActions)
        carryOutMembership(&turn)
    }

    mutating func write(_ messages: [Message], to id: StreamID, _ turn: inout Turn) {
        let packet = Packet(cluster: configuration.cluster, sender: selfID, messages: messages)
        turn.actions.append(.writeStream(id, packet))
    }

    /// Behind what is written, and only while there is room; see `Action.offerStream`.
    mutating func offer(_ message: Message, to id: StreamID, _ turn: inout Turn) {
        let packet = Packet(cluster: configuration.cluster, sender: selfID, messages: [message])
        turn.actions.append(.offerStream(id, packet))
    }

    /// Ends a stream in order; no further input about it is expected.
    mutating func close(_ id: StreamID, _ turn: inout Turn) {
        guard streams.removeValue(forKey: id) != nil else { return }
        turn.actions.append(.closeStream(id))
    }

    private mutating func progress(on id: StreamID, _ turn: inout Turn) { streams[id]?.lastProgress = turn.now }

    private func setIdleTimer(_ id: StreamID, _ turn: inout Turn) {
        guard let stream = streams[id] else { return }
        turn.actions.append(.setTimer(.streamIdle(id), at: stream.lastProgress + configuration.streamIdleTimeout))
    }

    mutating func onStreamIdle(_ id: StreamID, _ turn: inout Turn) {
        guard let stream = streams[id] else { return }
        switch stream.role {
        case .sentinel(_, isHeld: true), .watched, .strictPeer: return
        case .strict where stream.isOpen: return
        case .sentinel, .strict, .probe, .memberSync, .storeSync, .pull, .comparison, .reset, .tellFloor, .ringSync,
            .examination,
            .accepted:
            break
        }
        guard turn.now - stream.lastProgress >= configuration.streamIdleTimeout else {
            setIdleTimer(id, &turn)
            return
        }
        close(id, &turn)
        end(stream, joinFailure: .timedOut, &turn)
    }
}
