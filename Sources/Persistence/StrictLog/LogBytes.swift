// SPDX-License-Identifier: Apache-2.0
// Owns the fields of the strict group's files: fixed big-endian numbers, written and read.

import ClusterTypes
import RaftCore

struct LogBytes {
    private(set) var bytes: [UInt8] = []

    var count: Int { bytes.count }
    var isEmpty: Bool { bytes.isEmpty }

    mutating func put(_ value: UInt8) { bytes.append(value) }

    mutating func put(_ value: UInt32) { withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) } }

    mutating func put(_ value: UInt64) { withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) } }

    mutating func put(_ id: NodeID) {
        put(id.high)
        put(id.low)
    }

    mutating func put(_ hash: Hash128) {
        put(hash.high)
        put(hash.low)
    }

    mutating func put(_ position: LogPosition) {
        put(position.term)
        put(position.index)
    }

    mutating func put(raw value: [UInt8]) { bytes.append(contentsOf: value) }

    mutating func put(counted ids: [NodeID]) {
        put(UInt32(ids.count))
        for id in ids { put(id) }
    }

    mutating func put(_ membership: RaftMembership) {
        put(counted: membership.voters)
        put(counted: membership.learners)
        put(counted: membership.retired)
    }

    mutating func put(_ metadata: SnapshotMetadata) {
        put(metadata.position)
        put(metadata.bytes)
        put(metadata.digest)
        put(metadata.membership)
    }

    /// Zeros up to `count` bytes in all.
    mutating func fill(to count: Int) {
        if bytes.count < count { bytes.append(contentsOf: repeatElement(0, count: count - bytes.count)) }
    }

    /// For a length that is known when what it counts has been written.
    mutating func set(_ value: UInt32, at place: Int) {
        withUnsafeBytes(of: value.bigEndian) { raw in
            for (offset, byte) in raw.enumerated() { bytes[place + offset] = byte }
        }
    }

    mutating func reserve(_ count: Int) { bytes.reserveCapacity(count) }

    mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }
}

/// Reads what `LogBytes` wrote; nil: there is less left, or it cannot be.
struct LogReader {
    private let bytes: [UInt8]
    private(set) var at: Int
    private let end: Int

    init(_ bytes: [UInt8], from start: Int = 0, to end: Int? = nil) {
        self.bytes = bytes
        at = start
        self.end = end ?? bytes.count
    }

    var remaining: Int { end - at }

    mutating func byte() -> UInt8? {
        guard at < end else { return nil }
        defer { at += 1 }
        return bytes[at]
    }

    mutating func uint32() -> UInt32? { number(UInt32.self) }

    mutating func uint64() -> UInt64? { number(UInt64.self) }

    private mutating func number<Value: FixedWidthInteger>(_: Value.Type) -> Value? {
        let size = MemoryLayout<Value>.size
        guard remaining >= size else { return nil }
        defer { at += size }
        let place = at
        return Value(bigEndian: bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: place, as: Value.self) })
    }

    mutating func nodeID() -> NodeID? {
        guard let high = uint64(), let low = uint64() else { return nil }
        return NodeID(high: high, low: low)
    }

    mutating func hash() -> Hash128? {
        guard let high = uint64(), let low = uint64() else { return nil }
        return Hash128(high: high, low: low)
    }

    mutating func position() -> LogPosition? {
        guard let term = uint64(), let index = uint64() else { return nil }
        return LogPosition(term: term, index: index)
    }

    mutating func raw(_ count: Int) -> [UInt8]? {
        guard count >= 0, count <= remaining else { return nil }
        defer { at += count }
        return Array(bytes[at..<at + count])
    }

    mutating func skip(_ count: Int) -> Bool {
        guard count >= 0, count <= remaining else { return false }
        at += count
        return true
    }

    mutating func nodeIDs(max: Int) -> [NodeID]? {
        guard let count = uint32(), count <= UInt32(max) else { return nil }
        var ids: [NodeID] = []
        for _ in 0..<count {
            guard let id = nodeID() else { return nil }
            ids.append(id)
        }
        return ids
    }

    mutating func membership() -> RaftMembership? {
        guard let voters = nodeIDs(max: RaftBounds.membersMax), let learners = nodeIDs(max: RaftBounds.membersMax),
            let retired = nodeIDs(max: RaftBounds.retiredMax)
        else { return nil }
        let membership = RaftMembership(voters: voters, learners: learners, retired: retired)
        // It sorts what it is given: what is written otherwise, nobody wrote.
        guard membership.voters == voters, membership.learners == learners, membership.isValid else { return nil }
        return membership
    }

    mutating func metadata() -> SnapshotMetadata? {
        guard let position = position(), let bytes = uint64(), let digest = hash(), let membership = membership()
        else { return nil }
        return SnapshotMetadata(position: position, membership: membership, bytes: bytes, digest: digest)
    }
}
