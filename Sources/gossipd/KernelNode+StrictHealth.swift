// SPDX-License-Identifier: Apache-2.0
// Owns what `doctor` says of the strict group.

import AdminModel
import ClusterTypes
import NodeKernel
import SWIMCore
import StrictGroup

extension KernelNode {
    func strictFindings(_ report: ExaminationReport) async -> [DoctorDocument.Finding] {
        guard strict.isOn, let group = try? await strictGroup() else { return [] }
        var findings = Self.strictFindings(Self.group(group, after: report))
        if case .statistics(let view) = await perform(.statistics), view.kernel.strictRowsRefused > 0 {
            findings.append(Self.prefixesDiffer(rows: view.kernel.strictRowsRefused))
        }
        if case .diagnosis(let store) = await perform(.diagnose), !store.ordinaryStrictKeys.isEmpty {
            findings.append(Self.keysOlderThanPrefix(store.ordinaryStrictKeys))
        }
        return findings
    }

    /// A voter that has just answered neither over UDP nor over TCP is not reached, though membership may need seconds more to
    /// call it so. A leader knows better: it is answered all the time.
    static func group(_ group: StrictDocument, after report: ExaminationReport) -> StrictDocument {
        let silent = report.peers.filter { !$0.datagram.isAnswered && !$0.stream.isAnswered }
            .map { $0.member.member.id.description }
        var group = group
        for place in group.members.indices where group.members[place].silentMilliseconds == nil {
            if silent.contains(group.members[place].member.id) { group.members[place].isReachable = false }
        }
        if let leader = group.leader, silent.contains(leader.id) { group.leader = nil }
        return group
    }

    /// Ordinary writes below a strict prefix come only from a node that does not know the prefix.
    static func prefixesDiffer(rows: UInt64) -> DoctorDocument.Finding {
        DoctorDocument.Finding(
            .warning, code: "strict_prefixes_differ",
            summary:
                "other members have written below strict prefixes as if they were not: \(rows) rows were refused here",
            advice: "give all members the same strict.prefixes, restart those that lack some, and write the keys again",
            evidence: ["rows": "\(rows)"])
    }

    /// They show on this node as they were, the group does not have them, and nodes that join later refuse their rows.
    static func keysOlderThanPrefix(_ keys: [String]) -> DoctorDocument.Finding {
        let named = keys.prefix(3).map(\.quoted).joined(separator: ", ") + (keys.count > 3 ? " and others" : "")
        return DoctorDocument.Finding(
            .warning, code: "strict_keys_not_in_group",
            summary:
                "keys were written before their prefix became strict, and the strict group does not have them: \(named)",
            advice:
                "put each again: gossipctl kv get --consistency local KEY | gossipctl kv put KEY -; one that nobody needs is put and "
                + "then deleted",
            evidence: ["keys": keys.joined(separator: ", ")])
    }

    /// Entries that a follower may lack before it is told: about a second of a busy group.
    private static let lagMax: UInt64 = 20_000
    /// How long the leader may not hear of a member before it is told.
    private static let silenceMax = 5_000.0

    static func strictFindings(_ group: StrictDocument) -> [DoctorDocument.Finding] {
        guard group.group != nil else { return [notFormed(group)] }
        var findings = foreignFindings(group) + voterFindings(group)
        if group.isRemoved { findings.append(removed()) }
        let voters = group.votersTotal
        if voters > 0, voters.isMultiple(of: 2) {
            findings.append(
                DoctorDocument.Finding(
                    .warning, code: "strict_even_voters",
                    summary:
                        "the strict group has \(voters) voters: an even number bears no more failures than one less",
                    advice: "add or remove one: gossipctl strict add NAME, gossipctl strict remove NAME",
                    evidence: ["voters": "\(voters)"]))
        }
        for member in group.members {
            // Voters that are not reached are named already.
            guard member.isReachable || member.vote == .learner, let lag = member.lag,
                lag > lagMax || member.silentMilliseconds ?? 0 > silenceMax
            else { continue }
            findings.append(
                DoctorDocument.Finding(
                    .warning, code: "strict_member_lags",
                    summary: "\(member.member.name) lacks \(lag) entries of the strict log"
                        + (member.silentMilliseconds.map { " and was last heard of \(Int($0)) ms ago" } ?? ""),
                    advice: "look at that host's disk and network; it catches up by itself when they are well",
                    evidence: ["member": member.member.id, "lag": "\(lag)"]))
        }
        if group.isRefetching {
            findings.append(
                DoctorDocument.Finding(
                    .warning, code: "strict_log_damaged",
                    summary:
                        "this node's strict log was damaged and is being fetched again: it does not vote meanwhile",
                    advice: "check the disk (dmesg, smartctl); the log needs a leader to be fetched from"))
        }
        return findings
    }

