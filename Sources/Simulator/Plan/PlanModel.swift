// SPDX-License-Identifier: Apache-2.0
// Owns the formulas behind `gossipsim plan`: what a configuration should do, from its tunables alone.

import ClusterTypes
import NodeKernel
import SWIMCore
import WireProtocol

/// Expected figures of a cluster in its steady state; Docs/simulation.md states each formula and its source.
///
/// Times are means in seconds. T is the probe interval, n the nodes, p the loss of one datagram, R the round trip.
package struct PlanModel: Sendable {
    package var nodes: Int
    /// Probability that a datagram is lost; 0..<1.
    package var loss: Double
    /// Seconds there and back.
    package var roundTrip: Double
    package var swim: SWIMConfiguration
    /// Streams of each node whose end is noticed at once.
    package var sentinels: Int
    /// Until a disk has made one change durable: a change is passed on only then. Seconds.
    package var commit: Double

    /// Commits of the simulated disk take this on average.
    package static let simulatedCommit = 250e-6
    /// A lost SYN is sent again after this (RFC 6298 section 2.1), another segment after the least wait of Linux.
    static let lostConnect = 1.0
    static let lostSegment = 0.2
    /// Nodes that a change may leave out when it counts as known to all, in the mean.
    static let leftMax = 0.05
    static let secondsPerYear = 365.25 * 86_400

    package init(
        nodes: Int, loss: Double = 0, roundTrip: Double = 500e-6, swim: SWIMConfiguration = SWIMConfiguration(),
        sentinels: Int = 2, commit: Double = simulatedCommit
    ) {
        self.nodes = nodes
        self.loss = loss
        self.roundTrip = roundTrip
        self.swim = swim
        self.sentinels = sentinels
        self.commit = commit
    }

    private var period: Double { swim.probeInterval.seconds }
    private var arrives: Double { 1 - loss }
    private var relays: Int { min(swim.indirectProbes, max(0, nodes - 2)) }

    // MARK: - Detection

    /// In each period of the wall clock one member probes the dead one, at a random moment of that period (decision 0011):
    /// a third of T on average when the moment of the present period is still to come, 5/6 T when it is over, each as
    /// likely as the other.
    package var firstProbe: Double { nodes < 2 ? .infinity : period * 7 / 12 }

    /// The wait for a direct ack: `SRTT + 4 RTTVAR` after one sample, which is 3 R, within bounds (RFC 6298 section 2.2).
    package var directWait: Double {
        min(swim.probeTimeout.seconds, max(swim.probeTimeoutMin.seconds, 3 * roundTrip))
    }

    /// A process that is gone: its sentinels break off half a round trip later, ping and connect are refused in another
    /// one, and the suspicion's floor. Without sentinels the first probe and its wait come before.
    package var killFirst: Double {
        let noticed = sentinels > 0 ? roundTrip / 2 : firstProbe + directWait
        return noticed + roundTrip + swim.refusedSuspicionMin.seconds
    }

    /// `alpha max(1, log10 n) T` (Lifeguard section IV-B): of a member that something reaches still.
    package var suspicion: Double { Suspicion.timeoutMin(swim, members: nodes).seconds }

    /// A host that is gone: nothing answers the probe until its deadline; then it is suspected, as one that nothing reaches.
    package var downFirst: Double {
        firstProbe + directWait + swim.probeTimeout.seconds + Suspicion.unreachableMin(swim, members: nodes).seconds
    }

    /// Everybody hears the verdict by gossip.
    package var killAll: Double { killFirst + updateSpread.last }
    package var downAll: Double { downFirst + updateSpread.last }

    // MARK: - False failures

    /// A ping or its ack is lost.
    package var directFails: Double { 1 - arrives * arrives }

    /// Request, ping, ack and relayed ack all have to arrive; each relay fails on its own (SWIM section 3.1).
    package var relaysFail: Double {
        var all = 1.0
        for _ in 0..<relays { all *= 1 - arrives * arrives * arrives * arrives }
        return all
    }

    /// Neither SYN nor SYN-ACK may be lost, as the second comes after a second; of ping and ack as many segments may be
    /// lost, each once, as fit into the probe's time.
    package var streamFails: Double {
        let time = swim.probeTimeout.seconds
        let connects = time > Self.lostConnect + roundTrip ? 1 - directFails * directFails : arrives * arrives
        let repeats = Int(max(0, time - 2 * roundTrip) / Self.lostSegment)
        let once = loss * arrives
        let exchanges = arrives * arrives + (repeats >= 1 ? 2 * once * arrives : 0) + (repeats >= 2 ? once * once : 0)
        return 1 - min(1, connects * exchanges)
    }

    /// A probe of a healthy member fails: its suspicion begins.
    package var probeFails: Double { directFails * relaysFail * streamFails }

    /// Each node is probed once in T on average.
    package var suspicionsPerNodeYear: Double { Self.secondsPerYear / period * probeFails }

    /// The suspect refutes as soon as it hears of the suspicion: of `transmissions` copies of gossip, or of one accuser's
    /// probes in each period of the suspicion. It is called failed only when all of them are lost.
    package var falseFailuresPerNodeYear: Double {
        var unheard = 1.0
        for _ in 0..<(transmissions + Int(suspicion / period)) { unheard *= loss }
        return suspicionsPerNodeYear * unheard
    }

    // MARK: - Spread

    /// `retransmitMultiplier * ceil(log10(n + 1))` (SWIM section 4.1).
    package var transmissions: Int { swim.retransmitMultiplier * max(1, Logarithm.decimalDigits(nodes)) }

    package struct Spread: Sendable {
        /// Until half of the nodes have heard, and until fewer than one change in twenty leaves a node that has not.
        package var median: Double
        package var last: Double
    }

    /// A change of the store waits for the disk at each node; a member update does not.
    package var changeSpread: Spread { spread(hop: roundTrip / 2 + commit, begin: commit) }
    package var updateSpread: Spread { spread(hop: roundTrip / 2, begin: 0) }

    /// Rumour mongering in the mean (Demers and others, PODC 1987; Bailey's chain): who hears at once tells f others; of m
    /// messages to n nodes a share `exp(-m/n)` is missed. When that wave is over, all send f more in each gossip interval.
    func spread(hop: Double, begin: Double) -> Spread {
        let others = Double(max(0, nodes - 1))
        guard others > 0 else { return Spread(median: 0, last: 0) }
        let fanout = Double(nodes - 1 <= transmissions ? nodes - 1 : swim.gossipFanout(among: nodes)) * arrives
        // Few enough are all told by the author himself, each once.
        let tellsAll = nodes - 1 <= transmissions
        var left = others
        var fresh = 1.0
        var time = begin
        var median: Double?
        var isFirst = true
        while fresh >= 0.5, left >= 0.5 {
            let heard =
                tellsAll && isFirst ? left * arrives : left * (1 - Exponential.of(-fresh * fanout / others))
            isFirst = false
            left -= heard
            fresh = heard
            time += hop
            if median == nil, left <= others / 2 { median = time }
        }
        var rounds = 0.0
        while left >= Self.leftMax, rounds < 1_000 {
            rounds += 1
            left *= Exponential.of(-fanout * (1 - left / (others + 1)))
            if median == nil, left <= others / 2 { median = time + gossipTime(rounds: rounds) }
        }
        let last = time + gossipTime(rounds: rounds)
        return Spread(median: median ?? last, last: last)
    }

    /// How long so many rounds take after the first one: the next two follow soon.
    private func gossipTime(rounds: Double) -> Double {
        let soon = min(rounds, Double(NodeKernel.soonRoundsMax))
        return (soon / Double(NodeKernel.soonRoundShare) + rounds - soon) * swim.gossipInterval.seconds
    }

    // MARK: - Bandwidth

    private var digestBytes: Int { PacketCodec.size(of: .digest(Digest(members: 0, store: .zero))) }

    private var pingBytes: Int {
        PacketCodec.sizes.header + digestBytes + PacketCodec.size(of: .ping(Ping(sequence: .max, target: .unknown)))
    }

    private var ackBytes: Int {
        // A wall clock of this century.
        PacketCodec.sizes.header + digestBytes + PacketCodec.size(of: .ack(Ack(sequence: .max, wall: 1 << 40)))
    }

    private var relayBytes: Int {
        let request = IndirectPing(
            sequence: .max, target: .unknown, targetAddress: Address(ipv4: .max, port: .max),
            deadlineMilliseconds: UInt32(clamping: swim.probeTimeout.nanoseconds / 1_000_000))
        return PacketCodec.sizes.header + PacketCodec.size(of: .indirectPing(request))
    }

    /// Sent by one node: a ping, the ack of what arrives of one, and after a lost one what relays send.
    package var datagramsPerSecond: Double {
        guard nodes > 1 else { return 0 }
        return (1 + arrives + directFails * Double(relays) * relayed) / period
    }

    /// Of one relay's request, ping, ack and relayed ack, those that are sent at all.
    private var relayed: Double { 1 + arrives + arrives * arrives + arrives * arrives * arrives }

    /// UDP payload, without the 28 bytes of headers.
    package var bytesPerSecond: Double {
        guard nodes > 1 else { return 0 }
        let extra = Double(relayBytes) + (relayed - 1) * Double(pingBytes)
        return (Double(pingBytes) + arrives * Double(ackBytes) + directFails * Double(relays) * extra) / period
    }
}

/// The exponential function, which the standard library lacks, alike on every machine; the error is below 1e-12.
package enum Exponential {
    /// 0 below -700; `x` at most 700.
    package static func of(_ x: Double) -> Double {
        precondition(x <= 700, "exp(\(x)) is too large")
        guard x > -700 else { return 0 }
        // e^x = (e^(x/2^k))^(2^k) with |x/2^k| < 1/2.
        var halvings = 0
        var reduced = x
        while abs(reduced) >= 0.5 {
            reduced /= 2
            halvings += 1
        }
        var term = 1.0
        var sum = 1.0
        for k in 1...16 {
            term *= reduced / Double(k)
            sum += term
        }
        for _ in 0..<halvings { sum *= sum }
        return sum
    }
}
