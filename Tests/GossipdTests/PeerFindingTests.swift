// SPDX-License-Identifier: Apache-2.0
// Owns the tests of what `doctor` makes of the ways to a peer, and of the sentences of findings in `member explain`.

import AdminModel
import ClusterTypes
import SWIMCore
import Testing

@testable import NodeKernel
@testable import gossipd

@Suite("What doctor says of peers")
struct PeerFindingTests {
    private static let version: UInt8 = 0x10
    private static let ok = WayResult.answered(.milliseconds(1))

    private func examination(
        name: String = "db-1", version: UInt8 = Self.version, hasConflict: Bool = false,
        _ change: (inout PeerExamination) -> Void
    ) -> PeerExamination {
        let info = MemberInfo(
            name: name, address: Address(ipv4: 0x0a00_0002, port: 7946), tags: [], protocolVersion: version)
        let clock = Clock(now: .origin, wall: WallTime(milliseconds: 0))
        let member = Member(id: NodeID(high: 1, low: 2), info: info, incarnation: 1, state: .alive, since: clock)
        var peer = PeerExamination(
            member: MemberView(member: member, isSelf: false, hasNameConflict: hasConflict))
        (peer.datagram, peer.largeDatagram, peer.stream) = (Self.ok, Self.ok, Self.ok)
        change(&peer)
        return peer
    }

    private func codes(_ peer: PeerExamination) -> [String] {
        let report = ExaminationReport(peers: [peer], left: 0, datagramBytes: 1_400)
        let findings = KernelNode.peerFindings(
            report, clockSkewMax: .seconds(60), protocolVersion: Self.version)
        for finding in findings { #expect(!finding.advice.isEmpty && !finding.summary.isEmpty) }
        return findings.map(\.code)
    }

    private func view(_ state: SWIMCore.MemberState?, streamOnly: UInt8 = 0, awareness: UInt8 = 0) -> ViewAnswer {
        ViewAnswer(
            id: 1, state: state, streamOnlyProbes: streamOnly, awareness: awareness, roundTripMicroseconds: 0, wall: 0)
    }

    @Test("a peer that answers everything and thinks well of us gives no finding")
    func healthy() {
        #expect(codes(examination { _ in }).isEmpty)
        #expect(codes(examination { $0.view = view(.alive) }).isEmpty)
    }

    static let ways: [(WayResult, WayResult, WayResult, String)] = [
        (.silent, .notTried, .failed(.timedOut), "peer_unreachable"),
        (.silent, .notTried, ok, "peer_udp_blocked"),
        (.notSent, .notTried, ok, "local_send_error"),
        (ok, ok, .failed(.refused), "peer_tcp_blocked"),
        (ok, .silent, ok, "path_mtu"),
    ]

    @Test("each way that is closed has a finding of its own", arguments: ways)
    func closed(datagram: WayResult, large: WayResult, stream: WayResult, code: String) {
        let peer = examination {
            $0.datagram = datagram
            $0.largeDatagram = large
            $0.stream = stream
        }
        #expect(codes(peer) == [code])
    }

    @Test("what the peer says of us, its clock, its version and its name are looked at")
    func opinions() {
        #expect(codes(examination { $0.view = view(.failed) }) == ["peer_doubts_us"])
        #expect(codes(examination { $0.view = view(nil) }) == ["peer_doubts_us"])
        #expect(codes(examination { $0.view = view(.alive, streamOnly: 4) }) == ["peer_udp_one_way"])
        #expect(codes(examination { $0.view = view(.alive, awareness: 2) }) == ["peer_health"])
        #expect(codes(examination { $0.clockOffset = -31_000 }) == ["peer_clock"])
        #expect(codes(examination { $0.clockOffset = 29_000 }).isEmpty)
        #expect(codes(examination(version: 0x1f) { _ in }) == ["protocol_versions"])
        #expect(codes(examination(hasConflict: true) { _ in }) == ["name_conflict"])
    }

    @Test("findings between two changes are told in sentences that name who and how")
    func notes() {
        let own = NodeID(high: 7, low: 7)
        let narrator = EventNarrator(selfID: own, name: "web-1", address: Address(ipv4: 1, port: 1))
        let member = MemberIdentity(id: "0a", name: "db-1")
        let failed = narrator.tell(.probeFailed([.udp, .relay, .stream], streamRefused: true), of: member)
        #expect(failed.message == "no ack from db-1 over udp, relays and stream (connection refused)")
        #expect(failed.event == "probe_failed" && failed.reason == "refused")
        #expect(failed.evidence.reportedBy?.name == "web-1")
        let rescued = narrator.tell(.probeRescued(by: .relay), of: member)
        #expect(rescued.message == "db-1 did not answer a ping in time, but through a relay")
        #expect(narrator.tell(.probeNotSent, of: member).reason == "local_error")
        #expect(narrator.tell(.accused(by: own), of: member).message == "web-1 suspects db-1 too")
        #expect(narrator.tell(.calledFailed(by: own), of: member).message == "web-1 says that db-1 has failed")
    }
}
