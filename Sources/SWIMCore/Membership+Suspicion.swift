// SPDX-License-Identifier: Apache-2.0
// Owns the way from the first accusation to failure, and this node's refutation of claims about itself.

import ClusterTypes

extension Membership {
    /// Suspects `id`, or adds to a running suspicion of it. `incarnation` is the accuser's view and at least ours.
    mutating func suspect(
        _ id: NodeID, incarnation: UInt64, evidence: Evidence, clock: Clock, into actions: inout [SWIMAction]
    ) {
        // Whoever is leaving will not be there for the verdict.
        guard !isLeaving, let member = table[id], incarnation >= member.incarnation else { return }
        if member.state == .suspect, incarnation == member.incarnation {
            addEvidence(evidence, to: id, clock: clock, into: &actions)
            return
        }
        // At one incarnation only a living member can become suspect; a higher incarnation is newer news of it.
        guard member.state == .alive || incarnation > member.incarnation else { return }
        let active = table.activeCount
        let timeoutMin = Suspicion.timeoutMin(configuration, members: active)
        // The member itself and this node cannot confirm.
        let expected = min(configuration.suspicionConfirmations, max(0, active - 2))
        var suspicion = Suspicion(
            evidence: evidence, startedAt: clock.now, generation: nextGeneration(), timeoutMin: timeoutMin,
            timeoutMax: timeoutMin * configuration.suspicionMaxMultiplier, expectedConfirmations: expected)
        shorten(&suspicion, by: evidence)
        suspicions[id] = suspicion
        dropStaleProof(of: id, at: incarnation)
        table.change(id) {
            $0.state = .suspect
            $0.incarnation = incarnation
            $0.since = clock
        }
        setSuspicionTimer(of: id, clock: clock, into: &actions)
        disseminate(MemberUpdate(subject: id, incarnation: incarnation, claim: .suspect(by: evidence.accuser)))
        emit(.suspected(evidence), of: id, into: &actions)
        if !evidence.isLocal { considerSecondLook(at: id, incarnation: incarnation, clock: clock, into: &actions) }
    }

    /// What a probe of our own found on the way to the member decides how long the suspicion takes.
    private func shorten(_ suspicion: inout Suspicion, by evidence: Evidence) {
        guard evidence.isLocal else { return }
        if evidence.streamRefused {
            suspicion.lower(to: configuration.refusedSuspicionMin)
        } else if evidence.isUnreachable {
            suspicion.hasten(to: Suspicion.unreachableMin(configuration, members: table.activeCount))
        } else if evidence.isMute {
            suspicion.restorePatience()
        }
    }

    /// Something answers there after all.
    mutating func restorePatience(with id: NodeID, clock: Clock, into actions: inout [SWIMAction]) {
        guard var suspicion = suspicions[id] else { return }
        let former = suspicion.deadline
        suspicion.restorePatience()
        guard suspicion.deadline != former else { return }
        suspicions[id] = suspicion
        setSuspicionTimer(of: id, clock: clock, into: &actions)
    }

    private mutating func addEvidence(
        _ evidence: Evidence, to id: NodeID, clock: Clock, into actions: inout [SWIMAction]
    ) {
        guard var suspicion = suspicions[id], let member = table[id] else { return }
        let isNews = suspicion.confirm(by: evidence.accuser)
        if evidence.isLocal {
            suspicion.addProbe(at: clock.now)
            suspicion.evidence.isLocal = true
            suspicion.evidence.probes += evidence.probes
            for path in evidence.pathsFailed where !suspicion.evidence.pathsFailed.contains(path) {
                suspicion.evidence.pathsFailed.append(path)
            }
            suspicion.evidence.pathsFailed.sort()
            suspicion.evidence.streamRefused = suspicion.evidence.streamRefused || evidence.streamRefused
            suspicion.evidence.isUnreachable = evidence.isUnreachable
            suspicion.evidence.hint = suspicion.evidence.hint ?? evidence.hint
            suspicion.evidence.isMute = suspicion.evidence.isMute || evidence.isMute
            shorten(&suspicion, by: evidence)
        }
        suspicions[id] = suspicion
        if isNews {
            if !evidence.isLocal { note(.accused(by: evidence.accuser), of: id, into: &actions) }
            // Each independent confirmation travels on: it shortens everybody's wait (Lifeguard section IV-B).
            disseminate(
                MemberUpdate(
                    subject: id, incarnation: member.incarnation, claim: .suspect(by: evidence.accuser)))
        }
        if isNews || evidence.isLocal { setSuspicionTimer(of: id, clock: clock, into: &actions) }
    }

    /// A deadline that new evidence has moved into the past is due now: it is not late, this process was not stalled.
    private mutating func setSuspicionTimer(of id: NodeID, clock: Clock, into actions: inout [SWIMAction]) {
        guard var suspicion = suspicions[id] else { return }
        if suspicion.deadline < clock.now {
            suspicion = suspicion.postponed(to: clock.now)
            suspicions[id] = suspicion
        }
        actions.append(.setTimer(.suspicion(id, generation: suspicion.generation), at: suspicion.deadline))
    }

