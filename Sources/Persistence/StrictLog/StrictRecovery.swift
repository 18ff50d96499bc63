// SPDX-License-Identifier: Apache-2.0
// Owns the opening of the strict group's log: from files to what a node brings back, or the reason why it must not start.

import ClusterTypes
import Glibc
import RaftCore
import StrictCore
import StrictGroup

struct StrictRecovery {
    let store: SegmentStore
    private let keeper: StrictLogKeeper
    private var folder: StrictFolder { store.folder }
    private(set) var warnings: [String] = []

    init(_ store: SegmentStore, _ keeper: StrictLogKeeper) {
        self.store = store
        self.keeper = keeper
    }

    /// What of the scan counts.
    private struct Finding {
        var base = SnapshotMetadata(position: .zero, membership: .empty)
        var machine = StrictMachine()
        var entries: [LogEntry] = []
        /// An index at or beyond all that this node acknowledged; nil: nothing is damaged.
        var lostThrough: LogIndex?
    }

    mutating func open() throws(PersistenceFailure) -> (StrictLog, StrictRestored) {
        let names = try folder.names()
        for name in [SegmentStore.temporaryName, SegmentStore.takenName, SnapshotFile.temporaryName] {
            try folder.remove(name)
        }
        let ids = names.compactMap(StrictLogFormat.segmentID).sorted()
        guard let last = ids.last else { return try begin(names) }
        let (log, sizes) = try heads(ids)
        var scan = LogScan(log: log)
        for id in ids {
            let file = try file(id)
            scan.read(try file.read(max(file.size, 1), at: 0), segment: id, path: file.path)
        }
        guard let end = scan.end else {
            if try isKnown() {
                throw unknowable("it holds nothing that can be read", id: last)
            }
            // The first process died before anything was acknowledged.
            for id in ids { try folder.remove(StrictLogFormat.segmentName(id)) }
            return try begin(try folder.names())
        }
        if sizes[last] == nil, end.segment != last { throw unknowable("its head is damaged", id: last) }
        if scan.isSealed, end.segment == last { throw unknowable("it is missing", id: last + 1) }
        if scan.foundingRevision != scan.promises.foundingRevision {
            throw unknowable("the founding of the group is in a damaged place", id: end.segment)
        }
        if try LogMark.read(beside: folder) == nil { try LogMark.write(log, beside: folder) }
        // Also of a directory whose former program did not record it.
        if keeper.known == nil { try keeper.record(log) }
        let finding = try judge(scan, names)
        if finding.lostThrough != nil { return try rewrite(scan, finding, ids, log: log) }
        return try goOn(scan, finding, ids, sizes, log: log)
    }

    /// Whether something outside of the folder says that there is a log.
    private func isKnown() throws(PersistenceFailure) -> Bool {
        if keeper.known != nil { return true }
        return try LogMark.read(beside: folder) != nil
    }

    private func unknowable(_ reason: String, id: UInt64) -> PersistenceFailure {
        .corruptStrictLog(file: folder.name(StrictLogFormat.segmentName(id)), reason: reason)
    }

    private func file(_ id: UInt64) throws(PersistenceFailure) -> LogFile {
        guard let file = try LogFile.open(StrictLogFormat.segmentName(id), in: folder, writable: true) else {
            throw unknowable("it is missing", id: id)
        }
        return file
    }

    /// A folder without a log: of a new node, unless something says that there was one.
    private func begin(_ names: [String]) throws(PersistenceFailure) -> (StrictLog, StrictRestored) {
        let isKnown = try isKnown()
        if isKnown || names.contains(where: { SnapshotFile.position(of: $0) != nil }) {
            throw .missingStrictLog(directory: folder.parent.path)
        }
        var random: UInt64 = 0
        if withUnsafeMutableBytes(of: &random, { getentropy($0.baseAddress, $0.count) }) != 0 {
            throw .system(operation: "getrandom", path: folder.handle.path, errno: errno)
        }
        let log = StrictLog(
            store, StrictLogState(log: random), at: StrictLog.Place(), keeper: keeper, isMarked: false)
        return (log, StrictRestored())
    }

