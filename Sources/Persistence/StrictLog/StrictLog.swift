// SPDX-License-Identifier: Apache-2.0
// Owns writing the strict group's log: what waits becomes one frame, one write and one sync.

import ClusterTypes
import RaftCore
import StrictGroup

/// One piece of work for the log, in the order in which it was asked for.
enum StrictLogWork: Sendable {
    case write(StrictWrite)
    case compact(keepFrom: LogIndex, snapshots: [SnapshotMetadata])
    /// Changes nothing: it is done when all before it is.
    case barrier
}

/// What the log knows of itself. What is on the disk, or, in `staged`, what it will be after the next frame.
struct StrictLogState {
    var log: UInt64
    /// Of the next frame.
    var sequence: UInt64 = 1
    var promises = StrictPromises()
    var founding = FoundingState()
    var incoming: IncomingPart?
}

/// `@unchecked Sendable`: after the opening, which one thread does, `StrictLogOwner` alone holds it and calls it under its lock.
final class StrictLog: @unchecked Sendable {
    struct Segment {
        var id: UInt64
        var bytes: Int
        /// Of any entry in it.
        var indexMax: LogIndex = 0
    }

    /// A body from which on a frame is written before more goes into it.
    static let frameBodyBytes = 4 << 20

    let store: SegmentStore
    private let keeper: StrictLogKeeper
    /// What says so outside of the folder is durable.
    private var isMarked: Bool
    var folder: StrictFolder { store.folder }
    private(set) var durable: StrictLogState
    private var staged: StrictLogState
    private var body = LogBytes()
    /// Something in `staged` must be on the disk before anything is answered.
    private var isDirty = false
    private var hasUnsyncedChunks = false
    /// Entries of the frame that is being filled.
    private var bodyIndexMax: LogIndex = 0

    private var file: LogFile?
    private var segment: Segment
    /// Where the next frame begins in `file`.
    private var end: Int
    /// Older ones, ascending.
    private var older: [Segment]
    /// Of a round that found no room: so much of it needs no repetition.
    private var doneOfRound = 0
    /// What of the round is being staged: all before it is durable once a frame is.
    private var currentOfRound = 0
    private(set) var statistics = StrictDiskStatistics()

    /// What compaction made superfluous since the last call of `takeGarbage`.
    private var garbage = Garbage()

    struct Garbage: Sendable {
        var segments: [StrictLog.Segment] = []
        var snapshots: [String] = []
        /// The spare segment was used.
        var needsSpare = false

        var isEmpty: Bool { segments.isEmpty && snapshots.isEmpty && !needsSpare }
    }

    /// What an opening found.
    struct Place {
        var file: LogFile?
        var segment = Segment(id: 0, bytes: 0)
        var end = 0
        var older: [Segment] = []
    }

    /// - Parameter isMarked: The marks of this log are there.
    init(
        _ store: SegmentStore, _ state: StrictLogState, at place: Place, keeper: StrictLogKeeper, isMarked: Bool
    ) {
        self.store = store
        self.keeper = keeper
        self.isMarked = isMarked
        durable = state
        staged = state
        file = place.file
        segment = place.segment
        end = place.end
        older = place.older
    }

    /// All of it is durable on return, in order. After `.diskFull` the same round is to be given again: the first part of
    /// it may be durable. Any other failure is final.
    func commit(_ round: [StrictLogWork]) throws(PersistenceFailure) {
        do throws(PersistenceFailure) {
            for (number, work) in round.enumerated().dropFirst(doneOfRound) {
                currentOfRound = number
                switch work {
                case .write(let write): try stage(write)
                case .compact(let keepFrom, let snapshots): try compact(keepFrom: keepFrom, snapshots)
                case .barrier: break
                }
                if body.count >= Self.frameBodyBytes {
                    currentOfRound = number + 1
                    try flush()
                }
            }
            try flush()
            try mark()
            doneOfRound = 0
        } catch {
            staged = durable
            body.removeAll()
            bodyIndexMax = 0
            isDirty = false
            hasUnsyncedChunks = false
            throw error
        }
    }

