// SPDX-License-Identifier: Apache-2.0
// Owns this node's own probes: direct ping, escalation to relays and a stream, and the verdict.

import ClusterTypes

extension Membership {
    /// One protocol period (SWIM section 3.1): probe the next member in the round.
    mutating func onPeriod(clock: Clock, using rng: inout SeededGenerator, into actions: inout [SWIMAction]) {
        guard !isLeaving else { return }
        generation += 1
        let period = awareness.scale(configuration.probeInterval)
        actions.append(.setTimer(.period(generation: generation), at: clock.now + period))
        let inFlight = probes.map(\.target)
        let target = scheduledTarget(clock).flatMap { inFlight.contains($0) ? nil : $0 }
        if let target = target ?? order.advance(in: table, using: &rng, where: { !inFlight.contains($0) }) {
            startProbe(of: target, clock: clock, into: &actions)
        }
        probeSuspect(clock: clock, using: &rng, into: &actions)
        probeStreamOnly(clock: clock, into: &actions)
    }

    /// The member that is ours to probe in this period of the wall clock (decision 11): nodes that agree on the ring and
    /// on the time probe each member once. nil when this period's turn is used up, as when the clock stands still.
    ///
    /// The distance on the ring runs through a permutation of 1...n-1 in every n-1 periods: `1 + (a * p + b) mod (n-1)`,
    /// a coprime to n-1, both drawn anew for each round.
    private mutating func scheduledTarget(_ clock: Clock) -> NodeID? {
        let period = UInt64(clamping: max(1, configuration.probeInterval.nanoseconds / 1_000_000))
        let slot = clock.wall.milliseconds / period
        guard slot != lastSlot, table.ring.count > 1 else { return nil }
        lastSlot = slot
        let others = UInt64(table.ring.count - 1)
        let (round, place) = slot.quotientAndRemainder(dividingBy: others)
        var draw = SeededGenerator(seed: round)
        var step = 1 + draw.next() % others
        let offset = draw.next() % others
        while Self.greatestCommonDivisor(step, others) != 1 { step = step % others + 1 }
        return table.peer(at: Int(1 + (step * place + offset) % others))
    }

    private static func greatestCommonDivisor(_ a: UInt64, _ b: UInt64) -> UInt64 {
        var (a, b) = (a, b)
        while b != 0 { (a, b) = (b, a % b) }
        return a
    }

    /// Beside the member whose turn it is, one suspect is probed in each period and so told of the suspicion: whoever
    /// missed the gossip of it refutes soon, and our own evidence does not wait for a whole round.
    private mutating func probeSuspect(
        clock: Clock, using rng: inout SeededGenerator, into actions: inout [SWIMAction]
    ) {
        guard !suspicions.isEmpty else { return }
        let inFlight = probes.map(\.target)
        let suspects = suspicions.keys.filter { !inFlight.contains($0) }.sorted()
        guard !suspects.isEmpty else { return }
        startProbe(of: suspects[rng.index(below: suspects.count)], clock: clock, into: &actions)
    }

    /// Sends the direct ping. A suspect is told of the suspicion in the same datagram, so that it can refute at once
    /// (Lifeguard's buddy system, section IV-C).
    mutating func startProbe(
        of id: NodeID, for purpose: Probe.Purpose = .turn, clock: Clock, into actions: inout [SWIMAction]
    ) {
        guard let member = table[id] else { return }
        let sequence = takeSequence()
        let wait = directTimeout(for: member)
        let deadline = clock.now + wait + awareness.scale(configuration.probeTimeout)
        probes.append(
            Probe(
                sequence: sequence, target: id, address: member.info.address, purpose: purpose, sentAt: clock,
                timeoutAt: clock.now + wait, deadline: deadline))
        statistics.probes += 1
        var messages: [SWIMMessage] = []
        if member.state == .suspect { messages.append(.update(member.update(accuser: accuser(of: id)))) }
        messages.append(.ping(Ping(sequence: sequence, target: id)))
        actions.append(.send(messages, to: member.info.address))
        actions.append(.setTimer(.probeTimeout(sequence: sequence), at: clock.now + wait))
        if purpose != .turn { openStream(at: probes.count - 1, into: &actions) }
    }

    mutating func openStream(at index: Int, into actions: inout [SWIMAction]) {
        guard !probes[index].streamIsOpened else { return }
        probes[index].streamIsOpened = true
        let probe = probes[index]
        actions.append(.openProbeStream(sequence: probe.sequence, target: probe.target, to: probe.address))
    }

    /// `SRTT + 4 * RTTVAR` within bounds once a round trip is known (RFC 6298 section 2.3), scaled by awareness. Until
    /// then twice what is usual among the peers: escalating too early costs a few messages and no verdict.
    func directTimeout(for member: Member) -> Interval {
        let estimate = member.roundTrip?.timeout ?? usualRoundTrip.map { $0.timeout * 2 }
        let base = estimate.map { min(configuration.probeTimeout, max(configuration.probeTimeoutMin, $0)) }
        return awareness.scale(base ?? configuration.probeTimeout)
    }

