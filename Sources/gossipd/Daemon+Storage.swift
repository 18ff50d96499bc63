// SPDX-License-Identifier: Apache-2.0
// Owns the opening of what is on disk when the daemon starts, and what is told of it.

import AdminModel
import ClusterTypes
import DaemonConfig
import Logging
import Persistence
import StoreCore
import StrictGroup
import SystemdSupport
import Transport

extension Daemon {
    static func openDirectory(
        _ path: String, notifier: SystemdNotifier, logger: Logger
    ) async throws -> DataDirectory {
        try await waitingForRoom(on: path, notifier: notifier, logger: logger) { () throws(PersistenceFailure) in
            try DataDirectory.open(path)
        }
    }

    /// Reads the whole store; a large one takes seconds, of which systemd is told.
    static func openStore(
        _ configuration: DaemonConfiguration, actor: ActorID, notifier: SystemdNotifier, logger: Logger
    ) async throws -> (StoreDatabase, Recovery) {
        let path = configuration.dataDirectory
        let (database, recovery) = try await waitingForRoom(on: path, notifier: notifier, logger: logger) {
            () throws(PersistenceFailure) in
            try StoreDatabase.open(
                directory: path, actor: actor, configuration: StoreConfiguration(configuration.store),
                history: HistoryLimits(configuration.store),
                migrating: { from, to in
                    logger.info("bringing the store's database from schema \(from) to \(to), once")
                    _ = notifier.extendTimeout(
                        seconds: 1_800, status: "bringing the database from schema \(from) to \(to)")
                },
                progress: { rows, total in
                    let all = total.map { " of \($0)" } ?? ""
                    _ = notifier.extendTimeout(seconds: 30, status: "reading the store: \(rows)\(all) rows")
                })
        }
        for warning in recovery.warnings { logger.warning("\(warning)") }
        let store = recovery.recovered.store
        logger.info("the store is open: \(store.liveKeyCount) keys, \(recovery.milliseconds) ms")
        return (database, recovery)
    }

    /// Waits for room when the disk is full: a service that gave up would not come back when there is.
    private static func waitingForRoom<Opened>(
        on path: String, notifier: SystemdNotifier, logger: Logger, _ open: () throws(PersistenceFailure) -> Opened
    ) async throws -> Opened {
        var hasTold = false
        while true {
            do throws(PersistenceFailure) {
                return try open()
            } catch .diskFull(let file) {
                let failure = PersistenceFailure.diskFull(file: file)
                if !hasTold {
                    logger.event(.storageFull, "cannot start yet: \(failure)", metadata: ["reason": "disk_full"])
                }
                hasTold = true
                _ = notifier.extendTimeout(seconds: 30, status: "waiting for room on the disk of \(path)")
            } catch {
                throw StartFailure(storage: error)
            }
            try await Task.sleep(for: .seconds(1))
        }
    }

    /// The strict log, read as a whole; nil where no key is strict. After a failure the process ends at once.
    static func openStrictDisk(
        _ configuration: DaemonConfiguration, _ directory: DataDirectory, notifier: SystemdNotifier, log: DaemonLog,
        logger: Logger
    ) throws(StartFailure) -> (disk: StrictDisk, restored: StrictRestored)? {
        if configuration.strict.prefixes.isEmpty { return nil }
        let storage = log.logger(label: "gossipd.storage")
        do throws(PersistenceFailure) {
            _ = notifier.extendTimeout(seconds: 120, status: "reading the strict log")
            let (disk, restored) = try StrictDisk.open(
                directory: configuration.dataDirectory, keeper: StrictLogKeeper(directory),
                failed: { DaemonHost.stopBeforeLying($0, logger: storage) })
            for warning in disk.warnings { logger.warning("\(warning)") }
            return (disk, restored)
        } catch {
            throw StartFailure(storage: error)
        }
    }

    /// The hub of this process's events; a database that was set aside is its first one.
    static func hub(
        _ configuration: DaemonConfiguration, _ identity: NodeIdentity, _ peers: [StoredPeer], _ recovery: Recovery,
        address: Address, logger: Logger
    ) -> EventHub {
        let hub = EventHub(
            epoch: identity.bootEpoch, storeID: recovery.storeID, revision: recovery.recovered.revision,
            selfID: identity.id, name: configuration.name, address: address,
            tags: configuration.sortedTags, logger: logger)
        for peer in peers {
            let name = MemberIdentity(id: peer.id.description, name: peer.name, address: peer.address.description)
            hub.remember(name, of: peer.id)
        }
        if let file = recovery.setAside {
            hub.tell(
                .storeSetAside, at: SystemClock.now(),
                "the store's database was damaged and is now \(file): starting empty, peers send what they hold",
                reason: recovery.warnings.first ?? "damaged")
        }
        return hub
    }
}
