// SPDX-License-Identifier: Apache-2.0
// Owns leases: they live until an entry of the log ends them, and take their keys and locks with them.

import ClusterTypes
import RaftCore

/// A promise of the group to keep what is bound to it for a time after each renewal, as the leader's clock measures it.
package struct StrictLease: Hashable, Sendable {
    /// Milliseconds.
    package var milliseconds: UInt64
    /// The revision of the entry that granted it or kept it alive last.
    package var renewed: LogIndex
    /// Keys bound to it.
    package var keys: UInt64
    /// Locks that it holds or waits for.
    package var locks: UInt64

    package init(milliseconds: UInt64, renewed: LogIndex, keys: UInt64 = 0, locks: UInt64 = 0) {
        self.milliseconds = milliseconds
        self.renewed = renewed
        self.keys = keys
        self.locks = locks
    }
}

extension StrictMachine {
    mutating func grant(_ milliseconds: UInt64, _ outcome: inout StrictOutcome) -> StrictAnswer {
        guard (StrictBounds.leaseMillisecondsMin...Bounds.ttlMillisecondsMax).contains(milliseconds) else {
            return .refused(.leaseTimeOutOfRange)
        }
        guard leases.count < StrictBounds.leasesMax else { return .refused(.tooManyLeases) }
        leases.set(revision, StrictLease(milliseconds: milliseconds, renewed: revision))
        outcome.leaseChanges.append(.renewed(revision, at: revision, milliseconds: milliseconds))
        return .lease(revision, milliseconds: milliseconds)
    }

    mutating func keepAlive(_ id: LeaseID, _ outcome: inout StrictOutcome) -> StrictAnswer {
        guard let lease = leases[id] else { return .refused(.noLease) }
        let renewed = revision
        leases.modify(id) { $0.renewed = renewed }
        outcome.leaseChanges.append(.renewed(id, at: revision, milliseconds: lease.milliseconds))
        return .lease(id, milliseconds: lease.milliseconds)
    }

    /// Deletes the lease's keys and gives back its locks, each in the order of their names.
    mutating func end(_ id: LeaseID, _ outcome: inout StrictOutcome) {
        guard leases[id] != nil else { return }
        while let bond = firstBond(of: id, in: keysByLease) { _ = delete(bond.key, &outcome) }
        while let bond = firstBond(of: id, in: locksByLease) { _ = withdraw(id, from: bond.key, &outcome) }
        leases.remove(id)
        outcome.leaseChanges.append(.ended(id))
    }

    private func firstBond(of id: LeaseID, in table: SortedTable<LeaseBond, Nothing>) -> LeaseBond? {
        guard let least = StrictKey.least else { return nil }
        guard let bond = table.first(from: LeaseBond(lease: id, key: least))?.key, bond.lease == id else { return nil }
        return bond
    }
}
