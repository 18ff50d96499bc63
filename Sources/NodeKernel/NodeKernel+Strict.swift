// SPDX-License-Identifier: Apache-2.0
// Owns the node's part in the strict group: what reaches it, what it asks for, its timer.

import ClusterTypes
import SWIMCore
import StoreCore
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
            turn.actions.append(.strict(.makeSnapshot(writer, position, membership)))
        case .readSnapshot(let order): turn.actions.append(.strict(.readSnapshot(order)))
        case .loadSnapshot(let metadata): turn.actions.append(.strict(.loadSnapshot(metadata)))
        case .compact(let keepFrom, let snapshots):
            turn.actions.append(.strict(.compact(keepFrom: keepFrom, snapshots: snapshots)))
        case .reply(let id, let answer):
            let command = CommandID(rawValue: id)
            if strict.calls.remove(command) != nil { reply(command, .strict(answer), &turn) }
        case .changed(let changes): feed(changes, &turn)
        case .event(let event): turn.actions.append(.event(.strict(event)))
        }
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
        guard isReady(id, &turn) else { return }
        guard strict.node != nil else { return reply(id, .strict(.failed(.notConfigured)), &turn) }
        if case .change = call, strict.feedRowsWaiting > Self.feedRowsWaitingMax {
            return reply(id, .strict(.failed(.tooManyCalls)), &turn)
        }
        strict.calls.insert(id)
        tell(.call(id: id.rawValue, call, deadline: turn.now + max(.zero, within)), &turn)
    }

    /// The node has left: whoever waits hears nothing more of the group.
    mutating func endStrict(_ turn: inout Turn) {
        for id in strict.calls.sorted() {
            reply(id, .strict(.failed(.unavailable(missing: [], isOutcomeUnknown: true))), &turn)
        }
        strict = StrictState()
    }

    // MARK: Time

    /// At the end of each input: what was said leaves, and the timer is set.
    mutating func settleStrict(_ turn: inout Turn) {
        guard strict.node != nil else { return }
        lookAtStrictPeers(&turn)
        sendStrict(&turn)
        setStrictTimer(&turn)
    }

    private mutating func setStrictTimer(_ turn: inout Turn) {
        var at = strict.node?.nextDeadline
        if let retry = strict.nextRetry { at = min(at ?? retry, retry) }
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
    }

    // MARK: Members

    /// Tells the node whom there is, when that has changed.
    private mutating func lookAtStrictPeers(_ turn: inout Turn) {
        let fingerprint = membership.table.fingerprint
        guard strict.viewedFingerprint != fingerprint else { return }
        strict.viewedFingerprint = fingerprint
        let voters = strict.node?.mark?.voters ?? strict.marks.newest?.voters ?? []
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
        view.sort { $0.id < $1.id }
        guard view != strict.view else { return }
        strict.view = view
        tell(.view(view), &turn)
    }

    // MARK: Marks

    /// What pings and acks carry; nil where there is no group.
    mutating func strictMarkToTell() -> StrictMark? {
        if let own = strict.node?.mark { _ = strict.marks.insert(own) }
        return strict.marks.newest
    }

    mutating func onStrictMark(_ mark: StrictMark, _ turn: inout Turn) {
        if strict.marks.insert(mark) { tell(.mark(mark), &turn) }
    }

    /// How old local reads of strict keys may be.
    mutating func strictAge(_ turn: inout Turn) -> StrictAge {
        guard let newest = strictMarkToTell() else { return StrictAge(milliseconds: nil, changes: 0, known: 0) }
        let changes = store.context.contiguous(of: .strictFeed(group: newest.group))
        let wall = turn.clock.wall.milliseconds
        let covered = strict.marks.covered(by: changes)
        return StrictAge(
            milliseconds: covered.map { wall > $0.wall ? wall - $0.wall : 0 }, changes: changes,
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
