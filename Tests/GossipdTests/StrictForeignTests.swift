// SPDX-License-Identifier: Apache-2.0
// Owns the tests of what operators are told of a second strict group, and of what a backup may ask for.

import AdminModel
import AdminServer
import ClusterTypes
import StrictCore
import StrictGroup
import SystemdSupport
import Testing

@testable import gossipd

@Suite("A second strict group")
struct StrictForeignTests {
    private func member(_ name: String) -> MemberIdentity { MemberIdentity(id: name, name: name) }

    private func document(leader: String?) -> StrictDocument {
        var document = StrictDocument(prefixes: ["strict/"], role: "follower", term: 4)
        document.group = "00000000000000ff"
        document.members = ["a1", "a2", "a3"].map {
            StrictDocument.Member(member: member($0), vote: .voter, state: .alive, isReachable: true)
        }
        document.quorum = 2
        document.leader = leader.map(member)
        document.foreignGroups = [
            .init(group: "00000000000000ee", leader: member("b2"), voters: ["b1", "b2", "b3"].map(member))
        ]
        return document
    }

    @Test("Two living groups are an error that names both, who belongs to which, and what to do")
    func living() throws {
        let finding = try #require(KernelNode.strictFindings(document(leader: "a1")).first)
        #expect(finding.code == "strict_foreign_group" && finding.severity == .error)
        for part in ["a1 leads", "(voters a1, a2, a3)", "b2 leads strict group 00000000000000ee (voters b1, b2, b3)"] {
            #expect(finding.summary.contains(part), "\(finding.summary)")
        }
        #expect(finding.advice.contains("empty the data directory"))
        #expect(finding.evidence["other_leader"] == "b2")
    }

    @Test("A host that is left over from a group without a leader is told so, and not to recover it")
    func leftOver() throws {
        let findings = KernelNode.strictFindings(document(leader: nil))
        let finding = try #require(findings.first { $0.code == "strict_foreign_group" })
        #expect(finding.summary.contains("which has no leader") && finding.advice.contains("neither bring back"))
        // What is said of a group without a leader otherwise would bring the old one back to life beside the new one.
        var alone = document(leader: nil)
        for place in 1...2 { alone.members[place].isReachable = false }
        #expect(KernelNode.strictFindings(alone).map(\.code) == ["strict_foreign_group"])
    }

    @Test("A voter that went on in another group is not to be brought back into the former one")
    func thrownOut() throws {
        var former = document(leader: "a1")
        former.members[2].isReachable = false
        #expect(KernelNode.strictFindings(former).map(\.code) == ["strict_foreign_group", "strict_voters_missing"])
        former.foreignGroups = [.init(group: "00000000000000ee", leader: member("a3"), voters: [member("a3")])]
        #expect(KernelNode.strictFindings(former).map(\.code) == ["strict_foreign_group"])
    }

    @Test("Metrics and the event tell of it")
    func metrics() throws {
        var status = StrictStatus()
        status.foreign = [StrictForeignGroup(group: 1, term: 2, leader: NodeID(high: 1, low: 1), voters: [])]
        var samples: [MetricSample] = []
        Metrics.addStrict(status, age: nil, name: { $0.short }, to: &samples)
        #expect(PrometheusText.render(samples).contains("\ngossipd_strict_foreign_groups 1\n"))
        var narrator = EventNarrator(
            selfID: NodeID(high: 1, low: 1), name: "web-1", address: Address(ipv4: 0x7f00_0001, port: 7946))
        let corrected = narrator.tellStrict(.copiesCorrected(keys: 3))
        let told = try #require(corrected)
        #expect(told.kind == .strictCopiesCorrected && told.fields == ["count": "3"])
    }

    @Test("A backup that would use versions up is refused with a sentence")
    func hostileBackup() throws {
        try KernelNode.checkStrictVersion(KernelNode.restoredVersionMax)
        for version in [KernelNode.restoredVersionMax + 1, StrictBounds.versionMax, .max] {
            let failure = #expect(throws: AdminFailure.self) { try KernelNode.checkStrictVersion(version) }
            #expect(failure?.code == .badRequest && failure?.message.contains("which no group reaches") == true)
        }
    }
}
