// SPDX-License-Identifier: Apache-2.0
// Owns holding a lock while a command runs: the lease, the place in line, renewals, loss, and giving it back.

import AdminClient
import AdminModel
import Glibc
import Synchronization

struct LockHolder: Sendable {
    let client: AdminClient
    let name: ConfigurationKey
    let ttl: Duration
    /// Nil: as long as it takes.
    let wait: Duration?
    let grace: Duration

    private static let stepMax = Duration.milliseconds(20)
    private static let pollMax = Duration.milliseconds(250)
    /// For giving the lock back; it ends by itself otherwise.
    private static let releaseTimeout = Duration.seconds(3)

    /// Returns what to exit with; fails when the command was not started.
    func run(_ command: [String]) async throws(AdminFailure) -> Int32 {
        CaughtSignals.begin()
        let sent = ContinuousClock.now
        let lease = try await client.grantLease(ttl).lease
        let renewals = Renewals(client: client, lease: lease, timing: LeaseTiming(ttl: ttl, grantedAt: sent))
        // Beside all that follows: an answer may take longer than the lease lives.
        async let _: Void = renewals.keepUp()
        let token: UInt64
        do throws(AdminFailure) {
            switch try await acquire(lease, renewals) {
            case .token(let number): token = number
            case .signal(let number):
                await giveBack(lease)
                return 128 + number
            }
        } catch {
            await giveBack(lease)
            throw error
        }
        let process: LockedProcess
        do throws(LockedProcess.StartFailure) {
            process = try LockedProcess.start(
                command,
                adding: [
                    "GOSSIPD_LOCK_NAME=\(name)", "GOSSIPD_LOCK_TOKEN=\(token)", "GOSSIPD_LOCK_LEASE=\(lease)",
                ])
        } catch {
            await giveBack(lease)
            Terminal.complain(error.message)
            return error.status
        }
        let (status, isLost) = await attend(process, renewals)
        if isLost { return ExitStatus.lockLost.rawValue }
        await giveBack(lease)
        return status
    }

    private enum Acquired {
        case token(UInt64)
        /// This process was told to end.
        case signal(Int32)
    }

    private func acquire(_ lease: String, _ renewals: Renewals) async throws(AdminFailure) -> Acquired {
        let mayWait = wait != .zero
        let giveUp = wait.map { ContinuousClock.now + $0 }
        var found = try await client.acquireLock(name, lease: lease, mayWait: mayWait)
        var pause = Duration.milliseconds(20)
        while found.state != .held {
            guard mayWait, found.state == .waiting else {
                throw AdminFailure(
                    mayWait ? .internalError : .unavailable,
                    mayWait
                        ? "the place in line for lock \(name.description.quoted) is lost: try again"
                        : "lock \(name.description.quoted) is held by another: see gossipctl lock list")
            }
            if let giveUp, ContinuousClock.now >= giveUp {
                throw AdminFailure(
                    .timedOut,
                    "lock \(name.description.quoted) was not given back in time: \(found.ahead ?? 1) before this one, see "
                        + "gossipctl lock list")
            }
            if let signal = CaughtSignals.take().first { return .signal(signal.number) }
            try? await Task.sleep(for: pause)
            pause = min(pause * 2, Self.pollMax)
            if let reason = renewals.loss(at: .now) {
                throw AdminFailure(
                    .unavailable, "the lease that waits for lock \(name.description.quoted) is over: \(reason)")
            }
            // While no leader answers the place in line stays.
            if let now = try await unlessUnavailable({ () throws(AdminFailure) in
                try await client.lock(name, lease: lease)
            }) {
                found = now
            }
        }
        // Most of the lease's time is left when the command starts.
        while renewals.loss(at: .now) == nil {
            if let token = found.token, renewals.isFresh(at: .now) { return .token(token) }
            if let signal = CaughtSignals.take().first { return .signal(signal.number) }
            try? await Task.sleep(for: Self.stepMax)
        }
        throw AdminFailure(.unavailable, "lock \(name.description.quoted) was had too late: try again")
    }