    /// A suspicion's timer: an earlier confirmation may have set a second one, and only the right moment counts.
    mutating func onSuspicionTimer(
        _ id: NodeID, generation: UInt64, clock: Clock, into actions: inout [SWIMAction]
    ) {
        guard !isLeaving, let suspicion = suspicions[id], suspicion.generation == generation, let member = table[id],
            clock.now >= suspicion.deadline
        else { return }
        if wasStalled(due: suspicion.deadline, clock: clock, into: &actions) {
            // The refutation may wait unread in the socket: look again after one probe's time.
            actions.append(
                .setTimer(.suspicion(id, generation: generation), at: clock.now + configuration.probeTimeout))
            suspicions[id] = suspicion.postponed(to: clock.now + configuration.probeTimeout)
            return
        }
        guard suspicion.isConclusive(at: clock.now) else {
            probeBeforeVerdict(on: id, clock: clock, into: &actions)
            return
        }
        fail(id, incarnation: member.incarnation, by: selfID, clock: clock, into: &actions)
    }

    /// Nobody is called failed on old news: a suspect is probed once more and told of the suspicion, and the timer looks
    /// again when that probe is over. Whoever answers gets the next probe until it has refuted.
    private mutating func probeBeforeVerdict(on id: NodeID, clock: Clock, into actions: inout [SWIMAction]) {
        if !probes.contains(where: { $0.target == id }) { startProbe(of: id, clock: clock, into: &actions) }
        guard let probe = probes.first(where: { $0.target == id }) else { return }
        suspicions[id]?.awaitProbe(until: max(probe.deadline, clock.now) + Self.afterProbe)
        setSuspicionTimer(of: id, clock: clock, into: &actions)
    }

    /// Another node calls a member failed that is active here. Whoever has suspected it for a probe's time agrees;
    /// whoever has not gives it that time to refute, so that stale news from a node that was cut off harms nobody.
    mutating func hearVerdict(
        _ update: MemberUpdate, of accuser: NodeID, clock: Clock, into actions: inout [SWIMAction]
    ) {
        let id = update.subject
        let evidence = Evidence(accuser: accuser, isLocal: false, since: clock)
        suspect(id, incarnation: update.incarnation, evidence: evidence, clock: clock, into: &actions)
        guard var suspicion = suspicions[id] else { return }
        note(.calledFailed(by: accuser), of: id, into: &actions)
        suspicion.hearVerdict(floor: configuration.probeTimeout)
        suspicions[id] = suspicion
        if suspicion.deadline <= clock.now {
            fail(id, incarnation: update.incarnation, by: accuser, clock: clock, into: &actions)
        } else {
            setSuspicionTimer(of: id, clock: clock, into: &actions)
        }
    }

    /// Declares `id` failed, on this node's own account or on that of `accuser`.
    mutating func fail(
        _ id: NodeID, incarnation: UInt64, by accuser: NodeID, clock: Clock, into actions: inout [SWIMAction]
    ) {
        let suspicion = suspicions.removeValue(forKey: id)
        let evidence = suspicion?.evidence ?? Evidence(accuser: accuser, isLocal: false, since: clock)
        dropStaleProof(of: id, at: incarnation)
        table.change(id) {
            $0.state = .failed
            $0.incarnation = incarnation
            $0.since = clock
        }
        probes.removeAll { $0.target == id }
        disseminate(MemberUpdate(subject: id, incarnation: incarnation, claim: .failed(by: accuser)))
        emit(.failed(evidence, after: clock.now - evidence.since.now), of: id, into: &actions)
    }

    /// Somebody claims that this node is not alive: say otherwise with a higher incarnation (SWIM section 4.2).
    mutating func refute(
        _ incarnation: UInt64, accuser: NodeID, clock: Clock, into actions: inout [SWIMAction]
    ) {
        guard !isLeaving else { return }
        wantedIncarnation = max(wantedIncarnation, max(incarnation, me.incarnation) + 1)
        statistics.refutations += 1
        raiseAwareness(by: 1, into: &actions)
        claimOwnIncarnation(clock: clock, into: &actions)
        emit(.refuted(accuser: accuser, incarnation: wantedIncarnation), of: selfID, into: &actions)
    }

    /// Moves this node to `wantedIncarnation` and says so, as soon as the fence allows it.
    mutating func claimOwnIncarnation(clock: Clock, into actions: inout [SWIMAction]) {
        guard wantedIncarnation <= incarnationFence else {
            requestFence(into: &actions)
            return
        }
        let wanted = wantedIncarnation
        let former = me.info
        let info = signed(ownInfo, incarnation: wanted)
        wantedInfo = nil
        table.change(selfID) {
            $0.incarnation = wanted
            $0.info = info
        }
        disseminate(me.update(accuser: selfID))
        if former != info { emit(.updated(from: former), of: selfID, into: &actions) }
    }

    mutating func requestFence(into actions: inout [SWIMAction]) {
        guard !awaitsFence else { return }
        awaitsFence = true
        let reserved = max(incarnationFence, wantedIncarnation) + Self.fenceStep
        actions.append(.persistFence(min(reserved, Bounds.incarnationMax)))
    }

    func emit(_ kind: MemberEventKind, of id: NodeID, into actions: inout [SWIMAction]) {
        guard let member = table[id] else { return }
        actions.append(
            .event(MemberEvent(id: id, info: member.info, incarnation: member.incarnation, kind: kind)))
    }

    mutating func nextGeneration() -> UInt64 {
        suspicionGeneration += 1
        return suspicionGeneration
    }
}
