// SPDX-License-Identifier: Apache-2.0
// Owns probes before their turn: after hints, after other nodes' suspicions, and what this host's own trouble means.

import ClusterTypes

extension Membership {
    /// Something speaks against `id`: look at once. One hint a period is followed for each member.
    package mutating func onHint(
        _ hint: ProbeHint, about id: NodeID, clock: Clock, into actions: inout [SWIMAction]
    ) {
        guard isStarted, !isLeaving, id != selfID, let member = table[id], member.state.isActive else { return }
        if let index = probes.firstIndex(where: { $0.target == id }) {
            if hint == .streamEnded, probes[index].awaitsStalledTarget {
                // It stood still, and now it is gone: the connection of that probe tells no more.
                probes.remove(at: index)
            } else {
                openStream(at: index, into: &actions)
                return
            }
        }
        if let last = hintedAt[id], clock.now - last < configuration.probeInterval { return }
        if hintedAt.count >= Self.hintedProbesMax {
            hintedAt = hintedAt.filter { clock.now - $0.value < configuration.probeInterval }
        }
        guard hintedAt.count < Self.hintedProbesMax else { return }
        hintedAt[id] = clock.now
        statistics.hintedProbes += 1
        startProbe(of: id, for: .hint(hint), clock: clock, into: &actions)
    }

    /// A datagram to `address` was refused (ICMP port unreachable). Anybody can forge that, so it only makes us look: the
    /// member there is probed at once, over a stream as well.
    package mutating func onRefused(_ address: Address, clock: Clock, into actions: inout [SWIMAction]) {
        let asked = probes.filter { $0.address == address }.map(\.sequence)
        for sequence in asked {
            // The verdict on one may have ended others.
            guard let index = probes.firstIndex(where: { $0.sequence == sequence }) else { continue }
            probes[index].pingWasRefused = true
            if probes[index].stream == .refused {
                fail(at: index, clock: clock, into: &actions)
            } else {
                openStream(at: index, into: &actions)
            }
        }
        let there = table.members.first { $0.info.address == address && $0.state.isActive && $0.id != selfID }
        guard let there, !probes.contains(where: { $0.target == there.id }) else { return }
        onHint(.datagramRefused, about: there.id, clock: clock, into: &actions)
    }

    /// Whether this node is among those that look at a suspect themselves, and when: drawn from a hash, so that nobody has to
    /// be asked and about `secondLooks` nodes do, at any size of the cluster.
    mutating func considerSecondLook(
        at id: NodeID, incarnation: UInt64, clock: Clock, into actions: inout [SWIMAction]
    ) {
        guard id != selfID, !isLeaving else { return }
        var hasher = StableHasher()
        hasher.absorb(id)
        hasher.absorb(incarnation)
        hasher.absorb(selfID)
        let draw = hasher.finalize()
        let chance = Double(draw.high >> 11) * 0x1p-53
        guard chance * Double(table.activeCount) < Double(configuration.secondLooks) else { return }
        let wait = Self.secondLookSpread * (Double(draw.low >> 11) * 0x1p-53)
        actions.append(.setTimer(.secondLook(id, incarnation: incarnation), at: clock.now + wait))
    }

    mutating func onSecondLook(
        _ id: NodeID, incarnation: UInt64, clock: Clock, into actions: inout [SWIMAction]
    ) {
        guard !isLeaving, let member = table[id], member.state == .suspect, member.incarnation == incarnation,
            !probes.contains(where: { $0.target == id }),
            probes.count(where: { $0.purpose == .secondLook }) < Self.secondLooksMax
        else { return }
        statistics.secondLooks += 1
        startProbe(of: id, for: .secondLook, clock: clock, into: &actions)
    }

    /// This host was deaf or late: what its peers answered may be lost or unread. It mistrusts itself before it blames
    /// anybody, at most once a period for each kind of trouble, and every probe in flight gets more time once.
    package mutating func onLocalTrouble(
        _ trouble: LocalTrouble, clock: Clock, into actions: inout [SWIMAction]
    ) {
        guard isStarted, !isLeaving else { return }
        statistics.localTroubles[trouble.index] += 1
        if let last = troubledAt[trouble.index], clock.now - last < configuration.probeInterval { return }
        troubledAt[trouble.index] = clock.now
        raiseAwareness(by: 1, into: &actions)
        for index in probes.indices where !probes[index].wasExtended {
            probes[index].wasExtended = true
            probes[index].deadline = max(probes[index].deadline, clock.now) + configuration.probeTimeout
            if probes[index].stage == .escalated {
                let sequence = probes[index].sequence
                actions.append(.setTimer(.probeDeadline(sequence: sequence), at: probes[index].deadline))
            }
        }
    }
}

extension Membership {
    /// A member that answers over streams alone is alive, but gossip does not reach it and changes come late: its operator
    /// must hear of it, and not only the metrics.
    ///
    /// - Parameter sendsFail: this host could not send the datagram at all, which says nothing about the member.
    mutating func noteStreamOnly(_ id: NodeID, sendsFail: Bool, into actions: inout [SWIMAction]) {
        guard let member = table[id] else { return }
        let count = member.streamOnlyProbes + 1
        table.change(id) { $0.streamOnlyProbes = count }
        if count == Self.streamOnlyProbesTold {
            emit(.udpBlocked(probes: count, sendsFail: sendsFail), of: id, into: &actions)
        }
        if count < Self.streamOnlyProbesTold, !streamOnly.contains(id), streamOnly.count < Self.streamOnlyMax {
            streamOnly.append(id)
        } else if count >= Self.streamOnlyProbesTold {
            streamOnly.removeAll { $0 == id }
        }
    }

    /// It answered a datagram.
    mutating func datagramsArrive(from id: NodeID, into actions: inout [SWIMAction]) {
        guard let count = table[id]?.streamOnlyProbes, count > 0 else { return }
        table.change(id) { $0.streamOnlyProbes = 0 }
        streamOnly.removeAll { $0 == id }
        if count >= Self.streamOnlyProbesTold { emit(.udpRestored, of: id, into: &actions) }
    }

    /// One of those whose datagrams are in doubt is probed beside the member whose turn it is: a lost packet is told from
    /// a closed port within seconds, not rounds.
    mutating func probeStreamOnly(clock: Clock, into actions: inout [SWIMAction]) {
        streamOnly.removeAll { table[$0]?.state.isActive != true }
        guard let id = streamOnly.first(where: { id in !probes.contains { $0.target == id } }) else { return }
        startProbe(of: id, clock: clock, into: &actions)
    }
}
