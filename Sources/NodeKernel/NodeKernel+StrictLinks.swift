// SPDX-License-Identifier: Apache-2.0
// Owns the streams between nodes with strict prefixes: opened on demand, kept, tried again, bounded.

import ClusterTypes
import RaftCore
import SWIMCore
import StoreCore
import StrictGroup

extension NodeKernel {
    /// Streams of peers for the strict group, at most half of those that peers may have: the rest is for what all nodes need.
    private var strictAcceptedMax: Int { max(1, configuration.acceptedStreamsMax / 2) }

    // MARK: Out

    /// What is said in one turn leaves together at its end.
    mutating func queue(_ message: StrictMessage, to peer: NodeID, _ turn: inout Turn) {
        guard peer != selfID else { return }
        if strict.links[peer] == nil { addLink(peer, turn.now) }
        guard var link = strict.links.removeValue(forKey: peer) else { return }
        if link.waiting.count < StrictLink.waitingMax {
            if link.waiting.isEmpty { strict.unsent.append(peer) }
            link.waiting.append(bounded(message))
        } else {
            statistics.strictMessagesLost += 1
        }
        strict.links[peer] = link
    }

    private mutating func addLink(_ peer: NodeID, _ now: Instant) {
        if strict.links.count >= StrictLink.linksMax {
            let idle = strict.links.filter {
                $0.value.stream == nil && $0.value.inbound == nil && $0.value.waiting.isEmpty
            }
            if let oldest = idle.min(by: { ($0.value.usedAt, $0.key) < ($1.value.usedAt, $1.key) }) {
                strict.links[oldest.key] = nil
            }
        }
        guard strict.links.count < StrictLink.linksMax else { return }
        strict.links[peer] = StrictLink(usedAt: now)
    }

    /// An answer that no frame takes is said to be too large, instead of ending the stream.
    private func bounded(_ message: StrictMessage) -> StrictMessage {
        guard case .forwarded(let id, .reply) = message else { return message }
        let bytes = configuration.sizes.message(.strict(message))
        guard bytes > strictFrameRoom else { return message }
        return .forwarded(id: id, .reply(.failed(.tooLarge(bytes: bytes, max: strictFrameRoom))))
    }

    private var strictFrameRoom: Int { Bounds.frameBytesMax - configuration.sizes.header }

    /// Called at the end of each input.
    mutating func sendStrict(_ turn: inout Turn) {
        while !strict.unsent.isEmpty {
            let peers = strict.unsent
            strict.unsent = []
            for peer in peers { sendStrict(to: peer, &turn) }
        }
    }

    private mutating func sendStrict(to peer: NodeID, _ turn: inout Turn) {
        guard let link = strict.links[peer], !link.waiting.isEmpty else { return }
        if let stream = link.isOpen ? link.stream : nil {
            writeStrict(to: peer, on: stream, &turn)
        } else if let inbound = link.inbound, streams[inbound] != nil, link.waiting.allSatisfy(\.isAnswer) {
            writeStrict(to: peer, on: inbound, &turn)
        } else if link.stream == nil, link.retryAt.map({ $0 <= turn.now }) ?? true {
            openStrictLink(to: peer, &turn)
        } else if link.stream == nil, let at = link.retryAt {
            strict.nextRetry = min(strict.nextRetry ?? at, at)
        }
    }

    private mutating func writeStrict(to peer: NodeID, on stream: StreamID, _ turn: inout Turn) {
        guard var link = strict.links.removeValue(forKey: peer) else { return }
        let waiting = link.waiting
        link.waiting = []
        link.usedAt = turn.now
        strict.links[peer] = link
        streams[stream]?.lastProgress = turn.now
        if waiting.count == 1, !waiting[0].isOfClient { return write([.strict(waiting[0])], to: stream, &turn) }
        var packed: [Message] = []
        var room = strictFrameRoom
        for strict in waiting {
            let message = Message.strict(strict)
            let bytes = configuration.sizes.message(message)
            if bytes >= StrictLink.offeredBytesMin, strict.isOfClient {
                offer(message, to: stream, &turn)
                continue
            }
            if bytes > room, !packed.isEmpty {
                write(packed, to: stream, &turn)
                packed = []
                room = strictFrameRoom
            }
            packed.append(message)
            room -= bytes
        }
        if !packed.isEmpty { write(packed, to: stream, &turn) }
    }

