// SPDX-License-Identifier: Apache-2.0
// Owns a sealed stream: its greeting, its handshake, and the records that carry the plain stream's bytes.

import ClusterTypes
import FoundationEssentials

/// One end of a sealed stream, as a machine over bytes.
///
///     initiator                                    responder
///     greeting 10, handshake message 48   ------>
///                                         <------  handshake message 48
///     an empty record, records            ------>  open: the initiator is no replay
///     records                             <----->  records
///
///     greeting  magic "gs", version 1, flags 1 (bit 0 sealed), cluster 2, key id 4, as of a sealed datagram
///     record    length u16 of what follows, then ciphertext and tag: 16 to 65 535 bytes
///
/// The prologue of the handshake is the text "gossipd stream v1", the greeting and the whole cluster id. Each direction's key is
/// renewed (Noise section 11.3) after 65 536 records.
package struct SealedStream: Sendable {
    package static let greetingBytes = 10
    /// Plain bytes of one record that we send; a reader takes whatever the length allows.
    package static let recordPlainMax = 16_384
    package static let recordLengthBytes = 2
    /// Records under one key.
    static let recordsPerKeyMax: UInt64 = 1 << 16

    private enum State: Sendable {
        /// The responder before the greeting.
        case greeting
        /// The responder after it; the initiator after its first message.
        case handshake(NoiseHandshake)
        /// The responder until the initiator's first record proves it live.
        case confirming
        case open
        case failed(SealRefusal)
    }

    private let cluster: UInt64
    private let keys: [ClusterKey]
    private let version: UInt8
    private var state: State
    private var send: NoiseCipher?
    private var receive: NoiseCipher?
    private var buffer: [UInt8] = []
    /// The key that the stream is sealed with, once it is known.
    package private(set) var key: KeyID?

    /// A responder that accepts these keys.
    package init(accepting keys: [ClusterKey], cluster: UInt64, version: UInt8) {
        self.cluster = cluster
        self.keys = keys
        self.version = version
        state = .greeting
    }

    /// An initiator and the bytes that it begins with. `ephemeral`: 32 fresh random bytes; nil when they are not 32.
    package static func initiate(
        under key: ClusterKey, cluster: UInt64, version: UInt8, ephemeral: [UInt8]
    ) -> (SealedStream, [UInt8])? {
        var stream = SealedStream(accepting: [], cluster: cluster, version: version)
        let greeting = Self.greeting(key.id, cluster, version)
        guard
            var handshake = NoiseHandshake(
                role: .initiator, psk: key.streamKey(cluster: cluster), prologue: Self.prologue(greeting, cluster),
                ephemeral: ephemeral),
            let message = handshake.write()
        else { return nil }
        stream.key = key.id
        stream.state = .handshake(handshake)
        return (stream, greeting + message)
    }

    /// Whether plain bytes may be sent and are received: both sides have proven the key.
    package var isOpen: Bool { if case .open = state { true } else { false } }

    /// What received bytes led to.
    package struct Progress: Sendable {
        /// To be sent to the peer, before anything else.
        package var answer: [UInt8] = []
        /// What the peer has written.
        package var plain: [UInt8] = []
    }

    /// Takes received bytes. After a refusal the stream is of no use: close it. `ephemeral`: 32 fresh random bytes, used by a
    /// responder, once.
    package mutating func receive(
        _ bytes: some Sequence<UInt8>, ephemeral: @autoclosure () -> [UInt8]
    ) throws(SealRefusal) -> Progress {
        if case .failed(let refusal) = state { throw refusal }
        buffer += bytes
        var progress = Progress()
        do throws(SealRefusal) {
            var at = 0
            while try step(&at, &progress, ephemeral) {}
            buffer.removeFirst(at)
        } catch {
            state = .failed(error)
            buffer = []
            send = nil
            receive = nil
            throw error
        }
        return progress
    }

    /// The records of these bytes; nil before the stream is open and when it has failed.
    package mutating func seal(_ plain: [UInt8]) -> [UInt8]? {
        guard isOpen else { return nil }
        var records: [UInt8] = []
        records.reserveCapacity(plain.count + (plain.count / Self.recordPlainMax + 1) * 18)
        var at = 0
        while at < plain.count {
            let end = min(at + Self.recordPlainMax, plain.count)
            guard let record = record(plain[at..<end]) else { return nil }
            records += record
            at = end
        }
        return records
    }

    private mutating func record(_ plain: ArraySlice<UInt8>) -> [UInt8]? {
        guard let sealed = send?.encrypt(plain), let length = UInt16(exactly: sealed.count) else { return nil }
        if send?.count == Self.recordsPerKeyMax, send?.rekey() != true { return nil }
        return BigEndian.bytes(length) + sealed
    }

    /// One greeting, message or record from `at` on; false when it is not there yet.
    private mutating func step(
        _ at: inout Int, _ progress: inout Progress, _ ephemeral: () -> [UInt8]
    ) throws(SealRefusal) -> Bool {
        switch state {
        case .greeting:
            return try greet(&at, ephemeral)
        case .handshake(var handshake):
            guard buffer.count - at >= NoiseHandshake.messageBytes else { return false }
            let message = buffer[at..<at + NoiseHandshake.messageBytes]
            at += NoiseHandshake.messageBytes
            guard handshake.read(message) != nil else { throw .seal }
            // Only the responder has something left to write.
            let answer = handshake.write()
            guard let ciphers = handshake.ciphers() else { throw .seal }
            (send, receive) = ciphers
            if let answer {
                progress.answer += answer
                state = .confirming
            } else {
                guard let record = record([]) else { throw .seal }
                progress.answer += record
                state = .open
            }
            return true
        case .confirming, .open:
            guard buffer.count - at >= Self.recordLengthBytes else { return false }
            let length = Int(buffer[at]) << 8 | Int(buffer[at + 1])
            guard length >= SealedLayout.tagBytes else { throw .seal }
            guard buffer.count - at >= Self.recordLengthBytes + length else { return false }
            at += Self.recordLengthBytes
            guard let plain = receive?.decrypt(buffer[at..<at + length]) else { throw .seal }
            if receive?.count == Self.recordsPerKeyMax, receive?.rekey() != true { throw .seal }
            at += length
            progress.plain += plain
            state = .open
            return true
        case .failed(let refusal):
            throw refusal
        }
    }

    private mutating func greet(_ at: inout Int, _ ephemeral: () -> [UInt8]) throws(SealRefusal) -> Bool {
        guard let first = buffer.first else { return false }
        // A plain stream begins with a length below 2^24.
        if first == 0 { throw .plain }
        guard first == UInt8(SealedLayout.magic >> 8) else { throw .seal }
        guard buffer.count >= Self.greetingBytes else { return false }
        let greeting = Array(buffer[..<Self.greetingBytes])
        guard greeting[1] == UInt8(SealedLayout.magic & 0xff), greeting[3] & SealedLayout.flagSealed != 0 else {
            throw .seal
        }
        guard greeting[2] >> 4 == SealedLayout.major else { throw .version }
        guard Array(greeting[4..<6]) == BigEndian.bytes(SealedLayout.hint(of: cluster)) else { throw .cluster }
        let id = greeting[6...].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        guard let key = keys.first(where: { $0.id.rawValue == id }) else { throw .unknownKey }
        self.key = key.id
        guard
            let handshake = NoiseHandshake(
                role: .responder, psk: key.streamKey(cluster: cluster), prologue: Self.prologue(greeting, cluster),
                ephemeral: ephemeral())
        else { throw .seal }
        at = Self.greetingBytes
        state = .handshake(handshake)
        return true
    }

    private static func greeting(_ key: KeyID, _ cluster: UInt64, _ version: UInt8) -> [UInt8] {
        BigEndian.bytes(SealedLayout.magic) + [version, SealedLayout.flagSealed]
            + BigEndian.bytes(SealedLayout.hint(of: cluster)) + BigEndian.bytes(key.rawValue)
    }

    private static func prologue(_ greeting: [UInt8], _ cluster: UInt64) -> [UInt8] {
        Array("gossipd stream v1".utf8) + greeting + BigEndian.bytes(cluster)
    }
}
