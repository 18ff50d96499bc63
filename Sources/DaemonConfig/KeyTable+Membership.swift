// SPDX-License-Identifier: Apache-2.0
// Owns the tunables of failure detection and dissemination: defaults per profile, formula and source of each.

import ClusterTypes

extension KeyTable {
    static let membership: [KeySpecification] = probing + dissemination + retention

    private static let probing: [KeySpecification] = [
        KeySpecification(
            "membership.profile", \.membership.profile, .choice, default: .value(.lan),
            "The network between the members: one site (lan), several sites (wan), one host (local). It sets the"
                + " defaults of the keys below."),
        KeySpecification(
            "membership.probe_interval", \.membership.probeInterval,
            .duration(.milliseconds(50)...(.seconds(60))),
            default: .profile(lan: .seconds(1), wan: .seconds(5), local: .milliseconds(250)),
            "The time between two probes that this node starts.",
            source: "SWIM (Das et al. 2002) section 3.1, protocol period T'; scaled by 1 + awareness (Lifeguard IV-A)"),
        KeySpecification(
            "membership.probe_timeout", \.membership.probeTimeout,
            .duration(.milliseconds(10)...(.seconds(30))),
            default: .profile(lan: .milliseconds(500), wan: .seconds(3), local: .milliseconds(100)),
            "The longest wait for a direct answer before relays and the stream are tried. Must be shorter than"
                + " probe_interval.",
            source: "upper bound of srtt + 4 x rttvar (RFC 6298 section 2.3); SWIM section 3.1"),
        KeySpecification(
            "membership.indirect_probes", \.membership.indirectProbes, .integer(0...16), default: .value(3),
            "Members asked to probe on this node's behalf.",
            source: "SWIM section 3.1, k"),
        KeySpecification(
            "membership.suspicion_multiplier", \.membership.suspicionMultiplier, .integer(1...20),
            default: .profile(lan: 3, wan: 4, local: 3),
            "How long a suspect may answer for itself once others confirm the suspicion.",
            source: "Lifeguard (arXiv 1707.00788) section IV-B, alpha: min = multiplier x max(1, log10 n) x"
                + " probe_interval"),
        KeySpecification(
            "membership.suspicion_max_multiplier", \.membership.suspicionMaxMultiplier, .integer(1...20),
            default: .value(6),
            "How much longer a suspicion lasts that nobody confirms.",
            source:
                "Lifeguard section IV-B, beta: max = suspicion_max_multiplier x min, shrinking with"
                + " log(confirmations + 1)"
        ),
        KeySpecification(
            "membership.refused_suspicion_min", \.membership.refusedSuspicionMin,
            .duration(.milliseconds(50)...(.seconds(60))), default: .value(.milliseconds(500)),
            "How long a suspicion lasts when the member's host refuses the stream: the process is gone.",
            source: "floor of the suspicion when connect() yields ECONNREFUSED; time for a restart to refute"),
        KeySpecification(
            "membership.unreachable_suspicion_min", \.membership.unreachableSuspicionMin,
            .duration(.milliseconds(50)...(.seconds(60))),
            default: .profile(lan: .seconds(1), wan: .seconds(5), local: .milliseconds(250)),
            "How long a suspicion lasts, once others confirm it, of a member that nothing reaches: neither datagrams nor"
                + " relays nor a stream.",
            source: "decision 0011: x max(1, log10(n) / 1.5); only with a relay's nack and local health 0"),
        KeySpecification(
            "membership.second_looks", \.membership.secondLooks, .integer(0...64), default: .value(10),
            "About so many members probe a suspect themselves as soon as they hear of the suspicion.",
            source: "decision 0011: each with probability second_looks / n"),
        KeySpecification(
            "membership.sentinels", \.membership.sentinels, .integer(0...8), default: .value(2),
            "Idle streams to the next members on the ring of node ids; when one breaks off, its member is probed at once.",
            source: "decision 0011; each process is watched by twice as many, at any size of the cluster"),
        KeySpecification(
            "membership.awareness_max", \.membership.awarenessMax, .integer(0...32), default: .value(8),
            "The bound on this node's distrust of itself, which slows its probes.",
            source: "Lifeguard section IV-A, S: the score stays within 0...awareness_max"),
    ]

    private static let dissemination: [KeySpecification] = [
        KeySpecification(
            "membership.gossip_interval", \.membership.gossipInterval,
            .duration(.milliseconds(10)...(.seconds(10))),
            default: .profile(lan: .milliseconds(100), wan: .milliseconds(300), local: .milliseconds(50)),
            "The time between two rounds of spreading updates, a quarter of it between the first three; without updates nothing "
                + "is sent.",
            source: "memberlist GossipInterval; expected spread log(n) / log(1 + fanout) rounds"),
        KeySpecification(
            "membership.gossip_fanout", \.membership.gossipFanout, .integer(1...16), default: .value(3),
            "Members that each round goes to; with 10 members and more one more for each further decimal digit of their "
                + "number.",
            source: "memberlist GossipNodes"),
        KeySpecification(
            "membership.retransmit_multiplier", \.membership.retransmitMultiplier, .integer(1...16),
            default: .value(4),
            "How often one update is sent on.",
            source: "SWIM section 4.1, lambda: transmissions = multiplier x ceil(log10(n + 1))"),
        KeySpecification(
            "membership.datagram_size_max", \.membership.datagramSizeMax,
            .integer(Bounds.datagramBytesMin...Bounds.datagramBytesMax, unit: "bytes"),
            default: .value(1400),
            "The largest UDP payload that is sent. More than the path's MTU less 48 bytes means fragments.",
            source: "1232 = IPv6 minimum MTU 1280 (RFC 8200) less headers; 65507 = the largest UDP payload over IPv4"),
    ]

    private static let retention: [KeySpecification] = [
        KeySpecification(
            "membership.reconnect_interval", \.membership.reconnectInterval,
            .duration(.milliseconds(100)...(.seconds(3600))), default: .value(.seconds(5)),
            "The time between attempts to reach failed members, with jitter.",
            source: "heals a partition of any length"),
        KeySpecification(
            "membership.failed_retention", \.membership.failedRetention,
            .duration(.seconds(1)...(.seconds(8760 * 3600))), default: .value(.seconds(72 * 3600)),
            "How long failed and left members stay in the table.",
            source: "Serf reconnect_timeout is 24h; 72h outlasts a weekend"),
        KeySpecification(
            "membership.forgotten_retention", \.membership.forgottenRetention,
            .duration(.seconds(1)...(.seconds(8760 * 3600))), default: .value(.seconds(168 * 3600)),
            "How long a forgotten member's tombstone is kept. Must be at least failed_retention, or a peer that still"
                + " remembers the member would bring it back.",
            source: "longer than any peer's failed_retention"),
    ]
}
