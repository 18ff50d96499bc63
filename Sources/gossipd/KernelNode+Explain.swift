// SPDX-License-Identifier: Apache-2.0
// Owns the answer to `gossipctl member explain`: why a member is in its state, from what the kernel remembers of it.

import AdminModel
import AdminServer
import ClusterTypes
import NodeKernel
import SWIMCore
import SystemdSupport

extension KernelNode {
    func explain(_ member: String) async throws(AdminFailure) -> AdminModel.MemberExplanation {
        let id = try await resolve(member)
        guard case .explanation(let explanation) = try await ask(.explain(id.id)) else { throw .unexpectedReply }
        let document = Self.document(explanation.view)
        let timeline = explanation.timeline.map { tell($0, of: document.identity) }
        let cause = explanation.timeline.lastIndex { $0.what.isChangeOfState }.map { timeline[$0] }
        let accusers = explanation.accusers.map(hub.identity)
        return AdminModel.MemberExplanation(
            member: document, summary: Self.summary(document, cause, accusers), cause: cause,
            accusers: accusers.isEmpty ? nil : accusers, timeline: timeline)
    }

    private func tell(_ entry: TimelineEntry, of member: MemberIdentity) -> ClusterEvent {
        var event: ClusterEvent
        switch entry.what {
        case .event(let change):
            let told = hub.tell(change)
            event = ClusterEvent(
                cursor: "", time: Timestamp(entry.at.wall), event: told.kind.rawValue, member: told.member,
                reason: told.reason, message: told.message, evidence: told.evidence)
        case .note(let note):
            let told = hub.tell(note, of: member)
            event = ClusterEvent(
                cursor: "", time: Timestamp(entry.at.wall), event: told.event, member: member, reason: told.reason,
                message: told.message, evidence: told.evidence)
        }
        event.evidence?.incarnation = entry.incarnation
        if entry.times > 1 {
            event.times = entry.times
            event.lastTime = Timestamp(entry.lastAt.wall)
        }
        return event
    }

    /// What brought the member into its state, and what holds now.
    private static func summary(
        _ member: MemberDocument, _ cause: ClusterEvent?, _ accusers: [MemberIdentity]
    ) -> String {
        if member.isSelf { return cause?.message ?? "this is the node that answers" }
        let now =
            switch member.state {
            case .alive: "alive since \(member.since)"
            case .suspect:
                "suspect since \(member.since)"
                    + (accusers.isEmpty ? "" : ", accused by \(accusers.map(\.name).joined(separator: ", "))")
                    + ": it fails unless it answers in time"
            case .failed: "failed since \(member.since); it is tried again and comes back by itself"
            case .left: "left since \(member.since)"
            case .unknown: "unknown"
            }
        guard let cause else { return "\(member.name) is \(now); what came before is not remembered" }
        return "\(cause.message); now: \(now)"
    }
}

extension TimelineEntry.What {
    /// Whether it explains the state that follows.
    fileprivate var isChangeOfState: Bool {
        guard case .event(let event) = self else { return false }
        return switch event.kind {
        case .joined, .alive, .suspected, .failed, .left, .forgotten, .refuted: true
        default: false
        }
    }
}