    /// Says that the end is an orderly one: what is damaged before it is not taken for a torn tail.
    func close() throws(PersistenceFailure) {
        guard file != nil else { return }
        try append(flags: .closed)
        file = nil
    }

    /// The first frames of a log that replaces a damaged one.
    func begin(with entries: [LogEntry]) throws(PersistenceFailure) {
        body.put(.installed)
        var raft = Persistence(number: 1)
        raft.entries = entries
        try stage(StrictWrite(number: 1, raft: raft, needsSync: true))
        try flush()
        try mark()
    }

    /// Says outside of the folder that there is a log, before anything follows from its first frame.
    private func mark() throws(PersistenceFailure) {
        guard !isMarked, file != nil else { return }
        try LogMark.write(durable.log, beside: folder)
        try keeper.record(durable.log)
        isMarked = true
    }

    func takeGarbage() -> Garbage? {
        if garbage.isEmpty { return nil }
        defer { garbage = Garbage() }
        return garbage
    }

    private func stage(_ write: StrictWrite) throws(PersistenceFailure) {
        if let founding = write.founding, founding != staged.founding {
            staged.founding = founding
            staged.promises.foundingRevision += 1
            body.put(.founding(revision: staged.promises.foundingRevision, founding))
            isDirty = true
        }
        guard let raft = write.raft else { return }
        if !staged.promises.hasBegun {
            staged.promises.hasBegun = true
            isDirty = true
        }
        for chunk in raft.snapshotChunks { try stage(chunk) }
        if let metadata = raft.installs { try stageInstallation(of: metadata) }
        if let hard = raft.hardState {
            let old = staged.promises.hard
            // A commit index alone goes with the next frame.
            if hard.term != old.term || hard.votedFor != old.votedFor || hard.refetch != old.refetch { isDirty = true }
            staged.promises.hard = hard
        }
        for entry in raft.entries {
            body.put(.entry(entry))
            staged.promises.last = entry.position
            staged.promises.highest = max(staged.promises.highest, entry.index)
            bodyIndexMax = max(bodyIndexMax, entry.index)
            // Durable up to any point of its order is what a write may be after a crash.
            if body.count >= Self.frameBodyBytes { try flush() }
        }
    }

    private func stage(_ chunk: SnapshotChunk) throws(PersistenceFailure) {
        // Of a round that is repeated: the snapshot has taken over already.
        if isBase(chunk.metadata) { return }
        if chunk.offset == 0 || staged.incoming?.metadata != chunk.metadata {
            staged.incoming = try IncomingPart(chunk.metadata, in: folder)
        }
        try staged.incoming?.append(chunk)
        if let record = staged.incoming?.record { body.put(record) }
        hasUnsyncedChunks = true
    }

    private func isBase(_ metadata: SnapshotMetadata) -> Bool {
        metadata.position == staged.promises.base && folder.exists(SnapshotFile.name(metadata))
    }

    /// The log's part of it; the state is read by `StrictDisk.loadSnapshot`.
    private func stageInstallation(of metadata: SnapshotMetadata) throws(PersistenceFailure) {
        let name = SnapshotFile.name(metadata)
        if isBase(metadata) { return }
        guard let part = staged.incoming, part.metadata == metadata, part.isWhole else {
            // The next process asks for it anew: neither log nor state has been touched.
            try folder.remove(SnapshotFile.incomingName)
            throw .corruptSnapshot(file: folder.name(SnapshotFile.incomingName))
        }
        try part.synchronise()
        hasUnsyncedChunks = false
        // A round that found no room may have got beyond this.
        if folder.exists(SnapshotFile.incomingName) || !folder.exists(name) {
            try folder.rename(SnapshotFile.incomingName, to: name)
        }
        try folder.synchronise()
        staged.incoming = nil
        staged.promises.base = metadata.position
        staged.promises.last = metadata.position
        staged.promises.highest = max(staged.promises.highest, metadata.position.index)
        body.put(.installed)
        body.put(.incoming(.zero, digest: .zero, received: 0))
    }

