// SPDX-License-Identifier: Apache-2.0
// Owns the convergence of the key ring: joined, made durable, then used, told to some peers at once and compared with all.

import ClusterTypes
import SWIMCore

/// The ring and who has it.
struct RingState: Sendable {
    var mode = RingMode.off
    /// Durable, and in use.
    var current: Ring?
    /// On its way to the disk, with all that the ones before it say.
    var pending: Ring?
    var confirmed: Set<NodeID> = []
    var hasTimer = false
    /// The earliest time of the next exchange that a difference starts.
    var nextSync: Instant?

    /// What there is to tell and to compare.
    var shown: Ring? { mode == .off ? nil : current }
}

extension NodeKernel {
    /// Between two looks at which keys have had their time.
    static let ringInterval = Interval.seconds(600)

    /// Part of the member table's fingerprint in digests: a difference of rings starts an exchange of tables, which carries rings.
    var ringFingerprint: UInt64 { ring.mode == .required ? ring.current?.fingerprint ?? 0 : 0 }

    /// The fingerprint of its own where not every peer has a ring.
    var ringMark: Message? {
        guard ring.mode == .offered, let current = ring.current else { return nil }
        return .ringMark(current.fingerprint)
    }

    /// Called when the node takes part, when sealing is switched on, and by its own timer.
    mutating func keepRing(_ turn: inout Turn) {
        guard ring.mode != .off, !ring.hasTimer else { return }
        ring.hasTimer = true
        turn.actions.append(.setTimer(.ring, at: turn.now + Self.ringInterval))
        if ring.current != nil { joinRing(nil, command: nil, &turn) }
    }

    mutating func onRingTimer(_ turn: inout Turn) {
        ring.hasTimer = false
        keepRing(&turn)
    }

    mutating func onRingCommand(_ id: CommandID, _ command: RingCommand, _ turn: inout Turn) {
        switch command {
        case .read:
            reply(id, .ring(RingView(ring: ring.shown, confirmed: ring.confirmed)), &turn)
        case .join(let bytes):
            if storage == .full { return reply(id, .failure(.storageFull), &turn) }
            joinRing(bytes, command: id, &turn)
        case .setMode(let mode):
            let wasOff = ring.mode == .off
            ring.mode = mode
            if wasOff, mode != .off, let current = ring.current { turn.actions.append(.ringChanged(current.bytes)) }
            keepRing(&turn)
            reply(id, .done, &turn)
        }
    }

    /// Takes in what `theirs` says, drops what is over, and makes durable what is news; false when it is no ring.
    @discardableResult
    private mutating func joinRing(_ theirs: RingBytes?, command: CommandID?, _ turn: inout Turn) -> Bool {
        let base = ring.pending ?? ring.current
        guard let joined = configuration.ringRules.join(base?.bytes, theirs, turn.clock.wall.milliseconds) else {
            if let command { reply(command, .failure(.invalid("these are no keys")), &turn) }
            return false
        }
        if joined == ring.current, ring.pending == nil {
            if let command { reply(command, .done, &turn) }
            return true
        }
        // What waits already is written again only for somebody who waits for it.
        if joined == ring.pending, command == nil { return true }
        ring.pending = joined
        persist([.ring(joined.bytes)], then: .ring(joined, reply: command), &turn)
        return true
    }

    mutating func onRingPersisted(_ joined: Ring, command: CommandID?, _ turn: inout Turn) {
        defer { if let command { reply(command, .done, &turn) } }
        if ring.pending == joined { ring.pending = nil }
        guard ring.current != joined else { return }
        let isNews = ring.current?.fingerprint != joined.fingerprint
        ring.current = joined
        guard ring.mode != .off else { return }
        turn.actions.append(.ringChanged(joined.bytes))
        // What only drops keys whose time is over does so everywhere by itself.
        guard isNews else { return }
        ring.confirmed.removeAll()
        guard outcome == nil, membership.isStarted, !membership.isLeaving else { return }
        for peer in membership.gossipPeers(using: &turn.rng) {
            if let address = membership.table[peer]?.info.address { startRingSync(to: address, peer: peer, &turn) }
        }
    }

    private mutating func startRingSync(to address: Address, peer: NodeID, _ turn: inout Turn) {
        _ = open(.ringSync, to: address, peer: peer, timeout: configuration.swim.probeTimeout * 4, &turn)
    }

    // MARK: Comparison

    /// Whether the peer's member fingerprint is ours, with the ring's in it or without, as a peer tells it that takes plain packets.
    mutating func memberFingerprintMatches(_ theirs: UInt64, from peer: NodeID) -> Bool {
        let table = membership.table.fingerprint
        guard ring.shown != nil else { return theirs == table }
        guard let current = ring.current, theirs == table ^ current.fingerprint else { return theirs == table }
        confirmRing(of: peer)
        return true
    }

    private mutating func confirmRing(of peer: NodeID) {
        if membership.table[peer]?.state.isActive == true { ring.confirmed.insert(peer) }
    }

    mutating func onRingMark(_ mark: UInt64, from peer: NodeID, at source: Address, _ turn: inout Turn) {
        guard let current = ring.shown, let member = membership.table[peer], !membership.isLeaving else { return }
        if mark == current.fingerprint { return confirmRing(of: peer) }
        guard ring.nextSync.map({ turn.now >= $0 }) ?? true else { return }
        ring.nextSync = turn.now + turn.rng.jittered(configuration.swim.probeInterval, spread: 0.5)
        startRingSync(to: member.info.address, peer: peer, &turn)
    }

    // MARK: Exchange

    /// Our ring at the beginning of an exchange; false when there is none or the stream is not sealed.
    @discardableResult
    mutating func tellRing(on id: StreamID, _ turn: inout Turn) -> Bool {
        guard let stream = streams[id], stream.isSealed, !stream.hasToldRing, let current = ring.shown else {
            return false
        }
        streams[id]?.hasToldRing = true
        write([.keyRing(current.bytes)], to: id, &turn)
        return true
    }

    mutating func onKeyRing(_ bytes: RingBytes, on id: StreamID, from sender: NodeID, _ turn: inout Turn) {
        guard let stream = streams[id], ring.shown != nil else { return }
        guard stream.isSealed else {
            ignore(.unexpected, from: stream.address, &turn)
            close(id, &turn)
            return end(stream, joinFailure: .brokenOff, &turn)
        }
        // One of a later format is no reason to keep its sender out.
        if !joinRing(bytes, command: nil, &turn) { ignore(.unexpected, from: stream.address, &turn) }
        if bytes == ring.current?.bytes { confirmRing(of: sender) }
        switch stream.role {
        case .accepted: tellRing(on: id, &turn)
        case .ringSync: close(id, &turn)
        case _: break
        }
    }
}
