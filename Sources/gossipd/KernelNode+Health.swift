// SPDX-License-Identifier: Apache-2.0
// Owns what the node tells of its health: the comparison of the fleet, the findings of `doctor`.

import AdminModel
import AdminServer
import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore

extension KernelNode {
    func verify(timeout: Duration) async throws(AdminFailure) -> VerifyDocument {
        guard case .verified(let found) = try await ask(.verify(deadline: Interval(timeout))) else {
            throw .unexpectedReply
        }
        let peers = found.peers.map { peer in
            let member = hub.identity(peer.id)
            return switch peer.result {
            case .equal: VerifyDocument.Peer(member: member, result: .equal)
            case .different(let ranges):
                VerifyDocument.Peer(
                    member: member, result: .different,
                    ranges: ranges.map { VerifyDocument.Range(first: $0.first, end: $0.end) })
            case .unknown(let reason): VerifyDocument.Peer(member: member, result: .unknown, reason: reason)
            }
        }
        return VerifyDocument(root: found.root.description, rows: found.rows, peers: peers)
    }

    func doctor() async throws(AdminFailure) -> DoctorDocument {
        guard case .status(let status) = try await ask(.status) else { throw .unexpectedReply }
        guard case .diagnosis(let store) = try await ask(.diagnose) else { throw .unexpectedReply }
        var findings = setAside.map(Self.setAsideFinding)
        findings += refusedReload.findings
        findings += warnings.sentences.map {
            DoctorDocument.Finding(.warning, code: "standing_warning", summary: $0, advice: "see Docs/operations.md")
        }
        findings += memberFindings(status)
        let report = await examination()
        findings += Self.peerFindings(
            report, clockSkewMax: .milliseconds(Int(clamping: storeConfiguration.clockSkewMaxMilliseconds)),
            protocolVersion: status.info.protocolVersion)
        findings += await keyFindings(report) + hub.refusals.findings()
        findings += diskFindings(store) + clockFindings(store) + replicaFindings(store) + contentFindings(store)
        findings += await renderFindings() + strictFindings(report)
        if findings.isEmpty {
            findings = [
                DoctorDocument.Finding(
                    .ok, code: "healthy",
                    summary:
                        "\(counted(status.alive, "member")) alive, \(counted(status.keys, "key")) durable, nothing needs you",
                    evidence: report.peers.isEmpty
                        ? [:] : ["peers_asked": "\(report.peers.count) of \(report.peers.count + report.left)"])
            ]
        }
        return DoctorDocument(
            findings: findings, peers: Self.peers(report, keys: await keys.used()), peersLeft: report.left)
    }

    private static func setAsideFinding(_ file: String) -> DoctorDocument.Finding {
        DoctorDocument.Finding(
            .warning, code: "store_set_aside",
            summary: "the store's database was damaged at the last start and is now \(file)",
            advice:
                "check the disk (dmesg, smartctl) and gossipctl kv verify; delete the file when it is of no more use",
            evidence: ["file": file])
    }

    private func memberFindings(_ status: StatusView) -> [DoctorDocument.Finding] {
        var findings: [DoctorDocument.Finding] = []
        if status.failed + status.suspect > 0 {
            findings.append(
                DoctorDocument.Finding(
                    .warning, code: "members_down",
                    summary: "members are down: \(status.failed) failed, \(status.suspect) suspected",
                    advice: "see gossipctl members --state failed and gossipctl member explain NAME",
                    evidence: ["failed": "\(status.failed)", "suspect": "\(status.suspect)"]))
        }
        if status.awareness > 0 {
            findings.append(
                DoctorDocument.Finding(
                    .warning, code: "local_health", summary: "this node doubts itself (score \(status.awareness))",
                    advice: "look for CPU pressure, packet loss or a full queue on this host",
                    evidence: ["score": "\(status.awareness)"]))
        }
        if hasSeeds, status.alive == 1 {
            findings.append(
                DoctorDocument.Finding(
                    .warning, code: "alone", summary: "this node knows no other, though it is to join a cluster",
                    advice:
                        "gossipctl events tells why each address of join failed: check join, cluster, the keys "
                        + "(gossipctl key list here and there), the firewall (UDP and TCP) and that the others run")
            )
        }
        return findings
    }

