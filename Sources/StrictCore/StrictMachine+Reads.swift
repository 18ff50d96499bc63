// SPDX-License-Identifier: Apache-2.0
// Owns reads of the applied state, and the checks that tests and the simulator run after each step.

import ClusterTypes
import RaftCore

extension StrictMachine {
    package var keyCount: Int { keys.count }
    package var leaseCount: Int { leases.count }
    package var lockCount: Int { locks.count }
    package var sessionCount: Int { sessions.count }
    /// What sessions grow old by, milliseconds: `logTime` at the last command that touched one.
    package var sessionTime: UInt64 { sessions.time }

    /// As of `appliedIndex`: linearizable once that has reached the read index, else stale by what is missing.
    package func entry(_ key: StrictKey) -> StrictEntry? { keys[key] }
    package func lease(_ id: LeaseID) -> StrictLease? { leases[id] }
    package func lock(_ name: StrictKey) -> StrictLock? { locks[name] }

    /// Keys that begin with `prefix` and come after `start`, ascending, at most `max`.
    package func entries(
        withPrefix prefix: String, after start: StrictKey? = nil, max: Int
    ) -> [(key: StrictKey, entry: StrictEntry)] {
        var result: [(key: StrictKey, entry: StrictEntry)] = []
        guard max > 0 else { return result }
        visitEntries(withPrefix: prefix, after: start) { key, entry in
            result.append((key, entry))
            return result.count < max
        }
        return result
    }

    /// Calls `body` with each key that begins with `prefix` and comes after `start`, ascending, until it gives false.
    package func visitEntries(
        withPrefix prefix: String, after start: StrictKey? = nil, _ body: (StrictKey, StrictEntry) -> Bool
    ) {
        var next = keys.first { key in
            StrictKey.precedes(key, prefix) || start.map { !($0 < key) } ?? false
        }
        while let item = next, item.key.hasPrefix(prefix), body(item.key, item.value) {
            next = keys.first(after: item.key)
        }
    }

    /// Locks that are held and come after `start`, ascending by name, at most `max`.
    package func heldLocks(after start: StrictKey? = nil, max: Int) -> [(name: StrictKey, lock: StrictLock)] {
        var result: [(name: StrictKey, lock: StrictLock)] = []
        var next = locks.next(after: start)
        while let item = next, result.count < max {
            result.append((item.key, item.value))
            next = locks.first(after: item.key)
        }
        return result
    }

    /// Calls `body` with each lease, ascending: for a new leader's clock.
    package func forEachLease(_ body: (LeaseID, StrictLease) -> Void) { leases.forEach(body) }

    /// Linear in the state.
    package func checkInvariants() {
        for table in [keysByLease, locksByLease] { table.checkInvariants() }
        keys.checkInvariants()
        leases.checkInvariants()
        locks.checkInvariants()
        sessionIDs.checkInvariants()
        precondition(sessionIDs.count == sessions.count, "\(sessionIDs.count) ids of \(sessions.count) sessions")
        precondition(keptAnswerBytes == countKeptAnswers(), "\(keptAnswerBytes) bytes of answers")
        precondition(versionBase <= StrictBounds.versionMax, "versions begin at \(versionBase)")
        precondition(sessions.time <= logTime, "sessions are of \(sessions.time), the log of \(logTime)")
        precondition(UInt64(keys.count) <= changeCount, "\(keys.count) keys by \(changeCount) changes")
        checkKeys()
        checkLocks()
    }

    private func checkKeys() {
        var bytes = 0
        var bonds = 0
        keys.forEach { key, entry in
            bytes += Self.bytes(of: key, entry)
            precondition(entry.modified <= revision && entry.created <= entry.modified, "\(key): \(entry)")
            precondition(entry.version > 0 && entry.created > 0, "\(key): \(entry)")
            guard entry.lease != 0 else { return }
            bonds += 1
            precondition(leases[entry.lease] != nil, "\(key) is bound to lease \(entry.lease), which has ended")
            precondition(keysByLease[LeaseBond(lease: entry.lease, key: key)] != nil, "\(key) is not indexed")
        }
        precondition(bytes == stateBytes, "\(stateBytes) bytes are \(bytes)")
        precondition(bonds == keysByLease.count, "\(keysByLease.count) bonds of \(bonds) keys")
        var counted = 0
        leases.forEach { id, lease in
            counted += Int(lease.keys)
            precondition(id <= lease.renewed && lease.renewed <= revision, "lease \(id): \(lease)")
        }
        precondition(counted == bonds, "leases count \(counted) keys of \(bonds)")
    }

    private func checkLocks() {
        var bonds = 0
        locks.forEach { name, lock in
            precondition(lock.holder.token <= revision, "\(name): \(lock)")
            var since: LogIndex = 0
            for waiter in lock.waiting {
                precondition(waiter.since > since && waiter.since <= revision, "\(name): \(lock)")
                since = waiter.since
            }
            for lease in [lock.holder.lease] + lock.waiting.map(\.lease) {
                bonds += 1
                precondition(leases[lease] != nil, "lease \(lease) has ended and claims \(name)")
                precondition(locksByLease[LeaseBond(lease: lease, key: name)] != nil, "\(name) is not indexed")
            }
        }
        // Each is indexed and there are no more: none is claimed twice by one lease.
        precondition(bonds == locksByLease.count, "\(locksByLease.count) claims are \(bonds)")
        var counted = 0
        leases.forEach { _, lease in counted += Int(lease.locks) }
        precondition(counted == bonds, "leases count \(counted) locks of \(bonds)")
    }
}

extension StrictMachine: Equatable {
    /// Linear in the state. What is derived is not compared.
    package static func == (a: StrictMachine, b: StrictMachine) -> Bool {
        a.appliedIndex == b.appliedIndex && a.versionBase == b.versionBase && a.changeCount == b.changeCount
            && a.logTime == b.logTime
            && a.sessions == b.sessions && a.leases == b.leases && a.locks == b.locks && a.keys == b.keys
    }
}
