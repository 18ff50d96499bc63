// SPDX-License-Identifier: Apache-2.0
// Owns what `doctor` says of the ways between this node and its peers, and what an operator should do about each.

import AdminModel
import AdminServer
import ClusterTypes
import NodeKernel
import SWIMCore

extension KernelNode {
    /// Asks the peers over each way; empty while this node does not take part.
    func examination() async -> ExaminationReport {
        guard case .examined(let report) = await perform(.examine) else {
            return ExaminationReport(peers: [], left: 0, datagramBytes: 0)
        }
        return report
    }

    static func peers(_ report: ExaminationReport) -> [DoctorDocument.Peer] {
        report.peers.map { peer in
            DoctorDocument.Peer(
                member: document(peer.member).identity, datagram: peer.datagram.word,
                datagramMilliseconds: peer.datagram.milliseconds, largeDatagram: peer.largeDatagram.word,
                stream: peer.stream.word, streamMilliseconds: peer.stream.milliseconds,
                holdsUsFor: peer.view.map { $0.state.map(EventNarrator.word) ?? "unknown" },
                clockOffsetMilliseconds: peer.clockOffset, localHealth: peer.view.map { Int($0.awareness) },
                protocolVersion: Int(peer.member.member.info.protocolVersion))
        }
    }

    static func peerFindings(
        _ report: ExaminationReport, clockSkewMax: Interval, protocolVersion: UInt8
    ) -> [DoctorDocument.Finding] {
        var findings: [DoctorDocument.Finding] = []
        for peer in report.peers {
            let name = peer.member.member.info.name
            let address = peer.member.member.info.address
            findings += ways(peer, name, address, bytes: report.datagramBytes)
            if let finding = opinion(peer, name, address) { findings.append(finding) }
            findings += condition(peer, name, clockSkewMax)
        }
        return findings + conflicts(report) + versions(report, protocolVersion)
    }

    /// What this node reaches.
    private static func ways(
        _ peer: PeerExamination, _ name: String, _ address: Address, bytes: Int
    ) -> [DoctorDocument.Finding] {
        let evidence = [
            "member": name, "address": "\(address)", "udp": peer.datagram.word, "tcp": peer.stream.word,
        ]
        func finding(_ code: String, _ summary: String, _ advice: String) -> [DoctorDocument.Finding] {
            [DoctorDocument.Finding(.warning, code: code, summary: summary, advice: advice, evidence: evidence)]
        }
        switch (peer.datagram.isAnswered, peer.stream.isAnswered) {
        case (false, _) where peer.datagram == .notSent:
            return finding(
                "local_send_error", "this host cannot send datagrams to \(name)",
                "look at this host's routes and outgoing firewall rules for \(address) (ip route get, nft list ruleset)"
            )
        case (false, false):
            return finding(
                "peer_unreachable", "\(name) answers neither over UDP nor over TCP, and is not failed",
                "if it is up, only the way between the two is broken: compare gossipctl doctor there, then routes and "
                    + "firewalls between the hosts")
        case (false, true):
            return finding(
                "peer_udp_blocked", "\(name) answers over TCP but not over UDP",
                "open UDP to \(address) and back, in the firewalls of both hosts and between them")
        case (true, false) where peer.stream != .notTried:
            return finding(
                "peer_tcp_blocked", "\(name) answers over UDP but not over TCP (\(peer.stream.word))",
                "open TCP to \(address): without it large values and repairs do not reach this node")
        case (true, _):
            guard peer.largeDatagram == .silent else { return [] }
            return finding(
                "path_mtu", "\(name) answers small datagrams and none of \(bytes) bytes",
                "set membership.datagram_size_max below what the path carries (tracepath \(address.host)), or let ICMP "
                    + "\"fragmentation needed\" through")
        }
    }

