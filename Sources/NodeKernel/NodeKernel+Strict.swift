// SPDX-License-Identifier: Apache-2.0
// Owns the node's part in the strict group: what reaches it, what it asks for, its timer.

import ClusterTypes
import SWIMCore
import StoreCore
import StrictCore
import StrictGroup

extension NodeKernel {
    /// The tag by which a member says that it has strict prefixes and may become a voter.
    package static let strictTag = Tag(name: ".strict", value: "eligible")

    /// The node's part in the group, for checks and reports; nil: it has none.
    package var strictNode: StrictNode? { strict.node }

    /// The node takes part from now on.
    mutating func startStrict(_ turn: inout Turn) {
        guard configuration.strict.isOn, strict.node == nil else { return }
        let restored = strict.restored.take() ?? StrictRestored()
        strict.node = StrictNode(
            configuration: configuration.strict, id: selfID, restoring: restored, clock: turn.clock, using: &turn.rng)
        tell(.start, &turn)
        if let mark = strict.marks.newest { tell(.mark(mark), &turn) }
        lookAtStrictPeers(&turn)
    }

    /// Hands one input to the node's part and carries out what it asks for.
    mutating func tell(_ input: StrictInput, _ turn: inout Turn) {
        guard strict.node != nil else { return }
        var actions: [StrictAction] = []
        swap(&actions, &strict.actions)
        strict.node?.handle(input, clock: turn.clock, using: &turn.rng, into: &actions)
        for action in actions { carryOut(action, &turn) }
        actions.removeAll(keepingCapacity: true)
        swap(&actions, &strict.actions)
    }

    private mutating func carryOut(_ action: StrictAction, _ turn: inout Turn) {
        switch action {
        case .send(let message, let peer): queue(message, to: peer, &turn)
        case .persist(let write): turn.actions.append(.strict(.persist(write)))
        case .makeSnapshot(let writer, let position, let membership):
            makeSnapshot(.makeSnapshot(writer, position, membership), &turn)
        case .readSnapshot(let order): turn.actions.append(.strict(.readSnapshot(order)))
        case .loadSnapshot(let metadata): turn.actions.append(.strict(.loadSnapshot(metadata)))
        case .compact(let keepFrom, let snapshots):
            turn.actions.append(.strict(.compact(keepFrom: keepFrom, snapshots: snapshots)))
        case .reply(let id, let answer):
            let command = CommandID(rawValue: id)
            guard let key = strict.calls.removeValue(forKey: command) else { break }
            if let key, case .found(.entry(let entry), at: _) = answer {
                reply(command, .strictEntry(key, entry, writtenAt: writtenAt(key, entry)), &turn)
            } else if case .status(var status) = answer {
                status.foreign = strictForeignGroups(turn.now)
                reply(command, .strict(.status(status)), &turn)
            } else {
                reply(command, .strict(answer), &turn)
            }
        case .changed(let changes): feed(changes, &turn)
        case .event(let event):
            if case .recovered = event { strict.copies.wasRecovered = true }
            turn.actions.append(.event(.strict(event)))
        }
    }

    private func writtenAt(_ key: StrictKey, _ entry: StrictEntry?) -> WallTime? {
        guard let entry, let copy = store.strictCopy(of: key.text), copy.version == entry.modified else { return nil }
        return copy.stamp.wall
    }

    mutating func onStrictDisk(_ result: StrictDiskResult, _ turn: inout Turn) {
        switch result {
        case .persisted(let number): tell(.persisted(number), &turn)
        case .snapshotMade(let position, let bytes, let digest):
            tell(.snapshotMade(position, bytes: bytes, digest: digest), &turn)
        case .snapshotRead(let order, let chunk): tell(.snapshotRead(order, chunk), &turn)
        case .snapshotLoaded(let metadata, let machine): tell(.snapshotLoaded(metadata, machine), &turn)
        }
    }

    mutating func onStrictCommand(_ id: CommandID, _ call: StrictCall, within: Interval, _ turn: inout Turn) {
        onStrictCalls([StrictAsked(id: id, call: call, within: within)], &turn)
    }

    /// One proposal of them all: what comes together goes to the disk and to the peers together.
    mutating func onStrictCalls(_ asked: [StrictAsked], _ turn: inout Turn) {
        var calls: [StrictInput.Call] = []
        calls.reserveCapacity(asked.count)
        for one in asked where takes(one, &turn) {
            var key: StrictKey?
            if one.tellsTime, case .read(.entry(let read)) = one.call { key = read }
            strict.calls[one.id] = .some(key)
            let deadline = turn.now + max(.zero, one.within)
            calls.append(StrictInput.Call(id: one.id.rawValue, call: one.call, deadline: deadline))
        }
        if !calls.isEmpty { tell(.calls(calls), &turn) }
    }

    /// False: it was answered.
    private mutating func takes(_ asked: StrictAsked, _ turn: inout Turn) -> Bool {
        guard isReady(asked.id, &turn) else { return false }
        guard strict.node != nil else {
            reply(asked.id, .strict(.failed(.notConfigured)), &turn)
            return false
        }
        if case .change = asked.call, strict.feed.rowsWaiting > Self.feedRowsWaitingMax {
            reply(asked.id, .strict(.failed(.tooManyCalls)), &turn)
            return false
        }
        return true
    }

    /// The node has left: whoever waits hears nothing more of the group.
    mutating func endStrict(_ turn: inout Turn) {
        for id in strict.calls.keys.sorted() {
            reply(id, .strict(.failed(.unavailable(missing: [], isOutcomeUnknown: true))), &turn)
        }
        flushFeed(&turn)
        strict = StrictState()
    }

    // MARK: Time