    private func unlessUnavailable<Result>(
        _ body: () async throws(AdminFailure) -> Result
    ) async throws(AdminFailure) -> Result? {
        do throws(AdminFailure) {
            return try await body()
        } catch {
            guard error.code.exitStatus == .unavailable || error.code == .unreachable else { throw error }
            return nil
        }
    }

    /// Until the command has ended: passes signals on, and ends the command when the lock is lost.
    private func attend(_ process: LockedProcess, _ renewals: Renewals) async -> (status: Int32, isLost: Bool) {
        var step = Duration.milliseconds(1)
        var killAt: ContinuousClock.Instant?
        var isLost = false
        while true {
            if let status = process.ended() { return (status, isLost) }
            for signal in CaughtSignals.take() { process.pass(signal) }
            let now = ContinuousClock.now
            if isLost {
                if let at = killAt, now >= at {
                    process.send(SIGKILL)
                    killAt = nil
                }
            } else if let reason = renewals.loss(at: now) {
                isLost = true
                killAt = now + grace
                Terminal.complain("lock \(name.description.quoted) is lost: \(reason); the command is told to stop")
                process.send(SIGTERM)
            }
            try? await Task.sleep(for: step)
            step = min(step * 2, Self.stepMax)
        }
    }

    private func giveBack(_ lease: String) async {
        var client = client
        client.timeout = Self.releaseTimeout
        do throws(AdminFailure) {
            _ = try await client.revokeLease(lease)
        } catch {
            Terminal.complain(
                "lock \(name.description.quoted) could not be given back and ends by itself within \(ttl.shortText): \(error.message)"
            )
        }
    }
}

/// Renewals of one lease, one at a time, beside whoever uses it.
final class Renewals: Sendable {
    private struct State {
        var timing: LeaseTiming
        var isAsking = false
        /// The group says that the lease has ended.
        var isEnded = false
        var lastFailure: AdminFailure?
    }

    private let client: AdminClient
    private let lease: String
    private let state: Mutex<State>

    init(client: AdminClient, lease: String, timing: LeaseTiming) {
        var client = client
        client.timeout = timing.requestTimeout
        // Its own repeats are told apart here, each with its time.
        client.patience = .none
        self.client = client
        self.lease = lease
        state = Mutex(State(timing: timing))
    }

    /// Whether the greater part of the lease's time is left at least.
    func isFresh(at now: ContinuousClock.Instant) -> Bool {
        state.withLock { !$0.isEnded && $0.timing.isFresh(at: now) }
    }

    /// Why another may have what the lease held; nil while it lives.
    func loss(at now: ContinuousClock.Instant) -> String? {
        state.withLock { state in
            if state.isEnded { return "the group has ended its lease" }
            guard state.timing.isOver(at: now) else { return nil }
            return "it could not be renewed for \(state.timing.ttl.shortText)"
                + (state.lastFailure.map { " (\($0.message))" } ?? "")
        }
    }

    /// Renews until the task is cancelled.
    func keepUp() async {
        while !Task.isCancelled {
            step()
            try? await Task.sleep(for: Self.tick)
        }
    }

    private static let tick = Duration.milliseconds(20)

    /// Sends a renewal when it is time for one.
    private func step() {
        let sent = ContinuousClock.now
        let isDue = state.withLock { state in
            guard !state.isAsking, !state.isEnded, sent >= state.timing.due else { return false }
            state.isAsking = true
            return true
        }
        guard isDue else { return }
        Task { [self] in
            do throws(AdminFailure) {
                _ = try await client.renewLease(lease)
                state.withLock { state in
                    state.isAsking = false
                    state.lastFailure = nil
                    state.timing.renewed(sentAt: sent)
                }
            } catch {
                state.withLock { state in
                    state.isAsking = false
                    state.lastFailure = error
                    state.isEnded = error.code == .notFound
                    state.timing.failed(at: .now)
                }
            }
        }
    }
}
