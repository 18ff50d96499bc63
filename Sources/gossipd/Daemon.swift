// SPDX-License-Identifier: Apache-2.0
// Owns the life of the daemon: the order in which its parts start, and what each failure to start means.

import AdminServer
import ClusterTypes
import DaemonConfig
import Delivery
import Glibc
import Handlers
import Logging
import NIOCore
import NIOPosix
import NodeKernel
import Persistence
import SWIMCore
import Sealing
import StoreCore
import StrictGroup
import SystemdSupport
import Transport
import WireProtocol

/// Why the daemon did not start: what it exits with and the sentence that says what to do.
struct StartFailure: Error, Sendable {
    let status: DaemonStatus
    let message: String
}

/// The threads of the daemon's sockets.
struct Loops: Sendable {
    /// The kernel's alone: no client keeps it from its peers.
    let kernel = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    /// The clients' requests run on the loop of their connection (`LoopExecutor`); a long one holds up half of them.
    let admin = MultiThreadedEventLoopGroup(numberOfThreads: 2)

    func shutdown() async {
        try? await admin.shutdownGracefully()
        try? await kernel.shutdownGracefully()
    }
}

/// A running daemon: all its parts, started.
struct Daemon: Sendable {
    let configurationFile: String?
    let overrides: ConfigurationOverrides
    let configuration: DaemonConfiguration
    let log: DaemonLog
    let logger: Logger
    let notifier: SystemdNotifier
    let signals: DaemonSignals
    let directory: DataDirectory
    let past: StorePast
    let host: DaemonHost
    let hub: EventHub
    let driver: KernelDriver
    let keys: NodeKeys
    let delivery: DeliveryEngine
    let handlers: HandlerEngine
    let refusedReload: RefusedReload
    let admin: AdminServer
    let warnings: StandingWarnings
    /// Where clients find the admin API, for the log.
    let adminPlace: String

    /// Runs until told to stop; prints why it cannot run to standard error or to the log.
    static func run(configurationFile: String?, overrides: ConfigurationOverrides) async -> DaemonStatus {
        signal(SIGPIPE, SIG_IGN)
        let configuration: DaemonConfiguration
        do throws(ConfigurationError) {
            configuration = try DaemonConfiguration.load(file: configurationFile, overrides: overrides)
        } catch {
            report(error)
            return .badConfiguration
        }
        let log = DaemonLog(configuration.log)
        let logger = log.logger(label: "gossipd")
        let loops = Loops()
        var status = DaemonStatus.clean
        do {
            let daemon = try await start(
                configuration, file: configurationFile, overrides: overrides, log: log, logger: logger, loops: loops)
            status = await daemon.serve()
        } catch {
            let failure = (error as? StartFailure) ?? StartFailure(status: .storageError, message: "\(error)")
            logger.event(
                .startFailed, "cannot start: \(failure.message)",
                metadata: ["reason": "\(failure.message)", "exit_status": "\(failure.status.rawValue)"])
            status = failure.status
        }
        await loops.shutdown()
        log.flush()
        return status
    }

    /// Says what is wrong with the configuration before its own word on the log is known: to the journal one event for
    /// each problem, to anybody else plain lines.
    private static func report(_ error: ConfigurationError) {
        let log = DaemonLog(format: .auto, level: .info)
        guard log.format == .journal else { return StandardError.write(error.description) }
        let logger = log.logger(label: "gossipd")
        for problem in error.problems {
            logger.event(
                .configurationInvalid, "the configuration is not valid: \(problem)", metadata: ["reason": "\(problem)"])
        }
        log.flush()
    }

