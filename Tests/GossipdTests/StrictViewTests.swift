// SPDX-License-Identifier: Apache-2.0
// Owns the tests of what operators are told of the strict group: events, findings, metrics.

import AdminModel
import AdminServer
import ClusterTypes
import Logging
import RaftCore
import SWIMCore
import StrictCore
import StrictGroup
import SystemdSupport
import Testing

@testable import NodeKernel
@testable import gossipd

@Suite("What operators are told of the strict group")
struct StrictViewTests {
    private let me = NodeID(high: 1, low: 1)
    private let peer = NodeID(high: 2, low: 2)

    private func narrator() -> EventNarrator {
        EventNarrator(selfID: me, name: "web-1", address: Address(ipv4: 0x7f00_0001, port: 7946))
    }

    @Test("One election is told once, and the next one again")
    func elections() {
        var narrator = narrator()
        func tell(_ event: RaftEvent) -> EventKind? { narrator.tellStrict(.raft(event))?.kind }
        #expect(tell(.leaderChanged(nil, term: 3, .electionTimeout)) == .strictLeaderLost)
        #expect(tell(.roleChanged(.preCandidate, term: 3, .electionTimeout)) == .strictElection)
        #expect(tell(.roleChanged(.follower, term: 3, .lost)) == nil)
        #expect(tell(.roleChanged(.preCandidate, term: 3, .electionTimeout)) == nil)
        #expect(tell(.roleChanged(.candidate, term: 4, .preVoteWon)) == nil)
        #expect(tell(.roleChanged(.leader, term: 4, .won(votes: 2, of: 3))) == nil)
        #expect(tell(.leaderChanged(me, term: 4, .won(votes: 2, of: 3))) == .strictLeaderChanged)
        #expect(tell(.roleChanged(.preCandidate, term: 4, .electionTimeout)) == .strictElection)
    }

    @Test(
        "A leader that steps down says why",
        arguments: [
            (
                RaftChangeReason.quorumLost(reachable: 1, needed: 2), "quorum_lost",
                "1 voters were heard of, 2 are needed"
            ),
            (.diskStalled, "disk_stalled", "this host's disk did not finish a write"),
        ])
    func steppedDown(reason: RaftChangeReason, word: String, words: String) throws {
        var narrator = narrator()
        let narration = narrator.tellStrict(.raft(.roleChanged(.follower, term: 9, reason)))
        let told = try #require(narration)
        #expect(told.kind == .strictSteppedDown && told.reason == word && told.message.contains(words))
        #expect(told.fields == ["term": "9"])
    }

