// SPDX-License-Identifier: Apache-2.0
// Owns how the group is founded: the one decree of Paxos, from both of its sides.

import ClusterTypes
import RaftCore

/// A proposer's attempt (Lamport, "Paxos Made Simple", 2001).
struct FoundingAttempt: Sendable {
    var ballot: FoundingBallot
    /// What is proposed unless somebody accepted something before.
    var proposal: StrictFounding
    /// All that were known to be eligible when it began, this node included: a majority of them must agree.
    var electorate: [NodeID]
    var promises: [(from: NodeID, accepted: AcceptedFounding?)] = []
    /// Being accepted.
    var value: StrictFounding?
    var acceptances: [NodeID] = []
    var until: Instant

    /// Two attempts of nodes that know the same members have an acceptor in common, so both found the same. Besides all
    /// voters take part: who is a voter knows it.
    func suffices(_ nodes: [NodeID], for value: StrictFounding) -> Bool {
        let counted = nodes.count { electorate.contains($0) }
        return counted >= electorate.count / 2 + 1 && value.voters.allSatisfy(nodes.contains)
    }

    /// What was accepted under the highest ballot, if anything was.
    var boundValue: StrictFounding {
        var highest: AcceptedFounding?
        for case let accepted? in promises.map(\.accepted) where highest.map({ $0.ballot < accepted.ballot }) ?? true {
            highest = accepted
        }
        return highest?.founding ?? proposal
    }
}

extension StrictNode {
    /// The eligible node of lowest id waits so long for the view to settle, the others several times that.
    static let foundingPatience = Interval.milliseconds(300)
    static let attemptPatience = Interval.seconds(2)
    static let foundersMax = 9

    // MARK: Who founds

    /// Ascending; this node included if it may.
    private var eligible: [NodeID] {
        let others = peers.filter(\.isEligible).map(\.id)
        return configuration.isEligible ? (others + [id]).sorted() : others
    }

    private var eligibleAlive: [NodeID] {
        let others = peers.filter { $0.isEligible && $0.isAlive }.map(\.id)
        return configuration.isEligible ? (others + [id]).sorted() : others
    }

    private func founders(named name: String) -> [NodeID] {
        var found = peers.filter { $0.name == name && $0.isEligible && $0.isAlive }.map(\.id)
        if ownName == name, configuration.isEligible { found.append(id) }
        return found
    }

    /// nil: not all of them are here.
    private var chosenVoters: [NodeID]? {
        switch configuration.voters {
        case .names(let names):
            var chosen: Set<NodeID> = []
            for name in names {
                let found = founders(named: name)
                // Two of one name: one of them is about to be found dead.
                guard found.count == 1 else { return nil }
                chosen.formUnion(found)
            }
            return (1...Self.foundersMax).contains(chosen.count) ? chosen.sorted() : nil
        case .count(let count):
            let count = min(max(count, 1), Self.foundersMax)
            let alive = eligibleAlive
            return alive.count >= count ? Array(alive.prefix(count)) : nil
        }
    }

    /// Who is still to come before the group can form.
    var missingFounders: [StrictMissing] {
        switch configuration.voters {
        case .names(let names):
            return names.filter { founders(named: $0).count != 1 }.map { name in
                StrictMissing(id: peers.first { $0.name == name }?.id, name: name)
            }
        case .count(let count):
            let lacking = max(min(max(count, 1), Self.foundersMax) - eligibleAlive.count, 0)
            let absent = peers.filter { $0.isEligible && !$0.isAlive }.prefix(lacking)
            let known = absent.map { StrictMissing(id: $0.id, name: $0.name) }
            switch lacking - known.count {
            case ...0: return known
            case 1: return known + [StrictMissing(id: nil, name: "another eligible member")]
            case let more: return known + [StrictMissing(id: nil, name: "\(more) more eligible members")]
            }
        }
    }

    // MARK: The proposer

