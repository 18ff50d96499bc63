// SPDX-License-Identifier: Apache-2.0
// Owns the translation between the admin API and the key ring, and what `doctor` says of keys.

import AdminModel
import AdminServer
import ClusterTypes
import NodeKernel
import SWIMCore
import Sealing
import Transport

extension KernelNode {
    func sealKeys() async throws(AdminFailure) -> SealKeysDocument {
        let (ring, confirmed) = try await keyRing()
        let others = try await views().filter { $0.member.state.isActive && !$0.isSelf }
        let using = await keysUsed(by: others, own: ring)
        let entries = ring.entries.map { Self.document($0, ring, using) }
        return SealKeysDocument(
            keys: entries.sorted { (Self.rank($0.state), $0.id) < (Self.rank($1.state), $1.id) },
            membersConfirming: 1 + others.count { confirmed.contains($0.member.id) }, membersTotal: 1 + others.count)
    }

    func installKey(_ text: [UInt8]) async throws(AdminFailure) -> SealKeyResult {
        let keys: [ClusterKey]
        do throws(KeyFileProblem) {
            keys = try KeyFile.keys(in: String(decoding: text, as: UTF8.self))
        } catch {
            throw AdminFailure(.badRequest, "what was sent \(error)")
        }
        guard let key = keys.first, keys.count == 1 else {
            throw AdminFailure(.badRequest, "\(keys.count) keys were sent: install one at a time")
        }
        return try await change(key.id) { ring, now throws(KeyRingRefusal) in try ring.install(key, at: now) }
    }

    func useKey(_ key: SealKeyReference) async throws(AdminFailure) -> SealKeyResult {
        let id = KeyID(rawValue: key.rawValue)
        return try await change(id) { ring, now throws(KeyRingRefusal) in
            // Asked for twice, it is one decision.
            if ring.primary?.id != id { try ring.use(id, at: now) }
        }
    }

    func retireKey(_ key: SealKeyReference) async throws(AdminFailure) -> SealKeyResult {
        let id = KeyID(rawValue: key.rawValue)
        return try await change(id) { ring, now throws(KeyRingRefusal) in
            if ring[id]?.state != .retired { try ring.retire(id, at: now) }
        }
    }

    private func keyRing() async throws(AdminFailure) -> (KeyRing, confirmed: Set<NodeID>) {
        guard case .ring(let view) = try await ask(.ring(.read)) else { throw .unexpectedReply }
        guard let ring = view.decoded else {
            throw AdminFailure(
                .conditionFailed,
                "packets are not sealed, so there is no ring of keys: set key_file in the configuration, then reload it"
            )
        }
        return (ring, view.confirmed)
    }

    /// Rings are joined, so that two changes at once are both in what comes out.
    private func change(
        _ id: KeyID, _ body: (inout KeyRing, _ now: UInt64) throws(KeyRingRefusal) -> Void
    ) async throws(AdminFailure) -> SealKeyResult {
        var (ring, _) = try await keyRing()
        guard case .diagnosis(let store) = try await ask(.diagnose) else { throw .unexpectedReply }
        // Changes are dated: one from the future would win over all later ones, and keep a retired key for as long.
        if store.isClockOutlier {
            throw AdminFailure(
                .clockOutlier,
                "this host's clock is off from its peers': keys are changed on another host, or once it is right")
        }
        do throws(KeyRingRefusal) {
            try body(&ring, SystemClock.now().wall.milliseconds)
        } catch {
            throw AdminFailure(error)
        }
        _ = try await ask(.ring(.join(Ring(ring).bytes)))
        let document = try await sealKeys()
        guard let key = document.keys.first(where: { $0.id == id.description }) else { throw .unexpectedReply }
        return SealKeyResult(key: key, membersTotal: document.membersTotal)
    }

