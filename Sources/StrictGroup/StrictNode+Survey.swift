// SPDX-License-Identifier: Apache-2.0
// Owns what is looked at before a node goes on without the majority: whether the others say that nothing is lost.

import ClusterTypes
import RaftCore
import StrictCore

/// A recovery that an operator has ordered and that waits for what the others say.
struct RecoverySurvey: Sendable {
    /// The operator's call.
    var call: UInt64
    var evenIfBehind: Bool
    /// Names the questions.
    var id: UInt64
    var asked: [NodeID]
    var answers: [(from: NodeID, survey: StrictSurvey)] = []
    var until: Instant
    var askAgainAt: Instant
    /// The call ends before everybody has had the time to answer.
    var isHasty: Bool

    var nextDeadline: Instant { min(until, askAgainAt) }
    var isAnswered: Bool { answers.count == asked.count }

    func isSilent(_ node: NodeID) -> Bool { !answers.contains { $0.from == node } }
}

extension StrictNode {
    /// So long the others have for their answers, and so often they are asked.
    static let surveyPatience = Interval.seconds(2)
    static let surveyInterval = Interval.milliseconds(400)
    /// Besides the voters and learners that this node knows, others that are alive.
    static let surveyedOthersMax = 64

    // MARK: Answering

    mutating func onSurvey(_ survey: UInt64, group: UInt64, from: NodeID) {
        let own = knownGroup
        if group == own { tellIfRemoved(from) }
        out.append(.send(.surveyed(id: survey, ownSurvey(group: own)), to: from))
    }

    private func ownSurvey(group: UInt64?) -> StrictSurvey {
        StrictSurvey(
            group: group, term: raft?.term ?? heard?.term ?? 0, last: raft?.lastPosition ?? .zero,
            leader: shownLeader, canVote: canVote, isRecovering: survey != nil || recovering != nil)
    }

    private var canVote: Bool {
        guard let raft, !isRemoved, stoppedBy == nil else { return false }
        return raft.membership.isVoter(id) && !raft.isRefetching
    }

    // MARK: Asking

    mutating func prepareRecovery(_ call: UInt64, evenIfBehind: Bool, deadline: Instant) {
        if let obstacle = obstacleToRecovery(evenIfBehind: evenIfBehind) { return refuseRecovery(call, obstacle) }
        guard survey == nil else { return refuseRecovery(call, "it is being prepared already") }
        let until = min(clock.now + Self.surveyPatience, deadline)
        survey = RecoverySurvey(
            call: call, evenIfBehind: evenIfBehind, id: max(rng.next() >> 1, 1), asked: surveyed, until: until,
            askAgainAt: clock.now, isHasty: deadline < clock.now + Self.surveyPatience)
        considerRecovery()
    }

    private mutating func refuseRecovery(_ call: UInt64, _ reason: String) {
        out.append(.reply(id: call, .failed(.cannotRecover(reason))))
    }

    /// Who might know better: members as the log and as marks say, and others that may have become members meanwhile.
    private var surveyed: [NodeID] {
        guard let raft else { return [] }
        let known = Set(raft.membership.voters + raft.membership.learners + (heard?.voters ?? []))
        let others = peers.filter { $0.isAlive && !known.contains($0.id) }.prefix(Self.surveyedOthersMax)
        return (known.filter { $0 != id } + others.map(\.id)).sorted()
    }

    mutating func onSurveyed(_ survey: UInt64, _ answer: StrictSurvey, from: NodeID) {
        guard let running = self.survey, running.id == survey, running.asked.contains(from), running.isSilent(from)
        else { return }
        self.survey?.answers.append((from, answer))
    }

    /// Called at each input.
    mutating func considerRecovery() {
        guard var running = survey else { return }
        if clock.now < running.until, !running.isAnswered {
            guard clock.now >= running.askAgainAt, let group else { return }
            for node in running.asked where running.isSilent(node) {
                out.append(.send(.survey(id: running.id, group: group), to: node))
            }
            running.askAgainAt = clock.now + Self.surveyInterval
            survey = running
            return
        }
        survey = nil
        if let obstacle = obstacleToRecovery(evenIfBehind: running.evenIfBehind) ?? obstacle(of: running) {
            refuseRecovery(running.call, obstacle)
        } else {
            out.append(.reply(id: running.call, recover()))
        }
    }

    // MARK: Judging

    /// What this node itself knows; nil: nothing speaks against it.
    private func obstacleToRecovery(evenIfBehind: Bool) -> String? {
        if isRemoved {
            return
                "it was removed from the group; to vote again it comes back with an empty data directory, and is added"
        }
        guard let raft, let group, recovering == nil, loading == nil else { return "it holds nothing of the group" }
        guard raft.membership.isVoter(id) else { return "it is no voter" }
        if let leader = raft.leader { return "\(leader == id ? "it" : name(of: leader)) leads: nothing is lost" }
        // Marks get younger only while the leader hears of a majority.
        let age = clock.now - heardAt
        if let heard, heard.group == group, heard.leader != id, age < Self.groupPatience,
            peer(heard.leader)?.isAlive == true
        {
            return
                "\(name(of: heard.leader)) was heard to lead \(age.nanoseconds / 1_000_000_000) s ago: if it does not any "
                + "more, try again in 10 s"
        }
        if raft.isRefetching, !evenIfBehind {
            return
                "its own log is damaged and lacks entries that it acknowledged: recover another voter, or, if this one is "
                + "all that is left, say --even-if-behind"
        }
        return nil
    }

    /// What the others said.
    private func obstacle(of survey: RecoverySurvey) -> String? {
        guard let raft else { return "it holds nothing of the group" }
        for (from, answer) in survey.answers {
            if let leader = answer.leader, leader != id {
                let known = leader == from ? "" : ", as \(name(of: from)) says"
                return answer.group == group
                    ? "\(name(of: leader)) leads\(known): nothing is lost"
                    : "\(name(of: leader)) leads another group that was founded or recovered here\(known): this node comes "
                        + "back with an empty data directory, and is added"
            }
            if answer.isRecovering { return "\(name(of: from)) is about to go on alone: see what becomes of it" }
        }
        let voters = survey.answers.filter { $0.survey.group == group && raft.membership.isVoter($0.from) }
        let fit = voters.filter(\.survey.canVote).map(\.from)
        if fit.count + (raft.isRefetching ? 0 : 1) >= raft.membership.quorum {
            let names = (fit.map { name(of: $0) } + (raft.isRefetching ? [] : ["this node"])).joined(separator: ", ")
            return "\(names) can vote, which is a majority, so nothing is lost: an election takes about a second"
        }
        let own = raft.lastPosition
        if !survey.evenIfBehind,
            let ahead = voters.filter({ own.isBehind($0.survey.last) }).max(by: {
                $0.survey.last.isBehind($1.survey.last)
            })
        {
            let theirs = ahead.survey.last
            return
                "\(name(of: ahead.from)) has the log up to entry \(theirs.index) of term \(theirs.term), this node up to "
                + "entry \(own.index) of term \(own.term): recover \(name(of: ahead.from)), or say --even-if-behind to give "
                + "up the difference"
        }
        if survey.isHasty, !survey.isAnswered {
            return "the others need up to 2 s to say how they stand: give it a longer --timeout"
        }
        return nil
    }

    private func name(of node: NodeID) -> String { missing(node).name }
}

extension LogPosition {
    /// The other log holds more (thesis 3.6.1).
    fileprivate func isBehind(_ other: LogPosition) -> Bool { (term, index) < (other.term, other.index) }
}