    @Test("Who leads, who votes and who holds a lock is told by name")
    func names() throws {
        var narrator = narrator()
        let led = narrator.tellStrict(.raft(.leaderChanged(me, term: 4, .transfer)))
        let leader = try #require(led)
        #expect(leader.message == "web-1 leads the strict group in term 4" && leader.member?.name == "web-1")
        let formed = narrator.tellStrict(.founded(StrictFounding(group: 255, voters: [me, peer])))
        let founded = try #require(formed)
        #expect(founded.message == "the strict group 00000000000000ff has formed: web-1 and \(peer.short) vote")
        let lock = try #require(StrictKey("deploy"))
        var machine = StrictMachine()
        _ = machine.apply(StrictCommand(time: 0, .grantLease(milliseconds: 10_000)), at: 7)
        let taken = machine.apply(StrictCommand(time: 0, .acquire(lock: lock, lease: 7, mayWait: false)), at: 8)
        let change = narrator.tellStrict(.lockChanged(try #require(taken.lockChanges.first)))
        let told = try #require(change)
        #expect(told.message == "lock deploy was taken by lease 7 under token 8" && told.kind.level == .debug)
    }

    @Test("A lock that its holder's lease lost is told otherwise than one that was given back")
    func locks() throws {
        var narrator = narrator()
        var machine = StrictMachine()
        var index: LogIndex = 0
        func tell(_ operation: StrictOperation) throws -> Narration? {
            index += 1
            let outcome = machine.apply(StrictCommand(time: 0, operation), at: index)
            return outcome.lockChanges.first.flatMap { narrator.tellStrict(.lockChanged($0)) }
        }
        let lock = try #require(StrictKey("deploy"))
        for _ in 1...4 { _ = try tell(.grantLease(milliseconds: 10_000)) }
        for lease: LeaseID in 1...4 { _ = try tell(.acquire(lock: lock, lease: lease, mayWait: true)) }
        let told = try [
            StrictOperation.release(lock: lock, lease: 1), .expireLease(2, ifRenewedBefore: 3), .revoke(3),
            .expireLease(4, ifRenewedBefore: 5),
        ].map { try tell($0) }
        #expect(
            told.map { $0?.message } == [
                "lock deploy went from lease 1 to lease 2 under token 9",
                "lock deploy went from lease 2, which ran out, to lease 3 under token 10",
                "lock deploy went from lease 3 to lease 4 under token 11",
                "lock deploy is free: lease 4, which held it under token 11, ran out",
            ])
        #expect(told.map { $0?.reason } == ["released", "expired", "revoked", "expired"])
        _ = try tell(.acquire(lock: lock, lease: 1, mayWait: false))
        let last = try tell(.revoke(1))
        #expect(last?.message == "lock deploy was given back by lease 1" && last?.reason == "revoked")
    }

    private func group(reached: Int, leader: Bool = true, voters: Int = 3) -> StrictDocument {
        var document = StrictDocument(prefixes: ["strict/"], role: "follower", term: 4)
        document.group = "00000000000000ff"
        document.members = (0..<voters).map { number in
            StrictDocument.Member(
                member: MemberIdentity(id: "\(number)", name: "db-\(number)"), vote: .voter,
                state: number < reached ? .alive : .failed, isReachable: number < reached)
        }
        document.quorum = voters / 2 + 1
        document.leader = leader ? document.members[0].member : nil
        return document
    }

    @Test("A group in health needs no word; one without a leader, with missing voters or an even number does")
    func findings() {
        #expect(KernelNode.strictFindings(group(reached: 3)).isEmpty)
        let lost = KernelNode.strictFindings(group(reached: 1, leader: false))
        #expect(lost.map(\.code) == ["strict_no_leader"] && lost[0].severity == .error)
        #expect(lost[0].summary.contains("db-1, db-2") && lost[0].advice.contains("2 of 3"))
        let missing = KernelNode.strictFindings(group(reached: 2))
        #expect(missing.map(\.code) == ["strict_voters_missing"])
        #expect(
            missing[0].summary.hasPrefix(
                "2 of 3 voters of the strict group are reached, not reached: db-2; if one more"))
        #expect(missing[0].severity == .warning && missing[0].evidence["missing"] == "db-2")
        #expect(KernelNode.strictFindings(group(reached: 4, voters: 5))[0].summary.contains("1 more may be lost"))
        // A client that reaches fewer than a leader needs does not say that one may fail.
        let cut = KernelNode.strictFindings(group(reached: 1))
        #expect(cut.map(\.code) == ["strict_voters_missing"] && cut[0].severity == .error)
        #expect(!cut[0].summary.contains("one more") && cut[0].summary.contains("1 of 3"))
        var silent = group(reached: 3, leader: false)
        silent.leaderSilentMilliseconds = 12_300
        #expect(KernelNode.strictFindings(silent)[0].summary.contains("for 12 s"))
        var removed = group(reached: 3)
        (removed.isRemoved, removed.role) = (true, "client")
        let told = KernelNode.strictFindings(removed)
        #expect(told.map(\.code) == ["strict_removed"] && told[0].advice.contains("strict add"))
        #expect(!told[0].advice.contains("recover"))
        #expect(KernelNode.strictFindings(group(reached: 4, voters: 4)).map(\.code) == ["strict_even_voters"])
    }

