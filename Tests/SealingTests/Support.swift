// SPDX-License-Identifier: Apache-2.0
// Owns what the tests of sealing share: keys, bytes in hexadecimal, a sender with its receiver.

import ClusterTypes

@testable import Sealing

let cluster: UInt64 = 0xa1a2_a3a4_a5a6_a7a8
let version: UInt8 = 0x10

func bytes(_ hex: String) -> [UInt8] {
    let digits = hex.utf8.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
    return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

func hex(_ bytes: some Sequence<UInt8>) -> String { bytes.map { Hex.string($0) }.joined() }

func key(_ seed: UInt64) -> ClusterKey {
    var rng = SeededGenerator(seed: seed)
    return ClusterKey(using: &rng)
}

func random(_ count: Int, _ rng: inout SeededGenerator) -> [UInt8] {
    (0..<count).map { _ in UInt8(truncatingIfNeeded: rng.next()) }
}

/// A plain packet: its header, then this content, which begins with a sender.
func packet(_ content: [UInt8], of cluster: UInt64 = cluster) -> [UInt8] {
    bytes("67731000") + BigEndian.bytes(cluster) + bytes("0102030405060708090a0b0c0d0e0f10") + content
}

/// Gives the numbers that it was made with, one after another.
struct Script: RandomNumberGenerator {
    var numbers: [UInt64]
    mutating func next() -> UInt64 { numbers.isEmpty ? 0 : numbers.removeFirst() }
}

/// A sender and a receiver with what they need.
struct Pair: ~Copyable {
    var sealer: DatagramSealer
    var opener: DatagramOpener
    /// Has sent nothing: the receiver's own.
    let none = DatagramSealer(cluster: cluster, version: version)
    var rng: SeededGenerator

    init(
        _ keys: [ClusterKey], cluster: UInt64 = cluster, seed: UInt64 = 1, packetsMax: UInt64 = 1 << 32, room: Int = 64
    ) {
        sealer = DatagramSealer(cluster: cluster, version: version, packetsMax: packetsMax)
        opener = DatagramOpener(cluster: cluster, capacity: room)
        opener.accept(keys)
        rng = SeededGenerator(seed: seed)
    }

    mutating func seal(_ plain: [UInt8], _ key: ClusterKey, isBorrowed: Bool = false) -> [UInt8] {
        var target = [UInt8](repeating: 0, count: plain.count + SealedLayout.overheadBytes)
        let size = plain.withUnsafeBytes { plain in
            target.withUnsafeMutableBytes {
                sealer.seal(plain, under: key, isBorrowed: isBorrowed, into: $0, using: &rng)
            }
        }
        return size == target.count ? target : []
    }

    /// What became of these bytes: the plain packet, or the reason.
    mutating func open(_ sealed: [UInt8]) -> Result<[UInt8], SealRefusal> {
        sealed.withUnsafeBytes { raw in
            Result { () throws(SealRefusal) in try opener.open(raw, notFrom: none).packet }
        }
    }
}