    private func diskFindings(_ store: StoreDiagnosis) -> [DoctorDocument.Finding] {
        let waiting = ["writes_waiting": "\(store.writesWaiting)"]
        return switch store.storage {
        case .ok: []
        case .full:
            [
                DoctorDocument.Finding(
                    .error, code: "storage_full",
                    summary: "the disk under the data directory is full: writes are refused",
                    advice: "make room on that disk; no restart is needed", evidence: waiting)
            ]
        case .slow:
            [
                DoctorDocument.Finding(
                    .warning, code: "storage_slow", summary: "the disk is slow: a commit takes longer than a second",
                    advice: "look for other load on the disk (iostat -x 1) and for errors in the kernel's log",
                    evidence: waiting)
            ]
        }
    }

    private func clockFindings(_ store: StoreDiagnosis) -> [DoctorDocument.Finding] {
        var findings: [DoctorDocument.Finding] = []
        if store.isClockOutlier {
            let offset = store.clockOffsetMilliseconds ?? 0
            findings.append(
                DoctorDocument.Finding(
                    .error, code: "clock_outlier",
                    summary:
                        "this host's clock is \(Interval.milliseconds(Int(clamping: offset.magnitude))) \(offset > 0 ? "ahead of" : "behind") most "
                        + "others: writes are refused",
                    advice: "repair time synchronisation (timedatectl, chronyc tracking)",
                    evidence: ["offset_ms": "\(offset)"]))
        }
        for entry in store.quarantined {
            findings.append(
                DoctorDocument.Finding(
                    .warning, code: "quarantine",
                    summary:
                        "a change of \(entry.key) by \(MemberIdentity(entry.author).name) is \(entry.ahead) in the "
                        + "future and was not applied",
                    advice: "set that host's clock right, then write the key again",
                    evidence: ["key": entry.key, "author": entry.author.id.description]))
        }
        return findings
    }

    private func replicaFindings(_ store: StoreDiagnosis) -> [DoctorDocument.Finding] {
        var findings: [DoctorDocument.Finding] = []
        if store.isResetting {
            findings.append(
                DoctorDocument.Finding(
                    .warning, code: "resetting",
                    summary: "this node is new or was away for too long, and takes over a peer's store: it takes no "
                        + "writes",
                    advice: "wait; see gossipctl status"))
        }
        if let catchUp = store.catchUp {
            findings.append(
                DoctorDocument.Finding(
                    .warning, code: "catching_up",
                    summary: "this node is being sent the store: \(catchUp.received) of \(catchUp.total) rows",
                    advice: "wait; reads show "
                        + (store.isResetting ? "what was here before" : "what has arrived so far")))
        }
        if store.queuedWrites > 0 {
            findings.append(
                DoctorDocument.Finding(
                    .warning, code: "queued_writes",
                    summary: "\(store.queuedWrites) writes of this node were never seen by the others and wait for you",
                    advice: "decide with gossipctl kv import --queued --list, --apply and --drop",
                    evidence: ["count": "\(store.queuedWrites)"]))
        }
        if store.deadRows > 0, !store.collectionWaitsFor.isEmpty {
            findings.append(
                DoctorDocument.Finding(
                    .warning, code: "collection_waits",
                    summary: "\(store.deadRows) deleted rows cannot be forgotten before these members hold the "
                        + "deletions: \(store.collectionWaitsFor.joined(separator: ", "))",
                    advice: "bring them back, or forget them with gossipctl forget NAME",
                    evidence: ["dead_rows": "\(store.deadRows)"]))
        }
        return findings
    }

    private func contentFindings(_ store: StoreDiagnosis) -> [DoctorDocument.Finding] {
        store.typeConflicts.map { key in
            DoctorDocument.Finding(
                .warning, code: "type_conflict",
                summary: "key \(key) holds content of two types; one is set aside",
                advice: "decide which is right (gossipctl kv history \(key)), delete the key and write it again",
                evidence: ["key": key])
        }
    }
}
