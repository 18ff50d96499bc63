// SPDX-License-Identifier: Apache-2.0
// Owns reading a backup piece by piece, checking every byte of it.

import ClusterTypes
import StoreCore
import WireProtocol

/// What a backup holds, in the order in which it comes: header, context, floor, rows.
package enum BackupItem: Hashable, Sendable {
    case header(BackupHeader)
    case context(CausalContext)
    case floor(CollectionFloor)
    case row(Row)
}

/// Takes a backup's bytes in pieces of any size. Items come as soon as their chunk has been checked; only `finish`
/// says that the backup is whole. After a failure the reader is of no use.
package struct BackupReader {
    private enum Stage {
        case start
        case header
        case context
        case rows
        case end
    }

    private var stage = Stage.start
    /// What has come and is not read yet; begins at `at`.
    private var buffer: [UInt8] = []
    private var at = 0
    private var chunk: UInt64 = 0
    private var header: BackupHeader?
    private var context: [UInt8] = []
    private var rows: UInt64 = 0
    private var root = Hash128.zero
    private var bytes: UInt64 = 0
    private var last: RowID?

    /// Bytes of a context in all: 64 MiB.
    private static let contextBytesMax = 64 * 1024 * 1024

    package init() {}

    /// Takes more bytes and gives what they complete.
    package mutating func read(
        _ bytes: some Collection<UInt8>, _ item: (BackupItem) throws -> Void
    ) throws {
        buffer.append(contentsOf: bytes)
        self.bytes += UInt64(bytes.count)
        while try step(item) {}
        if at > 0 {
            buffer.removeFirst(at)
            at = 0
        }
    }

    /// The backup has ended: it is whole, or a failure says what is wrong.
    package func finish() throws(BackupFailure) -> BackupSummary {
        guard stage == .end, let header else {
            throw stage == .start && !Backup.magic.starts(with: buffer.prefix(8)) ? .notABackup : .truncated
        }
        return BackupSummary(header: header, rows: rows, bytes: bytes, root: root)
    }

    /// Reads all pieces that `next` gives until it gives nil, and checks them.
    package static func verify(_ next: () throws -> [UInt8]?) throws -> BackupSummary {
        var reader = BackupReader()
        while let bytes = try next() { try reader.read(bytes) { _ in } }
        return try reader.finish()
    }

    /// True: there may be more in the buffer.
    private mutating func step(_ item: (BackupItem) throws -> Void) throws -> Bool {
        switch stage {
        case .start:
            guard buffer.count - at >= 10 else { return false }
            guard buffer[at..<(at + 8)].elementsEqual(Backup.magic) else { throw BackupFailure.notABackup }
            let version = UInt16(number(at + 8, bytes: 2))
            guard version == Backup.version else { throw BackupFailure.newerVersion(version) }
            at += 10
            stage = .header
            return true
        case .end:
            if at < buffer.count { throw BackupFailure.trailingBytes }
            return false
        case .header, .context, .rows:
            guard buffer.count - at >= 5 else { return false }
            let length = Int(number(at + 1, bytes: 4))
            guard length <= Backup.chunkBytesMax else { throw damaged("it is too long") }
            guard buffer.count - at >= 5 + length + 8 else { return false }
            let body = buffer[(at + 5)..<(at + 5 + length)]
            guard number(at + 5 + length, bytes: 8) == Backup.checksum(buffer[at], number: chunk, body: body) else {
                throw damaged("its checksum does not match")
            }
            guard let kind = Backup.ChunkKind(rawValue: buffer[at]) else { throw damaged("its kind is unknown") }
            at += 5 + length + 8
            try take(kind, body, item)
            chunk += 1
            return true
        }
    }

    private mutating func take(
        _ kind: Backup.ChunkKind, _ body: ArraySlice<UInt8>, _ item: (BackupItem) throws -> Void
    ) throws {
        switch (kind, stage) {
        case (.header, .header):
            guard let header = BackupHeader(json: body) else { throw damaged("its header cannot be read") }
            self.header = header
            stage = .context
            try item(.header(header))
        case (.context, .context):
            context += body
            guard context.count <= Self.contextBytesMax else { throw damaged("its context is too long") }
        case (.floor, .context):
            do {
                try item(.context(try ContextCodec.decode(context)))
                try item(.floor(try FloorCodec.decode(Array(body))))
            } catch let failure as DecodeFailure {
                throw damaged("its context or floor cannot be read (\(failure.name))")
            }
            context = []
            stage = .rows
        case (.rows, .rows): try takeRows(body, item)
        case (.trailer, .rows):
            guard body.count == 32 else { throw damaged("its trailer is too short") }
            let start = body.startIndex
            let total = Hash128(high: number(start + 16, bytes: 8), low: number(start + 24, bytes: 8))
            guard number(start, bytes: 8) == rows, number(start + 8, bytes: 8) == chunk, total == root else {
                throw damaged("its totals do not match its parts")
            }
            stage = .end
        case (.header, _), (.context, _), (.floor, _), (.rows, _), (.trailer, _):
            throw damaged("it is in a wrong place")
        }
    }

    private mutating func takeRows(_ body: ArraySlice<UInt8>, _ item: (BackupItem) throws -> Void) throws {
        var from = body.startIndex
        while from < body.endIndex {
            guard body.endIndex - from >= 4 else { throw damaged("a row is cut off") }
            let length = Int(number(from, bytes: 4))
            from += 4
            guard length <= body.endIndex - from else { throw damaged("a row is cut off") }
            let row: Row
            do throws(DecodeFailure) {
                row = try RowCodec.decode(Array(body[from..<(from + length)]))
            } catch {
                throw damaged("a row cannot be read (\(error.name))")
            }
            if let last, !(last < row.id) { throw damaged("its rows are out of order") }
            if row.defect != nil { throw damaged("the row of key \(row.id.key) breaks a rule") }
            last = row.id
            rows += 1
            root += row.stableHash
            from += length
            try item(.row(row))
        }
    }

    private func damaged(_ reason: String) -> BackupFailure { .damaged(chunk: chunk, reason: reason) }

    private func number(_ start: Int, bytes: Int) -> UInt64 {
        buffer[start..<(start + bytes)].reduce(0) { $0 << 8 | UInt64($1) }
    }
}
