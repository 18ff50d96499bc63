// SPDX-License-Identifier: Apache-2.0
// Owns the checks of the strict group: Raft's safety at each step, and at the end what its clients saw.

import ClusterTypes
import Linearizability
import NodeKernel
import RaftCore
import StrictCore
import StrictGroup

/// Watches every node's part in the group after each of its steps, and every call of a client.
///
/// `RaftCheck` looks at the log of each group, `StrictStateCheck` at what it comes to. And each history of calls must be linearizable: what
/// clients asked and were told, and what ended with leases, which the log alone tells.
package struct StrictCheck: Sendable {
    /// A call of a client that has no answer yet.
    private struct Pending: Sendable {
        var node: Int
        var invoked: Instant
        /// nil: of no register or lock.
        var operation: HistoryOperation?
        var isRead: Bool
        var claim: StrictClaim?
    }

    /// In the order in which they were seen.
    private var groups: [StrictGroupCheck] = []
    private let groupsMax: Int
    /// Of each node: the place of the group that it was seen in last.
    private var places: [Int?]
    private var ownViolations = Violations()

    private var pending: [CommandID: Pending] = [:]
    /// Claims of locks that wait for their turn.
    private var queued: [CommandID: Pending] = [:]
    package private(set) var history: [HistoryCall] = []
    package private(set) var callsAnswered = 0
    package private(set) var callsFailed = 0
    package private(set) var callsUnknown = 0

    /// In a history, who ends what a lease held.
    private static let theLog = -1

    package init(nodes: Int, groupsMax: Int = 1) {
        self.groupsMax = groupsMax
        places = Array(repeating: nil, count: nodes)
    }

    package var violations: [Violations] { [ownViolations] + groups.flatMap(\.violations) }

    /// A figure of all groups.
    package func sum(_ figure: (RaftCheck, StrictStateCheck) -> Int) -> Int {
        groups.reduce(0) { $0 + figure($1.raft, $1.state) }
    }

    // MARK: Steps

    package mutating func look(at part: StrictNode, node: Int, now: Instant) {
        guard let group = part.founding.founded?.group else { return }
        let place = groups.firstIndex { $0.group == group } ?? meet(group, part, node: node)
        places[node] = place
        guard let log = part.raft else { return }
        for ended in groups[place].look(at: log, part.machine, node: node, now: now) where groupsMax == 1 {
            note(ended, at: now)
        }
    }

    /// A group that was not seen before: founded, or by this node recovered from the one it was in.
    private mutating func meet(_ group: UInt64, _ part: StrictNode, node: Int) -> Int {
        let nodes = places.count
        if let former = places[node] {
            groups.append(
                StrictGroupCheck(
                    group: group, nodes: nodes, after: groups[former], through: part.machine.appliedIndex))
        } else {
            groups.append(StrictGroupCheck(group: group, nodes: nodes, keepsEntries: groupsMax > 1))
        }
        if groups.count > groupsMax {
            ownViolations.add("n\(node + 1) belongs to another strict group than those before it: two were founded")
        }
        return groups.count - 1
    }

    private mutating func note(_ ended: StrictStateCheck.Ended, at now: Instant) {
        let keys = ended.keys.map { HistoryOperation.delete($0) }
        let locks = ended.locks.map { HistoryOperation.release($0.name, owner: Int($0.owner)) }
        for operation in keys + locks {
            history.append(
                HistoryCall(
                    client: Self.theLog, invoked: ended.proposed.nanoseconds, returned: now.nanoseconds, operation,
                    .existed(true)))
        }
    }

    /// The process is gone; its clients hear nothing more.
    package mutating func ended(node: Int) {
        for place in groups.indices { groups[place].ended(node: node) }
        for (id, call) in pending.sorted(by: { $0.key < $1.key }) where call.node == node {
            pending[id] = nil
            abandon(call, client: Int(id.rawValue))
        }
        for id in queued.keys.sorted() where queued[id]?.node == node { abandoned(id) }
    }

    // MARK: Calls

    package mutating func issued(
        _ id: CommandID, _ operation: HistoryOperation?, isRead: Bool = false, claim: StrictClaim? = nil, node: Int,
        at now: Instant
    ) {
        pending[id] = Pending(node: node, invoked: now, operation: operation, isRead: isRead, claim: claim)
    }

    package mutating func answered(_ id: CommandID, _ reply: StrictReply, at now: Instant) {
        guard let call = pending.removeValue(forKey: id) else { return }
        switch reply {
        case .failed(let failure):
            callsFailed += 1
            // What is known to have had no effect is left out.
            if case .unavailable(_, isOutcomeUnknown: true) = failure { abandon(call, client: Int(id.rawValue)) }
        case .answer(.refused): callsFailed += 1
        case .answer(.waiting): queued[id] = call
        case .answer(let answer):
            if case .locked(let token) = answer { told(call, token) }
            finish(call, id, Self.observation(of: answer, call.claim), at: now)
        case .found(.lock(let lock), _):
            guard let claim = call.claim, let lock else { return }
            if lock.holder.lease == claim.lease { told(call, lock.holder.token) }
            let isOwn = lock.holder.lease == claim.lease
            finish(call, id, isOwn ? .locked(token: lock.holder.token) : .busy, at: now)
        case .found(let found, _): finish(call, id, Self.observation(of: found), at: now)
        case .done, .status: break
        }
    }

    /// The claim that waited was found to hold the lock.
    package mutating func obtained(_ id: CommandID, token: LogIndex, at now: Instant) {
        guard let call = queued.removeValue(forKey: id) else { return }
        finish(call, id, .locked(token: token), at: now)
    }

    /// Nobody waits for the claim any more.
    package mutating func abandoned(_ id: CommandID) {
        if let call = queued.removeValue(forKey: id) { abandon(call, client: Int(id.rawValue)) }
    }

    private mutating func told(_ call: Pending, _ token: LogIndex) {
        guard let claim = call.claim else { return }
        if !groups.contains(where: { $0.state.gave(claim.lock, to: claim.lease, token: token) }) {
            ownViolations.add(
                "lease \(claim.lease) was told that it holds \(claim.lock.text) under \(token), which it never did")
        }
    }

    private mutating func finish(_ call: Pending, _ id: CommandID, _ seen: HistoryObservation, at now: Instant) {
        callsAnswered += 1
        guard let operation = call.operation else { return }
        history.append(
            HistoryCall(
                client: Int(id.rawValue), invoked: call.invoked.nanoseconds, returned: now.nanoseconds, operation, seen)
        )
    }

    private mutating func abandon(_ call: Pending, client: Int) {
        if call.isRead { return }
        callsUnknown += 1
        guard let operation = call.operation else { return }
        history.append(
            HistoryCall(client: client, invoked: call.invoked.nanoseconds, returned: nil, operation))
    }

    private static func observation(of answer: StrictAnswer, _ claim: StrictClaim?) -> HistoryObservation {
        switch answer {
        case .locked(let token): .locked(token: token)
        case .busy: .busy
        // Of one that waited, as far as was known, it may have been either.
        case .released(let either): either && claim?.isHeld != true ? .nothing : .existed(either)
        case .put(let version, modified: _): .written(version: version)
        case .deleted(let wasThere): .existed(wasThere)
        case .transaction(let succeeded, let results):
            .branch(
                succeeded: succeeded,
                results.map {
                    switch $0 {
                    case .put(let version): .written(version: version)
                    case .deleted(let wasThere): .existed(wasThere)
                    case .got(let entry): found(entry)
                    }
                })
        case .session, .sessionsEnded, .lease, .leaseEnded, .waiting, .raised, .reissued, .refused: .nothing
        }
    }

    private static func observation(of found: StrictFound) -> HistoryObservation {
        if case .entry(let entry) = found { self.found(entry) } else { .nothing }
    }

    private static func found(_ entry: StrictEntry?) -> HistoryObservation {
        .found(entry.map { String(decoding: $0.value, as: UTF8.self) }, version: entry?.version)
    }

    /// What became of a call without an answer is in the log, and after the end nothing comes any more. What the judge need
    /// not guess, it need not search for. nil: the call had no effect.
    private func settled(_ call: HistoryCall) -> HistoryCall? {
        guard call.returned == nil, let value = call.operation.writtenValue else { return call }
        guard let effect = groups.first?.state.effects[value] else { return nil }
        var settled = call
        settled.returned = max(effect.at.nanoseconds, call.invoked)
        settled.observation = Self.observation(of: effect.answer, nil)
        return settled
    }

    /// The simulation ends: what was seen must be explained.
    package mutating func finish() {
        for (id, call) in pending.sorted(by: { $0.key < $1.key }) { abandon(call, client: Int(id.rawValue)) }
        pending = [:]
        for id in queued.keys.sorted() { abandoned(id) }
        // Of several groups each has its own history.
        guard groupsMax == 1 else { return }
        let verdict = HistoryChecker().check(history.compactMap(settled))
        if !verdict.isLinearizable {
            ownViolations.add("what clients of strict keys saw is not linearizable: \(verdict)")
        }
    }
}

extension HistoryOperation {
    /// Never the same twice; nil: it writes nothing.
    fileprivate var writtenValue: String? {
        switch self {
        case .put(_, let value), .compareAndSet(_, _, let value): return value
        case .transaction(_, let then, _):
            for case .put(_, let value) in then { return value }
            return nil
        case .get, .delete, .increment, .acquire, .release: return nil
        }
    }
}

/// Whose claim a call about a lock is.
package struct StrictClaim: Hashable, Sendable {
    package var lock: StrictKey
    package var lease: LeaseID
    /// As far as its client knows.
    package var isHeld: Bool

    package init(lock: StrictKey, lease: LeaseID, isHeld: Bool) {
        self.lock = lock
        self.lease = lease
        self.isHeld = isHeld
    }
}
