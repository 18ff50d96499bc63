// SPDX-License-Identifier: Apache-2.0
// Owns the bytes of rows, contexts and floors on their own, for disks and backups: the same as in messages.

import StoreCore

/// A row as in the body of a row message.
package enum RowCodec {
    /// `row` must not contradict itself: its content is of the type that its id says.
    package static func encode(_ row: Row) -> [UInt8] { StandaloneBytes.encode { $0.put(row) } }

    /// Behind bytes that are there already, with room for `behind` more.
    package static func append(_ row: Row, to bytes: inout [UInt8], behind: Int) {
        StandaloneBytes.append(to: &bytes, room: row.estimatedBytes + behind) { $0.put(row) }
    }

    /// Refuses what the wire refuses, unknown types (`value`) and bytes behind the last field (`length`).
    package static func decode(_ bytes: UnsafeRawBufferPointer) throws(DecodeFailure) -> Row {
        try StandaloneBytes.decode(bytes) { reader throws(DecodeFailure) in
            guard let row = try reader.row() else { throw .value }
            return row
        }
    }

    package static func decode(_ bytes: [UInt8]) throws(DecodeFailure) -> Row {
        try bytes.withUnsafeBytes { raw in Result { () throws(DecodeFailure) in try decode(raw) } }.get()
    }
}

/// A causal context as in a store request, with its whole dot cloud.
package enum ContextCodec {
    package static func encode(_ context: CausalContext) -> [UInt8] {
        StandaloneBytes.encode { $0.put(context, cloudMax: .max) }
    }

    package static func decode(_ bytes: [UInt8]) throws(DecodeFailure) -> CausalContext {
        try bytes.withUnsafeBytes { raw in
            Result { () throws(DecodeFailure) in
                try StandaloneBytes.decode(raw) { reader throws(DecodeFailure) in try reader.context() }
            }
        }.get()
    }
}

/// A collection floor as in a floor message.
package enum FloorCodec {
    package static func encode(_ floor: CollectionFloor) -> [UInt8] { StandaloneBytes.encode { $0.put(floor) } }

    package static func decode(_ bytes: [UInt8]) throws(DecodeFailure) -> CollectionFloor {
        try bytes.withUnsafeBytes { raw in
            Result { () throws(DecodeFailure) in
                try StandaloneBytes.decode(raw) { reader throws(DecodeFailure) in try reader.floor() }
            }
        }.get()
    }
}

/// Bytes without a frame around them.
private enum StandaloneBytes {
    static func encode(_ put: (inout ByteList) -> Void) -> [UInt8] {
        var bytes: [UInt8] = []
        append(to: &bytes, room: 0, put)
        return bytes
    }

    static func append(to bytes: inout [UInt8], room: Int, _ put: (inout ByteList) -> Void) {
        var list = ByteList(bytes: bytes)
        bytes = []
        if room > 0 { list.reserve(room) }
        put(&list)
        precondition(!list.isRefused, "the value contradicts itself and has no bytes")
        bytes = list.bytes
    }

    static func decode<Value>(
        _ bytes: UnsafeRawBufferPointer, _ read: (inout ByteReader) throws(DecodeFailure) -> Value
    ) throws(DecodeFailure) -> Value {
        guard let base = bytes.baseAddress else { throw .truncated }
        var reader = ByteReader(base: base, end: bytes.count)
        let value = try read(&reader)
        guard reader.isAtEnd else { throw .length }
        return value
    }
}

/// Writes into an array that grows.
private struct ByteList: ByteSink {
    private(set) var bytes: [UInt8]
    private(set) var isRefused = false

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func reserve(_ count: Int) { bytes.reserveCapacity(bytes.count + count) }

    mutating func put(_ value: UInt8) { bytes.append(value) }
    mutating func put(_ value: UInt16) { append(value) }
    mutating func put(_ value: UInt32) { append(value) }
    mutating func put(_ value: UInt64) { append(value) }

    private mutating func append<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value) {
        withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func put(varint value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    mutating func put(raw bytes: [UInt8]) { self.bytes += bytes }
    mutating func put(utf8 text: String, from start: Int) { bytes += text.utf8.dropFirst(start) }

    /// Standalone values hold no frames.
    mutating func openFrame() -> Int { preconditionFailure("a frame inside a standalone value") }
    mutating func closeFrame(_ mark: Int) { preconditionFailure("a frame inside a standalone value") }
    mutating func refuse() { isRefused = true }
}
