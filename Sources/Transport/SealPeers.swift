// SPDX-License-Identifier: Apache-2.0
// Owns what is known of each address's seal: whether it opens sealed packets, and which key it uses by choice.

import ClusterTypes
import NIOCore
import Sealing

/// What addresses have shown. A spoofed source can change it only where plain packets are accepted; otherwise only what opened
/// gets here.
struct SealPeers {
    /// Addresses that are remembered: as many as there may be members, and as many again. When they are more, all are
    /// forgotten; they come back with their next packet.
    private static let addressesMax = 2 * Bounds.membersMax
    /// Between two sealed copies to an address that has not sent any.
    private static let copyEvery = TimeAmount.seconds(1)

    enum Form {
        case plain
        case sealed
        case both
    }

    private enum Shown {
        case nothing
        /// Plain packets without an offer: an older version, or no key.
        case plain
        /// Plain packets that offer to open sealed ones; whether with our key is not known.
        case offer
        /// Sealed packets that we could open.
        case sealed
    }

    private struct Peer {
        var shown = Shown.nothing
        /// The key that it uses by its own choice.
        var key: KeyID?
        var copiedAt: NIODeadline?
        /// How the next stream is opened while nothing is known.
        var isNextStreamPlain = false
    }

    private var peers: [Address: Peer] = [:]

    mutating func keep(_ keys: [KeyID]) {
        for (address, peer) in peers {
            if let key = peer.key, !keys.contains(key) { peers[address]?.key = nil }
        }
        if keys.isEmpty { peers = [:] }
    }

    func key(of address: Address) -> KeyID? { peers[address]?.key }

    /// nil: the key was used as a courtesy to us.
    mutating func sawSealed(_ address: Address, under key: KeyID?) {
        if let peer = peers[address], case .sealed = peer.shown, peer.key == key { return }
        change(address) {
            $0.shown = .sealed
            $0.key = key
        }
    }

    mutating func sawPlain(_ address: Address, offersSeal: Bool) {
        switch (peers[address]?.shown, offersSeal) {
        case (.plain?, false), (.offer?, true): return
        case _: break
        }
        change(address) {
            $0.shown = offersSeal ? .offer : .plain
            if !offersSeal { $0.key = nil }
        }
    }

    /// How a datagram goes to this address, where plain ones may.
    mutating func form(of address: Address, now: NIODeadline) -> Form {
        let peer = peers[address] ?? Peer()
        switch peer.shown {
        case .sealed: return .sealed
        case .plain: return .plain
        case .nothing, .offer:
            if let at = peer.copiedAt, at + Self.copyEvery > now { return .plain }
            change(address) { $0.copiedAt = now }
            return .both
        }
    }

    /// Whether a stream to this address is opened sealed, where plain ones may.
    func opensStreamsSealed(_ address: Address) -> Bool {
        guard let peer = peers[address] else { return true }
        switch peer.shown {
        case .sealed: return true
        case .plain, .offer: return false
        case .nothing: return !peer.isNextStreamPlain
        }
    }

    mutating func streamOpened(_ address: Address) {
        if case .sealed? = peers[address]?.shown { return }
        change(address) { $0.shown = .sealed }
    }

    mutating func streamFailed(_ address: Address, wasSealed: Bool) {
        change(address) {
            // Whoever sealed before and does not open a stream has lost its keys: begin anew.
            if wasSealed, case .sealed = $0.shown { $0.shown = .nothing }
            $0.isNextStreamPlain = wasSealed
        }
    }

    private mutating func change(_ address: Address, _ body: (inout Peer) -> Void) {
        if peers[address] == nil, peers.count >= Self.addressesMax { peers = [:] }
        body(&peers[address, default: Peer()])
    }
}
