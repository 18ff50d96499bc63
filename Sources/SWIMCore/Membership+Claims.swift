// SPDX-License-Identifier: Apache-2.0
// Owns what a claim about a member does to the table. Claims form a lattice: the higher (incarnation, rank) wins.

import ClusterTypes

extension Membership {
    /// Applies a claim that gossip brought. Claims older than what is known change nothing.
    mutating func onUpdate(
        _ update: MemberUpdate, clock: Clock, using rng: inout SeededGenerator, into actions: inout [SWIMAction]
    ) {
        guard isWithinBounds(update) else {
            statistics.claimsRefused += 1
            return
        }
        if update.subject == selfID {
            onClaimAboutSelf(update, clock: clock, into: &actions)
            return
        }
        switch update.claim {
        case .alive(let info):
            onAlive(update, info: info, clock: clock, using: &rng, into: &actions)
        case .suspect(let accuser):
            guard table[update.subject] != nil else { return }
            let evidence = Evidence(accuser: accuser, isLocal: false, since: clock)
            suspect(
                update.subject, incarnation: update.incarnation, evidence: evidence, clock: clock, into: &actions)
        case .failed(let accuser):
            guard supersedes(update, rank: .failed) else { return }
            if table[update.subject]?.state.isActive == true {
                hearVerdict(update, of: accuser, clock: clock, into: &actions)
            } else {
                fail(update.subject, incarnation: update.incarnation, by: accuser, clock: clock, into: &actions)
            }
        case .left(let proof):
            guard supersedes(update, rank: .left),
                isGenuine(
                    SelfStatement(subject: update.subject, incarnation: update.incarnation, word: .left), proof,
                    clock: clock, into: &actions)
            else { return }
            if let proof { table.change(update.subject) { $0.info = $0.info.proven(by: proof) } }
            depart(update, state: .left, kind: .left, clock: clock, into: &actions)
        case .forgotten(let operatorNode):
            guard supersedes(update, rank: .forgotten) else { return }
            depart(update, state: .forgotten, kind: .forgotten(by: operatorNode), clock: clock, into: &actions)
        case .evicted(let operatorNode):
            guard supersedes(update, rank: .forgotten) else { return }
            depart(
                update, state: .forgotten, kind: .forgotten(by: operatorNode), isEvicted: true, clock: clock,
                into: &actions)
        }
    }

    private func isWithinBounds(_ update: MemberUpdate) -> Bool {
        guard update.subject != .unknown else { return false }
        switch update.claim {
        case .alive(let info): return update.incarnation <= Bounds.incarnationMax && info.isWithinBounds
        // The subject must be able to answer with a higher incarnation that is still within bounds.
        case .suspect, .failed, .left, .forgotten, .evicted: return update.incarnation < Bounds.incarnationMax
        }
    }

    /// Whether a claim of `rank` is news about a member that is known.
    private func supersedes(_ update: MemberUpdate, rank: MemberState) -> Bool {
        guard let member = table[update.subject] else { return false }
        return update.incarnation != member.incarnation
            ? update.incarnation > member.incarnation : rank > member.state
    }

    private mutating func onAlive(
        _ update: MemberUpdate, info: MemberInfo, clock: Clock, using rng: inout SeededGenerator,
        into actions: inout [SWIMAction]
    ) {
        let id = update.subject
        guard let member = table[id] else {
            admit(update, info: info, clock: clock, using: &rng, into: &actions)
            return
        }
        guard update.incarnation > member.incarnation else {
            if update.incarnation == member.incarnation {
                onContradiction(update, info: info, clock: clock, into: &actions)
            }
            return
        }
        let statement = SelfStatement(subject: id, incarnation: update.incarnation, word: .present(info))
        guard isGenuine(statement, info.proof, clock: clock, into: &actions) else { return }
        suspicions[id] = nil
        table.change(id) {
            $0.incarnation = update.incarnation
            $0.info = info
            $0.state = .alive
            $0.isEvicted = false
            if member.state != .alive { $0.since = clock }
        }
        disseminate(update)
        if member.state != .alive {
            if !member.state.isActive {
                order.reinsert(id, in: table, using: &rng)
                gossipOrder.reinsert(id, in: table, using: &rng)
            }
            emit(.alive(previously: member.state, after: clock.now - member.since.now), of: id, into: &actions)
        }
        if member.info != info {
            emit(.updated(from: member.info), of: id, into: &actions)
        }
        if member.info.name != info.name || !member.state.isActive { reportNameConflict(of: id, into: &actions) }
    }

    /// Takes in a member never heard of, or long dropped.
    private mutating func admit(
        _ update: MemberUpdate, info: MemberInfo, clock: Clock, using rng: inout SeededGenerator,
        into actions: inout [SWIMAction]
    ) {
        let id = update.subject
        if let incarnation = reaped[id], update.incarnation <= incarnation { return }
        guard table.count < Bounds.membersMax else {
            statistics.claimsRefused += 1
            return
        }
        let statement = SelfStatement(subject: id, incarnation: update.incarnation, word: .present(info))
        guard isGenuine(statement, info.proof, clock: clock, into: &actions) else { return }
        reaped[id] = nil
        authors.pins[id] = nil
        table.insert(Member(id: id, info: info, incarnation: update.incarnation, state: .alive, since: clock))
        order.insert(id, in: table, using: &rng)
        gossipOrder.insert(id, in: table, using: &rng)
        disseminate(update)
        emit(.joined, of: id, into: &actions)
        reportNameConflict(of: id, into: &actions)
    }

