// SPDX-License-Identifier: Apache-2.0
// Owns the strict group's disk as the daemon uses it: a log, snapshots, and who is told what when.

import ClusterTypes
import Glibc
import RaftCore
import StrictCore
import StrictGroup
import Synchronization

/// The folder `strict` in the data directory (Docs/storage.md). Calls come from any thread and never wait for the disk; answers
/// come on threads of this disk, those of `write` and `compact` in the order of the calls.
///
/// What cannot be made durable is not answered. Without room it is tried again until there is some; after any other failure
/// `failed` is called, once, and nothing is answered any more: what is on the disk is not known, the process has to end.
package final class StrictDisk: Sendable {
    package struct Options: Sendable {
        /// Of one segment of the log. Default 16 MiB, at least 4 KiB.
        package var segmentBytes: Int
        /// Writes that may wait. Default 65 536; a node whose disk is so far behind fails.
        package var capacity: Int
        /// Until what found no room is tried again, and from when on a sync counts as slow. Default 1 000 each.
        package var retryMilliseconds: Int
        package var slowAfterMilliseconds: Int
        /// For tests: makes operations fail.
        package var fault: StorageFault?

        package init(segmentBytes: Int = 16 << 20, fault: StorageFault? = nil) {
            self.segmentBytes = max(segmentBytes, 4_096)
            capacity = 65_536
            retryMilliseconds = 1_000
            slowAfterMilliseconds = 1_000
            self.fault = fault
        }
    }

    /// Called at each change of the disk's condition, from any thread; it must not call the disk.
    package typealias ConditionChanged = @Sendable (DiskCondition) -> Void
    package typealias Failed = @Sendable (PersistenceFailure) -> Void

    /// Sentences to log once: what was damaged or torn, and what was done about it.
    package let warnings: [String]

    private let folder: StrictFolder
    private let owner: StrictLogOwner
    private let queue: DurabilityQueue<StrictLogWork, Completion>
    /// Makes and loads snapshots, keeps a spare segment, removes files.
    private let maker: DiskWorker
    /// Reads chunks for others: it must not wait for the making of a snapshot.
    private let reader: DiskWorker
    private let failure: FirstFailure

    private struct Completion: Sendable {
        let run: @Sendable () -> Void
    }

    /// Opens the folder, creating it (mode 0700) when there is none, and reads what is there.
    /// - Throws: Among others `corruptStrictLog` and `newerFormat`: the node must not start with this folder.
    package static func open(
        directory: String, keeper: StrictLogKeeper = .none, options: Options = Options(),
        condition: @escaping ConditionChanged = { _ in },
        failed: @escaping Failed
    ) throws(PersistenceFailure) -> (StrictDisk, StrictRestored) {
        // Before a folder is made that would be in the way of the one that is put back.
        if keeper.known != nil, access(directory + "/strict", F_OK) != 0 {
            throw .missingStrictLog(directory: directory)
        }
        let folder = try StrictFolder(directory: directory, fault: options.fault)
        var recovery = StrictRecovery(SegmentStore(folder: folder, bytes: options.segmentBytes), keeper)
        let (log, restored) = try recovery.open()
        let disk = try StrictDisk(
            StrictLogOwner(log), folder, warnings: recovery.warnings, options: options,
            condition: ConditionJoint(changed: condition), failure: FirstFailure(failed))
        return (disk, restored)
    }

    private init(
        _ owner: StrictLogOwner, _ folder: StrictFolder, warnings: [String], options: Options,
        condition: ConditionJoint, failure: FirstFailure
    ) throws(PersistenceFailure) {
        self.owner = owner
        self.folder = folder
        self.warnings = warnings
        self.failure = failure
        let maker = try DiskWorker(
            name: "strict-snapshot", retryMilliseconds: options.retryMilliseconds,
            isFull: { condition.tell(isMakerFull: $0) }, failed: { failure.note($0) })
        self.maker = maker
        reader = try DiskWorker(
            name: "strict-reader", retryMilliseconds: options.retryMilliseconds, isFull: { _ in },
            failed: { failure.note($0) })
        queue = try DurabilityQueue(
            capacity: options.capacity,
            timing: DurabilityQueue.Timing(
                retryMilliseconds: options.retryMilliseconds, slowAfterMilliseconds: options.slowAfterMilliseconds),
            commit: { round throws(PersistenceFailure) in
                if let garbage = try owner.commit(round) {
                    maker.add { _ throws(PersistenceFailure) in try owner.dispose(garbage) }
                }
            },
            completed: { completion, result in
                switch result {
                case .success: completion.run()
                // Only at a stop: nobody was told that it lasts.
                case .failure(let reason) where reason.isTemporary: break
                case .failure(let reason): failure.note(reason)
                }
            },
            condition: { condition.tell(log: $0) })
        maker.add { _ throws(PersistenceFailure) in try owner.prepareSpare() }
    }

    package var statistics: StrictDiskStatistics { owner.statistics }

    /// `completed` follows when this and all before it is durable.
    package func write(_ write: StrictWrite, completed: @escaping @Sendable () -> Void) {
        enqueue(.write(write), completed)
    }

    private func enqueue(_ work: StrictLogWork, _ completed: @escaping @Sendable () -> Void) {
        do throws(PersistenceFailure) {
            try queue.enqueue(work, token: Completion(run: completed))
        } catch .stopped {
            // The daemon is stopping: nobody waits for this any more.
        } catch {
            failure.note(error)
        }
    }

    /// Writes a snapshot of this state beside the others; `completed` gets its size and digest when it is durable.
    package func makeSnapshot(
        _ writer: StrictSnapshotWriter, _ position: LogPosition, _ membership: RaftMembership,
        completed: @escaping @Sendable (SnapshotMetadata) -> Void
    ) {
        maker.add { [folder] keepsOn throws(PersistenceFailure) in
            guard
                let metadata = try SnapshotFile.write(writer, position, membership, in: folder, keepsOn: keepsOn)
            else { return }
            completed(metadata)
        }
    }

    /// The chunk with its checksum; nil: this disk has no such bytes, or others than the order says.
    package func readSnapshot(
        _ order: SnapshotChunkOrder, completed: @escaping @Sendable (SnapshotChunk?) -> Void
    ) {
        reader.add { [folder] _ throws(PersistenceFailure) in
            completed(try Self.chunk(order, folder))
        }
    }

    private static func chunk(
        _ order: SnapshotChunkOrder, _ folder: StrictFolder
    ) throws(PersistenceFailure) -> SnapshotChunk? {
        let metadata = order.metadata
        guard let file = try LogFile.open(SnapshotFile.name(metadata), in: folder, writable: false),
            let (found, start) = try SnapshotFile.readHead(file), found == metadata, order.offset <= metadata.bytes
        else { return nil }
        // Once for each transfer: the receiver could only tell at its end.
        if order.offset == 0, order.bytesMax > 0 {
            guard try SnapshotFile.isIntact(file, start: start, metadata) else { return nil }
        }
        let count = Int(min(UInt64(max(order.bytesMax, 0)), metadata.bytes - order.offset))
        let bytes = try file.read(count, at: start + Int(order.offset))
        guard bytes.count == count else { return nil }
        return SnapshotChunk(
            metadata: metadata, offset: order.offset, bytes: bytes, checksum: SnapshotChunk.checksum(of: bytes))
    }

    /// The state in a snapshot whose bytes earlier writes brought; nil: they are not those, and were dropped.
    package func loadSnapshot(
        _ metadata: SnapshotMetadata, completed: @escaping @Sendable (StrictMachine?) -> Void
    ) {
        // Behind the writes that were asked for before.
        enqueue(.barrier) { [folder, maker] in
            maker.add { _ throws(PersistenceFailure) in
                let name = SnapshotFile.name(metadata)
                var machine: StrictMachine?
                if let file = try LogFile.open(name, in: folder, writable: false),
                    let (found, start) = try SnapshotFile.readHead(file), found == metadata
                {
                    machine = try SnapshotFile.load(file, start: start, metadata)
                }
                if machine == nil { try folder.remove(name) }
                completed(machine)
            }
        }
    }

    /// The log before `keepFrom` may go, and snapshots older than the newest of these that are not named. That one must have
    /// been told durable; the log begins behind it at the next start.
    package func compact(
        keepFrom: LogIndex, snapshots: [SnapshotMetadata], completed: @escaping @Sendable () -> Void = {}
    ) {
        enqueue(.compact(keepFrom: keepFrom, snapshots: snapshots), completed)
    }

    /// Makes durable what waits, gives up snapshots that are being made, and returns when the threads have ended. Never to
    /// be called from an answer.
    /// - Parameter isOrderly: False leaves the log as a process would that dies now.
    package func close(isOrderly: Bool = true) {
        queue.stop()
        maker.stop()
        reader.stop()
        if isOrderly, !failure.hasFailed { owner.close() }
    }
}
