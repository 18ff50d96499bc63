// SPDX-License-Identifier: Apache-2.0
// Owns what keeps versions moving forward and copies right when a group comes after another: it changes no key.

import ClusterTypes
import RaftCore

extension StrictMachine {
    /// All revisions after this entry are higher than `above` and this entry's, by more than `step`.
    mutating func raise(above: UInt64, by step: UInt64) -> StrictAnswer {
        let (raised, isTooHigh) = max(revision, above).addingReportingOverflow(step)
        guard !isTooHigh, raised <= StrictBounds.versionMax else { return .refused(.versionOutOfRange) }
        versionBase = raised - appliedIndex
        return .raised(to: raised)
    }

    /// A change of the feed that changes nothing here: what the key is, or that it is not.
    mutating func reissue(_ key: StrictKey, _ outcome: inout StrictOutcome) {
        let entry = keys[key]
        outcome.changes.append(StrictChange(index: revision, key: key, old: entry, new: entry))
    }
}
