// SPDX-License-Identifier: Apache-2.0
// Owns the file of a snapshot that is arriving: its bytes in order, and their hash as far as they are here.

import ClusterTypes
import RaftCore

/// The file `incoming`. A value: a round that fails goes back to the one before it, whatever was written beyond.
struct IncomingPart {
    private let file: LogFile
    private let start: Int
    let metadata: SnapshotMetadata
    private(set) var received: UInt64
    private var hasher: StableHasher

    var record: StrictLogRecord {
        .incoming(metadata.position, digest: metadata.digest, received: received)
    }

    /// A new one, in place of what was there.
    init(_ metadata: SnapshotMetadata, in folder: StrictFolder) throws(PersistenceFailure) {
        file = try LogFile.create(SnapshotFile.incomingName, in: folder)
        let head = SnapshotFile.head(metadata)
        try file.write(head, at: 0)
        try folder.synchronise()
        self.metadata = metadata
        start = head.count
        received = 0
        hasher = StableHasher()
    }

    /// What a former process left; nil: it is not this one, or has not so many bytes.
    init?(
        _ position: LogPosition, digest: Hash128, received: UInt64, in folder: StrictFolder
    ) throws(PersistenceFailure) {
        guard let file = try LogFile.open(SnapshotFile.incomingName, in: folder, writable: true),
            let (metadata, start) = try SnapshotFile.readHead(file), metadata.position == position,
            metadata.digest == digest, received <= metadata.bytes,
            let hasher = try SnapshotFile.hash(file, start: start, count: received)
        else { return nil }
        self.file = file
        self.start = start
        self.metadata = metadata
        self.received = received
        self.hasher = hasher
    }

    /// The chunk follows what is here.
    mutating func append(_ chunk: SnapshotChunk) throws(PersistenceFailure) {
        precondition(
            chunk.metadata == metadata && chunk.offset == received,
            "a chunk at \(chunk.offset) of \(chunk.metadata.position) behind \(received) of \(metadata.position)")
        try file.write(chunk.bytes, at: start + Int(received))
        hasher.absorb(raw: chunk.bytes)
        received += UInt64(chunk.bytes.count)
    }

    func synchronise() throws(PersistenceFailure) { try file.synchronise() }

    var isWhole: Bool { received == metadata.bytes && hasher.finalize() == metadata.digest }
}
