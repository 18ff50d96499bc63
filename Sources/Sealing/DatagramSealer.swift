// SPDX-License-Identifier: Apache-2.0
// Owns the sealing of datagrams: sessions, counters, nonces.

import ClusterTypes
import Crypto
import FoundationEssentials

/// Seals datagrams of one sender. A nonce is used once: each session has a key of its own, derived from 10 random bytes, and
/// counts its packets; a restart, and the bound below, begin a new session. A copy of this value would use nonces twice,
/// hence it cannot be copied.
package struct DatagramSealer: ~Copyable {
    /// Packets of one session: with packets of at most 64 KiB, far from where AES-GCM loses strength (NIST SP 800-38D section
    /// 8; 2^44 blocks leave an advantage below 2^-40), and a session lasts more than a day at 40 000 packets a second.
    package static let packetsPerSessionMax: UInt64 = 1 << 32

    private struct Session: Sendable {
        var id: SessionID
        var secret: Secret
        /// Of the packet sealed last.
        var counter: UInt32
    }

    private let cluster: UInt64
    private let version: UInt8
    private let packetsMax: UInt64
    private var sessions: [KeyID: Session] = [:]

    /// `version` is the protocol's, as in a plain header; `packetsMax` is for tests.
    package init(cluster: UInt64, version: UInt8, packetsMax: UInt64 = packetsPerSessionMax) {
        precondition(
            packetsMax > 0 && packetsMax <= Self.packetsPerSessionMax, "a session of \(packetsMax) packets")
        self.cluster = cluster
        self.version = version
        self.packetsMax = packetsMax
    }

    /// Drops the sessions of keys that are no more in use.
    package mutating func keep(_ keys: some Sequence<KeyID>) {
        let kept = Set(keys)
        sessions = sessions.filter { kept.contains($0.key) }
    }

    /// Whether a session is one of ours: what comes back to us so was sent by ourselves.
    func isOwn(_ session: SessionID, of key: KeyID) -> Bool { sessions[key]?.id == session }

    /// Writes the sealed form of `plain` to the beginning of `target` and returns its length,
    /// `plain.count + SealedLayout.overheadBytes`; nil when it does not fit or `plain` is no packet.
    package mutating func seal(
        _ plain: UnsafeRawBufferPointer, under key: ClusterKey, isBorrowed: Bool = false,
        into target: UnsafeMutableRawBufferPointer, using rng: inout some RandomNumberGenerator
    ) -> Int? {
        let size = plain.count + SealedLayout.overheadBytes
        guard plain.count >= SealedLayout.plainPrefixBytes, target.count >= size else { return nil }
        let session = next(of: key, &rng)
        let flags = SealedLayout.flagSealed | (isBorrowed ? SealedLayout.flagBorrowedKey : 0)
        SealedHeader(
            version: version, flags: flags, hint: SealedLayout.hint(of: cluster), key: key.id, session: session.id,
            counter: session.counter
        ).write(to: target)
        let box: AES.GCM.SealedBox
        do {
            box = try AES.GCM.seal(
                UnsafeRawBufferPointer(rebasing: plain[SealedLayout.plainPrefixBytes...]), using: session.secret.key,
                nonce: AES.GCM.Nonce(data: Nonce.bytes(session.counter)),
                authenticating: UnsafeRawBufferPointer(rebasing: target[..<SealedLayout.headerBytes]))
        } catch {
            return nil
        }
        // Nonce, ciphertext, tag, one after another.
        guard let combined = box.combined else { return nil }
        let sealed = combined.dropFirst(12)
        UnsafeMutableRawBufferPointer(rebasing: target[SealedLayout.headerBytes..<size]).copyBytes(from: sealed)
        return size
    }

    /// A counter that nobody has used: taken before anything can fail, so that none is used again.
    private mutating func next(of key: ClusterKey, _ rng: inout some RandomNumberGenerator) -> Session {
        if var session = sessions[key.id], UInt64(session.counter) < packetsMax - 1 {
            session.counter += 1
            sessions[key.id] = session
            return session
        }
        let id = SessionID(using: &rng)
        let session = Session(id: id, secret: key.datagramKey(session: id, cluster: cluster), counter: 0)
        sessions[key.id] = session
        return session
    }
}

enum Nonce {
    /// Eight zero bytes and the counter: unique under the session's key.
    static func bytes(_ counter: UInt32) -> Data { Data([UInt8](repeating: 0, count: 8) + BigEndian.bytes(counter)) }
}