    /// The log's id, and of each segment whose head can be read its size.
    private func heads(_ ids: [UInt64]) throws(PersistenceFailure) -> (log: UInt64, sizes: [UInt64: Int]) {
        var log = try LogMark.read(beside: folder)
        var sizes: [UInt64: Int] = [:]
        for id in ids {
            let file = try file(id)
            switch SegmentHead.read(try file.read(StrictLogFormat.segmentHeadBytes, at: 0)) {
            case .damaged: break
            case .newer(let version): throw .newerFormat(file: file.path, version: "\(version)")
            case .head(let head):
                if let log = keeper.known ?? log, head.log != log {
                    throw unknowable("it belongs to another log", id: id)
                }
                if head.id != id { continue }
                log = head.log
                sizes[id] = Int(head.bytes)
            }
        }
        guard let log = log ?? keeper.known else { throw unknowable("no log file's head can be read", id: ids[0]) }
        return (log, sizes)
    }

    /// Which state and which entries the files come to.
    private mutating func judge(_ scan: LogScan, _ names: [String]) throws(PersistenceFailure) -> Finding {
        let promises = scan.promises
        let entries =
            promises.last == promises.base ? [] : scan.run.entries(behind: promises.base)
        let isWhole = entries.map { ($0.last?.position ?? promises.base) == promises.last } ?? false
        var finding = Finding()
        if isWhole, let entries {
            finding.entries = entries
            if let place = scan.damage {
                warnings.append(
                    "the log of the strict group is damaged (\(place)) where nothing is needed any more: nothing is lost"
                )
            }
        } else {
            finding.entries = scan.intact?.entries(behind: promises.base) ?? []
            finding.lostThrough = max(promises.highest, promises.last.index, promises.hard.commit)
            let place = scan.damage ?? "a file that is missing"
            warnings.append(
                "the log of the strict group is damaged (\(place)): the entries behind \(promises.base.index) that are"
                    + " left end at \(finding.entries.last?.index ?? promises.base.index), the others are fetched from the"
                    + " group; until then this node does not vote")
        }
        if try chooseBase(promises, &finding, names) { return finding }
        finding.base.membership = scan.founding.founded.map { RaftMembership(voters: $0.voters) } ?? .empty
        if promises.base == .zero { return finding }
        finding.entries = []
        finding.lostThrough = max(promises.highest, promises.base.index, promises.hard.commit)
        warnings.append(
            "the snapshot of the strict group at \(promises.base.index) is missing or damaged: state and log are fetched"
                + " from the group; until then this node does not vote")
        return finding
    }

    /// The latest snapshot that can be read and that the log goes on from; false: there is none.
    private mutating func chooseBase(
        _ promises: StrictPromises, _ finding: inout Finding, _ names: [String]
    ) throws(PersistenceFailure) -> Bool {
        let candidates = names.compactMap { name in SnapshotFile.position(of: name).map { (name, $0) } }
            .filter { candidate in
                candidate.1 == promises.base || finding.entries.contains { $0.position == candidate.1 }
            }
            .sorted { a, b in a.1.index != b.1.index ? a.1.index > b.1.index : a.0 < b.0 }
        for (name, position) in candidates {
            guard let file = try LogFile.open(name, in: folder, writable: false) else { continue }
            if let (metadata, start) = try SnapshotFile.readHead(file), metadata.position == position,
                let machine = try SnapshotFile.load(file, start: start, metadata),
                machine.appliedIndex == position.index
            {
                finding.base = metadata
                finding.machine = machine
                finding.entries.removeAll { $0.index <= position.index }
                return true
            }
            try folder.rename(name, to: name + ".damaged")
            warnings.append("a snapshot of the strict group is damaged: moved to \(folder.name(name)).damaged")
        }
        return false
    }