    private static func notFormed(_ group: StrictDocument) -> DoctorDocument.Finding {
        let missing = group.missing.map(\.name).joined(separator: ", ")
        return DoctorDocument.Finding(
            .error, code: "strict_not_formed",
            summary: "the strict group has not formed" + (missing.isEmpty ? "" : "; still missing: \(missing)"),
            advice: "it forms once all founders of strict.voters see each other alive: start them, with the same "
                + "strict.prefixes and strict.voters, and let them join",
            evidence: missing.isEmpty ? [:] : ["missing": missing])
    }

    private static func voterFindings(_ group: StrictDocument) -> [DoctorDocument.Finding] {
        let foreign = group.foreignGroups ?? []
        // Said there: while another group lives, nobody is to bring this one's voters back beside it.
        if group.leader == nil, !foreign.isEmpty { return [] }
        // Who votes in another group does not come back to this one.
        let lost = Set(foreign.flatMap(\.voters).map(\.id))
        let unreached = group.members.filter {
            $0.vote == .voter && !$0.isReachable && !lost.contains($0.member.id)
        }.map(\.member.name)
        let names = unreached.joined(separator: ", ")
        var evidence = ["reached": "\(group.votersReachable)", "needed": "\(group.quorum)"]
        if !unreached.isEmpty { evidence["missing"] = names }
        guard group.leader != nil else { return [noLeader(group, unreached: names, evidence)] }
        guard !unreached.isEmpty else { return [] }
        let spare = group.votersReachable - group.quorum
        if spare < 0 {
            return [
                DoctorDocument.Finding(
                    .error, code: "strict_voters_missing",
                    summary:
                        "this node reaches \(group.votersReachable) of \(group.votersTotal) voters of the strict group, and a "
                        + "leader needs \(group.quorum); not reached: \(names)",
                    advice: "bring them back, or mend the network between them and this host", evidence: evidence)
            ]
        }
        return [
            DoctorDocument.Finding(
                .warning, code: "strict_voters_missing",
                summary:
                    "\(group.votersReachable) of \(group.votersTotal) voters of the strict group are reached, not reached: "
                    + "\(names); "
                    + (spare > 0
                        ? "\(spare) more may be lost before the group has no majority"
                        : "if one more is lost, the group has no majority, and strict keys are not written"),
                advice: "bring \(unreached.count == 1 ? "it" : "them") back, or, when that cannot be, replace "
                    + "\(unreached.count == 1 ? "it" : "each"): gossipctl strict add NEW, then gossipctl strict remove OLD",
                evidence: evidence)
        ]
    }

    private static func noLeader(
        _ group: StrictDocument, unreached names: String, _ evidence: [String: String]
    ) -> DoctorDocument.Finding {
        let silence = group.leaderSilentMilliseconds.map { ", for \(Int($0 / 1_000)) s" } ?? ""
        let isLost = group.votersTotal > 0 && group.votersReachable < group.quorum
        let summary =
            isLost
            ? "the strict group has lost its majority: \(group.votersReachable) of \(group.votersTotal) voters are reached, "
                + "\(group.quorum) are needed; strict keys are not written; not reached: \(names)"
            : "the strict group has no leader that this node hears of\(silence): strict keys are not written"
                + (names.isEmpty ? "" : "; voters that are not reached: \(names)")
        let recover =
            group.role == "client"
            ? "on the voter with the highest entry: gossipctl strict recover --help"
            : "gossipctl strict recover --help"
        return DoctorDocument.Finding(
            .error, code: "strict_no_leader", summary: summary,
            advice: isLost
                ? "bring back " + (names.contains(", ") ? "some of " : "") + "\(names) until \(group.quorum) of "
                    + "\(group.votersTotal) reach each other; only when most are lost for good: \(recover)"
                : "an election takes about a second; if it stays so, see the journal of the voters",
            evidence: evidence)
    }

    private static func removed() -> DoctorDocument.Finding {
        DoctorDocument.Finding(
            .warning, code: "strict_removed",
            summary: "this node was removed from the strict group and is a client of it",
            advice:
                "nothing, if that was wanted; to let it vote again start it with an empty data directory, and say gossipctl "
                + "strict add on another host")
    }
}