    private mutating func openStrictLink(to peer: NodeID, _ turn: inout Turn) {
        let timeout = configuration.swim.probeTimeout * 2
        guard let address = strictAddress(of: peer),
            let stream = open(.strict(peer), to: address, peer: peer, timeout: timeout, &turn)
        else { return strictLinkFailed(peer, isDead: false, &turn) }
        strict.links[peer]?.stream = stream
        strict.links[peer]?.isOpen = false
    }

    /// A former process of this host, with an identity that is gone, had this node's address: there is nobody to ask.
    private func strictAddress(of peer: NodeID) -> Address? {
        let address =
            membership.table[peer]?.info.address ?? (rememberedPeers + absentPeers).first { $0.id == peer }?.address
        return address == membership.me.info.address ? nil : address
    }

    /// What waits is lost, and the next attempt comes later.
    private mutating func strictLinkFailed(_ peer: NodeID, isDead: Bool, _ turn: inout Turn) {
        guard var link = strict.links.removeValue(forKey: peer) else { return }
        statistics.strictMessagesLost += UInt64(link.waiting.count)
        link.stream = nil
        link.isOpen = false
        link.waiting = []
        link.failures = min(link.failures + 1, 16)
        let wait = min(StrictLink.retryMax, StrictLink.retryMin * (1 << (link.failures - 1)))
        link.retryAt = turn.now + turn.rng.jittered(wait, spread: 0.5)
        strict.links[peer] = link
        tell(.linkLost(peer, isDead: isDead), &turn)
    }

    /// Links whose wait is over are tried again at the end of the turn, which also finds the next one.
    mutating func retryStrictLinks(_ turn: inout Turn) {
        guard let at = strict.nextRetry, at <= turn.now else { return }
        strict.nextRetry = nil
        let due = strict.links.filter { $0.value.stream == nil && !$0.value.waiting.isEmpty }.keys.sorted()
        for peer in due where !strict.unsent.contains(peer) { strict.unsent.append(peer) }
    }

    // MARK: Streams

    mutating func onStrictStreamOpened(_ id: StreamID, to peer: NodeID, _ turn: inout Turn) {
        guard strict.links[peer]?.stream == id else { return close(id, &turn) }
        strict.links[peer]?.isOpen = true
        strict.links[peer]?.failures = 0
        strict.links[peer]?.retryAt = nil
        turn.actions.append(.keepStream(id))
        strict.unsent.append(peer)
    }

    /// A stream of ours is over, or did not come about.
    mutating func strictStreamEnded(_ id: StreamID, to peer: NodeID, _ reason: StreamEnd, _ turn: inout Turn) {
        guard strict.links[peer]?.stream == id else { return }
        strictLinkFailed(peer, isDead: reason.isDeath, &turn)
    }

    /// A stream of ours was given up: it did not open, or made no sense.
    mutating func strictStreamLost(to peer: NodeID, _ turn: inout Turn) {
        guard let stream = strict.links[peer]?.stream, streams[stream] == nil else { return }
        strictLinkFailed(peer, isDead: false, &turn)
    }

    /// Membership has found a member dead. Were it only cut off, its streams would stand still long after the way is free
    /// again, as TCP waits ever longer between its attempts: new ones are opened.
    mutating func strictPeerIsGone(_ peer: NodeID, _ turn: inout Turn) {
        if let link = strict.links[peer] {
            for stream in [link.stream, link.inbound].compactMap({ $0 }) { close(stream, &turn) }
            strict.links[peer]?.inbound = nil
            if link.stream != nil { return strictLinkFailed(peer, isDead: true, &turn) }
        }
        if strict.view.contains(where: { $0.id == peer }) { tell(.linkLost(peer, isDead: true), &turn) }
    }

