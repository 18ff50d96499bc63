// SPDX-License-Identifier: Apache-2.0
// Owns the end of a membership: who was removed is told, remembers it for good, and is a client from then on.

import ClusterTypes
import RaftCore
import StrictCore

extension StrictNode {
    /// A member without a leader asks so often at most whether it still is one.
    static let membershipPatience = Interval.seconds(2)

    /// Durable, or about to be: this node takes part in no group any more, under this id.
    var isRemoved: Bool { founding.removedFrom != nil }

    // MARK: Telling

    /// Whoever was removed may have been down meanwhile, and stands for election when it is back.
    mutating func tellIfRemoved(_ node: NodeID) {
        guard let raft, !raft.membership.contains(node), raft.membership.contains(id), raft.isMembershipCommitted,
            raft.membership.retired.contains(node)
        else { return }
        tellRemoved(node)
    }

    func mayHearOfRemoval(_ node: NodeID) -> Bool { node != id && peer(node)?.isAlive == true }

    mutating func tellRemoved(_ node: NodeID) {
        guard let group, node != id else { return }
        out.append(.send(.removed(group: group), to: node))
    }

    /// A leader's, when a removal is committed: it no longer sends to that node otherwise.
    mutating func tellNewlyRemoved(_ membership: RaftMembership) {
        guard ledTerm != nil, let gone = membership.retired.last, mayHearOfRemoval(gone) else { return }
        tellRemoved(gone)
    }

    // MARK: Learning

    /// Gossip shows a leader, of whom this member hears nothing: perhaps because it is none any more. Those whom it knows as
    /// voters may all have been replaced.
    mutating func askMembership(_ mark: StrictMark) {
        guard let raft, raft.leader == nil, !isRemoved, let group, mark.group == group, mark.leader != id,
            !mark.voters.contains(id), askedMembershipAt.map({ clock.now - $0 >= Self.membershipPatience }) ?? true
        else { return }
        askedMembershipAt = clock.now
        out.append(.send(.survey(id: 0, group: group), to: mark.leader))
    }

    mutating func onRemoved(from group: UInt64) {
        guard group == self.group, isFoundingDurable, recovering == nil, !isRemoved else { return }
        leaveGroup(group)
    }

    /// This node's own log may say it as well.
    mutating func noteOwnRemoval() {
        guard let raft, !isRemoved, let group, recovering == nil, !raft.membership.contains(id),
            raft.isMembershipCommitted, raft.membership.retired.contains(id)
        else { return }
        leaveGroup(group)
    }

    /// Nothing follows from it before it is durable: a crash leaves a member that is told again.
    private mutating func leaveGroup(_ group: UInt64) {
        founding.removedFrom = group
        var write = PendingWrite(number: 0)
        write.isRemoval = true
        persist(write, founding: founding, needsSync: true)
    }

    /// Raft ends, and what it held is not needed any more. Calls of this node's clients go to the leader.
    mutating func actOnRemoval(isNews: Bool) {
        guard let group = founding.removedFrom else { return }
        unstartedRaft = nil
        machine = StrictMachine()
        if raft != nil {
            raft = nil
            raftEpoch += 1
            batchesInFlight = 0
            loading = nil
            held.removeAll()
            owesSnapshot = false
            stoppedBy = nil
            leaderlessSince = nil
            followRole()
            loseReads()
            for order in orders { lose(order.origin) }
            orders.removeAll()
        }
        if isNews { out.append(.event(.removed(from: group))) }
    }

    /// What was asked of a Raft that is gone.
    mutating func loseReads() {
        for token in reads.keys.sorted() { if let read = reads.removeValue(forKey: token) { loseRead(read.origin) } }
        for read in confirmedReads { loseRead(read.read.origin) }
        confirmedReads.removeAll()
    }
}
