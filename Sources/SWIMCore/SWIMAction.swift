// SPDX-License-Identifier: Apache-2.0
// Owns what membership asks of the kernel, and the counters it keeps.

import ClusterTypes

/// One output of `Membership`.
package enum SWIMAction: Sendable {
    /// Send these in one datagram; the kernel may fill it up with gossip and adds digests to pings and acks.
    case send([SWIMMessage], to: Address)
    /// Open a stream, ping the target on it, and report with `onStreamProbe`.
    case openProbeStream(sequence: UInt32, target: NodeID, to: Address)
    case setTimer(SWIMTimer, at: Instant)
    /// Make durable that no incarnation up to this one is used by a later process, then call `onFencePersisted`.
    /// The claims that need a higher incarnation wait for it.
    case persistFence(UInt64)
    case event(MemberEvent)
    /// Something was found out about a member whose state stays as it is.
    case note(MemberNote, of: NodeID, incarnation: UInt64)
    case awarenessChanged(from: Int, to: Int)
    /// The answer to `ping(member:)`; nil when none came in time.
    case pingAnswered(sequence: UInt32, roundTrip: Interval?)
    /// A member answered a probe directly and told its wall clock, in milliseconds since 1970.
    case clockSample(NodeID, wall: UInt64, roundTrip: Interval)
    /// Somebody else claims to be this node, at another address.
    case identityInUse(at: Address)
    /// Somebody says that this node is at another address. It may be old news.
    case otherSelf(at: Address)
    /// An operator has taken this node out of the cluster, through node `by`: it is to stop.
    case evicted(by: NodeID)
    /// Leaving is over: as many peers as asked, a quorum or nobody acknowledged it.
    case left(acknowledged: Int, asked: Int)
}

/// What became of a ping over a stream.
package enum StreamProbeOutcome: Hashable, Sendable {
    case acknowledged
    /// The connection stands and the ping is on its way: the process exists. Another outcome may follow.
    case connected
    /// The connect was refused: the host is up, nobody listens.
    case refused
    /// No answer, no route, broken off.
    case failed
    /// This host could not try.
    case notTried
}

/// Something on this host that makes it deaf or late, so that its peers are not to blame.
package enum LocalTrouble: Hashable, Sendable {
    /// A timer fired this long after its time: the process was stopped, or starved.
    case late(Interval)
    /// So many received datagrams were dropped at our own socket since the last look.
    case datagramsDropped(UInt64)
    /// The wall clock went on and the monotonic one did not: the machine was suspended.
    case suspended(Interval)

    package var index: Int {
        switch self {
        case .late: 0
        case .datagramsDropped: 1
        case .suspended: 2
        }
    }

    package static let kinds = 3
}

/// Counters since the process began.
package struct SWIMStatistics: Hashable, Sendable {
    package var probes: UInt64 = 0
    package var probesAcknowledged: UInt64 = 0
    package var probesAcknowledgedByRelay: UInt64 = 0
    package var probesAcknowledgedByStream: UInt64 = 0
    package var probesFailed: UInt64 = 0
    /// Of those that failed: this host could not send, and nobody else got through either.
    package var probesNotSent: UInt64 = 0
    package var indirectPingsSent: UInt64 = 0
    package var indirectPingsRelayed: UInt64 = 0
    package var nacksSent: UInt64 = 0
    package var nacksReceived: UInt64 = 0
    package var refutations: UInt64 = 0
    package var wrongTarget: UInt64 = 0
    package var claimsRefused: UInt64 = 0
    /// Statements in the name of a member that it did not sign.
    package var claimsForged: UInt64 = 0
    package var stalls: UInt64 = 0
    /// Probes started before their turn: by hints, and to look at what others suspect.
    package var hintedProbes: UInt64 = 0
    package var secondLooks: UInt64 = 0
    /// Times that this host's own trouble was noticed, by kind (`LocalTrouble.index`).
    package var localTroubles = [UInt64](repeating: 0, count: LocalTrouble.kinds)

    package init() {}
}