    @Test("A voter that answers nothing is not reached, before membership says so; a leader knows better")
    func silentVoters() throws {
        func view(_ number: Int, answers: Bool) -> PeerExamination {
            let id = NodeID(high: 0, low: UInt64(number))
            let info = MemberInfo(
                name: "db-\(number)", address: Address(ipv4: 0x7f00_0001, port: 7946), tags: [], protocolVersion: 1)
            let clock = Clock(now: .origin, wall: WallTime(milliseconds: 0))
            let member = Member(id: id, info: info, incarnation: 1, state: .alive, since: clock)
            var peer = PeerExamination(member: MemberView(member: member, isSelf: false, hasNameConflict: false))
            peer.datagram = answers ? .answered(.milliseconds(1)) : .silent
            peer.stream = answers ? .answered(.milliseconds(1)) : .silent
            return peer
        }
        var formed = group(reached: 3)
        for number in 0..<3 { formed.members[number].member.id = NodeID(high: 0, low: UInt64(number)).description }
        formed.leader = formed.members[0].member
        func codes(_ answering: [Bool]) -> [String] {
            let peers = answering.enumerated().map { view($0.offset + 1, answers: $0.element) }
            let report = ExaminationReport(peers: peers, left: 0, datagramBytes: 0)
            return KernelNode.strictFindings(KernelNode.group(formed, after: report)).map(\.code)
        }
        #expect(codes([true, true]).isEmpty && codes([true, false]) == ["strict_voters_missing"])
        #expect(codes([false, false]) == ["strict_voters_missing"])
        formed.leader = formed.members[2].member
        #expect(codes([true, false]) == ["strict_no_leader"] && codes([false, true]) == ["strict_voters_missing"])
        formed.leader = formed.members[0].member
        for number in 1..<3 { formed.members[number].silentMilliseconds = 10 }
        #expect(codes([true, false]).isEmpty)
        // Who is named as missing is not told to look at its disk as well.
        formed.members[2].isReachable = false
        (formed.members[2].lag, formed.members[2].silentMilliseconds) = (30_000, 9_000)
        #expect(KernelNode.strictFindings(formed).map(\.code) == ["strict_voters_missing"])
    }

    @Test("A group that has not formed names who is missing")
    func notFormed() {
        var document = StrictDocument(prefixes: ["strict/"], role: "client", term: 0)
        document.missing = [.init(name: "db-2")]
        let findings = KernelNode.strictFindings(document)
        #expect(findings.map(\.code) == ["strict_not_formed"] && findings[0].summary.hasSuffix("still missing: db-2"))
    }

    @Test("A follower that lags, and a log that is fetched again, are named")
    func lag() {
        var document = group(reached: 3)
        (document.members[1].lag, document.members[1].silentMilliseconds) = (30_000, 4)
        (document.members[2].lag, document.members[2].silentMilliseconds) = (2, 4)
        document.isRefetching = true
        let findings = KernelNode.strictFindings(document)
        #expect(findings.map(\.code) == ["strict_member_lags", "strict_log_damaged"])
        #expect(findings[0].summary.hasPrefix("db-1 lacks 30000 entries"))
    }

    @Test("Rows that came past the group point to members without the prefix")
    func prefixes() {
        let finding = KernelNode.prefixesDiffer(rows: 3)
        let old = KernelNode.keysOlderThanPrefix(["strict/a", "strict/b", "strict/c", "strict/d"])
        #expect(old.code == "strict_keys_not_in_group" && old.summary.hasSuffix(#""strict/c" and others"#))
        #expect(finding.code == "strict_prefixes_differ" && finding.summary.contains("3 rows were refused here"))
    }

    @Test("The metrics tell role, term, indexes, lags and whether a majority is reached")
    func metrics() {
        var status = StrictStatus()
        (status.role, status.group, status.term, status.leader) = (.leader, 255, 4, me)
        (status.commit, status.applied, status.last) = (40, 38, 41)
        (status.voters, status.reachable) = ([me, peer, NodeID(high: 3, low: 3)], [me, peer])
        status.followers = [StrictFollower(id: peer, match: 39, silentFor: .milliseconds(20), isInstalling: false)]
        var samples: [MetricSample] = []
        Metrics.addStrict(status, age: 1500, name: { $0.short }, to: &samples)
        let text = PrometheusText.render(samples)
        for line in [
            "gossipd_strict_role{role=\"leader\"} 1", "gossipd_strict_role{role=\"client\"} 0",
            "gossipd_strict_term 4", "gossipd_strict_index{place=\"commit\"} 40", "gossipd_strict_apply_lag 2",
            "gossipd_strict_quorum_reachable 1", "gossipd_strict_follower_lag{member=\"\(peer.short)\"} 2",
            "gossipd_strict_staleness_seconds 1.5",
        ] {
            #expect(text.contains("\n\(line)\n"), "\(line) is not in \(text)")
        }
    }
}