    /// Two live nodes with one name both stay (DESIGN.md section 3); everybody says so.
    mutating func reportNameConflict(of id: NodeID, into actions: inout [SWIMAction]) {
        guard let name = table[id]?.info.name,
            let other = table.active(named: name).first(where: { $0 != id })
        else { return }
        emit(.nameConflict(with: other), of: id, into: &actions)
    }

    private mutating func depart(
        _ update: MemberUpdate, state: MemberState, kind: MemberEventKind, isEvicted: Bool = false, clock: Clock,
        into actions: inout [SWIMAction]
    ) {
        let id = update.subject
        suspicions[id] = nil
        probes.removeAll { $0.target == id }
        table.change(id) {
            $0.state = state
            $0.isEvicted = isEvicted
            $0.incarnation = update.incarnation
            $0.since = clock
        }
        disseminate(update)
        emit(kind, of: id, into: &actions)
    }

    private mutating func onClaimAboutSelf(
        _ update: MemberUpdate, clock: Clock, into actions: inout [SWIMAction]
    ) {
        if case .alive(let info) = update.claim {
            onOwnWords(update, info: info, clock: clock, into: &actions)
            return
        }
        // While a higher incarnation waits for its fence, what it will answer is answered already: an accusation that
        // many peers repeat costs health once.
        guard update.incarnation >= wantedIncarnation else { return }
        switch update.claim {
        case .alive: break
        case .suspect(let accuser), .failed(let accuser), .forgotten(let accuser):
            refute(update.incarnation, accuser: accuser, clock: clock, into: &actions)
        case .evicted(let operatorNode):
            if !isLeaving { actions.append(.evicted(by: operatorNode)) }
        case .left(let proof):
            guard
                isGenuine(
                    SelfStatement(subject: selfID, incarnation: update.incarnation, word: .left), proof, clock: clock,
                    into: &actions)
            else { return }
            refute(update.incarnation, accuser: selfID, clock: clock, into: &actions)
        }
    }

    /// Our own words from elsewhere: old ones, those of an earlier process that outran our durable fence, or those of a
    /// process beside us.
    private mutating func onOwnWords(
        _ update: MemberUpdate, info: MemberInfo, clock: Clock, into actions: inout [SWIMAction]
    ) {
        let isAhead =
            update.incarnation >= wantedIncarnation && (update.incarnation > me.incarnation || info != me.info)
        let isElsewhere = info.address != me.info.address
        let statement = SelfStatement(subject: selfID, incarnation: update.incarnation, word: .present(info))
        guard !isLeaving, isAhead || isElsewhere,
            isGenuine(statement, info.proof, clock: clock, into: &actions)
        else { return }
        if isElsewhere { actions.append(.otherSelf(at: info.address)) }
        guard isAhead else { return }
        if isElsewhere { actions.append(.identityInUse(at: info.address)) }
        // Stay ahead of it.
        wantedIncarnation = max(wantedIncarnation, min(update.incarnation + 1, Bounds.incarnationMax))
        claimOwnIncarnation(clock: clock, into: &actions)
    }

    /// An operator removes a member for good; the tombstone outlives synchronisation. A member that is active is told to
    /// stop, now and whenever it speaks to somebody who knows.
    ///
    /// - Parameter isForced: An active member, too.
    /// - Returns: false when the member is unknown or, unless forced, active; nothing changed then.
    package mutating func forget(
        _ id: NodeID, isForced: Bool = false, clock: Clock, into actions: inout [SWIMAction]
    ) -> Bool {
        guard let member = table[id], id != selfID, member.state != .forgotten, isForced || !member.state.isActive
        else { return false }
        let claim: MemberClaim = member.state.isActive ? .evicted(by: selfID) : .forgotten(by: selfID)
        let update = MemberUpdate(subject: id, incarnation: member.incarnation, claim: claim)
        depart(
            update, state: .forgotten, kind: .forgotten(by: selfID), isEvicted: member.state.isActive, clock: clock,
            into: &actions)
        if member.state.isActive { actions.append(.send([.update(update)], to: member.info.address)) }
        return true
    }

    /// Changes this node's tags and tells everybody under a new incarnation.
    package mutating func replaceTags(_ tags: [Tag], clock: Clock, into actions: inout [SWIMAction]) {
        let former = ownInfo
        let info = MemberInfo(
            name: former.name, address: former.address, tags: tags, protocolVersion: former.protocolVersion)
        precondition(info.isWithinBounds, "tags out of bounds: the caller checks them")
        guard info != former else { return }
        wantedInfo = info
        wantedIncarnation = max(wantedIncarnation, min(me.incarnation + 1, Bounds.incarnationMax))
        claimOwnIncarnation(clock: clock, into: &actions)
    }
}
