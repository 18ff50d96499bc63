// SPDX-License-Identifier: Apache-2.0
// Owns what this node knows of the leader, what it tells others of it, and its status.

import ClusterTypes
import RaftCore
import StrictCore

extension StrictNode {
    /// A client of a group of which nothing was heard for so long follows another one that is there: the majority was
    /// declared lost, and the group goes on under another id.
    package static let groupPatience = Interval.seconds(10)
    /// Foreign groups that are remembered, so that each is told once.
    static let foreignMax = 16

    /// Whom to ask; nil: nobody is known. A member trusts its own log more than what is said.
    var leaderToAsk: NodeID? {
        if let leader = raft?.leader { return leader }
        if let hint, peer(hint)?.isAlive == true { return hint }
        // Nothing is sent to a node that is not there: what was not sent was not done.
        guard let heard, peer(heard.leader)?.isAlive == true else { return nil }
        // A member that knows of a later term knows that this leader's time is over.
        if let raft, raft.membership.contains(id), raft.term > heard.term { return nil }
        return heard.leader
    }

    mutating func onMark(_ mark: StrictMark) {
        guard mark.term <= RaftBounds.numberMax, mark.voters.count <= RaftBounds.membersMax else { return }
        if let group, group != mark.group {
            noteForeign(mark.group, from: mark.leader)
            guard raft == nil, isRemoved || founding.founded?.voters.contains(id) != true,
                clock.now - heardAt >= Self.groupPatience, recovering == nil
            else { return }
            founding = FoundingState(removedFrom: founding.removedFrom)
            persist(PendingWrite(number: 0), founding: founding, needsSync: true)
            heard = nil
        } else if let heard, heard.group != mark.group {
            noteForeign(mark.group, from: mark.leader)
            guard clock.now - heardAt >= Self.groupPatience else { return }
            self.heard = nil
        }
        if let heard {
            guard (mark.term, mark.changes, mark.wall) > (heard.term, heard.changes, heard.wall) else { return }
            if mark.term > heard.term { hint = nil }
        }
        heard = mark
        heardAt = clock.now
        askMembership(mark)
    }

    /// For pings and acks; nil: no leader was ever known.
    package var mark: StrictMark? {
        guard let group = group ?? heard?.group else { return nil }
        guard let raft, let leader = raft.leader, raft.membership.contains(id) else {
            return heard?.group == group ? heard : nil
        }
        if raft.isLeader {
            guard stoppedBy == nil, loading == nil else { return nil }
            if let wall = confirmedWall {
                return StrictMark(
                    group: group, term: raft.term, leader: leader, changes: machine.changeCount, wall: wall,
                    voters: raft.membership.voters)
            }
        } else if let heard, heard.group == group, heard.term >= raft.term {
            return heard
        }
        // Of a later term than was heard of: where to ask is news, how current the leader is only it can say.
        return StrictMark(
            group: group, term: raft.term, leader: leader, changes: heard?.changes ?? 0, wall: heard?.wall ?? 0,
            voters: raft.membership.voters)
    }

    /// The wall time at which this leader is known to have led with all that was committed: what came later another one may have.
    private var confirmedWall: UInt64? {
        guard let at = raft?.confirmedAt(now: clock.now) else { return nil }
        let age = UInt64(max((clock.now - at).nanoseconds, 0)) / 1_000_000
        return clock.wall.milliseconds - min(age, clock.wall.milliseconds)
    }

    mutating func noteForeign(_ group: UInt64, from node: NodeID) {
        statistics.foreignMessages &+= 1
        guard !foreignTold.contains(group) else { return }
        if foreignTold.count >= Self.foreignMax { foreignTold.removeFirst() }
        foreignTold.append(group)
        out.append(.event(.foreignGroup(group, from: node)))
    }

    mutating func onView(_ view: [StrictPeer]) {
        if let own = view.first(where: { $0.id == id }) { ownName = own.name }
        peers = view.filter { $0.id != id && $0.id != .unknown }
        peers.sort { $0.id < $1.id }
    }

    func peer(_ id: NodeID) -> StrictPeer? {
        var low = 0
        var high = peers.count
        while low < high {
            let middle = (low + high) / 2
            if peers[middle].id < id { low = middle + 1 } else { high = middle }
        }
        return low < peers.count && peers[low].id == id ? peers[low] : nil
    }

    // MARK: Status

    /// It runs Raft, as a voter or a learner.
    var isMember: Bool { raft?.membership.contains(id) == true }

