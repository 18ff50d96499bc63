// SPDX-License-Identifier: Apache-2.0
// Owns who belongs to a group: voters, learners, the ids that may never return, and single changes of them.

import ClusterTypes

/// The members of a group (thesis 4). A value of the log: it is in force from its entry on.
package struct RaftMembership: Hashable, Sendable {
    /// Ascending, without duplicates.
    package private(set) var voters: [NodeID]
    /// Receive the log and have no vote (thesis 4.2.1). Ascending, without duplicates, none of them a voter.
    package private(set) var learners: [NodeID]
    /// Removed members, oldest first, at most `RaftBounds.retiredMax`: an id never comes back, because whoever
    /// bears it may have forgotten what it voted for and acknowledged.
    package private(set) var retired: [NodeID]

    /// Of nobody: what a node holds that joins a group.
    package static let empty = RaftMembership(voters: [])

    package init(voters: [NodeID], learners: [NodeID] = [], retired: [NodeID] = []) {
        self.voters = voters.sorted()
        self.learners = learners.sorted()
        self.retired = retired
    }

    /// One step from one membership to the next; any quorum of the one meets any quorum of the other (thesis 4.1).
    package enum Change: Hashable, Sendable {
        case addLearner(NodeID)
        /// Makes a voter of a learner.
        case promote(NodeID)
        /// Removes a voter or learner for good.
        case remove(NodeID)
    }

    /// Votes that decide.
    package var quorum: Int { voters.count / 2 + 1 }
    package var count: Int { voters.count + learners.count }

    package func isVoter(_ id: NodeID) -> Bool { voters.contains(id) }
    package func isLearner(_ id: NodeID) -> Bool { learners.contains(id) }
    package func contains(_ id: NodeID) -> Bool { isVoter(id) || isLearner(id) }

    var bytes: Int { 16 * (voters.count + learners.count + retired.count) }

    /// Whether it is what an honest leader may have written.
    package var isValid: Bool {
        count <= RaftBounds.membersMax && retired.count <= RaftBounds.retiredMax
            && Self.isAscending(voters) && Self.isAscending(learners)
            && !voters.contains(where: learners.contains) && !voters.contains(.unknown) && !learners.contains(.unknown)
    }

    /// - Throws: Why the change makes no sense here; whether its time has come is the leader's to know.
    package func applying(_ change: Change) throws(RaftFailure) -> RaftMembership {
        var next = self
        switch change {
        case .addLearner(let id):
            if contains(id) { throw .alreadyMember }
            if retired.contains(id) || id == .unknown { throw .retiredID }
            if count >= RaftBounds.membersMax { throw .tooManyMembers }
            next.learners = (learners + [id]).sorted()
        case .promote(let id):
            if isVoter(id) { throw .alreadyMember }
            guard isLearner(id) else { throw .notMember }
            next.learners.removeAll { $0 == id }
            next.voters = (voters + [id]).sorted()
        case .remove(let id):
            guard contains(id) else { throw .notMember }
            if voters == [id] { throw .lastVoter }
            next.voters.removeAll { $0 == id }
            next.learners.removeAll { $0 == id }
            next.retired.append(id)
            if next.retired.count > RaftBounds.retiredMax { next.retired.removeFirst() }
        }
        return next
    }

    private static func isAscending(_ ids: [NodeID]) -> Bool {
        zip(ids, ids.dropFirst()).allSatisfy { $0 < $1 }
    }
}