    /// No direct ack in time: ask relays, and try a stream at once.
    mutating func onProbeTimeout(
        _ sequence: UInt32, clock: Clock, using rng: inout SeededGenerator, into actions: inout [SWIMAction]
    ) {
        guard let index = probes.firstIndex(where: { $0.sequence == sequence }), probes[index].stage == .direct else {
            return
        }
        if wasStalled(due: probes[index].timeoutAt, clock: clock, into: &actions) {
            let remaining = probes[index].deadline - probes[index].timeoutAt
            probes[index].timeoutAt = clock.now + configuration.probeTimeoutMin
            probes[index].deadline = probes[index].timeoutAt + remaining
            actions.append(.setTimer(.probeTimeout(sequence: sequence), at: probes[index].timeoutAt))
            return
        }
        probes[index].stage = .escalated
        if probes[index].stream == .refused {
            // Refused before the ping's time was over.
            fail(at: index, clock: clock, into: &actions)
            return
        }
        actions.append(.setTimer(.probeDeadline(sequence: sequence), at: probes[index].deadline))
        askRelays(at: index, clock: clock, using: &rng, into: &actions)
        openStream(at: index, into: &actions)
    }

    private mutating func askRelays(
        at index: Int, clock: Clock, using rng: inout SeededGenerator, into actions: inout [SWIMAction]
    ) {
        let target = probes[index].target
        let relays = table.randomPeers(configuration.indirectProbes, using: &rng) { peer in
            peer != target && table[peer]?.state == .alive
        }
        probes[index].relays = relays
        let wait = probes[index].deadline - clock.now
        let request = IndirectPing(
            sequence: probes[index].sequence, target: target, targetAddress: probes[index].address,
            deadlineMilliseconds: UInt32(clamping: wait.nanoseconds / 1_000_000))
        for relay in relays {
            guard let member = table[relay] else { continue }
            actions.append(.send([.indirectPing(request)], to: member.info.address))
        }
        statistics.indirectPingsSent += UInt64(relays.count)
    }

    /// An ack for a probe of ours, for a ping we relayed, or for an operator's ping.
    mutating func onAck(_ ack: Ack, from sender: NodeID, clock: Clock, into actions: inout [SWIMAction]) {
        if let index = probes.firstIndex(where: { $0.sequence == ack.sequence }) {
            let probe = probes[index]
            if sender == probe.target {
                // How long it stood still says nothing about the way to it.
                if !probe.awaitsStalledTarget {
                    let sample = clock.now - probe.sentAt.now
                    addRoundTrip(sample, of: sender)
                    if ack.wall > 0 {
                        actions.append(.clockSample(sender, wall: ack.wall, roundTrip: sample))
                    }
                }
            } else if probe.relays.contains(sender) {
                statistics.probesAcknowledgedByRelay += 1
                note(.probeRescued(by: .relay), of: probe.target, into: &actions)
            } else {
                return
            }
            if sender == probe.target { datagramsArrive(from: sender, into: &actions) }
            succeed(at: index, clock: clock, into: &actions)
        } else if let index = relayed.firstIndex(where: { $0.sequence == ack.sequence && $0.target == sender }) {
            guard !relayed[index].isAnswered else { return }
            relayed[index].isAnswered = true
            let ping = relayed[index]
            actions.append(.send([.ack(Ack(sequence: ping.requesterSequence))], to: ping.requesterAddress))
        } else if let index = operatorPings.firstIndex(where: { $0.sequence == ack.sequence && $0.target == sender }) {
            let ping = operatorPings.remove(at: index)
            addRoundTrip(clock.now - ping.sentAt, of: sender)
            actions.append(.pingAnswered(sequence: ack.sequence, roundTrip: clock.now - ping.sentAt))
        }
    }

    /// A relay answers that the target did not answer it.
    mutating func onNack(_ nack: Nack, from sender: NodeID) {
        guard let index = probes.firstIndex(where: { $0.sequence == nack.sequence }),
            probes[index].relays.contains(sender), !probes[index].nackedBy.contains(sender)
        else { return }
        probes[index].nackedBy.append(sender)
        statistics.nacksReceived += 1
    }

    /// What became of the stream that a probe asked for. A refused connect after a silent ping is proof enough.
    package mutating func onStreamProbe(
        sequence: UInt32, outcome: StreamProbeOutcome, clock: Clock, into actions: inout [SWIMAction]
    ) {
        guard let index = probes.firstIndex(where: { $0.sequence == sequence }) else { return }
        probes[index].stream = outcome
        switch outcome {
        case .acknowledged:
            statistics.probesAcknowledgedByStream += 1
            note(.probeRescued(by: .stream), of: probes[index].target, into: &actions)
            noteStreamOnly(probes[index].target, sendsFail: probes[index].sendFailed, into: &actions)
            succeed(at: index, clock: clock, into: &actions)
        case .refused:
            // A connect that left together with the ping: the ack may still come, and then nothing is wrong.
            if probes[index].stage == .escalated || probes[index].pingWasRefused {
                fail(at: index, clock: clock, into: &actions)
            }
        case .failed:
            // The connection broke after all, and the probe has had its time.
            if probes[index].awaitsStalledTarget { fail(at: index, clock: clock, into: &actions) }
        case .connected:
            probes[index].streamWasAccepted = true
        case .notTried:
            break
        }
    }

