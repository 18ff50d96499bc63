// SPDX-License-Identifier: Apache-2.0
// Owns the segment files of the strict group's log: filled with zeros ahead of time, taken into use, used again.

import ClusterTypes
import Glibc
import Synchronization

/// `spare` is a file of zeros, or of stale frames of a former use, that is ready to become the next segment.
final class SegmentStore: Sendable {
    static let spareName = "spare"
    static let temporaryName = "spare.tmp"
    static let takenName = "segment.tmp"

    let folder: StrictFolder
    /// Of a usual segment; one frame that is larger gets a segment of its own size.
    let bytes: Int
    /// Held while the name `spare` changes hands: it is filled on another thread than it is taken on.
    private let spare = Mutex<Void>(())

    init(folder: StrictFolder, bytes: Int) {
        self.folder = folder
        self.bytes = bytes
    }

    /// Fills a file with zeros and keeps it ready, unless one is. For a thread that may wait for the disk.
    func prepare() throws(PersistenceFailure) {
        if folder.exists(Self.spareName) { return }
        _ = try fill(Self.temporaryName, bytes: bytes)
        try offer(Self.temporaryName)
    }

    /// A segment that the log no longer needs becomes the spare one, or goes.
    func recycle(_ id: UInt64, bytes size: Int) throws(PersistenceFailure) {
        let name = StrictLogFormat.segmentName(id)
        if size == bytes, !folder.exists(Self.spareName) { return try offer(name) }
        try folder.remove(name)
    }

    private func offer(_ name: String) throws(PersistenceFailure) {
        try spare.withLock { _ throws(PersistenceFailure) in try folder.rename(name, to: Self.spareName) }
    }

    /// A new segment with its head, durable and under its name. It holds room for `frameBytes` bytes behind the head.
    func take(_ id: UInt64, log: UInt64, frameBytes: Int) throws(PersistenceFailure) -> (file: LogFile, bytes: Int) {
        let needed = StrictLogFormat.segmentHeadBytes + frameBytes
        var taken: LogFile?
        var size = bytes
        if needed <= bytes { taken = try takeSpare() }
        if taken == nil {
            size = max(bytes, (needed + 4_095) / 4_096 * 4_096)
            taken = try fill(Self.takenName, bytes: size)
        }
        guard let file = taken else { throw .stopped }
        try file.write(SegmentHead(id: id, log: log, bytes: UInt64(size)).encoded(), at: 0)
        try file.synchronise()
        try folder.rename(Self.takenName, to: StrictLogFormat.segmentName(id))
        try folder.synchronise()
        return (file, size)
    }

    /// One of another size, as an older configuration may have left, is none.
    private func takeSpare() throws(PersistenceFailure) -> LogFile? {
        try spare.withLock { _ throws(PersistenceFailure) in
            guard let file = try LogFile.open(Self.spareName, in: folder, writable: true) else { return nil }
            guard file.size == bytes else {
                try folder.remove(Self.spareName)
                return nil
            }
            try folder.rename(Self.spareName, to: Self.takenName)
            return file
        }
    }

    private func fill(_ name: String, bytes: Int) throws(PersistenceFailure) -> LogFile {
        let file = try LogFile.create(name, in: folder)
        do throws(PersistenceFailure) {
            try file.reserve(bytes)
            // Room that was only reserved is marked as written with each write, which costs a sync twice.
            let block = [UInt8](repeating: 0, count: min(bytes, 1 << 20))
            var at = 0
            while at < bytes {
                let count = min(block.count, bytes - at)
                try file.write(count == block.count ? block : Array(block.prefix(count)), at: at)
                at += count
            }
            try file.synchronise()
            return file
        } catch {
            // So that a full disk has not become fuller.
            if case .diskFull = error { try folder.remove(name) }
            throw error
        }
    }
}
