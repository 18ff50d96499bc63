// SPDX-License-Identifier: Apache-2.0
// Owns how the strict group's messages and events read in a trace and a story.

import ClusterTypes
import NodeKernel
import RaftCore
import StrictGroup

extension Simulation {
    static func strictName(_ message: StrictMessage) -> String {
        switch message {
        case .raft(_, let raft): "raft \(raft.term) \(label(raft.body))"
        case .forward(let id, let forward): "forward \(id) \(label(forward))"
        case .forwarded(let id, let answer): "forwarded \(id) \(label(answer))"
        case .founding(let founding): "founding \(label(founding))"
        case .removed(let group): "removed from \(group)"
        case .survey(let id, _): "survey \(id)"
        case .surveyed(let id, let survey): "surveyed \(id): \(survey.last), \(survey.canVote ? "can" : "cannot") vote"
        }
    }

    static func strictName(_ result: StrictDiskResult) -> String {
        switch result {
        case .persisted(let number): "write \(number) durable"
        case .snapshotMade(let position, let bytes, digest: _): "snapshot \(position) of \(bytes) B made"
        case .snapshotRead(let order, let chunk):
            "snapshot \(order.metadata.position) read at \(order.offset)\(chunk == nil ? ": gone" : "")"
        case .snapshotLoaded(let metadata, let machine):
            "snapshot \(metadata.position) \(machine == nil ? "is damaged" : "loaded")"
        }
    }

    /// What people want to read of it; nil: nothing.
    func strictStory(_ event: StrictEvent) -> String? {
        switch event {
        case .founded(let founding):
            "has founded the strict group of \(founding.voters.map { name(of: $0) }.joined(separator: ", "))"
        case .raft(.roleChanged(.leader, let term, _)): "leads in term \(term)"
        case .raft(.membershipChanged(let membership, let index)):
            "has the voters \(membership.voters.map { name(of: $0) }.joined(separator: ", ")) from \(index) on"
        case .raft(.refetched(let through)): "has its log again through \(through)"
        case .raft(.snapshotInstalled(let position)): "has installed the snapshot \(position)"
        case .raft(.refused(let from, let defect)): "refuses a message of \(name(of: from)): \(defect.rawValue)"
        case .foreignGroup(let group, let from): "heard of another strict group, \(group), from \(name(of: from))"
        case .unknownFormat(let format): "cannot read the format \(format) of the strict log"
        case .recovered: "was told that the majority is lost"
        case .removed: "knows that it was removed from the strict group"
        case .copiesCorrected(keys: let keys): "has corrected copies of \(keys) strict keys"
        case .raft, .lockChanged, .leaderHeard, .leaderSilent: nil
        }
    }

    private static func label(_ value: some Any) -> String {
        Mirror(reflecting: value).children.first?.label ?? "\(value)"
    }
}