    /// The newest of the snapshots is what the log begins behind from the next frame on; only then the rest may go.
    private func compact(keepFrom: LogIndex, _ snapshots: [SnapshotMetadata]) throws(PersistenceFailure) {
        let newest = snapshots.max { $0.position.index < $1.position.index }
        if let newest, newest.position.index > staged.promises.base.index, folder.exists(SnapshotFile.name(newest)) {
            staged.promises.base = newest.position
            isDirty = true
            try flush()
        }
        let base = durable.promises.base
        let named = Set(snapshots.map(SnapshotFile.name))
        for name in try folder.names() {
            // Later ones may be about to be named.
            guard let position = SnapshotFile.position(of: name), position.index < base.index, !named.contains(name)
            else { continue }
            garbage.snapshots.append(name)
        }
        let needed = min(keepFrom, base.index + 1)
        let count = older.prefix { $0.indexMax < needed }.count
        garbage.segments += older.prefix(count)
        older.removeFirst(count)
    }

    /// Makes durable what is staged; nothing when nothing must be.
    private func flush() throws(PersistenceFailure) {
        guard !body.isEmpty || isDirty else { return }
        if hasUnsyncedChunks { try staged.incoming?.synchronise() }
        let room = StrictLogFormat.frameHeadBytes + StrictLogFormat.padded(body.count)
        // A frame that says that the log goes on elsewhere always fits.
        if file == nil || end + room + StrictLogFormat.frameHeadBytes > segment.bytes {
            try goOn(frameBytes: room)
        }
        try append(flags: [])
        body.removeAll()
        segment.indexMax = max(segment.indexMax, bodyIndexMax)
        bodyIndexMax = 0
        isDirty = false
        hasUnsyncedChunks = false
        doneOfRound = currentOfRound
    }

    /// What only frames' bodies hold: it must not be in segments alone that compaction removes.
    private var beginning: LogBytes {
        var beginning = LogBytes()
        beginning.put(.founding(revision: durable.promises.foundingRevision, durable.founding))
        if let incoming = durable.incoming { beginning.put(incoming.record) }
        return beginning
    }

    /// For a segment whose first frame is not there, or may not be whole.
    func repeatBeginning() throws(PersistenceFailure) {
        body = beginning
        isDirty = true
        try flush()
    }

    /// Takes the next segment into use.
    private func goOn(frameBytes: Int) throws(PersistenceFailure) {
        let (next, body, isFirst) = (staged, body, file == nil)
        let beginning = beginning
        let beginningBytes = StrictLogFormat.frameHeadBytes + StrictLogFormat.padded(beginning.count)
        let (file, bytes) = try store.take(
            segment.id + 1, log: durable.log,
            frameBytes: beginningBytes + frameBytes + StrictLogFormat.frameHeadBytes)
        defer {
            staged = next
            staged.sequence = durable.sequence
            self.body = body
        }
        staged = durable
        self.body.removeAll()
        if !isFirst {
            try append(flags: .sealed)
            older.append(segment)
        }
        segment = Segment(id: segment.id + 1, bytes: bytes)
        self.file = file
        end = StrictLogFormat.segmentHeadBytes
        self.body = beginning
        try append(flags: [])
        garbage.needsSpare = true
    }

    /// One frame of `body` and `staged`: one write, one sync.
    private func append(flags: FrameHead.Flags) throws(PersistenceFailure) {
        guard let file else { return }
        let head = FrameHead(
            bodyBytes: body.count, segment: segment.id, sequence: staged.sequence, log: staged.log,
            promises: staged.promises, flags: flags, bodySum: StrictLogFormat.checksum(body.bytes))
        var frame = LogBytes()
        frame.reserve(head.bytes)
        frame.put(raw: head.encoded())
        frame.put(raw: body.bytes)
        frame.fill(to: head.bytes)
        try file.write(frame.bytes, at: end)
        try file.synchronise()
        end += frame.count
        staged.sequence += 1
        durable = staged
        statistics.syncs += 1
        statistics.bytes += UInt64(frame.count)
    }
}
