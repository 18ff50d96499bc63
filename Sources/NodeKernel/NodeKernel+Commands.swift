// SPDX-License-Identifier: Apache-2.0
// Owns the answers to clients: membership commands, and the dispatch of those about configuration.

import ClusterTypes
import SWIMCore
import StoreCore

extension NodeKernel {
    mutating func onCommand(_ id: CommandID, _ command: Command, _ turn: inout Turn) {
        switch command {
        case .status:
            reply(id, .status(statusView), &turn)
        case .statistics:
            reply(id, .statistics(statisticsView), &turn)
        case .members:
            reply(id, .members(memberViews), &turn)
        case .explain(let text):
            explain(text, id, &turn)
        case .join(let seeds):
            guard isReady(id, &turn) else { return }
            join(seeds, command: id, &turn)
        case .replaceSeeds(let seeds):
            replaceSeeds(seeds, &turn)
            reply(id, .done, &turn)
        case .leave(let deadline):
            leave(id, deadline: deadline, &turn)
        case .forget(let text, let isForced):
            forget(text, isForced: isForced, id, &turn)
        case .changeTags(let set, let unset):
            changeTags(set: set, unset: unset, id, &turn)
        case .ping(let text):
            ping(text, id, &turn)
        case .roundTrips(let from, let to):
            answerRoundTrips(from: from, to: to, id, &turn)
        case .examine:
            examine(id, &turn)
        case .sendEvent(let name, let payload):
            sendEvent(name: name, payload: payload, id, &turn)
        case .ring(let command):
            onRingCommand(id, command, &turn)
        case .strict(let call, let within):
            onStrictCommand(id, call, within: within, &turn)
        case .strictAge:
            reply(id, .strictAge(strictAge(&turn)), &turn)
        case .read, .list, .survey, .write, .confirm, .verify, .diagnose, .restore, .dequeue:
            onStoreCommand(id, command, &turn)
        }
    }

    func reply(_ id: CommandID, _ reply: Reply, _ turn: inout Turn) { turn.actions.append(.reply(id, reply)) }

    /// Whether the node takes part; otherwise the client is told.
    func isReady(_ id: CommandID, _ turn: inout Turn) -> Bool {
        if membership.isStarted, !membership.isLeaving, outcome == nil { return true }
        reply(id, .failure(.notReady), &turn)
        return false
    }

    private var statusView: StatusView {
        let table = membership.table
        return StatusView(
            id: selfID, info: membership.me.info, incarnation: membership.me.incarnation,
            awareness: membership.awareness.score, alive: table.count(of: .alive),
            suspect: table.count(of: .suspect), failed: table.count(of: .failed), left: table.count(of: .left),
            root: store.root, keys: store.liveKeyCount, bytes: store.bytes, isStarted: membership.isStarted,
            isLeaving: membership.isLeaving)
    }

    private var statisticsView: StatisticsView {
        var kernel = statistics
        kernel.transactionsStashed = transactions.transactionsStashed
        kernel.transactionsDropped = transactions.transactionsDropped
        return StatisticsView(
            kernel: kernel, membership: membership.statistics, queues: queueLengths, rows: store.rowCount,
            userEvents: userEvents.statistics)
    }

    var memberViews: [MemberView] { membership.table.members.filter { $0.state != .forgotten }.map(view) }

    func view(_ member: Member) -> MemberView {
        MemberView(
            member: member, isSelf: member.id == selfID,
            hasNameConflict: member.state.isActive && membership.table.active(named: member.info.name).count > 1,
            estimate: estimate(from: selfID, to: member.id))
    }

    /// Finds a member by id, by name or by the beginning of its id. The whole id comes first: nobody can take another's
    /// place by calling itself so. Among equal names the active one is meant.
    private func find(_ text: String) -> Result<Member, CommandFailure> {
        if let id = NodeID(text), let member = membership.table[id], member.state != .forgotten {
            return .success(member)
        }
        let members = membership.table.members.filter { $0.state != .forgotten }
        var found = members.filter { $0.info.name == text }
        if found.count > 1 {
            let active = found.filter(\.state.isActive)
            if active.count == 1 { found = active }
        }
        if found.isEmpty, text.utf8.count >= 4, text.utf8.allSatisfy(Hex.isDigit) {
            found = members.filter { $0.id.description.hasPrefix(text.lowercased()) }
        }
        if found.count == 1 { return .success(found[0]) }
        return .failure(
            found.isEmpty ? .noSuchMember(text) : .ambiguousMember(text, candidates: found.map(\.id).sorted()))
    }

    private mutating func explain(_ text: String, _ id: CommandID, _ turn: inout Turn) {
        switch find(text) {
        case .success(let member):
            let accusers = membership.suspicion(of: member.id).map { [$0.accuser] + $0.confirmedBy } ?? []
            reply(
                id,
                .explanation(
                    MemberExplanation(view: view(member), timeline: timeline[member.id], accusers: accusers)), &turn)
        case .failure(let failure):
            reply(id, .failure(failure), &turn)
        }
    }

