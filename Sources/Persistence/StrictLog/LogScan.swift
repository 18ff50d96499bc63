// SPDX-License-Identifier: Apache-2.0
// Owns reading the strict group's log back: what of it is whole, what is a torn tail, what is damage.

import ClusterTypes
import Glibc
import RaftCore
import StrictGroup

/// Entries that follow each other.
struct EntryRun {
    /// What the first entry follows; nil: nothing is known of it.
    private(set) var before: LogIndex?
    private(set) var entries: [LogEntry] = []

    mutating func begin(behind index: LogIndex?) {
        before = index
        entries.removeAll()
    }

    mutating func append(_ entry: LogEntry) {
        if let before {
            if entry.index <= before {
                begin(behind: entry.index - 1)
            } else if entry.index <= before + UInt64(entries.count) {
                entries.removeLast(Int(before + UInt64(entries.count) - entry.index + 1))
            } else if entry.index > before + UInt64(entries.count) + 1 {
                // No frame that follows the one before it says so: something between them is missing.
                begin(behind: entry.index - 1)
            }
        } else {
            begin(behind: entry.index - 1)
        }
        entries.append(entry)
    }

    /// The entries behind `base`, without a gap; nil: some are missing, or they do not follow it.
    func entries(behind base: LogPosition) -> [LogEntry]? {
        guard let before else { return nil }
        let last = before + UInt64(entries.count)
        guard before <= base.index, last >= base.index else { return nil }
        let skipped = Int(base.index - before)
        if skipped > 0, entries[skipped - 1].term != base.term { return nil }
        let rest = Array(entries.dropFirst(skipped))
        if let first = rest.first, first.term < base.term { return nil }
        return rest
    }
}

/// What the files say, frame by frame.
struct LogScan {
    /// Of the last frame that is whole; of later ones as well when only their heads are.
    private(set) var promises = StrictPromises()
    private(set) var founding = FoundingState()
    private(set) var foundingRevision: UInt64 = 0
    private(set) var incoming: (position: LogPosition, digest: Hash128, received: UInt64)?
    private(set) var run = EntryRun()
    /// The entries before the first damage.
    private(set) var intact: EntryRun?
    /// Where the first damage was found.
    private(set) var damage: String?
    /// Of the frame that is due.
    private var sequence: UInt64?
    /// Higher than that of any frame.
    private(set) var nextSequence: UInt64 = 1
    /// Behind the last frame that is whole.
    private(set) var end: (segment: UInt64, offset: Int)?
    private(set) var isSealed = false
    private(set) var indexMax: [UInt64: LogIndex] = [:]
    /// Behind the end a frame was begun and not finished: nobody was told that it lasts.
    private(set) var isTorn = false

    private let log: UInt64

    init(log: UInt64) { self.log = log }

    /// Takes the next segment, ascending by id.
    mutating func read(_ bytes: [UInt8], segment: UInt64, path: String) {
        var at = follow(bytes, from: StrictLogFormat.segmentHeadBytes, segment: segment)
        // Whatever follows is no continuation. A head of a later frame tells that what is missing was durable.
        var looksAt = at
        while let (place, head) = laterFrame(bytes, from: looksAt, segment: segment) {
            noteDamage("\(path) at byte \(at)")
            if take(head, bytes, at: place) {
                at = follow(bytes, from: place + head.bytes, segment: segment)
                looksAt = at
            } else {
                // What it says of promises is the most that this node can have made.
                promises = head.promises
                sequence = head.sequence
                nextSequence = head.sequence + 1
                isSealed = false
                looksAt = place + StrictLogFormat.frameHeadBytes
                at = looksAt
            }
        }
        isTorn = frame(bytes, at: at, segment: segment).map { $0.sequence == sequence } ?? false
    }

    /// Takes frames as long as each is the one that is due; gives where the last of them ends.
    private mutating func follow(_ bytes: [UInt8], from start: Int, segment: UInt64) -> Int {
        var at = start
        if start > StrictLogFormat.segmentHeadBytes { end = (segment, start) }
        while let head = frame(bytes, at: at, segment: segment), sequence == nil || head.sequence == sequence,
            take(head, bytes, at: at)
        {
            at += head.bytes
            end = (segment, at)
        }
        return at
    }

    private mutating func noteDamage(_ place: String) {
        if damage == nil {
            damage = place
            intact = run
        }
        run.begin(behind: nil)
    }

    private func frame(_ bytes: [UInt8], at: Int, segment: UInt64) -> FrameHead? {
        guard let head = FrameHead.read(bytes, at: at), head.segment == segment, head.log == log else { return nil }
        return head
    }

    /// The next head of a frame that comes after the one that is due.
    private func laterFrame(_ bytes: [UInt8], from start: Int, segment: UInt64) -> (Int, FrameHead)? {
        var at = StrictLogFormat.padded(start)
        while let place = Self.magic(bytes, from: at) {
            if let head = frame(bytes, at: place, segment: segment), head.sequence > sequence ?? 0 {
                return (place, head)
            }
            at = place + StrictLogFormat.alignment
        }
        return nil
    }

    private static func magic(_ bytes: [UInt8], from start: Int) -> Int? {
        bytes.withUnsafeBytes { buffer in
            let magic = StrictLogFormat.frameMagic.bigEndian
            var at = start
            while at + StrictLogFormat.frameHeadBytes <= buffer.count {
                if buffer.loadUnaligned(fromByteOffset: at, as: UInt32.self) == magic { return at }
                at += StrictLogFormat.alignment
            }
            return nil
        }
    }

    /// False: its body is not what was written.
    private mutating func take(_ head: FrameHead, _ bytes: [UInt8], at: Int) -> Bool {
        let start = at + StrictLogFormat.frameHeadBytes
        guard head.bodyBytes <= bytes.count - start, at + head.bytes <= bytes.count else { return false }
        let body = Array(bytes[start..<start + head.bodyBytes])
        guard StrictLogFormat.checksum(body) == head.bodySum, let records = LogReader.records(body) else {
            return false
        }
        for record in records {
            switch record {
            case .entry(let entry):
                run.append(entry)
                indexMax[head.segment] = max(indexMax[head.segment] ?? 0, entry.index)
            case .founding(let revision, let state):
                foundingRevision = revision
                founding = state
            case .installed: run.begin(behind: head.promises.base.index)
            case .incoming(let position, let digest, let received):
                incoming = received > 0 ? (position, digest, received) : nil
            }
        }
        // A log that has begun and has no entries: they will be those behind its base.
        if run.before == nil, damage == nil, head.promises.last == head.promises.base {
            run.begin(behind: head.promises.base.index)
        }
        promises = head.promises
        sequence = head.sequence + 1
        nextSequence = head.sequence + 1
        isSealed = head.flags.contains(.sealed)
        return true
    }
}
