// SPDX-License-Identifier: Apache-2.0
// Owns what `doctor` says of the strict group.

import AdminModel
import ClusterTypes
import NodeKernel
import StrictGroup

extension KernelNode {
    func strictFindings() async -> [DoctorDocument.Finding] {
        guard strict.isOn, let group = try? await strictGroup() else { return [] }
        var findings = Self.strictFindings(group)
        if case .statistics(let view) = await perform(.statistics), view.kernel.strictRowsRefused > 0 {
            findings.append(Self.prefixesDiffer(rows: view.kernel.strictRowsRefused))
        }
        return findings
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

    /// Entries that a follower may lack before it is told: about a second of a busy group.
    private static let lagMax: UInt64 = 20_000
    /// How long the leader may not hear of a member before it is told.
    private static let silenceMax = 5_000.0

    static func strictFindings(_ group: StrictDocument) -> [DoctorDocument.Finding] {
        guard group.group != nil else { return [notFormed(group)] }
        var findings = voterFindings(group)
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
            guard let lag = member.lag, lag > lagMax || member.silentMilliseconds ?? 0 > silenceMax else { continue }
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
        let unreached = group.members.filter { $0.vote == .voter && !$0.isReachable }.map(\.member.name)
        let names = unreached.joined(separator: ", ")
        guard group.leader != nil else {
            return [
                DoctorDocument.Finding(
                    .error, code: "strict_no_leader",
                    summary: "the strict group has no leader that this node knows: strict keys are not written"
                        + (unreached.isEmpty ? "" : "; voters that are not reached: \(names)"),
                    advice:
                        "bring voters back until \(group.quorum) of \(group.votersTotal) reach each other; only when most "
                        + "are lost for good: gossipctl strict recover --help",
                    evidence: ["reached": "\(group.votersReachable)", "needed": "\(group.quorum)"])
            ]
        }
        guard !unreached.isEmpty else { return [] }
        let spare = group.votersReachable - group.quorum
        return [
            DoctorDocument.Finding(
                .warning, code: "strict_voters_missing",
                summary: "voters of the strict group are not reached: \(names)",
                advice: (spare > 0 ? "" : "no further one may fail; ")
                    + "bring them back, or replace each: gossipctl strict add NEW, then gossipctl strict remove OLD",
                evidence: ["reached": "\(group.votersReachable)", "needed": "\(group.quorum)"])
        ]
    }
}