    /// This host could not send to `address`: whoever is probed there is not to blame.
    package mutating func onSendFailed(to address: Address) {
        for index in probes.indices where probes[index].address == address && probes[index].stage == .direct {
            probes[index].sendFailed = true
        }
    }

    mutating func onProbeDeadline(
        _ sequence: UInt32, clock: Clock, using rng: inout SeededGenerator, into actions: inout [SWIMAction]
    ) {
        // Put off meanwhile: another timer is set.
        guard let index = probes.firstIndex(where: { $0.sequence == sequence }), clock.now >= probes[index].deadline
        else { return }
        if !probes[index].wasExtended, wasStalled(due: probes[index].deadline, clock: clock, into: &actions) {
            probes[index].wasExtended = true
            probes[index].deadline = clock.now + configuration.probeTimeout
            actions.append(.setTimer(.probeDeadline(sequence: sequence), at: probes[index].deadline))
            return
        }
        if probes[index].stream == .connected, !probes[index].awaitsStalledTarget {
            probes[index].awaitsStalledTarget = true
            probes[index].deadline = clock.now + configuration.stalledTargetPatience
            actions.append(.setTimer(.probeDeadline(sequence: sequence), at: probes[index].deadline))
            return
        }
        fail(at: index, clock: clock, into: &actions)
    }

    private mutating func succeed(at index: Int, clock: Clock, into actions: inout [SWIMAction]) {
        let probe = probes.remove(at: index)
        suspicions[probe.target]?.forgetProbe()
        restorePatience(with: probe.target, clock: clock, into: &actions)
        statistics.probesAcknowledged += 1
        if probe.sendFailed { note(.probeNotSent, of: probe.target, into: &actions) }
        // An answer that came another way does not make up for a host that cannot send.
        raiseAwareness(by: probe.sendFailed ? 1 : -1, into: &actions)
    }

    /// The verdict: nobody got through. Nacks that should have come and did not are charged to this node.
    mutating func fail(at index: Int, clock: Clock, into actions: inout [SWIMAction]) {
        let probe = probes.remove(at: index)
        statistics.probesFailed += 1
        if probe.sendFailed, probe.nackedBy.isEmpty, probe.stream != .refused, !probe.streamWasAccepted {
            statistics.probesNotSent += 1
            note(.probeNotSent, of: probe.target, into: &actions)
            raiseAwareness(by: 1, into: &actions)
            return
        }
        let wasRefused = probe.stream == .refused
        note(.probeFailed(probe.pathsFailed, streamRefused: wasRefused), of: probe.target, into: &actions)
        // A stream that was refused or accepted, or a single nack, shows that this node's own network works; silence all
        // around does not.
        if probe.stream != .refused, !probe.streamWasAccepted, probe.nackedBy.isEmpty {
            raiseAwareness(by: max(1, probe.relays.count), into: &actions)
        }
        guard let member = table[probe.target], member.state.isActive else { return }
        var evidence = Evidence(accuser: selfID, isLocal: true, since: probe.sentAt)
        evidence.probes = probe.attempts
        evidence.pathsFailed = probe.pathsFailed
        evidence.streamRefused = probe.stream == .refused
        evidence.isUnreachable =
            probe.streamWasTried && !probe.streamWasAccepted && !evidence.streamRefused && !probe.sendFailed
            && !probe.nackedBy.isEmpty && awareness.score == 0
        evidence.isMute = probe.streamWasAccepted
        if case .hint(let hint) = probe.purpose { evidence.hint = hint }
        suspect(probe.target, incarnation: member.incarnation, evidence: evidence, clock: clock, into: &actions)
    }

    private mutating func addRoundTrip(_ sample: Interval, of id: NodeID) {
        guard table[id] != nil else { return }
        if usualRoundTrip == nil { usualRoundTrip = RoundTrip(first: sample) } else { usualRoundTrip?.add(sample) }
        table.change(id) { member in
            if member.roundTrip == nil {
                member.roundTrip = RoundTrip(first: sample)
            } else {
                member.roundTrip?.add(sample)
            }
        }
    }

    /// Whether a timer fires so late that this process must have been stopped or starved: then answers may wait unread,
    /// and the node mistrusts itself before it blames anybody.
    mutating func wasStalled(due: Instant, clock: Clock, into actions: inout [SWIMAction]) -> Bool {
        guard clock.now - due > configuration.probeTimeout / 2 else { return false }
        statistics.stalls += 1
        raiseAwareness(by: 1, into: &actions)
        return true
    }

    func accuser(of id: NodeID) -> NodeID { suspicions[id]?.evidence.accuser ?? selfID }
}
