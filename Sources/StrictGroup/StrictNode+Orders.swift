// SPDX-License-Identifier: Apache-2.0
// Owns operators' orders: members, leadership, and going on without a majority.

import ClusterTypes
import RaftCore
import StrictCore

/// An order that a leader took and that is not done.
struct PendingOrder: Sendable {
    enum Step: Sendable {
        /// Not possible yet: an earlier one is not committed.
        case waiting(StrictOrder)
        case proposed(LogPosition)
        case transferring(to: NodeID)
    }

    var step: Step
    var origin: Origin
    var until: Instant

    var isTransfer: Bool { if case .transferring = step { true } else { false } }
}

extension StrictNode {
    static let orderPatience = Interval.seconds(10)
    /// A learner is not promoted beyond this many voters.
    static let votersMax = 9

    /// A leader's.
    mutating func take(_ order: StrictOrder, for origin: Origin) {
        switch order {
        case .add(let node):
            guard mayBeAdded(node) else { return reply(origin, .failed(.notEligible)) }
            change(.addLearner(node), order, origin)
        case .remove(let node): change(.remove(node), order, origin)
        case .transfer(let target): transfer(to: target, origin)
        case .recover: reply(origin, .failed(.cannotRecover("ask the node that is to go on, itself")))
        }
    }

    /// Whoever says by its tag that it may vote. Those of whom Raft knows get its answer.
    private func mayBeAdded(_ node: NodeID) -> Bool {
        if let membership = raft?.membership, membership.contains(node) || membership.retired.contains(node) {
            return true
        }
        return peer(node)?.isEligible == true
    }

    private mutating func change(_ change: RaftMembership.Change, _ order: StrictOrder, _ origin: Origin) {
        let until = clock.now + Self.orderPatience
        do throws(RaftFailure) {
            guard let position = try raft?.propose(change, now: clock.now) else { return lose(origin) }
            orders.append(PendingOrder(step: .proposed(position), origin: origin, until: until))
        } catch {
            switch error {
            case .termNotEstablished, .changeInProgress:
                guard orders.count < Self.ordersMax else { return reply(origin, .failed(.tooManyCalls)) }
                orders.append(PendingOrder(step: .waiting(order), origin: origin, until: until))
            case .notLeader, .transferring: lose(origin)
            case .tooMuchUncommitted, .commandTooLarge, .learnerBehind, .wouldLoseQuorum, .alreadyMember, .notMember,
                .retiredID, .tooManyMembers, .lastVoter, .cannotLead, .tooManyReads, .outOfRange, .invalidState:
                reply(origin, .failed(.refused(error)))
            }
        }
    }

    private mutating func transfer(to target: NodeID?, _ origin: Origin) {
        guard let raft else { return lose(origin) }
        if target == id { return reply(origin, .done(status)) }
        guard let target = target ?? bestFollower(raft) else { return reply(origin, .failed(.refused(.cannotLead))) }
        let timeout = configuration.raft.electionTimeout
        if let follower = raft.followers(at: clock.now).first(where: { $0.id == target }),
            follower.silentFor >= timeout,
            raft.membership.isVoter(target)
        {
            // Nobody waits for what it says when it wakes.
            return reply(origin, .failed(.transferFailed(to: missing(target))))
        }
        do throws(RaftFailure) {
            try self.raft?.transferLeadership(to: target, now: clock.now)
            let until = clock.now + timeout * 3
            orders.append(PendingOrder(step: .transferring(to: target), origin: origin, until: until))
        } catch {
            reply(origin, .failed(.refused(error)))
        }
    }

    /// The voter that is furthest and was heard of of late.
    private func bestFollower(_ raft: Raft) -> NodeID? {
        var best: FollowerStatus?
        for follower in raft.followers(at: clock.now) where raft.membership.isVoter(follower.id) && follower.isCounted {
            guard follower.silentFor < configuration.raft.electionTimeout else { continue }
            if best.map({ follower.match > $0.match }) ?? true { best = follower }
        }
        return best?.id
    }

    mutating func handLeadAway() {
        guard let raft, raft.isLeader, let best = bestFollower(raft) else { return }
        // Without a better one it stays: its log is as good as the others'.
        try? self.raft?.transferLeadership(to: best, now: clock.now)
    }

