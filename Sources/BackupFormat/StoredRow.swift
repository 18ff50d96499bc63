// SPDX-License-Identifier: Apache-2.0
// Owns a row's bytes on disk: versioned and checked, so that a flipped bit is noticed.
//
//     offset  bytes
//     0       1        format: 1
//     1       n        RowCodec's bytes
//     1 + n   8        checksum, big-endian: low half of StableHasher over everything before it

import ClusterTypes
import StoreCore
import WireProtocol

package enum StoredRowCodec {
    private static let format: UInt8 = 1
    private static let checksumBytes = 8

    package static func encode(_ row: Row) -> [UInt8] {
        var bytes: [UInt8] = [format]
        RowCodec.append(row, to: &bytes, behind: checksumBytes)
        let sum = bytes.withUnsafeBytes { checksum($0) }
        withUnsafeBytes(of: sum.bigEndian) { bytes.append(contentsOf: $0) }
        return bytes
    }

    /// Why the bytes are no row.
    package struct Damage: Error, Hashable, Sendable {
        package var reason: String
    }

    package static func decode(_ bytes: UnsafeRawBufferPointer) throws(Damage) -> Row {
        guard bytes.count > 1 + checksumBytes else { throw Damage(reason: "it is too short") }
        let end = bytes.count - checksumBytes
        let stored = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: end, as: UInt64.self))
        guard checksum(UnsafeRawBufferPointer(rebasing: bytes[..<end])) == stored else {
            throw Damage(reason: "its checksum does not match")
        }
        guard bytes[0] == format else { throw Damage(reason: "it has the format \(bytes[0])") }
        do throws(DecodeFailure) {
            return try RowCodec.decode(UnsafeRawBufferPointer(rebasing: bytes[1..<end]))
        } catch {
            throw Damage(reason: "its bytes mean nothing (\(error.name))")
        }
    }

    private static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var hasher = StableHasher()
        hasher.absorb(raw: bytes)
        return hasher.finalize().low
    }
}

/// A collection floor on disk, with the same frame.
package enum StoredFloorCodec {
    package static func encode(_ floor: CollectionFloor) -> [UInt8] {
        let body = FloorCodec.encode(floor)
        return body + Checksum.bytes(of: body)
    }

    /// Nil when the bytes are damaged.
    package static func decode(_ bytes: [UInt8]) -> CollectionFloor? {
        guard bytes.count >= 8 else { return nil }
        let body = Array(bytes.dropLast(8))
        guard Checksum.bytes(of: body) == Array(bytes.suffix(8)) else { return nil }
        return try? FloorCodec.decode(body)
    }
}

enum Checksum {
    /// Eight bytes, big-endian.
    static func bytes(of body: [UInt8]) -> [UInt8] {
        var hasher = StableHasher()
        hasher.absorb(raw: body)
        return withUnsafeBytes(of: hasher.finalize().low.bigEndian) { Array($0) }
    }
}

extension RowID.Part {
    /// As a column: the type's number, then the element's bytes or the owner (node 16, epoch 4). Ordered as parts are.
    package var columnBytes: [UInt8] {
        switch self {
        case .register: [type.rawValue]
        case .element(let bytes): [type.rawValue] + bytes
        case .counter(let owner): [type.rawValue] + owner.columnBytes
        }
    }
}

extension ActorID {
    /// As a column: node 16, epoch 4, big-endian.
    package var columnBytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(20)
        withUnsafeBytes(of: node.high.bigEndian) { bytes.append(contentsOf: $0) }
        withUnsafeBytes(of: node.low.bigEndian) { bytes.append(contentsOf: $0) }
        withUnsafeBytes(of: epoch.bigEndian) { bytes.append(contentsOf: $0) }
        return bytes
    }

    package init?(columnBytes bytes: UnsafeRawBufferPointer) {
        guard bytes.count == 20 else { return nil }
        self.init(
            node: NodeID(
                high: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
                low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))),
            epoch: UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt32.self)))
    }
}
