// SPDX-License-Identifier: Apache-2.0
// Owns the tunables of membership: unit, default, range, formula and source of each.

import ClusterTypes

/// The tunables of membership and failure detection. `lan` is the default profile.
package struct SWIMConfiguration: Hashable, Sendable {
    /// One member is probed per period. Default 1 s (lan), 5 s (wan), 250 ms (local); 50 ms...60 s.
    /// While awareness is s the period is `probeInterval * (s + 1)` (Lifeguard section IV-A).
    package var probeInterval: Interval
    /// The longest wait for a direct ack before relays and a stream are asked. Default 500 ms (lan), 3 s (wan), 100 ms
    /// (local); less than `probeInterval`. Once the peer's round trip is known the wait is
    /// `SRTT + 4 * RTTVAR` within `probeTimeoutMin...probeTimeout` (RFC 6298 section 2).
    package var probeTimeout: Interval
    /// The shortest wait for a direct ack. A fifth of `probeTimeout`.
    package var probeTimeoutMin: Interval
    /// Relays asked for an indirect ping. Default 3; 0...16 (SWIM section 4.1, k).
    package var indirectProbes: Int
    /// The shortest suspicion is `suspicionMultiplier * max(1, log10 n) * probeInterval`.
    /// Default 3 (lan, local), 4 (wan); 1...20 (Lifeguard section IV-B, alpha). At 3 a host that stands still for four
    /// seconds comes back in time to refute.
    package var suspicionMultiplier: Int
    /// The longest suspicion is this many times the shortest. Default 6; 1...20 (Lifeguard, beta).
    package var suspicionMaxMultiplier: Int
    /// Independent confirmations after which a suspicion runs at its shortest. Default 3; 0...8 (Lifeguard, K).
    package var suspicionConfirmations: Int
    /// The shortest suspicion when the stream connect was refused: the process is gone. Default 500 ms.
    package var refusedSuspicionMin: Interval
    /// The shortest suspicion of a member that nothing reaches, neither ping nor relays nor a stream connect, is this
    /// `* max(1, log10(n) / 1.5)`; all that is said of `suspicionMultiplier` holds for it. A host that is gone cannot
    /// refute; one that stands still accepts the stream. The time is for three confirmations and a refutation.
    /// `probeInterval`: 1 s (lan), 5 s (wan), 250 ms (local).
    package var unreachableSuspicionMin: Interval
    /// About so many nodes look at a suspect themselves as soon as they hear of the suspicion, each with probability
    /// `secondLooks / n`. Default 10; 0: none.
    package var secondLooks: Int
    /// How much longer a probe waits for a member that accepted the stream and does not answer on it: its process exists
    /// and stands still (stopped, swapped out, starved), as one that is gone or cut off cannot. Nobody hears of a
    /// suspicion meanwhile. Twice `probeInterval`.
    package var stalledTargetPatience: Interval
    /// The highest local health score. Default 8; 0...32 (Lifeguard, S).
    package var awarenessMax: Int
    /// Between rounds of gossip while updates wait. Default 100 ms (lan), 300 ms (wan), 50 ms (local).
    package var gossipInterval: Interval
    /// Peers that a round of gossip goes to, in a cluster of less than 1 000 members. Default 3; 1...16.
    package var gossipFanout: Int
    /// An update is sent `retransmitMultiplier * ceil(log10(n + 1))` times. Default 4; 1...16 (SWIM section 4.1, lambda).
    package var retransmitMultiplier: Int
    /// Between attempts to reach a failed member, jittered by half. Default 5 s.
    package var reconnectInterval: Interval
    /// How long failed and left members stay in the table. Default 72 h.
    package var failedRetention: Interval
    /// How long the tombstone of a forgotten member guards against its return. Default 168 h.
    package var forgottenRetention: Interval
    /// How long leaving waits before it asks again for acknowledgements. Default 200 ms.
    package var leaveRetryInterval: Interval

    package init(profile: Profile = .lan) {
        switch profile {
        case .lan:
            probeInterval = .seconds(1)
            probeTimeout = .milliseconds(500)
            suspicionMultiplier = 3
            gossipInterval = .milliseconds(100)
        case .wan:
            probeInterval = .seconds(5)
            probeTimeout = .seconds(3)
            suspicionMultiplier = 4
            gossipInterval = .milliseconds(300)
        case .local:
            probeInterval = .milliseconds(250)
            probeTimeout = .milliseconds(100)
            suspicionMultiplier = 3
            gossipInterval = .milliseconds(50)
        }
        probeTimeoutMin = probeTimeout / 5
        indirectProbes = 3
        suspicionMaxMultiplier = 6
        suspicionConfirmations = 3
        refusedSuspicionMin = .milliseconds(500)
        unreachableSuspicionMin = probeInterval
        secondLooks = 10
        stalledTargetPatience = probeInterval * 2
        awarenessMax = 8
        gossipFanout = 3
        retransmitMultiplier = 4
        reconnectInterval = .seconds(5)
        failedRetention = .seconds(72 * 3600)
        forgottenRetention = .seconds(168 * 3600)
        leaveRetryInterval = .milliseconds(200)
    }

    /// Peers that a round of gossip goes to: one more for each decimal digit of `members` beyond the first. The first wave
    /// and the second round leave `n exp(-2 fanout)` members that have not heard, here one member in fewer than one change of
    /// ten at any size: the last of many hears as soon as the last of few (decision 13).
    package func gossipFanout(among members: Int) -> Int {
        gossipFanout + max(0, Logarithm.decimalDigits(members) - 1)
    }

    /// Sets of defaults for kinds of networks.
    package enum Profile: String, Hashable, Sendable, CaseIterable {
        case lan
        case wan
        case local
    }
}
