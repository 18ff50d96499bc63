// SPDX-License-Identifier: Apache-2.0
// Owns writing a backup piece by piece.

import ClusterTypes
import StoreCore
import WireProtocol

/// Call `begin` once, `add` for each row in the order of their ids, `finish` once.
package struct BackupWriter {
    private var summary: BackupSummary
    private var chunks: UInt64 = 0
    private var rows: [UInt8] = []

    package init() {
        summary = BackupSummary(
            header: BackupHeader(createdAt: WallTime(milliseconds: 0), node: "", storeID: "", revision: 0), rows: 0,
            bytes: 0, root: .zero)
    }

    package mutating func begin(
        _ header: BackupHeader, context: CausalContext, floor: CollectionFloor, to sink: ([UInt8]) throws -> Void
    ) throws {
        summary.header = header
        let start = Backup.magic + Backup.bigEndian(Backup.version)
        summary.bytes += UInt64(start.count)
        try sink(start)
        try write(.header, header.json, to: sink)
        let bytes = ContextCodec.encode(context)
        for start in stride(from: 0, to: bytes.count, by: Backup.chunkBytesMax) {
            try write(.context, Array(bytes[start..<min(start + Backup.chunkBytesMax, bytes.count)]), to: sink)
        }
        try write(.floor, FloorCodec.encode(floor), to: sink)
    }

    package mutating func add(_ row: Row, to sink: ([UInt8]) throws -> Void) throws {
        let bytes = RowCodec.encode(row)
        rows += Backup.bigEndian(UInt32(bytes.count)) + bytes
        summary.rows += 1
        summary.root += row.stableHash
        if rows.count >= Backup.chunkBytesTarget { try flush(to: sink) }
    }

    package mutating func finish(to sink: ([UInt8]) throws -> Void) throws -> BackupSummary {
        try flush(to: sink)
        let body =
            Backup.bigEndian(summary.rows) + Backup.bigEndian(chunks) + Backup.bigEndian(summary.root.high)
            + Backup.bigEndian(summary.root.low)
        try write(.trailer, body, to: sink)
        return summary
    }

    private mutating func flush(to sink: ([UInt8]) throws -> Void) throws {
        if rows.isEmpty { return }
        try write(.rows, rows, to: sink)
        rows.removeAll(keepingCapacity: true)
    }

    private mutating func write(
        _ kind: Backup.ChunkKind, _ body: [UInt8], to sink: ([UInt8]) throws -> Void
    ) throws {
        let bytes =
            [kind.rawValue] + Backup.bigEndian(UInt32(body.count)) + body
            + Backup.bigEndian(Backup.checksum(kind.rawValue, number: chunks, body: body[...]))
        chunks += 1
        summary.bytes += UInt64(bytes.count)
        try sink(bytes)
    }
}

extension Backup {
    static func bigEndian<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value) -> [UInt8] {
        withUnsafeBytes(of: value.bigEndian) { Array($0) }
    }

    static func checksum(_ kind: UInt8, number: UInt64, body: ArraySlice<UInt8>) -> UInt64 {
        var hasher = StableHasher()
        hasher.absorb(kind)
        hasher.absorb(UInt32(body.count))
        hasher.absorb(number)
        hasher.absorb(raw: body)
        return hasher.finalize().low
    }
}