    /// What the peer says of this node.
    private static func opinion(
        _ peer: PeerExamination, _ name: String, _ address: Address
    ) -> DoctorDocument.Finding? {
        guard let view = peer.view else { return nil }
        let evidence = ["member": name, "address": "\(address)"]
        guard let state = view.state, state == .alive else {
            let word = view.state.map(EventNarrator.word) ?? "unknown"
            return DoctorDocument.Finding(
                .warning, code: "peer_doubts_us", summary: "\(name) holds this node for \(word)",
                advice:
                    "run gossipctl member explain for this node on \(name); it clears by itself once \(name) reaches "
                    + "this node", evidence: evidence.merging(["state": word]) { $1 })
        }
        guard view.streamOnlyProbes > 0 else { return nil }
        return DoctorDocument.Finding(
            .warning, code: "peer_udp_one_way",
            summary: "\(name) gets answers from this node over TCP alone (its last \(view.streamOnlyProbes) probes)",
            advice: "open UDP from \(address) to this host and back, in the firewalls of both hosts and between them",
            evidence: evidence)
    }

    private static func condition(
        _ peer: PeerExamination, _ name: String, _ clockSkewMax: Interval
    ) -> [DoctorDocument.Finding] {
        var findings: [DoctorDocument.Finding] = []
        if let offset = peer.clockOffset, Int64(clamping: offset.magnitude) * 2_000_000 > clockSkewMax.nanoseconds {
            let apart = Interval.milliseconds(Int(clamping: offset.magnitude))
            findings.append(
                DoctorDocument.Finding(
                    .warning, code: "peer_clock",
                    summary:
                        "the clock of \(name) is \(apart) \(offset > 0 ? "ahead of" : "behind") this one; \(clockSkewMax) "
                        + "are allowed",
                    advice:
                        "see which of the two is wrong and repair its time synchronisation (timedatectl, chronyc tracking)",
                    evidence: ["member": name, "offset_ms": "\(offset)"]))
        }
        if let view = peer.view, view.awareness > 0 {
            findings.append(
                DoctorDocument.Finding(
                    .warning, code: "peer_health", summary: "\(name) doubts itself (score \(view.awareness))",
                    advice: "look for CPU pressure, packet loss or a full queue on \(name)",
                    evidence: ["member": name, "score": "\(view.awareness)"]))
        }
        return findings
    }

    private static func conflicts(_ report: ExaminationReport) -> [DoctorDocument.Finding] {
        let named = Dictionary(grouping: report.peers.filter(\.member.hasNameConflict)) { $0.member.member.info.name }
        return named.sorted { $0.key < $1.key }.map { name, peers in
            let ids = peers.map { $0.member.member.id.description }.joined(separator: ", ")
            return DoctorDocument.Finding(
                .warning, code: "name_conflict", summary: "more than one live member is called \(name)",
                advice: "set another name on one of them and restart it; until then name them by id",
                evidence: ["ids": ids])
        }
    }

    private static func versions(_ report: ExaminationReport, _ own: UInt8) -> [DoctorDocument.Finding] {
        let others = report.peers.filter { $0.member.member.info.protocolVersion != own }
        guard !others.isEmpty else { return [] }
        let names = others.prefix(8).map { "\($0.member.member.info.name) (\($0.member.member.info.protocolVersion))" }
        return [
            DoctorDocument.Finding(
                .warning, code: "protocol_versions",
                summary:
                    "\(counted(others.count, "member")) of those asked speak another protocol version than this node (\(own))",
                advice: "finish the upgrade: versions may be mixed for its time, not for good",
                evidence: ["members": names.joined(separator: ", ")])
        ]
    }
}

extension WayResult {
    /// Stable, for JSON.
    fileprivate var word: String {
        switch self {
        case .waiting, .silent: "silent"
        case .answered: "answered"
        case .notSent: "not_sent"
        case .failed(let failure): failure.word
        case .notTried: "not_tried"
        }
    }

    fileprivate var milliseconds: Double? {
        if case .answered(let trip) = self { KernelNode.rounded(trip) } else { nil }
    }
}