    private mutating func leave(_ id: CommandID, deadline: Interval, _ turn: inout Turn) {
        if let outcome {
            reply(id, .left(outcome), &turn)
            return
        }
        leaveCommands.append(id)
        guard membership.isStarted else {
            finishLeaving(LeaveOutcome(acknowledged: 0, asked: 0), &turn)
            return
        }
        guard !membership.isLeaving else { return }
        startLeaving(deadline: deadline, &turn)
    }

    private mutating func startLeaving(deadline: Interval, _ turn: inout Turn) {
        turn.actions.append(.event(.leaving))
        membership.leave(
            deadline: turn.now + deadline, clock: turn.clock, using: &turn.rng, into: &swimActions)
        carryOutMembership(&turn)
    }

    /// An operator has taken this node out of the cluster: the others know, a goodbye is only a matter of form.
    mutating func onEviction(by operatorNode: NodeID, _ turn: inout Turn) {
        guard !membership.isLeaving, outcome == nil else { return }
        turn.actions.append(.event(.evicted(by: operatorNode)))
        startLeaving(deadline: Self.evictionDeadline, &turn)
    }

    private static let evictionDeadline = Interval.seconds(1)

    private mutating func forget(_ text: String, isForced: Bool, _ id: CommandID, _ turn: inout Turn) {
        guard isReady(id, &turn) else { return }
        switch find(text) {
        case .failure(let failure):
            reply(id, .failure(failure), &turn)
        case .success(let member) where member.id == selfID:
            reply(id, .failure(.memberIsSelf(text)), &turn)
        case .success(let member):
            guard membership.forget(member.id, isForced: isForced, clock: turn.clock, into: &swimActions) else {
                reply(id, .failure(.memberIsActive(text)), &turn)
                return
            }
            carryOutMembership(&turn)
            reply(id, .done, &turn)
        }
    }

    private mutating func changeTags(set: [Tag], unset: [String], _ id: CommandID, _ turn: inout Turn) {
        guard isReady(id, &turn) else { return }
        let info = membership.ownInfo
        guard !set.contains(where: { $0.name == Self.strictTag.name }), !unset.contains(Self.strictTag.name) else {
            return reply(id, .failure(.invalidTags("the tag \(Self.strictTag.name) is the daemon's own")), &turn)
        }
        var tags = info.tags.filter { tag in !unset.contains(tag.name) && !set.contains { $0.name == tag.name } }
        tags += set
        let changed = MemberInfo(
            name: info.name, address: info.address, tags: tags, protocolVersion: info.protocolVersion)
        guard changed.isWithinBounds else {
            let sentence =
                "tags may be at most \(Bounds.tagsMax), each named once by 1 to \(Bounds.tagNameBytesMax) bytes, "
                + "and take at most \(Bounds.tagBytesMax) bytes together"
            reply(id, .failure(.invalidTags(sentence)), &turn)
            return
        }
        membership.replaceTags(changed.tags, clock: turn.clock, into: &swimActions)
        carryOutMembership(&turn)
        reply(id, .tags(membership.ownInfo.tags), &turn)
    }

    private mutating func ping(_ text: String, _ id: CommandID, _ turn: inout Turn) {
        guard isReady(id, &turn) else { return }
        switch find(text) {
        case .failure(let failure):
            reply(id, .failure(failure), &turn)
        case .success(let member) where member.id == selfID:
            reply(id, .pinged(member: view(member), roundTrip: .zero), &turn)
        case .success(let member):
            guard let sequence = membership.ping(member: member.id, clock: turn.clock, into: &swimActions) else {
                reply(id, .failure(.noSuchMember(text)), &turn)
                return
            }
            operatorPings[sequence] = (id, member.id)
            carryOutMembership(&turn)
        }
    }

    private func answerRoundTrips(from: String?, to: String?, _ id: CommandID, _ turn: inout Turn) {
        let source = from.map(find) ?? .success(membership.me)
        let target = to.map(find)
        switch (source, target) {
        case (.failure(let failure), _), (_, .failure(let failure)?):
            reply(id, .failure(failure), &turn)
        case (.success(let source), .success(let target)?):
            reply(id, .roundTrips(from: view(source), roundTrips(from: source, to: target)), &turn)
        case (.success(let source), nil):
            reply(id, .roundTrips(from: view(source), roundTrips(from: source, to: nil)), &turn)
        }
    }

    mutating func answerOperatorPing(_ sequence: UInt32, roundTrip: Interval?, _ turn: inout Turn) {
        guard let (command, id) = operatorPings.removeValue(forKey: sequence) else { return }
        guard let member = membership.table[id], let roundTrip else {
            let name = membership.table[id]?.info.name ?? id.short
            reply(command, .failure(.pingTimedOut(name, after: membership.operatorPingTimeout)), &turn)
            return
        }
        reply(command, .pinged(member: view(member), roundTrip: roundTrip), &turn)
    }
}
