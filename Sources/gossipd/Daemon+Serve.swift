// SPDX-License-Identifier: Apache-2.0
// Owns the running daemon: signals, reloads, the status line, the watchdog, and the orderly stop.

import AdminServer
import ClusterTypes
import DaemonConfig
import Logging
import NodeKernel
import Persistence
import SystemdSupport
import Transport
import UnixSignals

extension Daemon {
    /// Serves until told to stop, then stops in order. Returns the status to end with.
    func serve() async -> DaemonStatus {
        await withDiscardingTaskGroup(returning: DaemonStatus.self) { tasks in
            tasks.addTask { await admin.run() }
            let signalTask = SignalTask(signals)
            await signalTask.begin()
            tasks.addTask { await signalTask.run() }
            tasks.addTask { await keepStatus() }
            tasks.addTask { await feedWatchdog() }
            tasks.addTask { await log.tellRepeats() }
            tasks.addTask {
                guard (try? await Task.sleep(for: StartupPages.delay)) != nil else { return }
                StartupPages.giveBack()
            }
            await announceStart()
            let delivering = startDelivery()
            let handling = startHandlers()
            let status = await waitForStop(delivering, handling)
            tasks.cancelAll()
            return status
        }
    }

    private func announceStart() async {
        logger.event(
            .started,
            "gossipd is ready: \(configuration.name) at \(driver.address) in cluster \(configuration.cluster), admin socket \(adminPlace)",
            metadata: [
                "node_id": "\(directory.identity.id)", "address": "\(driver.address)",
                "boot_epoch": "\(directory.identity.bootEpoch)",
            ])
        for warning in warnings.sentences { logger.warning("\(warning)") }
        if case .ring(let view) = await driver.perform(.ring(.read)), let ring = view.decoded { tellDifference(ring) }
        notifier.ready(status: await statusLine())
        // Whoever starts us goes on when the manager knows, not when the datagram is on its way.
        notifier.barrier()
    }

    /// Carries out reloads until the first wish to stop.
    private func waitForStop(_ delivering: DeliveryTask, _ handling: Task<Void, Never>) async -> DaemonStatus {
        var current = configuration
        var wishes = signals.wishes.makeAsyncIterator()
        while let wish = await wishes.next() {
            switch wish {
            case .reload:
                current = await reload(current)
            case .stop(let reason):
                await stop(reason, &wishes, delivering, handling)
                // Another start would end the same: systemd is not to try.
                if case .double = reason { return .badConfiguration }
                return .clean
            }
        }
        return .clean
    }

    /// Leaves the cluster unless that has happened, is not wanted or the daemon comes back at once; then closes
    /// everything. A second signal cuts the leave short.
    private func stop(
        _ reason: StopReason, _ wishes: inout AsyncStream<DaemonSignals.Wish>.Iterator, _ delivering: DeliveryTask,
        _ handling: Task<Void, Never>
    ) async {
        signals.endNews()
        notifier.stopping(status: "stopping")
        let purpose = if case .restart = reason { "stopping for a restart, without leaving" } else { "stopping" }
        logger.event(.stopping, "\(purpose)", metadata: ["reason": "\(reason.word)"])
        await StrictAccess(configuration.strict, driver).handOverLead()
        async let handled: Void = stopHandlers(handling)
        await stopDelivery(delivering)
        await handled
        switch reason {
        case .left(let outcome):
            tellLeave(outcome)
        case .double(let address):
            tellDouble(address)
        case .signal where configuration.leaveOnTerminate:
            let leaving = Task { await driver.perform(.leave(deadline: configuration.leaveTimeout)) }
            // The kernel reports `left` as well; a second signal comes through the same stream.
            leave: while let wish = await wishes.next() {
                switch wish {
                case .stop(.left(let outcome)):
                    tellLeave(outcome)
                    break leave
                case .stop(.signal), .stop(.restart), .stop(.double):
                    logger.warning("told to stop again: the peers may not know yet that this node leaves")
                    break leave
                case .reload:
                    continue
                }
            }
            leaving.cancel()
        case .signal, .restart:
            break
        }
        await admin.stop()
        hub.events.finishAll()
        hub.watches.finishAll()
        await driver.stop()
        await past.stop()
        host.stop()
        signals.finish()
        logger.event(.stopped, "stopped")
        // What a process has said counts only while the manager still knows the process.
        notifier.barrier()
    }

