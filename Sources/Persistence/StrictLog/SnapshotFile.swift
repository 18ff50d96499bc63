// SPDX-License-Identifier: Apache-2.0
// Owns the format of the strict group's snapshot files, and what is asked of one.

import ClusterTypes
import RaftCore
import StrictCore
import StrictGroup

/// A file `snapshot-<term>-<index>-<digest>`, and `incoming` while its bytes arrive. All numbers are big-endian.
///
///     0       4  "gssn"
///     4       4  format version, 1
///     8       4  where the bytes begin
///    12      16  position: term and index of the last entry in it
///    28       8  bytes of the snapshot
///    36      16  digest: `StableHasher` over them
///    52       n  membership there: voters, learners and removed members, each counted in 4 bytes, of 16 bytes each
///    52 + n   8  checksum: low half of `StableHasher` over all before
///             m  zeros up to a multiple of 512, then the bytes, whose format is `StrictCore`'s
enum SnapshotFile {
    static let magic: UInt32 = 0x6773_736e
    static let version: UInt32 = 1
    static let incomingName = "incoming"
    static let temporaryName = "snapshot.tmp"
    private static let headBytesMax = 64 * 1024
    /// Read and hashed at once.
    static let pieceBytes = 1 << 20

    static func name(_ metadata: SnapshotMetadata) -> String {
        "snapshot-\(metadata.position.term)-\(metadata.position.index)-\(metadata.digest)"
    }

    /// nil: it is no snapshot's name.
    static func position(of name: String) -> LogPosition? {
        let parts = name.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 4, parts[0] == "snapshot", let term = Term(parts[1]), let index = LogIndex(parts[2]),
            parts[3].utf8.count == 32, parts[3].utf8.allSatisfy(Hex.isDigit)
        else { return nil }
        return LogPosition(term: term, index: index)
    }

    static func head(_ metadata: SnapshotMetadata) -> [UInt8] {
        var fields = LogBytes()
        fields.put(metadata)
        let start = (12 + fields.count + 8 + 511) / 512 * 512
        var writer = LogBytes()
        writer.put(magic)
        writer.put(version)
        writer.put(UInt32(start))
        writer.put(raw: fields.bytes)
        writer.put(StrictLogFormat.checksum(writer.bytes))
        writer.fill(to: start)
        return writer.bytes
    }

    /// What the file says of itself, and where its bytes begin; nil: it is damaged.
    static func readHead(
        _ file: LogFile
    ) throws(PersistenceFailure) -> (metadata: SnapshotMetadata, start: Int)? {
        switch head(in: try file.read(headBytesMax, at: 0)) {
        case .head(let metadata, let start): return (metadata, start)
        case .newer(let version): throw .newerFormat(file: file.path, version: "\(version)")
        case .damaged: return nil
        }
    }

    enum HeadReading {
        case head(SnapshotMetadata, start: Int)
        case newer(UInt32)
        case damaged
    }

    static func head(in bytes: [UInt8]) -> HeadReading {
        var reader = LogReader(bytes)
        guard reader.uint32() == magic, let version = reader.uint32(), let start = reader.uint32(),
            let metadata = reader.metadata()
        else { return .damaged }
        let end = reader.at
        guard reader.uint64() == StrictLogFormat.checksum(bytes[..<end]), Int(start) >= end else { return .damaged }
        return version == Self.version ? .head(metadata, start: Int(start)) : .newer(version)
    }

    /// The hash over the first `count` bytes of the snapshot; nil: there are fewer.
    static func hash(_ file: LogFile, start: Int, count: UInt64) throws(PersistenceFailure) -> StableHasher? {
        var hasher = StableHasher()
        var at: UInt64 = 0
        while at < count {
            let piece = try file.read(Int(min(UInt64(pieceBytes), count - at)), at: start + Int(at))
            if piece.isEmpty { return nil }
            hasher.absorb(raw: piece)
            at += UInt64(piece.count)
        }
        return hasher
    }

    /// The bytes are those that the file's head names.
    static func isIntact(
        _ file: LogFile, start: Int, _ metadata: SnapshotMetadata
    ) throws(PersistenceFailure) -> Bool {
        try hash(file, start: start, count: metadata.bytes)?.finalize() == metadata.digest
    }

    /// The state in it; nil: the bytes are others than its head says, or no state.
    static func load(
        _ file: LogFile, start: Int, _ metadata: SnapshotMetadata
    ) throws(PersistenceFailure) -> StrictMachine? {
        var reader = StrictSnapshotReader()
        var hasher = StableHasher()
        var at: UInt64 = 0
        do {
            while at < metadata.bytes {
                let piece = try file.read(Int(min(UInt64(pieceBytes), metadata.bytes - at)), at: start + Int(at))
                if piece.isEmpty { return nil }
                hasher.absorb(raw: piece)
                try reader.feed(piece)
                at += UInt64(piece.count)
            }
            guard hasher.finalize() == metadata.digest else { return nil }
            return try reader.finish()
        } catch let failure as PersistenceFailure {
            throw failure
        } catch StrictDecodeFailure.unknownFormat(let version) {
            throw .newerFormat(file: file.path, version: "\(version)")
        } catch {
            return nil
        }
    }

    /// Writes the state's snapshot, durable under its name on return. `keepsOn` is asked now and then; false gives up.
    static func write(
        _ writer: StrictSnapshotWriter, _ position: LogPosition, _ membership: RaftMembership, in folder: StrictFolder,
        keepsOn: () -> Bool
    ) throws(PersistenceFailure) -> SnapshotMetadata? {
        var writer = writer
        var metadata = SnapshotMetadata(position: position, membership: membership)
        let start = head(metadata).count
        let file = try LogFile.create(temporaryName, in: folder)
        do throws(PersistenceFailure) {
            var at = start
            var unsynced = 0
            while let piece = writer.next(bytesMin: pieceBytes) {
                guard keepsOn() else { return nil }
                try file.write(piece, at: at)
                at += piece.count
                unsynced += piece.count
                // In small parts: the log's syncs wait for what the disk has been given before.
                if unsynced >= 4 * pieceBytes {
                    try file.synchronise()
                    unsynced = 0
                }
            }
            metadata.bytes = writer.bytes
            metadata.digest = writer.digest
            try file.write(head(metadata), at: 0)
            try file.synchronise()
            try folder.rename(temporaryName, to: name(metadata))
            try folder.synchronise()
            return metadata
        } catch {
            if case .diskFull = error { try folder.remove(temporaryName) }
            throw error
        }
    }
}
