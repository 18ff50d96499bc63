// SPDX-License-Identifier: Apache-2.0
// Owns the opening of sealed datagrams: which keys are accepted, which sessions are known, what was seen of them.

import ClusterTypes
import Crypto
import FoundationEssentials

/// A datagram that was opened.
package struct OpenedDatagram: Sendable {
    /// The plain packet: a plain header, sender, messages.
    package var packet: [UInt8]
    package var key: KeyID
    /// The sender would rather use another key.
    package var isBorrowed: Bool
}

/// Opens datagrams of all senders. What is refused changes nothing here.
package struct DatagramOpener: Sendable {
    /// Sessions that are remembered: one of each member, and as many again for restarts. The least recently used go first.
    /// A packet of a session that was forgotten, or that this node has never seen, is taken once more when it is replayed;
    /// the protocol above is safe against packets that the network doubles or delays (Docs/decisions/0010-sealing.md).
    package static let sessionsMax = 2 * Bounds.membersMax

    private struct SessionKey: Hashable, Sendable {
        var key: KeyID
        var id: SessionID
    }

    private struct Session: Sendable {
        var secret: Secret
        var window = ReplayWindow()
        var used: UInt64
    }

    private let cluster: UInt64
    private let capacity: Int
    private var keys: [KeyID: ClusterKey] = [:]
    private var sessions: [SessionKey: Session] = [:]
    private var uses: UInt64 = 0

    package init(cluster: UInt64, capacity: Int = sessionsMax) {
        precondition(capacity > 0, "room for \(capacity) sessions")
        self.cluster = cluster
        self.capacity = capacity
    }

    package var sessionCount: Int { sessions.count }

    /// From now on these keys are accepted, and no others.
    package mutating func accept(_ accepted: some Sequence<ClusterKey>) {
        keys = [:]
        for key in accepted { keys[key.id] = key }
        sessions = sessions.filter { keys[$0.key.key] != nil }
    }

    /// The plain packet of a sealed datagram. `sealer` is this node's own, whose packets are refused when they come back.
    package mutating func open(
        _ bytes: UnsafeRawBufferPointer, notFrom sealer: borrowing DatagramSealer
    ) throws(SealRefusal) -> OpenedDatagram {
        guard let isSealed = SealedLayout.isSealed(bytes) else { throw .seal }
        guard isSealed else { throw .plain }
        guard bytes[2] >> 4 == SealedLayout.major else { throw .version }
        guard bytes.count >= SealedLayout.bytesMin else { throw .seal }
        let header = SealedHeader(bytes)
        guard header.hint == SealedLayout.hint(of: cluster) else { throw .cluster }
        guard let key = keys[header.key] else { throw .unknownKey }
        if sealer.isOwn(header.session, of: header.key) { throw .replay }

        let place = SessionKey(key: header.key, id: header.session)
        let known = sessions[place]
        if let known, !known.window.admits(UInt64(header.counter)) { throw .replay }
        let secret = known?.secret ?? key.datagramKey(session: header.session, cluster: cluster)
        let packet = try packet(of: bytes, header, secret)

        uses += 1
        if known == nil {
            if sessions.count >= capacity { forgetOldest() }
            sessions[place] = Session(secret: secret, used: uses)
        }
        sessions[place]?.window.insert(UInt64(header.counter))
        sessions[place]?.used = uses
        return OpenedDatagram(
            packet: packet, key: header.key, isBorrowed: header.flags & SealedLayout.flagBorrowedKey != 0)
    }

    private func packet(
        of bytes: UnsafeRawBufferPointer, _ header: SealedHeader, _ secret: Secret
    ) throws(SealRefusal) -> [UInt8] {
        let end = bytes.count - SealedLayout.tagBytes
        let opened: Data
        do {
            let box = try AES.GCM.SealedBox(
                nonce: AES.GCM.Nonce(data: Nonce.bytes(header.counter)),
                ciphertext: UnsafeRawBufferPointer(rebasing: bytes[SealedLayout.headerBytes..<end]),
                tag: UnsafeRawBufferPointer(rebasing: bytes[end...]))
            opened = try AES.GCM.open(
                box, using: secret.key,
                authenticating: UnsafeRawBufferPointer(rebasing: bytes[..<SealedLayout.headerBytes]))
        } catch {
            throw .seal
        }
        var packet: [UInt8] = []
        packet.reserveCapacity(SealedLayout.plainPrefixBytes + opened.count)
        packet += BigEndian.bytes(SealedLayout.magic)
        packet.append(header.version)
        packet.append(0)
        packet += BigEndian.bytes(cluster)
        packet += opened
        return packet
    }

    /// An eighth at once, so that sorting is rare.
    private mutating func forgetOldest() {
        let oldest = sessions.sorted { $0.value.used < $1.value.used }.prefix(max(1, capacity / 8))
        for (place, _) in oldest { sessions[place] = nil }
    }
}