    /// Those that waited for an earlier one, and those whose time is over.
    mutating func retryOrders() {
        guard !orders.isEmpty else { return }
        if let over = orders.firstIndex(where: { $0.until <= clock.now }) {
            let order = orders.remove(at: over)
            if case .transferring(let target) = order.step, ledTerm != nil {
                reply(order.origin, .failed(.transferFailed(to: missing(target))))
            } else {
                lose(order.origin)
            }
        }
        guard ledTerm != nil, let raft,
            !orders.contains(where: { if case .proposed = $0.step { true } else { false } }),
            let place = orders.firstIndex(where: { if case .waiting = $0.step { true } else { false } }),
            case .waiting(let order) = orders[place].step, raft.term(at: raft.commitIndex) == raft.term
        else { return }
        let pending = orders.remove(at: place)
        take(order, for: pending.origin)
    }

    mutating func settleOrders(_ entry: LogEntry) {
        while let place = orders.firstIndex(where: {
            if case .proposed(let position) = $0.step { position.index <= entry.index } else { false }
        }) {
            let order = orders.remove(at: place)
            if case .proposed(let position) = order.step, position == entry.position {
                reply(order.origin, .done(status))
            } else {
                lose(order.origin)
            }
        }
    }

    mutating func settleTransfers() {
        guard let leader = raft?.leader, leader != id else { return }
        while let place = orders.firstIndex(where: \.isTransfer) {
            let order = orders.remove(at: place)
            if case .transferring(to: leader) = order.step {
                reply(order.origin, .done(status))
            } else {
                lose(order.origin)
            }
        }
    }

    /// Learners are on their way to a vote. Raft refuses those that are behind; they are tried again.
    mutating func promoteLearner() {
        guard let raft, raft.membership.voters.count < Self.votersMax else { return }
        for learner in raft.membership.learners {
            do throws(RaftFailure) {
                guard try self.raft?.propose(.promote(learner), now: clock.now) != nil else { return }
                return
            } catch {
                continue
            }
        }
    }

    // MARK: Recovery

    /// The majority is lost for good. This node's whole log, committed or not, becomes that of a group of its own: it gets
    /// another id, so that nobody of the old one is heard any more, and one more entry, by which this node is the only
    /// voter and the others' ids are retired. It is what a leader would have written, in a term of its own; the node then
    /// elects itself as any single voter does. A crash in between leaves the new id over the old membership: no leader, and
    /// the order is given again.
    mutating func recover() -> StrictReply {
        guard let raft, let group, recovering == nil, loading == nil else {
            return .failed(.cannotRecover("this node holds nothing of the group"))
        }
        guard raft.membership.isVoter(id) else { return .failed(.cannotRecover("this node is no voter")) }
        if let leader = raft.leader {
            let name = leader == id ? "this node" : peer(leader)?.name ?? leader.short
            return .failed(.cannotRecover("\(name) leads"))
        }
        let others = raft.membership.voters.filter { $0 != id }
        let gone = (others + raft.membership.learners).sorted()
        let retired = (raft.membership.retired + gone).suffix(RaftBounds.retiredMax)
        let membership = RaftMembership(voters: [id], retired: Array(retired))
        let last = raft.lastPosition
        guard raft.term < RaftBounds.numberMax, last.index < RaftBounds.numberMax - 1 else {
            return .failed(.cannotRecover("the log is at its end"))
        }
        let base = raft.latestSnapshot
        var entries: [LogEntry] = []
        for index in base.position.index..<last.index {
            guard let entry = raft.entry(at: index + 1) else {
                return .failed(.cannotRecover("the log has a gap at \(index + 1)"))
            }
            entries.append(entry)
        }
        let term = raft.term + 1
        // What the others gave to entries that are lost is not given again. First: were the write torn, nobody could lead without.
        let raise = StrictCommand(time: machine.logTime, .raiseVersions(above: 0, by: Self.versionStep))
        let own = [
            LogEntry(term: term, index: last.index + 1, payload: .command(raise.encoded)),
            LogEntry(term: term, index: last.index + 2, payload: .membership(membership)),
        ]
        // What is committed is said of what is durable before this write.
        let hard = HardState(term: term, commit: min(raft.commitIndex, raft.persistedIndex))
        var batch = Persistence(number: 1)
        batch.hardState = hard
        batch.entries = own
        batch.needsSync = true
        var next = rng.next()
        while next == group || next == 0 { next = rng.next() }
        founding = FoundingState(founded: StrictFounding(group: next, voters: [id]))
        recovering = RestoredState(
            hardState: hard, snapshot: base, entries: entries + own, applied: machine.appliedIndex)
        raftEpoch += 1
        writesFounding += 1
        persist(PendingWrite(number: 0, isFounding: true), founding: founding, raft: batch, needsSync: true)
        self.raft = nil
        heard = nil
        hint = nil
        loseReads()
        out.append(.event(.recovered(from: others)))
        return .done(status)
    }
}