    /// A peer's stream is over.
    mutating func strictPeerStreamEnded(_ id: StreamID, of peer: NodeID, _ reason: StreamEnd, _ turn: inout Turn) {
        guard strict.links[peer]?.inbound == id else { return }
        strict.links[peer]?.inbound = nil
        if reason.isDeath { tell(.linkLost(peer, isDead: true), &turn) }
    }

    mutating func onStrictMessage(_ message: StrictMessage, on id: StreamID, from sender: NodeID, _ turn: inout Turn) {
        guard let stream = streams[id] else { return }
        switch stream.role {
        case .strict(let peer):
            guard peer == sender else { return reject(id, &turn) }
        case .strictPeer:
            break
        case .accepted:
            guard takesStrictStream(of: sender) else { return refuseStrictStream(id, &turn) }
            streams[id]?.role = .strictPeer
            turn.actions.append(.keepStream(id))
            if strict.links[sender] == nil { addLink(sender, turn.now) }
            strict.links[sender]?.inbound = id
            // It is there: no reason to wait any longer.
            strict.links[sender]?.retryAt = nil
            if strict.links[sender]?.waiting.isEmpty == false { strict.unsent.append(sender) }
        case _:
            return ignore(.unexpected, from: stream.address, &turn)
        }
        if case .raft(_, let raft) = message, raft.from != sender {
            return ignore(.unexpected, from: stream.address, &turn)
        }
        tell(.message(message, from: sender), &turn)
    }

    /// Members of the group always find a place, its clients while there is one.
    private func takesStrictStream(of peer: NodeID) -> Bool {
        guard strict.node != nil else { return false }
        if strict.view.contains(where: { $0.id == peer }) { return true }
        let taken = streams.values.count { if case .strictPeer = $0.role { true } else { false } }
        return taken < strictAcceptedMax
    }

    /// In order: that says nothing of this node.
    private mutating func refuseStrictStream(_ id: StreamID, _ turn: inout Turn) {
        write([.sentinel(.farewell)], to: id, &turn)
        close(id, &turn)
    }

    /// The other end closes the stream in order.
    mutating func onStrictFarewell(on id: StreamID, _ turn: inout Turn) {
        guard let stream = streams[id] else { return }
        close(id, &turn)
        if case .strict(let peer) = stream.role, strict.links[peer]?.stream == id {
            strictLinkFailed(peer, isDead: false, &turn)
        } else if let peer = stream.peer, strict.links[peer]?.inbound == id {
            strict.links[peer]?.inbound = nil
        }
    }

    /// Once a period: streams of ours that nobody needs are closed.
    mutating func closeIdleStrictLinks(_ turn: inout Turn) {
        guard strict.node != nil else { return }
        for (peer, link) in strict.links.sorted(by: { $0.key < $1.key }) {
            guard let stream = link.stream, link.isOpen, turn.now - link.usedAt > StrictLink.idleMax else { continue }
            write([.sentinel(.farewell)], to: stream, &turn)
            close(stream, &turn)
            strict.links[peer]?.stream = nil
            strict.links[peer]?.isOpen = false
        }
    }
}

extension StrictMessage {
    /// A question or an answer of a client, which is asked again when no answer comes. The group's own messages go ahead of large
    /// ones: were heartbeats to wait behind them, or a stream to end for their sake, a leader would be taken for dead.
    fileprivate var isOfClient: Bool {
        switch self {
        case .forward, .forwarded: true
        case .raft, .founding, .removed, .survey, .surveyed: false
        }
    }

    /// It belongs to the stream on which its question came.
    fileprivate var isAnswer: Bool {
        switch self {
        case .forwarded, .surveyed, .removed: true
        case .raft, .forward, .founding, .survey: false
        }
    }
}

extension StreamEnd {
    /// The peer's process has ended, as far as its host says.
    var isDeath: Bool {
        switch self {
        case .finished, .refused, .reset: true
        case .timedOut, .unreachable, .unsealed, .invalid, .localLimit: false
        }
    }
}