    private func restored(
        _ scan: LogScan, _ finding: Finding, hard: HardState, incoming: IncomingPart?
    ) -> StrictRestored {
        let raft = RestoredState(
            hardState: hard, snapshot: finding.base, entries: finding.entries, applied: finding.base.position.index,
            incoming: incoming.map { IncomingSnapshot(metadata: $0.metadata, received: $0.received) },
            mayHaveAcknowledged: finding.lostThrough)
        return StrictRestored(
            founding: scan.founding, raft: scan.promises.hasBegun ? raft : nil, machine: finding.machine)
    }

    /// The usual case: the next frame follows the last one.
    private mutating func goOn(
        _ scan: LogScan, _ finding: Finding, _ ids: [UInt64], _ sizes: [UInt64: Int], log: UInt64
    ) throws(PersistenceFailure) -> (StrictLog, StrictRestored) {
        guard let end = scan.end else { preconditionFailure("a log without a frame goes nowhere") }
        if scan.isTorn {
            warnings.append("the last write to the log of the strict group was not finished: it is cut off")
        }
        let current = scan.isSealed ? end.segment + 1 : end.segment
        let offset = scan.isSealed ? StrictLogFormat.segmentHeadBytes : end.offset
        for id in ids where id > current { try folder.remove(StrictLogFormat.segmentName(id)) }
        let file = try file(current)
        let size = max(sizes[current] ?? file.size, offset)
        if file.size < size { try file.write([UInt8](repeating: 0, count: size - file.size), at: file.size) }
        // What was read may so far be in memory only.
        try file.synchronise()
        var state = StrictLogState(log: log, sequence: scan.nextSequence, promises: scan.promises)
        state.promises.base = finding.base.position
        state.founding = scan.founding
        if let arriving = scan.incoming, arriving.position.index > finding.base.position.index {
            state.incoming = try IncomingPart(
                arriving.position, digest: arriving.digest, received: arriving.received, in: folder)
        }
        if state.incoming == nil { try folder.remove(SnapshotFile.incomingName) }
        for name in try folder.names() where SnapshotFile.position(of: name) != nil {
            if name != SnapshotFile.name(finding.base) { try folder.remove(name) }
        }
        try folder.synchronise()
        let segments = ids.filter { $0 <= current }.map { id in
            StrictLog.Segment(id: id, bytes: sizes[id] ?? 0, indexMax: scan.indexMax[id] ?? 0)
        }
        var place = StrictLog.Place(file: file, end: offset, older: Array(segments.dropLast()))
        place.segment = StrictLog.Segment(id: current, bytes: size, indexMax: scan.indexMax[current] ?? 0)
        let restored = restored(scan, finding, hard: scan.promises.hard, incoming: state.incoming)
        let opened = StrictLog(store, state, at: place, keeper: keeper, isMarked: true)
        if scan.isSealed || scan.damage != nil { try opened.repeatBeginning() }
        return (opened, restored)
    }

    /// What is left goes into new segments, with the mark of what was lost; the damaged ones are moved aside.
    private mutating func rewrite(
        _ scan: LogScan, _ finding: Finding, _ ids: [UInt64], log: UInt64
    ) throws(PersistenceFailure) -> (StrictLog, StrictRestored) {
        var state = StrictLogState(log: log, sequence: scan.nextSequence, promises: scan.promises)
        var hard = scan.promises.hard
        let through = max(finding.lostThrough ?? 0, hard.refetch?.through ?? 0)
        hard.refetch = Refetch(through: through, term: hard.term)
        state.promises.hard = hard
        state.promises.base = finding.base.position
        state.promises.last = finding.base.position
        state.promises.highest = through
        state.founding = scan.founding
        var place = StrictLog.Place()
        place.segment.id = ids.last ?? 0
        let rewritten = StrictLog(store, state, at: place, keeper: keeper, isMarked: true)
        try rewritten.begin(with: finding.entries)
        for id in ids {
            let name = StrictLogFormat.segmentName(id)
            try folder.rename(name, to: name + ".damaged")
        }
        try folder.remove(SnapshotFile.incomingName)
        try folder.synchronise()
        warnings.append("the damaged log files are kept as \(folder.name("log-*.damaged"))")
        return (rewritten, restored(scan, finding, hard: hard, incoming: nil))
    }
}