    private func tellDouble(_ address: Address) {
        let sentence =
            "an older process at \(address) has this node's id \(directory.identity.id): was its disk cloned? Empty "
            + "\(configuration.dataDirectory) on this host, so that it gets an id of its own, and start it again"
        logger.event(
            .startFailed, "cannot serve: \(sentence)",
            metadata: ["reason": "\(sentence)", "exit_status": "\(DaemonStatus.badConfiguration.rawValue)"])
    }

    private func tellLeave(_ outcome: LeaveOutcome) {
        let told = "\(outcome.acknowledged) of \(outcome.asked) peers asked have acknowledged"
        if outcome.isQuorum {
            logger.notice("left the cluster: \(told)")
        } else {
            logger.warning("left the cluster without a quorum: \(told); the others will see this node as failed")
        }
    }

    /// What `systemctl status` shows; nil when the kernel no longer answers.
    func statusLine() async -> String? {
        guard case .status(let view) = await driver.perform(.status) else { return nil }
        var parts = ["\(view.alive) alive"]
        if view.suspect > 0 { parts.append("\(view.suspect) suspect") }
        if view.failed > 0 { parts.append("\(view.failed) failed") }
        if view.left > 0 { parts.append("\(view.left) left") }
        var line = "\(parts.joined(separator: ", ")); \(view.keys) \(view.keys == 1 ? "key" : "keys")"
        if view.awareness > 0 { line += "; local health \(view.awareness)" }
        guard case .diagnosis(let store) = await driver.perform(.diagnose) else { return line }
        for trouble in Self.troubles(of: store) { line += "; \(trouble)" }
        let undelivered = await filesInTrouble()
        if undelivered > 0 { line += "; \(counted(undelivered, "file")) not delivered" }
        if let reason = refusedReload.reason { line += "; reload refused: \(reason)" }
        return line
    }

    /// What of the store belongs into one line: what is under way, and what keeps it from taking writes.
    private static func troubles(of store: StoreDiagnosis) -> [String] {
        var troubles: [String] = []
        switch store.storage {
        case .ok: break
        case .full: troubles.append("disk full, writes refused")
        case .slow: troubles.append("disk slow")
        }
        if store.isClockOutlier { troubles.append("clock off, writes refused") }
        if store.isResetting { troubles.append("taking over a peer's store") }
        if let catchUp = store.catchUp { troubles.append("catching up, \(catchUp.received) of \(catchUp.total) rows") }
        if store.queuedWrites > 0 { troubles.append("\(store.queuedWrites) queued writes") }
        return troubles
    }

    /// Tells systemd when the summary has changed; many events at once make one line.
    private func keepStatus() async {
        guard notifier.isEnabled else { return }
        var shown = ""
        for await _ in signals.news {
            guard let line = await statusLine() else { return }
            if line != shown { notifier.status(line) }
            shown = line
            try? await Task.sleep(for: .milliseconds(200))
        }
    }

    /// The watchdog is fed only while the kernel makes turns: it must answer, and its own timers must have fired.
    private func feedWatchdog() async {
        guard let interval = Systemd.watchdogInterval() else { return }
        let half = Duration.microseconds(Int64(clamping: interval / 2))
        // The kernel's slowest timers fire every few seconds.
        let patience = max(half, .seconds(15))
        var turns = driver.progress.timerTurns
        var movedAt = ContinuousClock.now
        while !Task.isCancelled {
            if case .status = await driver.perform(.status) {
                let now = driver.progress.timerTurns
                if now != turns {
                    turns = now
                    movedAt = .now
                }
                if movedAt.duration(to: .now) < patience { notifier.watchdog() }
            }
            try? await Task.sleep(for: half)
        }
    }
}

/// Turns Unix signals into wishes.
private actor SignalTask {
    private let signals: DaemonSignals
    private var sequence: UnixSignalsSequence?

    init(_ signals: DaemonSignals) { self.signals = signals }

    /// From here on the signals no longer end the process.
    func begin() async { sequence = await UnixSignalsSequence(trapping: [.sighup, .sigterm, .sigint, .sigusr2]) }

    func run() async {
        guard let sequence else { return }
        for await signal in sequence {
            if signal == .sighup {
                signals.reload()
            } else {
                signals.stop(signal == .sigusr2 ? .restart : .signal)
            }
        }
    }
}
