// SPDX-License-Identifier: Apache-2.0
// Owns a program that keeps a lease, binds keys to it, and takes locks in its name, as `lock run` does.

import ClusterTypes
import NodeKernel
import RaftCore
import StrictCore
import StrictGroup

/// It does one thing at a time, knows what it was told, and may be late: then the group must refuse what it still tries.
package struct StrictHolder: Sendable {
    package enum Step: Hashable, Sendable {
        case grant(milliseconds: UInt64)
        case keepAlive(LeaseID)
        case revoke(LeaseID)
        /// Writes a key that ends with the lease.
        case bind(LeaseID)
        case acquire(StrictClaim, mayWait: Bool)
        /// Whether the turn has come.
        case look(StrictClaim)
        case release(StrictClaim)
        /// Writes the key that the lock protects.
        case write(StrictKey, token: LogIndex)
    }

    private struct Lock: Sendable {
        var name: StrictKey
        /// nil: it waits.
        var token: LogIndex?
        /// The claim that waits.
        var claim: CommandID?
    }

    private var lease: LeaseID?
    private var lock: Lock?
    /// What it held before: not all programs notice at once.
    private var former: (name: StrictKey, token: LogIndex)?
    private var asked: (id: CommandID, step: Step)?

    package init() {}

    package var isBusy: Bool { asked != nil }

    /// Milliseconds of a lease; shorter than most troubles of the scenarios.
    private static let leaseMin: UInt64 = 400
    private static let leaseSpread = 2_000

    /// What it does next.
    package func next(locks: [StrictKey], using rng: inout SeededGenerator) -> Step {
        let dice = rng.index(below: 20)
        if let former, dice < 2 { return .write(former.name, token: former.token) }
        guard let lease else { return .grant(milliseconds: Self.leaseMin + UInt64(rng.index(below: Self.leaseSpread))) }
        if dice < 3 { return .revoke(lease) }
        if dice < 6 { return .bind(lease) }
        guard let lock else {
            if dice < 9 || locks.isEmpty { return .keepAlive(lease) }
            let name = locks[rng.index(below: locks.count)]
            return .acquire(StrictClaim(lock: name, lease: lease, isHeld: false), mayWait: rng.chance(0.6))
        }
        let claim = StrictClaim(lock: lock.name, lease: lease, isHeld: lock.token != nil)
        guard let token = lock.token else {
            return dice < 9 ? .keepAlive(lease) : dice < 11 ? .release(claim) : .look(claim)
        }
        return dice < 9 ? .keepAlive(lease) : dice < 12 ? .release(claim) : .write(lock.name, token: token)
    }

    /// It asked for a step; what is left to the log is forgotten now and then.
    package mutating func ask(_ step: Step, as id: CommandID) { asked = (id, step) }

    /// It dies and another begins: what its lease holds ends with the lease.
    package mutating func forget(_ strict: inout StrictCheck) {
        if let claim = lock?.claim { strict.abandoned(claim) }
        self = StrictHolder()
    }

    package mutating func answered(_ id: CommandID, _ reply: StrictReply, at now: Instant, _ strict: inout StrictCheck)
    {
        guard let asked, asked.id == id else { return }
        self.asked = nil
        switch (asked.step, reply) {
        case (_, .answer(.refused(.noLease))): loseLease(&strict)
        case (.grant, .answer(.lease(let id, _))): lease = id
        case (.revoke, .answer(.leaseEnded)): loseLease(&strict)
        case (.acquire(let claim, _), .answer(.locked(let token))):
            lock = Lock(name: claim.lock, token: token)
        case (.acquire(let claim, _), .answer(.waiting)): lock = Lock(name: claim.lock, claim: id)
        case (.look(let claim), .found(.lock(let found), _)):
            guard let found, found.holder.lease == claim.lease, let waited = lock?.claim else { return }
            strict.obtained(waited, token: found.holder.token, at: now)
            lock = Lock(name: claim.lock, token: found.holder.token)
        case (.release, .answer(.released)): loseLock(&strict)
        case _: break
        }
    }

    private mutating func loseLock(_ strict: inout StrictCheck) {
        if let lock, let token = lock.token { former = (lock.name, token) }
        if let claim = lock?.claim { strict.abandoned(claim) }
        lock = nil
    }

    private mutating func loseLease(_ strict: inout StrictCheck) {
        loseLock(&strict)
        lease = nil
    }
}