    /// Starts every part in the order of their dependence: disk, network, kernel, admin socket.
    private static func start(
        _ configuration: DaemonConfiguration, file: String?, overrides: ConfigurationOverrides, log: DaemonLog,
        logger: Logger, loops: Loops
    ) async throws -> Daemon {
        let startedAt = ContinuousClock.now
        // Before any other descriptor is opened.
        let adopted = Systemd.listenSockets().first
        let notifier = SystemdNotifier()
        let files = try keys(configuration)
        let directory = try await openDirectory(configuration.dataDirectory, notifier: notifier, logger: logger)
        warn(of: configuration, directory, logger)
        let starting = try StartingKeys.load(
            files, configuration, directory, now: SystemClock.now().wall.milliseconds)
        let seal = starting.seal
        let sockets = try bind(configuration.bind)
        let advertised = configuration.advertised(boundTo: sockets.address)
        let identity = directory.identity

        // Each process writes under an epoch that none before it used, not even one started from a copy of this
        // directory or from a backup of it: no dot is ever used twice.
        var generator = SystemRandomNumberGenerator()
        let storeEpoch = UInt32.random(in: 1...UInt32.max, using: &generator)
        let (database, recovery) = try await openStore(
            configuration, actor: ActorID(node: identity.id, epoch: storeEpoch), notifier: notifier, logger: logger)
        let past = StorePast(database: database)

        let signals = DaemonSignals()
        let hub = hub(configuration, identity, directory.peers, recovery, address: advertised, logger: logger)
        let strict = try openStrictDisk(configuration, directory, notifier: notifier, log: log, logger: logger)
        let host = try DaemonHost(
            directory: directory, database: database, strictDisk: strict?.disk, hub: hub, log: log, signals: signals)
        let kernel = makeKernel(
            configuration, directory, starting, address: advertised, storeEpoch: storeEpoch, recovery, strict?.restored)
        let driver = KernelDriver(
            kernel: kernel, sockets: sockets, configuration: TransportConfiguration(configuration, seal: seal),
            host: host, loop: loops.kernel.next())
        try await start(driver, host)

        let delivery = delivery(
            configuration, nodeID: identity.id, hub: hub,
            knowsOthers: !configuration.join.isEmpty || !directory.peers.isEmpty, perform: driver.perform)
        let keys = NodeKeys(files: files, used: driver.keysOfPeers)
        let handlers = handlers(
            configuration, id: identity.id, address: advertised, hub: hub, logger: log.logger(label: "gossipd.handlers")
        )
        let strictKeys = StrictAccess(configuration.strict, driver)
        let metrics = Metrics(
            driver: driver, past: past, delivery: delivery, hub: hub, strict: strictKeys, strictDisk: strict?.disk)
        let refusedReload = RefusedReload()
        let warnings = StandingWarnings(configuration, seal)
        let node = KernelNode(
            perform: driver.perform, hub: hub, past: past, cluster: configuration.cluster, startedAt: startedAt,
            leaveTimeout: configuration.leaveTimeout, warnings: warnings,
            setAside: recovery.setAside.map { [$0] } ?? [], hasSeeds: !configuration.join.isEmpty,
            storeConfiguration: kernel.configuration.store, samples: metrics.samples, delivery: delivery, keys: keys,
            refusedReload: refusedReload, strict: strictKeys)
        let admin = AdminServer(
            settings: AdminServerSettings(configuration.admin), node: node, group: loops.admin, logger: logger,
            listenDescriptor: adopted?.descriptor, denied: DenialLog(logger: logger).note)
        try await open(admin, driver, host)
        return Daemon(
            configurationFile: file, overrides: overrides, configuration: configuration, log: log, logger: logger,
            notifier: notifier, signals: signals, directory: directory, past: past, host: host, hub: hub,
            driver: driver, keys: keys, delivery: delivery, handlers: handlers,
            refusedReload: refusedReload, admin: admin, warnings: warnings,
            adminPlace: adopted.map { "\($0.name) passed by systemd" } ?? configuration.admin.socket)
    }

    private static func makeKernel(
        _ configuration: DaemonConfiguration, _ directory: DataDirectory, _ starting: StartingKeys, address: Address,
        storeEpoch: UInt32, _ recovery: Recovery, _ strict: StrictRestored?
    ) -> NodeKernel {
        let identity = directory.identity
        return NodeKernel(
            configuration: KernelConfiguration(
                configuration, peers: directory.peers, keys: starting, signer: signer(identity)),
            identity: KernelIdentity(
                id: identity.id, name: configuration.name, address: address, tags: configuration.sortedTags,
                incarnationFence: identity.incarnationFence, storeEpoch: storeEpoch),
            recovered: recovery.recovered, strictRestored: strict, clock: SystemClock.now())
    }

