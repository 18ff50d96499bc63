// SPDX-License-Identifier: Apache-2.0
// Owns what the kernel needs from the daemon: the disk, the publication of events, the news of its leaving.

import ClusterTypes
import Glibc
import Logging
import NodeKernel
import Persistence
import RaftCore
import Sealing
import StoreCore
import StrictGroup
import Synchronization
import SystemdSupport
import Transport

/// What one `persist` asks for, by where it is kept.
struct DurableBatch: Sendable {
    var update = DataDirectoryUpdate()
    var records: [StoreRecord] = []
}

/// The daemon's side of the driver.
final class DaemonHost: KernelHost {
    private let queue: DurabilityQueue<DurableBatch, Completion>
    private let hub: EventHub
    private let logger: Logger
    private let signals: DaemonSignals
    private let storageChanged = StorageListener()
    private let database: StoreDatabase
    /// nil: no key is strict here.
    private let strictDisk: StrictDisk?
    private let lost = LostBatches()

    /// What to do when a batch is durable.
    struct Completion: Sendable {
        let run: @Sendable () -> Void
    }

    /// Batches that may wait for the disk; a node whose disk is that far behind must not go on. Peers cannot bring it so
    /// far: `KernelConfiguration.pendingWritesMax` puts their rows off long before.
    private static let batchesMax = 65_536

    /// So that the revision is written down soon after the last change.
    private static let idleMilliseconds = 5_000

    init(
        directory: DataDirectory, database: StoreDatabase, strictDisk: StrictDisk?, hub: EventHub, log: DaemonLog,
        signals: DaemonSignals
    ) throws {
        self.hub = hub
        self.strictDisk = strictDisk
        self.signals = signals
        self.database = database
        let logger = log.logger(label: "gossipd.storage")
        self.logger = logger
        queue = try DurabilityQueue(
            capacity: Self.batchesMax, timing: DurabilityQueue.Timing(idleMilliseconds: Self.idleMilliseconds),
            commit: { batches throws(PersistenceFailure) in
                // The directory's files first: written twice they say the same.
                let updates = batches.map(\.update).filter { !$0.isEmpty }
                try directory.commit(updates)
                let records = batches.map(\.records).filter { !$0.isEmpty }
                if !records.isEmpty { try database.commit(records) }
            },
            completed: { [lost] completion, result in
                switch result {
                case .success: completion.run()
                // Only at a stop; what is on disk is known, and that this is not there was never said otherwise.
                case .failure(let failure) where failure.isTemporary: lost.add(failure)
                case .failure(let failure): Self.stopBeforeLying(failure, logger: logger)
                }
            },
            idle: { () throws(PersistenceFailure) in try database.prune(now: SystemClock.now().wall) },
            condition: { [storageChanged] condition in storageChanged.tell(StorageCondition(condition)) })
    }

    func persist(_ records: [DurableRecord], completed: @escaping @Sendable () -> Void) {
        var batch = DurableBatch()
        for record in records {
            switch record {
            case .incarnationFence(let fence): batch.update.incarnationFence = fence
            case .peers(let peers):
                batch.update.peers = peers.map {
                    StoredPeer(id: $0.id, name: $0.name, address: $0.address, key: $0.key)
                }
            case .store(let record): batch.records.append(record)
            case .ring(let ring): batch.update.keyRing = ring.secretBytes
            }
        }
        do throws(PersistenceFailure) {
            try queue.enqueue(batch, token: Completion(run: completed))
        } catch .stopped {
            // The daemon is stopping: nobody waits for this any more.
        } catch {
            Self.stopBeforeLying(error, logger: logger)
        }
    }

    func perform(_ action: StrictDiskAction, completed: @escaping @Sendable (StrictDiskResult) -> Void) {
        guard let strictDisk else { return }
        switch action {
        case .persist(let write):
            strictDisk.write(write) { completed(.persisted(write.number)) }
        case .makeSnapshot(let writer, let position, let membership):
            strictDisk.makeSnapshot(writer, position, membership) {
                completed(.snapshotMade(position, bytes: $0.bytes, digest: $0.digest))
            }
        case .readSnapshot(let order):
            strictDisk.readSnapshot(order) { completed(.snapshotRead(order, $0)) }
        case .loadSnapshot(let metadata):
            strictDisk.loadSnapshot(metadata) { completed(.snapshotLoaded(metadata, $0)) }
        case .compact(let keepFrom, let snapshots):
            strictDisk.compact(keepFrom: keepFrom, snapshots: snapshots)
        }
    }

    func watchStorage(_ changed: @escaping @Sendable (StorageCondition) -> Void) { storageChanged.listen(changed) }

    func report(_ event: KernelEvent, clock: Clock) {
        hub.handle(event, clock: clock)
        signals.somethingHappened()
    }

    func refused(_ refusal: SealRefusal, from source: Address, clock: Clock) {
        hub.refusals.note(refusal, from: source)
        hub.tell(
            Narration(
                kind: .packetRejected, message: "packets from \(source) are refused: \(refusal.sentence)",
                reason: refusal.rawValue), at: clock)
        signals.somethingHappened()
    }

    func ringChanged(_ ring: KeyRing, clock: Clock) {
        hub.tell(
            Narration(kind: .keysChanged, message: "the keys that seal packets have changed: \(ring.sentence)"),
            at: clock)
        signals.somethingHappened()
    }

    func left(_ outcome: LeaveOutcome) { signals.stop(.left(outcome)) }

    func refused(doubleAt address: Address) { signals.stop(.double(address)) }

    /// Makes durable what waits and ends the storage thread. Without room what waits is given up: no client and no peer
    /// was told that it lasts.
    func stop() {
        queue.stop()
        database.finish()
        strictDisk?.close()
        guard let (count, failure) = lost.all else { return }
        logger.warning(
            "stopped with \(count) \(count == 1 ? "batch" : "batches") of changes not on the disk, none of which was acknowledged: \(failure)",
            metadata: ["reason": "\(failure)"])
    }

    /// What is on disk is no longer known, so the process ends at once instead of acknowledging anything more.
    static func stopBeforeLying(_ failure: PersistenceFailure, logger: Logger) {
        logger.event(.storageFailed, "storage failed, stopping at once: \(failure)", metadata: ["reason": "\(failure)"])
        _exit(DaemonStatus.storageError.rawValue)
    }
}

/// What a stop gave up because it would have had to wait.
private final class LostBatches: Sendable {
    private let state = Mutex<(count: Int, failure: PersistenceFailure)?>(nil)

    func add(_ failure: PersistenceFailure) { state.withLock { $0 = (($0?.count ?? 0) + 1, failure) } }

    var all: (count: Int, failure: PersistenceFailure)? { state.withLock { $0 } }
}

/// Passes the disk's condition on to the driver, which comes to be after the storage thread.
private final class StorageListener: Sendable {
    private let listener = Mutex<(@Sendable (StorageCondition) -> Void)?>(nil)

    func listen(_ changed: @escaping @Sendable (StorageCondition) -> Void) { listener.withLock { $0 = changed } }

    func tell(_ condition: StorageCondition) { listener.withLock { $0 }?(condition) }
}

extension StorageCondition {
    init(_ condition: DiskCondition) {
        self =
            switch condition {
            case .ok: .ok
            case .full: .full
            case .slow: .slow
            }
    }
}
