// SPDX-License-Identifier: Apache-2.0
// Owns a look at the bytes of the strict group's log without its files: what a segment says, what a frame's body holds.

import RaftCore

package enum StrictLogInspection {
    /// What one segment of a log says by itself.
    package struct Segment: Hashable, Sendable {
        /// What the first entry follows; nil: nothing is known of it.
        package var before: LogIndex?
        package var entries: [LogEntry]
        package var isDamaged: Bool
        /// Behind the end a frame was begun and not finished.
        package var isTorn: Bool
    }

    /// nil: there is no head of a segment of this version.
    package static func segment(_ bytes: [UInt8]) -> Segment? {
        guard case .head(let head) = SegmentHead.read(bytes) else { return nil }
        var scan = LogScan(log: head.log)
        scan.read(bytes, segment: head.id, path: "segment")
        return Segment(
            before: scan.run.before, entries: scan.run.entries, isDamaged: scan.damage != nil, isTorn: scan.isTorn)
    }

    /// The fields of a snapshot file's head, from position to membership, written anew; nil: it is none of this version.
    package static func rewritten(snapshotHead bytes: [UInt8]) -> [UInt8]? {
        guard case .head(let metadata, _) = SnapshotFile.head(in: bytes) else { return nil }
        var writer = LogBytes()
        writer.put(metadata)
        return writer.bytes
    }

    /// The records of a frame's body, written anew; nil: it is no body.
    package static func rewritten(body: [UInt8]) -> [UInt8]? {
        guard let records = LogReader.records(body) else { return nil }
        var writer = LogBytes()
        for record in records { writer.put(record) }
        return writer.bytes
    }
}
