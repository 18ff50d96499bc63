// SPDX-License-Identifier: Apache-2.0
// Owns the sealing of a node's traffic: what is sealed with which key, what is opened, what is refused and told.

import ClusterTypes
import NIOCore
import NodeKernel
import Sealing
import WireProtocol

/// The keys at work, on the node's event loop: both sockets ask here.
final class NodeSeal {
    private(set) var settings: SealSettings
    let cluster: UInt64
    private let counters: CounterBox
    private let tell: (SealRefusal, Address) -> Void
    private var sealer: DatagramSealer
    private var opener: DatagramOpener
    private var random = SystemRandomNumberGenerator()
    private var peers = SealPeers()
    private var told = RefusalLimiter()
    private let sealed: UnsafeMutableRawBufferPointer

    /// `tell` is called for refusals that an operator should know of, rarely.
    init(
        settings: SealSettings, cluster: ClusterID, datagramBytesMax: Int, counters: CounterBox,
        tell: @escaping (SealRefusal, Address) -> Void
    ) {
        self.settings = settings
        self.cluster = cluster.rawValue
        self.counters = counters
        self.tell = tell
        sealer = DatagramSealer(cluster: cluster.rawValue, version: ProtocolVersion.current)
        opener = DatagramOpener(cluster: cluster.rawValue)
        opener.accept(settings.keys)
        sealed = .allocate(byteCount: datagramBytesMax + SealedLayout.overheadBytes, alignment: 8)
    }

    deinit { sealed.deallocate() }

    /// From now on these keys and this rule hold.
    func update(_ settings: SealSettings) {
        self.settings = settings
        opener.accept(settings.keys)
        sealer.keep(settings.keys.map(\.id))
        peers.keep(settings.keys.map(\.id))
    }

    // MARK: Datagrams

    /// Calls `send` with each form in which this plain packet goes to `target`: plain, sealed, or both. True when the one that
    /// counts was sent. Without keys it is the packet as it stands.
    func forms(
        of plain: UnsafeMutableRawBufferPointer, to target: Address, _ send: (UnsafeRawBufferPointer) -> Bool
    ) -> Bool {
        guard let primary = settings.keys.first else { return send(UnsafeRawBufferPointer(plain)) }
        guard settings.acceptsPlain else { return sendSealed(plain, to: target, primary, send) }
        let form = peers.form(of: target, now: NIODeadline.now())
        if case .sealed = form { return sendSealed(plain, to: target, primary, send) }
        plain[3] |= SealedLayout.flagOffersSeal
        let isSent = send(UnsafeRawBufferPointer(plain))
        // The copy is an offer that may be lost or refused. It comes last, so that a peer that opens it goes on sealed.
        if case .both = form { _ = sendSealed(plain, to: target, primary, send) }
        return isSent
    }

    private func sendSealed(
        _ plain: UnsafeMutableRawBufferPointer, to target: Address, _ primary: ClusterKey,
        _ send: (UnsafeRawBufferPointer) -> Bool
    ) -> Bool {
        let key = key(for: target) ?? primary
        let size = sealer.seal(
            UnsafeRawBufferPointer(plain), under: key, isBorrowed: key.id != primary.id, into: sealed, using: &random)
        guard let size else { return false }
        return send(UnsafeRawBufferPointer(rebasing: sealed[..<size]))
    }

    /// The key of its own choice that `address` used last, while it is accepted.
    private func key(for address: Address) -> ClusterKey? {
        guard let id = peers.key(of: address) else { return settings.keys.first }
        return settings.keys.first { $0.id == id }
    }

    enum Opening {
        /// To be decoded as it stands.
        case plain
        case opened([UInt8])
        /// Counted, and told if need be.
        case refused
    }

    /// What a received datagram is.
    func open(_ bytes: UnsafeRawBufferPointer, from source: Address) -> Opening {
        guard let isSealed = SealedLayout.isSealed(bytes) else { return .plain }
        if settings.keys.isEmpty {
            guard isSealed else { return .plain }
            refuse(.unknownKey, source)
            return .refused
        }
        if !isSealed {
            if settings.acceptsPlain {
                peers.sawPlain(source, offersSeal: bytes[3] & SealedLayout.flagOffersSeal != 0)
                return .plain
            }
            // Another version says nothing of its seal.
            guard bytes[2] >> 4 == SealedLayout.major else { return .plain }
            refuse(.plain, source)
            return .refused
        }
        do throws(SealRefusal) {
            let datagram = try opener.open(bytes, notFrom: sealer)
            counters.update { $0.datagramsOpened += 1 }
            peers.sawSealed(source, under: datagram.isBorrowed ? nil : datagram.key)
            return .opened(datagram.packet)
        } catch {
            refuse(error, source)
            return .refused
        }
    }

    func refuse(_ refusal: SealRefusal, _ source: Address) {
        counters.update { $0.count(refusal) }
        switch refusal {
        case .unknownKey, .seal, .plain, .cluster, .silent:
            if told.allows(refusal, source, now: NIODeadline.now()) { tell(refusal, source) }
        case .replay, .version:
            // A network that doubles packets, and a version that the decoder names as well.
            break
        }
    }

    // MARK: Streams

    /// The key to open a stream to `address` with; nil: open it plain. After attempts that failed each other key has its turn: two
    /// sides that have moved on to different keys while they were apart may still share one.
    func streamKey(to address: Address) -> ClusterKey? {
        guard let preferred = key(for: address) ?? settings.keys.first else { return nil }
        if settings.acceptsPlain, !peers.opensStreamsSealed(address) { return nil }
        let keys = [preferred] + settings.keys.filter { $0.id != preferred.id }
        return keys[peers.failedKeys(at: address) % keys.count]
    }

    /// A stream to `address` ended before the peer had said anything that we understand: the next one tries the other way.
    func streamFailed(to address: Address, wasSealed: Bool) { peers.streamFailed(address, wasSealed: wasSealed) }

    /// A stream to `address` was sealed with this key, and opened there.
    func streamOpened(to address: Address, under key: ClusterKey?) {
        // Datagrams find their way with the key that the stream has found.
        let isOther = peers.failedKeys(at: address) > 0 && key?.id != settings.keys.first?.id
        peers.streamOpened(address, under: isOther ? key?.id : nil)
    }

    var keysOfPeers: [Address: KeyID] { peers.keys }

    func ephemeral() -> [UInt8] {
        (0..<4).flatMap { _ in withUnsafeBytes(of: random.next()) { Array($0) } }
    }
}

/// Lets one report for each reason and host pass in a minute, and a few hosts in all: the counters tell the rest.
private struct RefusalLimiter {
    private static let every = TimeAmount.seconds(60)
    private static let hostsMax = 32

    private var told: [(refusal: SealRefusal, host: Address, at: NIODeadline)] = []

    mutating func allows(_ refusal: SealRefusal, _ source: Address, now: NIODeadline) -> Bool {
        var host = source
        host.port = 0
        told.removeAll { $0.at + Self.every <= now }
        guard told.count < Self.hostsMax, !told.contains(where: { $0.refusal == refusal && $0.host == host }) else {
            return false
        }
        told.append((refusal, host, now))
        return true
    }
}