    /// How many members seal with each key.
    private func keysUsed(by members: [MemberView], own: KeyRing) async -> [KeyID: Int] {
        let used = await keys.used()
        var counts: [KeyID: Int] = [:]
        if let primary = own.primary { counts[primary.id] = 1 }
        for view in members {
            if let key = used[view.member.info.address] { counts[key, default: 0] += 1 }
        }
        return counts
    }

    private static func document(
        _ entry: KeyRing.Entry, _ ring: KeyRing, _ using: [KeyID: Int]
    ) -> SealKeysDocument.Key {
        let state: SealKeysDocument.State =
            switch (entry.state, entry.key) {
            case (_, _?) where ring.primary?.id == entry.id: .active
            case (.installed, _): .installed
            case (.retired, _?): .retiring
            case (.retired, nil): .retired
            }
        let grace = UInt64(KeyRing.graceDefault.nanoseconds / 1_000_000)
        return SealKeysDocument.Key(
            id: entry.id.description, state: state,
            since: entry.stamp == 0 ? nil : Timestamp(WallTime(milliseconds: entry.stamp)),
            acceptedUntil: state == .retiring
                ? Timestamp(WallTime(milliseconds: entry.stamp.addingReportingOverflow(grace).partialValue)) : nil,
            membersUsing: using[entry.id] ?? 0)
    }

    private static func rank(_ state: SealKeysDocument.State) -> Int {
        switch state {
        case .active: 0
        case .installed: 1
        case .retiring: 2
        case .retired: 3
        case .unknown: 4
        }
    }

    // MARK: Doctor

    /// What each peer seals under, against what this node does, and what the files say.
    func keyFindings(_ report: ExaminationReport) async -> [DoctorDocument.Finding] {
        guard case .ring(let view) = await perform(.ring(.read)), let ring = view.decoded, let primary = ring.primary
        else { return [] }
        let used = await keys.used()
        return Self.keyFindings(
            ring, primary: primary.id, inFiles: keys.inFiles,
            peers: report.peers.map { peer in
                let member = peer.member.member
                return PeerKey(
                    name: member.info.name, key: used[member.info.address],
                    hasRing: view.confirmed.contains(member.id))
            })
    }

    /// What is known of a peer's keys.
    struct PeerKey {
        var name: String
        /// Which it seals with by its own choice; nil when it has not shown.
        var key: KeyID?
        /// It has shown this node's ring.
        var hasRing: Bool
    }

    static func keyFindings(
        _ ring: KeyRing, primary: KeyID, inFiles: [KeyID], peers: [PeerKey]
    ) -> [DoctorDocument.Finding] {
        var findings: [DoctorDocument.Finding] = []
        for peer in peers {
            guard let key = peer.key, key != primary, !peer.hasRing else { continue }
            let isRetired = ring[key]?.state == .retired
            findings.append(
                DoctorDocument.Finding(
                    .warning, code: isRetired ? "peer_key_retired" : "peer_key_behind",
                    summary: "\(peer.name) seals with key \(key), and this node with \(primary)"
                        + (isRetired ? "; \(key) is retired and only accepted for a while" : ""),
                    advice:
                        "it should follow within a minute; if it does not, open TCP between the two hosts, look at the disk "
                        + "there, and compare gossipctl key list on both",
                    evidence: ["member": peer.name, "key": key.description, "active": primary.description]))
        }
        if !inFiles.isEmpty, !inFiles.contains(primary) {
            let ids = inFiles.map(\.description).joined(separator: ", ")
            findings.append(
                DoctorDocument.Finding(
                    .warning, code: "key_file_behind",
                    summary: "the key file of this host has \(ids) and not \(primary), which seals packets",
                    advice:
                        "put key \(primary) into the key files of all hosts: one that starts without its data directory has "
                        + "nothing else", evidence: ["files": ids, "active": primary.description]))
        }
        return findings
    }
}

extension AdminFailure {
    init(_ refusal: KeyRingRefusal) {
        let code: Code =
            switch refusal {
            case .unknown: .notFound
            case .retired, .primary, .full, .collision: .conflict
            }
        self.init(code, refusal.description)
    }
}
