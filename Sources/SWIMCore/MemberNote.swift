// SPDX-License-Identifier: Apache-2.0
// Owns what this node finds out about a member without its state changing: the evidence between two changes.

import ClusterTypes

/// A finding about one member, for `member explain`. Nothing decides by it.
package enum MemberNote: Hashable, Sendable {
    /// A probe of ours had no answer over any of these ways.
    case probeFailed([ProbePath], streamRefused: Bool)
    /// A direct ping of ours went unanswered, and the member answered this way.
    case probeRescued(by: ProbePath)
    /// This host could not send; the member is not blamed.
    case probeNotSent
    /// Another node suspects it too.
    case accused(by: NodeID)
    /// Another node says that it has failed.
    case calledFailed(by: NodeID)
}

extension Membership {
    /// Tells a finding; of strangers there is nothing to tell.
    func note(_ note: MemberNote, of id: NodeID, into actions: inout [SWIMAction]) {
        guard let member = table[id] else { return }
        actions.append(.note(note, of: id, incarnation: member.incarnation))
    }
}
