// SPDX-License-Identifier: Apache-2.0
// Owns the timers of membership: a timer is never cancelled, a stale one is recognised by its token and ignored.

import ClusterTypes

/// What a timer of the membership protocol is for.
package enum SWIMTimer: Hashable, Sendable {
    /// The next protocol period begins.
    case period(generation: UInt64)
    /// The direct ping of this probe was not answered in time: ask relays and try a stream.
    case probeTimeout(sequence: UInt32)
    /// The probe as a whole was not answered in time.
    case probeDeadline(sequence: UInt32)
    /// 80 % of the requester's deadline is over: nack.
    case relayNack(sequence: UInt32)
    /// A relayed ping or an operator's ping can be forgotten.
    case pingExpiry(sequence: UInt32)
    /// Look at a member that somebody else suspects.
    case secondLook(NodeID, incarnation: UInt64)
    /// The suspicion of this member runs out.
    case suspicion(NodeID, generation: UInt64)
    /// Try to reach a failed member again.
    case reconnect(generation: UInt64)
    /// Look for members whose retention is over.
    case reap(generation: UInt64)
    /// Leaving: ask again for acknowledgements, or give up.
    case leave(attempt: Int)
}
