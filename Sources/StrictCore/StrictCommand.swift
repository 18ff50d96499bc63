// SPDX-License-Identifier: Apache-2.0
// Owns the commands that the strict log carries.

import ClusterTypes
import RaftCore

/// The revision of the entry that granted it; 0 stands for none.
package typealias LeaseID = UInt64

/// One entry of the strict log. The leader makes it; all replicas apply it and come to the same state and answer.
package struct StrictCommand: Hashable, Sendable {
    /// Wall time of the leader that made it, milliseconds since 1970: the log's clock, by which sessions grow old.
    package var time: UInt64
    /// nil: the command is applied each time that it comes.
    package var session: SessionStamp?
    package var operation: StrictOperation

    package init(time: UInt64, session: SessionStamp? = nil, _ operation: StrictOperation) {
        self.time = time
        self.session = session
        self.operation = operation
    }
}

/// Names a command of a client for good, so that it is applied once however often it comes (thesis 6.3).
package struct SessionStamp: Hashable, Sendable {
    package var session: UInt64
    /// Counts the session's commands from 1.
    package var sequence: UInt64
    /// Of all commands up to this one the client has the answers.
    package var answeredThrough: UInt64

    package init(session: UInt64, sequence: UInt64, answeredThrough: UInt64) {
        self.session = session
        self.sequence = sequence
        self.answeredThrough = answeredThrough
    }
}

package enum StrictOperation: Hashable, Sendable {
    /// Answered with the session's id. This one and the next two come without a session.
    case registerSession
    case endSession(UInt64)
    /// Proposed by the leader: ends the sessions unused for `idle` milliseconds of the log's time.
    case expireSessions(idle: UInt64)
    /// Binds the key to `lease` unless that is 0, and takes it from any other.
    case put(StrictKey, value: [UInt8], lease: LeaseID)
    case delete(StrictKey)
    case transaction(StrictTransaction)
    /// Answered with the lease's id. `endsWithKeys`: the lease is of one value's time to live, and ends as soon as the last key that
    /// was bound to it no longer is.
    case grantLease(milliseconds: UInt64, endsWithKeys: Bool = false)
    case keepAlive(LeaseID)
    case revoke(LeaseID)
    /// Proposed by the leader, whose clock says that the time is over: ends the lease unless an entry at `ifRenewedBefore`
    /// or later has renewed it.
    case expireLease(LeaseID, ifRenewedBefore: LogIndex)
    /// Takes the lock in the name of a lease, or waits for it in the order of the log, or neither.
    case acquire(lock: StrictKey, lease: LeaseID, mayWait: Bool)
    /// Gives the lock back, or the place among those who wait for it.
    case release(lock: StrictKey, lease: LeaseID)
    /// Makes all later revisions higher than `above` and the present one, by more than `by`. It never lowers them. After a loss of
    /// entries that had been told: what is given from now on was not given before.
    case raiseVersions(above: UInt64, by: UInt64)
    /// Proposed by the leader: tells all nodes' copies the present state of these keys, of which some hold what another group
    /// wrote. Ascending, at most `StrictBounds.reissuedKeysMax`. The state does not change.
    case reissue([StrictKey])
}

/// "If all of `compares` hold then these steps, else those", in one moment.
package struct StrictTransaction: Hashable, Sendable {
    package var compares: [StrictCompare]
    package var then: [StrictStep]
    package var otherwise: [StrictStep]

    package init(compares: [StrictCompare] = [], then: [StrictStep], otherwise: [StrictStep] = []) {
        self.compares = compares
        self.then = then
        self.otherwise = otherwise
    }

    /// Why it cannot be applied whatever the state is; nil when it can. For who proposes and for who decodes.
    package var defect: StrictRefusal? {
        if compares.count + then.count + otherwise.count > StrictBounds.transactionStepsMax {
            return .transactionTooLarge
        }
        var bytes = 0
        for compare in compares { bytes += compare.bytes }
        for step in then + otherwise { bytes += step.bytes }
        if bytes > Bounds.transactionBytesMax { return .transactionTooLarge }
        // One change of a key at one index: watches and `--if-version` have nothing to tell them apart.
        return Self.writesTwice(then) || Self.writesTwice(otherwise) ? .keyWrittenTwice : nil
    }

    private static func writesTwice(_ steps: [StrictStep]) -> Bool {
        var seen: Set<StrictKey> = []
        for step in steps where step.isWrite && !seen.insert(step.key).inserted { return true }
        return false
    }
}

package enum StrictCompare: Hashable, Sendable {
    case exists(StrictKey, Bool)
    /// How often the key was written since it was created; 0: it is not there.
    case version(StrictKey, UInt64)
    /// The index of its last change; 0: it is not there. Unlike `version` it never comes twice.
    case modified(StrictKey, LogIndex)
    /// False when it is not there.
    case value(StrictKey, [UInt8])
    /// 0: it is bound to none, or not there.
    case lease(StrictKey, LeaseID)
    /// The lock is held under this fencing token: makes a write safe against a holder that lost the lock unawares.
    case holds(lock: StrictKey, token: LogIndex)

    var bytes: Int {
        switch self {
        case .exists(let key, _), .version(let key, _), .modified(let key, _), .lease(let key, _), .holds(let key, _):
            key.bytes
        case .value(let key, let value): key.bytes + value.count
        }
    }
}

package enum StrictStep: Hashable, Sendable {
    case put(StrictKey, value: [UInt8], lease: LeaseID)
    case delete(StrictKey)
    case get(StrictKey)

    package var key: StrictKey {
        switch self {
        case .put(let key, _, _), .delete(let key), .get(let key): key
        }
    }

    var isWrite: Bool {
        switch self {
        case .put, .delete: true
        case .get: false
        }
    }

    var bytes: Int {
        switch self {
        case .put(let key, let value, _): key.bytes + value.count
        case .delete(let key), .get(let key): key.bytes
        }
    }
}