    /// For people: who leads. A member knows by Raft. Others know by marks, and those get no younger when the leader has lost its
    /// majority: it may still be asked, but is not said to lead.
    var shownLeader: NodeID? {
        if let raft, raft.membership.contains(id) { return raft.leader }
        guard let leader = leaderToAsk, heard != nil, clock.now - heardAt < patienceWithLeader else { return nil }
        // Once lost, it takes news: a leader that was dead and is back has lost its office.
        if let lost = leaderLostAt, heardAt <= lost { return nil }
        return leader
    }

    /// Shorter when too few voters are reached: that alone may be this node's own network, and so may silence.
    private var patienceWithLeader: Interval {
        let voters = knownVoters
        let isQuorum = voters.count { $0 == id || peer($0)?.isAlive == true } >= voters.count / 2 + 1
        return isQuorum ? leaderPatience : leaderPatience / 3
    }

    /// When a node that is no member takes its leader for lost.
    var leaderDeadline: Instant? { leaderTold == nil || isMember ? nil : heardAt + patienceWithLeader }

    /// Called at each input: on nodes that are no members what Raft tells the others.
    mutating func noteLeader() {
        guard !isMember, let heard else {
            leaderTold = nil
            return
        }
        if let leader = shownLeader {
            let news = (id: leader, term: heard.term)
            // A hint may be ahead of the mark, whose term then is the former leader's.
            guard leader == heard.leader, leaderTold.map({ $0 != news }) ?? true else { return }
            leaderTold = news
            leaderLostAt = nil
            out.append(.event(.leaderHeard(leader, heard.term)))
        } else if let told = leaderTold {
            leaderTold = nil
            leaderLostAt = clock.now
            let isReached = peer(told.id)?.isAlive == true
            out.append(.event(.leaderSilent(told.id, for: clock.now - heardAt, isReached: isReached)))
        }
    }

    /// As far as this node knows.
    package var knownVoters: [NodeID] {
        if let raft, !raft.membership.voters.isEmpty { return raft.membership.voters }
        let known = heard?.voters ?? founding.founded?.voters ?? []
        return isRemoved ? known.filter { $0 != id } : known
    }

    var reachableVoters: [NodeID] {
        var reachable = knownVoters.filter { $0 == id || peer($0)?.isAlive == true }
        if let raft, raft.isLeader {
            // A leader knows better: it is answered.
            let timeout = configuration.raft.electionTimeout
            let silent = raft.followers(at: clock.now).filter { $0.silentFor >= timeout }.map(\.id)
            reachable.removeAll(where: silent.contains)
        } else if let since = leaderlessSince {
            // It stands for election again and again, and whoever hears it answers: before membership is sure of a death.
            let patience = configuration.raft.electionTimeout * 3
            reachable.removeAll { $0 != id && clock.now - max(heardFrom[$0] ?? since, since) >= patience }
        }
        return reachable
    }

    /// Called at each input.
    mutating func noteLeaderless() {
        guard let raft, raft.leader == nil, raft.membership.isVoter(id) else {
            leaderlessSince = nil
            return
        }
        guard leaderlessSince == nil else { return }
        leaderlessSince = clock.now
        heardFrom = heardFrom.filter { raft.membership.contains($0.key) }
    }

    var missingVoters: [StrictMissing] {
        let reachable = reachableVoters
        return knownVoters.filter { !reachable.contains($0) }.map(missing)
    }

    func missing(_ id: NodeID) -> StrictMissing { StrictMissing(id: id, name: peer(id)?.name ?? id.short) }

    package var status: StrictStatus {
        var status = StrictStatus()
        status.group = group ?? heard?.group
        status.leader = shownLeader
        status.isRemoved = isRemoved
        if !isMember, heard != nil { status.leaderSilentFor = clock.now - heardAt }
        status.term = heard?.term ?? 0
        status.voters = knownVoters
        status.reachable = reachableVoters
        if status.group == nil { status.missing = missingFounders }
        status.keys = machine.keyCount
        status.leases = machine.leaseCount
        status.locks = machine.lockCount
        status.sessions = machine.sessionCount
        status.applied = machine.appliedIndex
        guard let raft else { return status }
        if raft.membership.contains(id) { status.role = raft.role }
        status.term = max(raft.term, status.term)
        status.commit = raft.commitIndex
        status.last = raft.lastPosition.index
        status.learners = raft.membership.learners
        status.isRefetching = raft.isRefetching
        status.elections = raft.statistics.elections
        status.followers = raft.followers(at: clock.now).map { follower in
            var isInstalling = false
            if case .snapshot = follower.state { isInstalling = true }
            return StrictFollower(
                id: follower.id, match: follower.match, silentFor: follower.silentFor, isInstalling: isInstalling)
        }
        return status
    }
}
