// SPDX-License-Identifier: Apache-2.0
// Owns the bytes of a sealed datagram's clear header: Docs/protocol.md, "Sealed packets".

import ClusterTypes

/// A sender's run of datagrams under one derived key: 10 random bytes, drawn anew at each start.
package struct SessionID: Hashable, Sendable {
    let high: UInt64
    let low: UInt16

    init(high: UInt64, low: UInt16) {
        self.high = high
        self.low = low
    }

    init(using rng: inout some RandomNumberGenerator) {
        high = rng.next()
        low = UInt16(truncatingIfNeeded: rng.next())
    }

    var bytes: [UInt8] { BigEndian.bytes(high) + BigEndian.bytes(low) }
}

/// The numbers of the sealed format.
///
///     offset  bytes
///     0       2      magic "gs", as of a plain packet
///     2       1      version, as of a plain packet
///     3       1      flags: bit 0 sealed, bit 1 the key is not the sender's own first choice
///     4       2      cluster: the highest 16 bits of the cluster's id
///     6       4      key id
///     10      10     session
///     20      4      counter
///     24      n      sealed: sender and messages, the plain packet from its offset 12 on
///     24 + n  16     tag
package enum SealedLayout {
    package static let magic: UInt16 = 0x6773
    /// The major protocol version that is sealed.
    package static let major: UInt8 = 1
    package static let flagSealed: UInt8 = 1
    /// In a sealed packet: this key is only used because the receiver used it.
    package static let flagBorrowedKey: UInt8 = 2
    /// In a plain packet: the sender opens sealed packets, too.
    package static let flagOffersSeal: UInt8 = 4
    package static let headerBytes = 24
    package static let tagBytes = 16
    /// What of a plain packet's header stays clear: magic, version, flags, cluster.
    package static let plainPrefixBytes = 12
    /// A sealed packet is so much longer than the plain one.
    package static let overheadBytes = headerBytes + tagBytes - plainPrefixBytes
    /// Header, a sender, the tag.
    package static let bytesMin = headerBytes + 16 + tagBytes

    static func hint(of cluster: UInt64) -> UInt16 { UInt16(truncatingIfNeeded: cluster >> 48) }

    /// Whether these bytes begin as a sealed datagram does; nil when they are no packet at all.
    package static func isSealed(_ bytes: UnsafeRawBufferPointer) -> Bool? {
        guard bytes.count >= 4, UInt16(bigEndian: bytes.loadUnaligned(as: UInt16.self)) == magic else { return nil }
        return bytes[3] & flagSealed != 0
    }
}

/// The clear header, decoded.
struct SealedHeader: Hashable, Sendable {
    var version: UInt8
    var flags: UInt8
    var hint: UInt16
    var key: KeyID
    var session: SessionID
    var counter: UInt32

    /// The bytes must be at least `SealedLayout.headerBytes`.
    init(_ bytes: UnsafeRawBufferPointer) {
        version = bytes[2]
        flags = bytes[3]
        hint = UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt16.self))
        key = KeyID(rawValue: UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 6, as: UInt32.self)))
        session = SessionID(
            high: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 10, as: UInt64.self)),
            low: UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 18, as: UInt16.self)))
        counter = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 20, as: UInt32.self))
    }

    init(version: UInt8, flags: UInt8, hint: UInt16, key: KeyID, session: SessionID, counter: UInt32) {
        self.version = version
        self.flags = flags
        self.hint = hint
        self.key = key
        self.session = session
        self.counter = counter
    }

    /// Writes `SealedLayout.headerBytes` bytes to the beginning of `target`, which must have room.
    func write(to target: UnsafeMutableRawBufferPointer) {
        target.storeBytes(of: SealedLayout.magic.bigEndian, as: UInt16.self)
        target[2] = version
        target[3] = flags
        target.storeBytes(of: hint.bigEndian, toByteOffset: 4, as: UInt16.self)
        target.storeBytes(of: key.rawValue.bigEndian, toByteOffset: 6, as: UInt32.self)
        target.storeBytes(of: session.high.bigEndian, toByteOffset: 10, as: UInt64.self)
        target.storeBytes(of: session.low.bigEndian, toByteOffset: 18, as: UInt16.self)
        target.storeBytes(of: counter.bigEndian, toByteOffset: 20, as: UInt32.self)
    }
}