    var foundingDeadline: Instant? {
        guard founding.founded == nil else { return nil }
        return attempt?.until ?? foundingAt
    }

    mutating func considerFounding() {
        guard founding.founded == nil else { return }
        if let heard {
            // It exists.
            attempt = nil
            foundingAt = nil
            askFounding(heard.leader)
            return
        }
        guard configuration.isEligible, !isRemoved, let voters = chosenVoters else {
            attempt = nil
            foundingAt = nil
            return
        }
        if let attempt, clock.now < attempt.until { return }
        if attempt != nil {
            attempt = nil
            foundingAt = nil
        }
        guard let at = foundingAt else {
            let share = eligibleAlive.first == id ? 1 : 6
            foundingAt = clock.now + rng.jittered(Self.foundingPatience * share, spread: 0.5)
            return
        }
        if clock.now >= at { propose(voters) }
    }

    private mutating func propose(_ voters: [NodeID]) {
        roundSeen = max(roundSeen, founding.promised?.round ?? 0) &+ 1
        let ballot = FoundingBallot(round: roundSeen, proposer: id)
        var name = rng.next()
        while name == 0 { name = rng.next() }
        attempt = FoundingAttempt(
            ballot: ballot, proposal: StrictFounding(group: name, voters: voters), electorate: eligible,
            until: clock.now + rng.jittered(Self.attemptPatience, spread: 0.4))
        foundingAt = nil
        // Its own promise is durable before it can accept anything: no ballot is used twice.
        onFoundingMessage(.prepare(ballot), from: id)
        tellFounders(.prepare(ballot))
    }

    private mutating func tellFounders(_ message: FoundingMessage) {
        for peer in peers where peer.isAlive && (peer.isEligible || isAskedBy(message, peer.id)) {
            out.append(.send(.founding(message), to: peer.id))
        }
    }

    private func isAskedBy(_ message: FoundingMessage, _ peer: NodeID) -> Bool {
        if case .accept(_, let founding) = message { founding.voters.contains(peer) } else { false }
    }

    private mutating func onPromise(_ ballot: FoundingBallot, _ accepted: AcceptedFounding?, from: NodeID) {
        guard var attempt, attempt.ballot == ballot, attempt.value == nil,
            !attempt.promises.contains(where: { $0.from == from }), accepted.map({ $0.founding.isSound }) ?? true
        else { return }
        attempt.promises.append((from, accepted))
        let value = attempt.boundValue
        if attempt.suffices(attempt.promises.map(\.from), for: value) { attempt.value = value }
        self.attempt = attempt
        guard attempt.value != nil else { return }
        onFoundingMessage(.accept(ballot, value), from: id)
        tellFounders(.accept(ballot, value))
    }

    private mutating func onAccepted(_ ballot: FoundingBallot, from: NodeID) {
        guard var attempt, attempt.ballot == ballot, let value = attempt.value, !attempt.acceptances.contains(from)
        else { return }
        attempt.acceptances.append(from)
        self.attempt = attempt
        if attempt.suffices(attempt.acceptances, for: value) { learn(value) }
    }

    // MARK: The acceptor

    mutating func onFoundingMessage(_ message: FoundingMessage, from: NodeID) {
        switch message {
        case .prepare(let ballot), .accept(let ballot, _):
            guard ballot.round <= RaftBounds.numberMax else { return }
            roundSeen = max(roundSeen, ballot.round)
            if let founded = founding.founded {
                if isFoundingDurable { answer(.founded(founded), to: from) }
            } else if let promised = founding.promised, ballot < promised {
                answer(.refuse(ballot, promised: promised), to: from)
            } else if configuration.isEligible, !isRemoved, heard == nil, from == id || peer(from) != nil {
                // Two that do not know each other would count different majorities.
                promise(message, ballot, to: from)
            }
        case .promise(let ballot, let accepted): onPromise(ballot, accepted, from: from)
        case .accepted(let ballot): onAccepted(ballot, from: from)
        case .refuse(let ballot, let promised):
            guard attempt?.ballot == ballot, promised.round <= RaftBounds.numberMax else { return }
            roundSeen = max(roundSeen, promised.round)
            attempt = nil
            foundingAt = clock.now + rng.jittered(Self.foundingPatience * 3, spread: 0.8)
        case .founded(let founded): onFounded(founded, from: from)
        }
    }

