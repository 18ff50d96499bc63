// SPDX-License-Identifier: Apache-2.0
// Owns the leader's clock of leases: when to propose that one has expired. It decides nothing: the log does.

import ClusterTypes
import RaftCore

/// A leader's own, begun anew with each term: then every lease has its whole time again, for nobody knows how much of it
/// passed under the leader before. A lease therefore lives at least as long as it says, never shorter.
package struct LeaseClock: Sendable {
    private struct Due: Comparable, Sendable {
        var at: Instant
        var lease: LeaseID

        static func < (a: Due, b: Due) -> Bool { a.at != b.at ? a.at < b.at : a.lease < b.lease }
    }

    private struct Term: Sendable {
        var due: Due
        var renewed: LogIndex
        var milliseconds: UInt64
    }

    private var dues = SortedTable<Due, Nothing>()
    private var terms = SortedTable<LeaseID, Term>()

    package init() {}

    /// When this node begins to lead.
    package init(_ machine: StrictMachine, now: Instant) {
        machine.forEachLease { id, lease in
            set(id, renewed: lease.renewed, milliseconds: lease.milliseconds, now: now)
        }
    }

    package var count: Int { terms.count }

    /// What an applied entry changed.
    package mutating func note(_ changes: [StrictLeaseChange], now: Instant) {
        for change in changes {
            switch change {
            case .renewed(let id, let index, let milliseconds):
                set(id, renewed: index, milliseconds: milliseconds, now: now)
            case .ended(let id):
                if let term = terms.remove(id) { dues.remove(term.due) }
            }
        }
    }

    /// When `expired` has something to give; nil: never.
    package var nextDeadline: Instant? { dues.first?.key.at }

    /// At most `max` leases whose time is over, to be proposed. Each comes again after half its time, for the proposal may
    /// be lost.
    package mutating func expired(now: Instant, max: Int = 1_024) -> [StrictOperation] {
        var result: [StrictOperation] = []
        while result.count < max, let due = dues.first?.key, due.at <= now, let term = terms[due.lease] {
            result.append(.expireLease(due.lease, ifRenewedBefore: term.renewed + 1))
            set(due.lease, renewed: term.renewed, milliseconds: term.milliseconds, now: now, share: 2)
        }
        return result
    }

    /// The lease's expiry could not be proposed: it comes again then.
    package mutating func postpone(_ id: LeaseID, to at: Instant) {
        guard var term = terms[id] else { return }
        dues.remove(term.due)
        term.due = Due(at: at, lease: id)
        dues.set(term.due, Nothing())
        terms.set(id, term)
    }

    private mutating func set(
        _ id: LeaseID, renewed: LogIndex, milliseconds: UInt64, now: Instant, share: Int = 1
    ) {
        if let old = terms[id] { dues.remove(old.due) }
        let time = Interval.milliseconds(Int(min(milliseconds, Bounds.ttlMillisecondsMax))) / share
        let due = Due(at: now + time, lease: id)
        dues.set(due, Nothing())
        terms.set(id, Term(due: due, renewed: renewed, milliseconds: milliseconds))
    }
}
