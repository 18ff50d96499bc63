// SPDX-License-Identifier: Apache-2.0
// Owns the bounds of the strict state: every replica refuses the same command for the same reason.

import ClusterTypes
import RaftCore

/// Constants of the format: whoever changes one raises `StrictCommand.formatVersion`, for a replica with another bound
/// would answer differently and hold another state.
package enum StrictBounds {
    /// Keys at once.
    package static let keysMax = 1 << 21
    /// Keys and values together, each key with `entryOverheadBytes`: 1 GiB.
    package static let stateBytesMax = 1 << 30
    package static let entryOverheadBytes = 128
    /// Compares, steps and steps of the other branch of one transaction together: 4 096 of its author, and a read in each
    /// branch that tells the version.
    package static let transactionStepsMax = 4_096 + 2
    /// The highest revision that versions are raised to: 2^53 - 1, so that every program that reads JSON can tell one version or
    /// token from the next. A log of less than 2^61 entries stays far below the bounds of numbers on the wire.
    package static let versionMax: UInt64 = 1 << 53 - 1
    /// Keys that one command tells anew.
    package static let reissuedKeysMax = 1_000
    /// Leases at once.
    package static let leasesMax = 65_536
    /// Keys bound to one lease: they are deleted in one step when it ends.
    package static let keysPerLeaseMax = 16_384
    /// Locks that one lease holds or waits for.
    package static let locksPerLeaseMax = 1_024
    /// Locks that are held at once.
    package static let locksMax = 65_536
    /// Claims that wait for one lock.
    package static let waitersPerLockMax = 1_024
    /// The shortest time to live of a lease, milliseconds; the longest is `Bounds.ttlMillisecondsMax`.
    package static let leaseMillisecondsMin: UInt64 = 100
    /// One answer, encoded.
    package static let answerBytesMax = SessionTable.answerBytesMax
    /// All long answers that sessions keep: 256 MiB. Beyond it further ones are not kept until clients say what they have received,
    /// or sessions end: who repeats a command whose answer was not kept is told that, and not what it was.
    package static let keptAnswerBytesMax = 256 << 20
    /// Answers up to this length are short, and always kept: what everything but transactions is answered with.
    package static let shortAnswerBytesMax = 64
    /// One command, encoded: a full transaction and its numbers.
    package static let commandBytesMax = Bounds.transactionBytesMax + 64 * 1024
    /// One record of a snapshot: an answer or a value with its numbers.
    package static let recordBytesMax = answerBytesMax + 4_096
}