    /// At the end of each input: what was said leaves, and the timer is set.
    mutating func settleStrict(_ turn: inout Turn) {
        guard strict.node != nil else { return }
        lookAtStrictPeers(&turn)
        lookAtCopies(&turn)
        sendStrict(&turn)
        setStrictTimer(&turn)
    }

    private mutating func setStrictTimer(_ turn: inout Turn) {
        var at = strict.node?.nextDeadline
        if let retry = strict.nextRetry { at = min(at ?? retry, retry) }
        if let due = strict.feed.dueAt { at = min(at ?? due, due) }
        if let look = strict.copies.nextAt { at = min(at ?? look, look) }
        guard let at else { return }
        if let set = strict.timerAt, set <= at { return }
        strict.generation += 1
        strict.timerAt = at
        turn.actions.append(.setTimer(.strict(generation: strict.generation), at: at))
    }

    mutating func onStrictTimer(_ generation: UInt64, _ turn: inout Turn) {
        guard generation == strict.generation else { return }
        strict.timerAt = nil
        // Most deadlines move before they come.
        if let deadline = strict.node?.nextDeadline, deadline <= turn.now { tell(.tick, &turn) }
        retryStrictLinks(&turn)
        if let dueAt = strict.feed.dueAt, dueAt <= turn.now { flushFeed(&turn) }
    }

    // MARK: Members

    /// Tells the node whom there is, when that has changed.
    private mutating func lookAtStrictPeers(_ turn: inout Turn) {
        let fingerprint = membership.table.fingerprint
        guard strict.viewedFingerprint != fingerprint else { return }
        strict.viewedFingerprint = fingerprint
        let patience = leaderPatience
        strict.node?.leaderPatience = patience
        let voters = strict.node?.knownVoters ?? []
        var view: [StrictPeer] = []
        for member in membership.table.members where member.state < .left {
            let isEligible = member.info.tags.contains(Self.strictTag)
            let isNamed =
                if case .names(let names) = configuration.strict.voters { names.contains(member.info.name) } else {
                    false
                }
            guard isEligible || isNamed || voters.contains(member.id) else { continue }
            view.append(
                StrictPeer(
                    id: member.id, name: member.info.name, isAlive: member.state.isActive, isEligible: isEligible))
        }
        // Voters that have not been seen since this process began are named all the same.
        for peer in rememberedPeers + absentPeers where voters.contains(peer.id) && membership.table[peer.id] == nil {
            guard !view.contains(where: { $0.id == peer.id }) else { continue }
            view.append(StrictPeer(id: peer.id, name: peer.name, isAlive: false, isEligible: false))
        }
        view.sort { $0.id < $1.id }
        guard view != strict.view else { return }
        strict.view = view
        tell(.view(view), &turn)
    }

    // MARK: Marks

    /// How long nothing new may be heard of a leader until a client takes it for lost. Each ping and each ack may bring a newer
    /// mark, and does so in more than half of the cases: this node's own probe once an interval, and the probe of another as
    /// often on average. The logarithm keeps false alarms of a whole fleet as rare as those of few nodes.
    private var leaderPatience: Interval {
        let bits = Int.bitWidth - max(membership.table.activeCount, 1).leadingZeroBitCount
        return configuration.swim.probeInterval * (6 + bits)
    }

    /// What pings and acks carry; nil where there is no group. Of groups that met, each node tells of its own mostly, and of
    /// the others now and then, so that all know of all.
    mutating func strictMarkToTell(_ turn: Turn) -> StrictMark? {
        strict.marksTold &+= 1
        if strict.marksTold % 4 == 0, let other = strict.rivals.next(now: turn.now) { return other }
        return newestStrictMark()
    }

    private mutating func newestStrictMark() -> StrictMark? {
        if let own = strict.node?.mark {
            // The group has a new name.
            if let newest = strict.marks.newest, newest.group != own.group { strict.marks = StrictMarks() }
            _ = strict.marks.insert(own)
        }
        return strict.marks.newest
    }

    mutating func onStrictMark(_ mark: StrictMark, _ turn: inout Turn) {
        if let own = strict.node?.knownGroup, own != mark.group {
            guard strict.rivals.hear(mark, now: turn.now) else { return }
            tell(.mark(mark), &turn)
            // A client whose own group is gone has gone over to it.
            guard strict.node?.knownGroup == mark.group else { return }
            strict.rivals.remove(mark.group)
            strict.marks = StrictMarks()
            _ = strict.marks.insert(mark)
        } else if strict.marks.insert(mark) {
            tell(.mark(mark), &turn)
        }
    }

    /// How old local reads of strict keys may be.
    mutating func strictAge(_ turn: inout Turn) -> StrictAge {
        guard let newest = newestStrictMark() else { return StrictAge(milliseconds: nil, changes: 0, known: 0) }
        let changes = store.context.contiguous(of: .strictFeed(group: newest.group))
        let wall = turn.clock.wall.milliseconds
        // A mark without a time is of a new leader: where it is, and nothing more.
        let covered = strict.marks.covered(by: changes).flatMap { $0.wall > 0 ? $0 : nil }
        return StrictAge(
            milliseconds: strict.copies.isClean ? covered.map { wall > $0.wall ? wall - $0.wall : 0 } : nil,
            changes: changes,
            known: newest.changes)
    }
}

extension NodeKernel {
    /// The tags with which a node appears: those of the configuration, and whether it may vote on strict keys.
    static func withStrictTag(_ tags: [Tag], _ configuration: KernelConfiguration) -> [Tag] {
        let others = tags.filter { $0.name != strictTag.name }
        return configuration.strict.isOn && configuration.strict.isEligible ? others + [strictTag] : others
    }
}
