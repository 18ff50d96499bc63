// SPDX-License-Identifier: Apache-2.0
// Owns what a leader does about copies of keys, in its own store, that are not what the group has.

import ClusterTypes
import RaftCore
import StrictCore

extension StrictNode {
    /// By how much versions are raised beyond what is known of a group that was lost: what it gave in the entries that nobody has
    /// any more stays below. A billion entries is a day of more than 11 000 a second; etcd's tools raise by as much
    /// (`etcdutl snapshot restore --bump-revision`).
    package static let versionStep: UInt64 = 1_000_000_000

    /// The group whose keys this node has, as a member or as a client; nil: it knows of none.
    package var knownGroup: UInt64? { group ?? heard?.group }

    /// Whether this node is a leader that has applied all of earlier terms: what its machine holds is then the group's state.
    package var leadsAll: Bool {
        guard ledTerm != nil, stoppedBy == nil, loading == nil else { return false }
        return raft?.term(at: machine.appliedIndex) == raft?.term
    }

    /// `correct` is of use now: no other correction is on its way.
    package var mayCorrect: Bool { leadsAll && !isCorrecting }

    /// The log tells all replicas, and these all nodes' stores, what the keys are.
    mutating func correct(_ correction: StrictCorrection) {
        guard mayCorrect else { return }
        if correction.above >= machine.revision {
            // Beyond the last version there is none to raise to: the state refuses it, and the keys are corrected all the same.
            _ = propose(.raiseVersions(above: correction.above, by: Self.versionStep), stamp: nil, for: .nobody)
        }
        let keys = Array(correction.keys.prefix(StrictBounds.reissuedKeysMax))
        guard !keys.isEmpty else { return }
        if propose(.reissue(keys), stamp: nil, for: .copies, after: correction.after &+ 1) == nil {
            isCorrecting = true
        }
    }
}