    private static func warn(of configuration: DaemonConfiguration, _ directory: DataDirectory, _ logger: Logger) {
        for path in KeySource.credentials().ignored where configuration.keyFile.isEmpty {
            logger.warning("\(path): looks like a copy that an editor has left, and is ignored: remove it from keys.d")
        }
        for warning in directory.warnings { logger.warning("\(warning)") }
    }

    private static func signer(_ identity: NodeIdentity) -> AuthorSigner {
        guard let signer = AuthorSigner(seed: identity.signingSeed.bytes) else {
            preconditionFailure("a seed of \(SigningSeed.byteCount) bytes makes no key")
        }
        return signer
    }

    private static func start(_ driver: KernelDriver, _ host: DaemonHost) async throws {
        do {
            try await driver.start()
        } catch {
            host.stop()
            throw StartFailure(status: .temporary, message: "cannot serve \(driver.address): \(error)")
        }
    }

    /// Takes clients in. Who has waited in a passed socket's queue asks at once, so the node must take writes by then.
    private static func open(_ admin: AdminServer, _ driver: KernelDriver, _ host: DaemonHost) async throws {
        await waitUntilStarted(driver)
        do throws(AdminServerStartError) {
            try await admin.start()
        } catch {
            await driver.stop()
            host.stop()
            throw StartFailure(admin: error)
        }
    }

    /// Until the incarnation is durable the node takes no writes. With a disk that is full or takes longer than this it
    /// goes on all the same, so that an operator is told what is wrong.
    private static func waitUntilStarted(_ driver: KernelDriver) async {
        let deadline = ContinuousClock.now + .seconds(10)
        while ContinuousClock.now < deadline {
            guard case .status(let view) = await driver.perform(.status), !view.isStarted else { return }
            if case .diagnosis(let store) = await driver.perform(.diagnose), store.storage == .full { return }
            try? await Task.sleep(for: .milliseconds(2))
        }
    }

    private static func keys(_ configuration: DaemonConfiguration) throws(StartFailure) -> [ClusterKey] {
        do throws(KeyFailure) {
            return try KeySource.keys(configuration)
        } catch {
            throw StartFailure(status: .badConfiguration, message: error.description)
        }
    }

    private static func bind(_ address: Address) throws(StartFailure) -> NodeSockets {
        do throws(TransportFailure) {
            return try NodeSockets.bind(to: address)
        } catch {
            throw StartFailure(transport: error)
        }
    }
}

extension StartFailure {
    init(storage failure: PersistenceFailure) {
        let status: DaemonStatus =
            switch failure {
            case .locked, .busy: .temporary
            case .system(_, _, let code) where code == EACCES || code == EPERM: .denied
            case .notADirectory, .exposedKeys, .missingStrictLog: .badConfiguration
            case .corruptIdentity, .corruptKeys, .newerFormat, .bootEpochsUsedUp, .system, .diskFull, .corrupt,
                .corruptStrictLog, .corruptSnapshot, .newerSchema, .database, .queueFull, .stopped:
                .storageError
            }
        self.init(status: status, message: failure.description)
    }

    init(transport failure: TransportFailure) {
        let status: DaemonStatus =
            switch failure {
            case .addressInUse: .temporary
            case .permissionDenied: .denied
            // The address may come later, as from DHCP at boot.
            case .addressNotAvailable, .system, .alreadyStarted: .temporary
            }
        self.init(status: status, message: failure.description)
    }

    init(admin failure: AdminServerStartError) {
        let status: DaemonStatus =
            switch failure {
            case .inUse: .temporary
            case .denied: .denied
            case .badSettings: .badConfiguration
            case .system: .temporary
            }
        self.init(status: status, message: failure.description)
    }
}
