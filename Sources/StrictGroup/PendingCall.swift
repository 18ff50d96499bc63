// SPDX-License-Identifier: Apache-2.0
// Owns a client's call while it waits for its answer.

import ClusterTypes
import RaftCore
import StrictCore

struct PendingCall: Sendable {
    enum State: Sendable {
        /// For a session with room.
        case unstamped
        /// For a leader, or for the end of the patience after a refusal.
        case resting(until: Instant)
        /// Another node was asked; asked again when nothing came by then.
        case asked(NodeID, until: Instant)
        /// In this node's own log, or with its own Raft.
        case own
    }

    /// The caller's; nil: this node's own call for a session.
    var id: UInt64?
    var call: StrictCall
    var deadline: Instant
    var state = State.resting(until: .origin)
    var stamp: SessionStamp?
    /// How often somebody was asked.
    var attempts = 0
    /// Whom it was asked for the first time, and in which attempt; nil once that one has said that it does not lead.
    var askedFirst: (leader: NodeID, attempt: Int)?
    /// It was proposed, or sent to anybody: it may have been done.
    var mayBeDone = false

    var isChange: Bool { if case .change = call { true } else { false } }

    /// When something is due at the latest.
    var dueAt: Instant {
        switch state {
        case .unstamped, .own: deadline
        case .resting(let until), .asked(_, let until): min(until, deadline)
        }
    }
}
