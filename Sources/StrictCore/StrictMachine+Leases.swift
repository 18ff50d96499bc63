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
    /// Of a value's time to live: it ends when the last key that was bound to it no longer is. Clients are not told.
    package var endsWithKeys: Bool

    package init(
        milliseconds: UInt64, renewed: LogIndex, keys: UInt64 = 0, locks: UInt64 = 0, endsWithKeys: Bool = false
    ) {
        self.endsWithKeys = endsWithKeys
        self.milliseconds = milliseconds
        self.renewed = renewed
        self.keys = keys
        self.locks = locks
    }
}

extension StrictMachine {
    mutating func grant(
        _ milliseconds: UInt64, endsWithKeys: Bool, _ outcome: inout StrictOutcome
    ) -> StrictAnswer {
        guard (StrictBounds.leaseMillisecondsMin...Bounds.ttlMillisecondsMax).contains(milliseconds) else {
            return .refused(.leaseTimeOutOfRange)
        }
        guard leases.count < StrictBounds.leasesMax else { return .refused(.tooManyLeases) }
        leases.set(revision, StrictLease(milliseconds: milliseconds, renewed: revision, endsWithKeys: endsWithKeys))
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
    mutating func end(_ id: LeaseID, _ cause: StrictLockChange.Cause, _ outcome: inout StrictOutcome) {
        guard leases[id] != nil else { return }
        while let bond = firstBond(of: id, in: keysByLease) { _ = delete(bond.key, &outcome) }
        while let bond = firstBond(of: id, in: locksByLease) { _ = withdraw(id, from: bond.key, cause, &outcome) }
        leases.remove(id)
        outcome.leaseChanges.append(.ended(id))
    }

    /// Ends the leases of values that are gone, or have another time to live: a value that is put again and again would leave as
    /// many leases behind, until there may be no more.
    mutating func endUnused(_ outcome: inout StrictOutcome) {
        for change in outcome.changes {
            guard let id = change.old?.lease, id != 0, id != change.new?.lease, let lease = leases[id],
                lease.endsWithKeys, lease.keys == 0, lease.locks == 0
            else { continue }
            leases.remove(id)
            outcome.leaseChanges.append(.ended(id))
        }
    }

    private func firstBond(of id: LeaseID, in table: SortedTable<LeaseBond, Nothing>) -> LeaseBond? {
        guard let least = StrictKey.least else { return nil }
        guard let bond = table.first(from: LeaseBond(lease: id, key: least))?.key, bond.lease == id else { return nil }
        return bond
    }
}
