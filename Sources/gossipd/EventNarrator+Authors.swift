// SPDX-License-Identifier: Apache-2.0
// Owns what is said of who a member is: names taken twice, statements that it did not make or that contradict each other.

import AdminModel
import ClusterTypes
import SWIMCore
import SystemdSupport

extension EventNarrator {
    func narrateConflict(
        _ event: MemberEvent, with other: NodeID, of member: MemberIdentity, into narration: inout Narration,
        _ evidence: inout AdminModel.Evidence
    ) {
        narration.kind = .memberNameConflict
        narration.reason = "same_name"
        narration.message =
            "name \(member.name) is used by two members: \(event.id.short) at \(event.info.address) and "
            + "\(other.short)\(identity(other).address.map { " at \($0)" } ?? "")"
        evidence.details = ["other": other.description]
    }

    func narrate(
        _ forgery: Forgery, of member: MemberIdentity, into narration: inout Narration,
        _ evidence: inout AdminModel.Evidence
    ) {
        narration.kind = .memberForged
        let how =
            switch (forgery.key, forgery.pinned) {
            case (nil, _): "nobody signed it"
            case (let key?, let pinned?) where key != pinned:
                "the key \(Self.short(key)) is not its key \(Self.short(pinned))"
            case (_?, _): "the signature is wrong"
            }
        let what = forgery.info.map { "that it is \($0.name) at \($0.address)" } ?? "that it left"
        narration.reason =
            forgery.key == nil ? "not_signed" : forgery.pinned == forgery.key ? "bad_signature" : "other_key"
        narration.message =
            "refused a statement in the name of member \(member.name), \(what) under incarnation "
            + "\(forgery.incarnation): \(how)"
        evidence.incarnation = forgery.incarnation
        var details: [String: String] = [:]
        details["key"] = forgery.key?.description
        details["pinned_key"] = forgery.pinned?.description
        details["address"] = forgery.info?.address.description
        evidence.details = details
    }

    func narrate(
        _ equivocation: Equivocation, of member: MemberIdentity, into narration: inout Narration,
        _ evidence: inout AdminModel.Evidence
    ) {
        narration.kind = .memberEquivocated
        narration.reason = "two_statements"
        narration.message =
            "member \(member.name) said two things under incarnation \(equivocation.incarnation): "
            + "\(Self.words(equivocation.kept)), kept, and \(Self.words(equivocation.other)); both are signed with its key"
        evidence.incarnation = equivocation.incarnation
        var details: [String: String] = [:]
        details["key"] = equivocation.kept.proof?.key.description
        for (name, info) in [("kept", equivocation.kept), ("other", equivocation.other)] {
            details[name] = Self.words(info)
            details["\(name)_signature"] = info.proof.map { $0.signature.map { Hex.string($0) }.joined() }
        }
        evidence.details = details
    }

    /// An operator elsewhere has taken this node out of the cluster.
    func tellEviction(by node: NodeID) -> Narration {
        Narration(
            kind: .evicted,
            message:
                "an operator on \(identity(node).name) took this node out of the cluster (gossipctl forget --force): "
                + "it leaves and stops",
            reason: "forgotten")
    }

    /// Enough of a key to tell it from others.
    private static func short(_ key: AuthorKey) -> String { String(key.description.prefix(8)) }

    private static func words(_ info: MemberInfo) -> String {
        let tags = info.tags.ofUsers.map { "\($0.name)=\($0.value)" }.joined(separator: ",")
        return "\(info.name) at \(info.address)" + (tags.isEmpty ? "" : " with \(tags)")
    }
}