    private mutating func promise(_ message: FoundingMessage, _ ballot: FoundingBallot, to: NodeID) {
        let before = founding
        founding.promised = ballot
        var reply = FoundingMessage.promise(ballot, accepted: founding.accepted)
        if case .accept(_, let value) = message {
            guard value.isSound else {
                founding = before
                return
            }
            founding.accepted = AcceptedFounding(ballot: ballot, founding: value)
            reply = .accepted(ballot)
        }
        // Somebody else is at it: leave it the time.
        if to != id { foundingAt = clock.now + rng.jittered(Self.attemptPatience, spread: 0.5) }
        let write = PendingWrite(number: 0, messages: [(.founding(reply), to)])
        persist(write, founding: founding == before ? nil : founding, needsSync: founding != before)
    }

    private mutating func answer(_ message: FoundingMessage, to: NodeID) {
        if to == id { onFoundingMessage(message, from: id) } else { out.append(.send(.founding(message), to: to)) }
    }

    /// A message to itself whose write is durable.
    mutating func takeOwn(_ message: StrictMessage) {
        if case .founding(let message) = message { onFoundingMessage(message, from: id) }
    }

    // MARK: The founded group

    /// The write of what was founded may be on its way: until then nothing follows from it.
    var isFoundingDurable: Bool { founding.founded != nil && writesFounding == 0 }

    private mutating func onFounded(_ founded: StrictFounding, from: NodeID) {
        guard founded.isSound else { return }
        if let own = founding.founded {
            if own.group != founded.group { noteForeign(founded.group, from: from) }
        } else {
            learn(founded)
        }
    }

    private mutating func learn(_ founded: StrictFounding) {
        let isOwn = attempt != nil
        attempt = nil
        foundingAt = nil
        founding.founded = founded
        tellsFounding = isOwn
        writesFounding += 1
        persist(PendingWrite(number: 0, isFounding: true), founding: founding, needsSync: true)
    }

    /// What was founded, or recovered, is durable, or was found on the disk.
    mutating func actOnFounding(isNews: Bool) {
        writesFounding = max(writesFounding - 1, 0)
        guard let founded = founding.founded else { return }
        if let state = recovering {
            recovering = nil
            startRaft(state)
        } else if raft == nil, !isRemoved {
            if let state = unstartedRaft {
                startRaft(state)
            } else if founded.voters.contains(id) {
                startRaft(RestoredState(founding: RaftMembership(voters: founded.voters)))
            }
        }
        if isNews { out.append(.event(.founded(founded))) }
        if tellsFounding {
            tellsFounding = false
            for peer in peers where peer.isAlive { out.append(.send(.founding(.founded(founded)), to: peer.id)) }
        }
    }

    /// The group exists, as somebody of it shows: any of its members answers with what was founded.
    mutating func askFounding(_ node: NodeID) {
        if let at = askedFoundingAt, clock.now - at < Self.foundingPatience { return }
        guard node != id else { return }
        askedFoundingAt = clock.now
        out.append(.send(.founding(.prepare(FoundingBallot(round: 0, proposer: id))), to: node))
    }
}

extension StrictFounding {
    /// Whether it is what an honest proposer may have said.
    package var isSound: Bool {
        (1...StrictNode.foundersMax).contains(voters.count) && group != 0 && !voters.contains(.unknown)
            && zip(voters, voters.dropFirst()).allSatisfy { $0 < $1 }
    }
}
