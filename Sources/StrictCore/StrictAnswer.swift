// SPDX-License-Identifier: Apache-2.0
// Owns what applying a command gives: its answer, and the changes for watches, for spreading and for the leader.

import ClusterTypes
import RaftCore

/// The answer to one command: a function of the log, kept in the session under which it came.
package enum StrictAnswer: Hashable, Sendable {
    case session(UInt64)
    /// Sessions that ended.
    case sessionsEnded(UInt64)
    /// The key's version after the write, and its revision, which is the command's.
    case put(version: UInt64, modified: LogIndex)
    case deleted(Bool)
    case transaction(succeeded: Bool, results: [StrictResult])
    case lease(LeaseID, milliseconds: UInt64)
    /// False: it was renewed in time, or has ended before.
    case leaseEnded(Bool)
    /// The token grows with each holder of any lock: a service refuses tokens lower than the highest it saw.
    case locked(token: LogIndex)
    /// So many come first, the holder included.
    case waiting(ahead: UInt64)
    /// It is held under this token, and the command did not want to wait.
    case busy(token: LogIndex)
    /// False: the lease neither held the lock nor waited for it.
    case released(Bool)
    /// Versions are higher than this from now on.
    case raised(to: UInt64)
    /// So many keys were told anew.
    case reissued(UInt64)
    /// Nothing was changed.
    case refused(StrictRefusal)
}

/// Of one step of a transaction.
package enum StrictResult: Hashable, Sendable {
    case put(version: UInt64)
    case deleted(Bool)
    case got(StrictEntry?)
}

/// Why a command changed nothing. The number is its code in bytes.
package enum StrictRefusal: UInt8, Error, Hashable, Sendable, CaseIterable {
    /// The bytes are no command of this format.
    case malformed = 1
    /// The session has ended, or never was: whether the command was applied before is not known.
    case noSession
    /// The client said that it has this command's answer.
    case obsolete
    /// More commands of the session are on their way than answers are kept.
    case tooManyPending
    case tooManySessions
    /// A late copy of a command that was applied, whose answer was too much to be kept (`StrictBounds.keptAnswerBytesMax`).
    case answerNotKept
    case valueTooLarge
    case transactionTooLarge
    case keyWrittenTwice
    case answerTooLarge
    case tooManyKeys
    case stateFull
    case noLease
    case tooManyLeases
    case leaseTimeOutOfRange
    case tooManyKeysOfLease
    case tooManyLocks
    case tooManyLocksOfLease
    case tooManyWaiters
    /// Versions would exceed `StrictBounds.versionMax`.
    case versionOutOfRange
}

/// A key's value and history.
package struct StrictEntry: Hashable, Sendable {
    package var value: [UInt8]
    /// The revision of the entry that created it.
    package var created: LogIndex
    /// The revision of the entry that wrote it last.
    package var modified: LogIndex
    /// Writes since it was created, that one included.
    package var version: UInt64
    /// 0: none.
    package var lease: LeaseID

    package init(value: [UInt8], created: LogIndex, modified: LogIndex, version: UInt64, lease: LeaseID) {
        self.value = value
        self.created = created
        self.modified = modified
        self.version = version
        self.lease = lease
    }
}

/// A key changed, or was told anew (then `old` and `new` are equal); at most once at one index, and in the order of the keys or of the transaction's steps.
package struct StrictChange: Hashable, Sendable {
    /// The revision of the entry, as in all that follows.
    package var index: LogIndex
    package var key: StrictKey
    package var old: StrictEntry?
    /// nil: it was deleted.
    package var new: StrictEntry?
}

/// A lock went from hand to hand.
package struct StrictLockChange: Hashable, Sendable {
    package var index: LogIndex
    package var lock: StrictKey
    package var old: StrictLock.Claim?
    /// nil: it is free.
    package var new: StrictLock.Claim?
    package var cause: Cause

    package enum Cause: Hashable, Sendable {
        /// It was free, and asked for.
        case acquired
        /// Its holder gave it back.
        case released
        /// Its holder ended the lease that held it.
        case revoked
        /// The lease that held it was not renewed in time.
        case expired
    }
}

/// What the leader's clock must know of.
package enum StrictLeaseChange: Hashable, Sendable {
    /// Granted, or kept alive, at this index.
    case renewed(LeaseID, at: LogIndex, milliseconds: UInt64)
    case ended(LeaseID)
}

package struct StrictOutcome: Hashable, Sendable {
    package var index: LogIndex
    package var answer: StrictAnswer
    /// The command was applied before, and this is the answer it had then.
    package var isRepeat = false
    package var changes: [StrictChange] = []
    package var lockChanges: [StrictLockChange] = []
    package var leaseChanges: [StrictLeaseChange] = []
}
