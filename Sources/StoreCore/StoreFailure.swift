// SPDX-License-Identifier: Apache-2.0
// Owns the reasons for which the store refuses a local command.

/// Why a local write was refused. No case leaves a trace: rows, context, clock and root are as they were before.
package indirect enum StoreFailure: Error, Hashable, Sendable {
    /// The key breaks a rule of DESIGN.md section 5. State did not change.
    case invalidKey(KeyDefect)
    /// The register's value is larger than `Bounds.valueBytesMax`. State did not change.
    case valueTooLarge(bytes: Int)
    /// The set's element is larger than `Bounds.elementBytesMax`. State did not change.
    case elementTooLarge(bytes: Int)
    /// The key holds live content of another type; delete it first. State did not change.
    case typeConflict(existing: KeyType)
    /// Nothing is live under the key. State did not change.
    case notFound
    /// The counter would leave the range of a signed 64-bit integer. State did not change.
    case counterOverflow
    /// An increment by 0 says nothing. State did not change.
    case zeroIncrement
    /// The row already names so many writers that only those may write it. State did not change.
    case tooManyActors
    /// The store holds `StoreConfiguration.rowsMax` rows. State did not change.
    case storeFull
    /// The key is not in the state that the write was made for; `current` is its version, nil when nothing is live.
    /// State did not change.
    case conditionFailed(current: String?)
    /// The reason given with the write is longer than `Bounds.reasonBytesMax`. State did not change.
    case reasonTooLong
    /// A time to live of 0 or beyond `Bounds.ttlMillisecondsMax`, or for something else than a `put`. State did not
    /// change.
    case invalidTTL
    /// More writes, rows or bytes than `Bounds.transactionWritesMax` and `transactionBytesMax`. State did not change.
    case transactionTooLarge
    /// Which write of a request with several was refused, and why; never nested. State did not change.
    case ofWrite(index: Int, key: String, StoreFailure)

    /// The key at fault in a request with several writes; nil when the request has one write or fails as a whole.
    package var failedKey: String? {
        if case .ofWrite(_, let key, _) = self { key } else { nil }
    }

    /// Why, without the key.
    package var reason: StoreFailure {
        if case .ofWrite(_, _, let reason) = self { reason } else { self }
    }
}

/// Which rule a configuration key breaks.
package enum KeyDefect: String, Error, Hashable, Sendable, CaseIterable {
    case empty = "the key is empty"
    case tooLong = "the key is longer than 512 bytes"
    case emptySegment = "the key starts or ends with '/' or has '//' in it"
    case controlCharacter = "the key contains a control character"
}
