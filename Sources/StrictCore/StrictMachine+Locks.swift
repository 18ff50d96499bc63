// SPDX-License-Identifier: Apache-2.0
// Owns locks: one holder with a fencing token, the others in the order of the log.

import ClusterTypes
import RaftCore

/// A lock that is held; one that nobody holds is not in the table.
package struct StrictLock: Hashable, Sendable {
    package struct Claim: Hashable, Sendable {
        package var lease: LeaseID
        /// The revision of the entry by which the lock was obtained. It grows with each holder, so that whoever is given it
        /// can refuse one that lost the lock and does not know it yet.
        package var token: LogIndex

        package init(lease: LeaseID, token: LogIndex) {
            self.lease = lease
            self.token = token
        }
    }

    package struct Waiter: Hashable, Sendable {
        package var lease: LeaseID
        /// The revision of the entry that asked.
        package var since: LogIndex

        package init(lease: LeaseID, since: LogIndex) {
            self.lease = lease
            self.since = since
        }
    }

    package var holder: Claim
    /// Ascending by `since`; no lease is here twice or beside `holder`.
    package var waiting: [Waiter]

    package init(holder: Claim, waiting: [Waiter] = []) {
        self.holder = holder
        self.waiting = waiting
    }
}

extension StrictMachine {
    /// A second time by the same lease it tells how things stand.
    mutating func acquire(
        _ name: StrictKey, _ lease: LeaseID, _ mayWait: Bool, _ outcome: inout StrictOutcome
    ) -> StrictAnswer {
        guard let claimant = leases[lease] else { return .refused(.noLease) }
        let lock = locks[name]
        if let lock {
            if lock.holder.lease == lease { return .locked(token: lock.holder.token) }
            if let place = lock.waiting.firstIndex(where: { $0.lease == lease }) {
                return .waiting(ahead: UInt64(place) + 1)
            }
            if !mayWait { return .busy(token: lock.holder.token) }
            if lock.waiting.count >= StrictBounds.waitersPerLockMax { return .refused(.tooManyWaiters) }
        } else if locks.count >= StrictBounds.locksMax {
            return .refused(.tooManyLocks)
        }
        if claimant.locks >= StrictBounds.locksPerLeaseMax { return .refused(.tooManyLocksOfLease) }
        leases.modify(lease) { $0.locks += 1 }
        locksByLease.set(LeaseBond(lease: lease, key: name), Nothing())
        if let lock {
            let waiter = StrictLock.Waiter(lease: lease, since: revision)
            locks.modify(name) { $0.waiting.append(waiter) }
            return .waiting(ahead: UInt64(lock.waiting.count) + 1)
        }
        let claim = StrictLock.Claim(lease: lease, token: revision)
        locks.set(name, StrictLock(holder: claim))
        outcome.lockChanges.append(
            StrictLockChange(index: revision, lock: name, old: nil, new: claim, cause: .acquired))
        return .locked(token: revision)
    }

    /// The lease no longer holds the lock or waits for it; the first of those who wait gets it.
    /// - Returns: Whether it did either.
    mutating func withdraw(
        _ lease: LeaseID, from name: StrictKey, _ cause: StrictLockChange.Cause, _ outcome: inout StrictOutcome
    ) -> Bool {
        guard let lock = locks[name] else { return false }
        if let place = lock.waiting.firstIndex(where: { $0.lease == lease }) {
            locks.modify(name) { $0.waiting.remove(at: place) }
        } else if lock.holder.lease == lease {
            let next = lock.waiting.first.map { StrictLock.Claim(lease: $0.lease, token: revision) }
            if let next {
                locks.set(name, StrictLock(holder: next, waiting: Array(lock.waiting.dropFirst())))
            } else {
                locks.remove(name)
            }
            outcome.lockChanges.append(
                StrictLockChange(index: revision, lock: name, old: lock.holder, new: next, cause: cause))
        } else {
            return false
        }
        leases.modify(lease) { $0.locks -= 1 }
        locksByLease.remove(LeaseBond(lease: lease, key: name))
        return true
    }
}
