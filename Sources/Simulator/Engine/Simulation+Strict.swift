// SPDX-License-Identifier: Apache-2.0
// Owns the strict group's clients and operators in a simulation, and looks at whether all nodes have what it has.

import ClusterTypes
import Linearizability
import NodeKernel
import RaftCore
import StoreCore
import StrictCore
import StrictGroup

extension Simulation {
    /// How long a client of the strict group waits.
    private static let strictPatience = Interval.seconds(3)

    /// What so many clients do comes to the node as one input.
    mutating func callStrict(_ node: Int, keys: Int, together: Int) {
        guard together > 1 else { return callStrict(node, keys: keys) }
        gathered = []
        for _ in 0..<together { callStrict(node, keys: keys) }
        guard let calls = gathered.take(), !calls.isEmpty else { return }
        deliver(.calls(calls), to: node, process: nodes[node].process)
    }

    /// Something random with one key, or with several in a transaction, or a step of the node's holder of locks.
    private mutating func callStrict(_ node: Int, keys: Int) {
        guard nodes[node].isRunning, let prefix = scenario.strict?.prefix else { return }
        if !holders[node].isBusy, rng.chance(0.4) {
            stepHolder(node, prefix, keys: keys)
            return
        }
        let key = strictKey(prefix, rng.index(below: keys))
        let value = "v\(replies.issued)"
        switch rng.index(below: 10) {
        case 0..<3:
            issue(.change(.put(key, value: Array(value.utf8), lease: 0)), .put(key.text, value), node: node)
        case 3..<6:
            if plantsStaleReads, let machine = nodes[node].kernel?.strictNode?.machine {
                let id = CommandID(rawValue: UInt64(Int64.max) - UInt64(strict.history.count))
                strict.issued(id, .get(key.text), isRead: true, node: node, at: now)
                strict.answered(id, .found(.entry(machine.entry(key)), at: machine.appliedIndex), at: now)
                return
            }
            issue(.read(.entry(key)), .get(key.text), isRead: true, node: node)
        case 6: issue(.change(.delete(key)), .delete(key.text), node: node)
        case 7: compareAndSet(key, value, node: node)
        default: transact(prefix, keys: keys, value, node: node)
        }
    }

    /// Against the version that this node has in its own store, which may be an old one.
    private mutating func compareAndSet(_ key: StrictKey, _ value: String, node: Int) {
        let version = strictEntry(key, at: node)?.version ?? 0
        issue(StrictPlan([.version(key, version)], then: [.put(key, value)], otherwise: [.get(key)]), node: node)
    }

    /// Over a group of three keys: transactions tie the keys of a history together, and the judge's work grows with what is
    /// tied.
    private mutating func transact(_ prefix: String, keys: Int, _ value: String, node: Int) {
        let first = rng.index(below: keys) / 3 * 3
        let group = (first..<min(first + 3, keys)).map { strictKey(prefix, $0) }
        var compares: [StrictPlan.Compare] = []
        for key in group where compares.count < 2 && rng.chance(0.5) {
            switch rng.index(below: 3) {
            case 0: compares.append(.exists(key, rng.chance(0.5)))
            case 1: compares.append(.version(key, strictEntry(key, at: node)?.version ?? 0))
            default:
                guard let entry = strictEntry(key, at: node) else { continue }
                compares.append(.value(key, String(decoding: entry.value, as: UTF8.self)))
            }
        }
        var then: [StrictPlan.Step] = []
        var otherwise: [StrictPlan.Step] = []
        for key in group {
            let dice = rng.index(below: 6)
            then.append(dice < 3 ? .put(key, value) : dice < 4 ? .delete(key) : .get(key))
            if dice % 2 == 0 { otherwise.append(.get(key)) }
        }
        issue(StrictPlan(compares, then: then, otherwise: otherwise), node: node)
    }

    /// What this node's own replica knows of a key; nil where it has none.
    private func strictEntry(_ key: StrictKey, at node: Int) -> StrictEntry? {
        let own = nodes[node].kernel?.strictNode
        if let own, own.raft != nil { return own.machine.entry(key) }
        return nodes.lazy.compactMap { $0.kernel?.strictNode }.first { $0.raft != nil }?.machine.entry(key)
    }

    private func strictKey(_ prefix: String, _ number: Int) -> StrictKey { strictName("\(prefix)\(number + 1)") }

    private func strictName(_ text: String) -> StrictKey {
        guard let key = StrictKey(text) else { preconditionFailure("'\(text)' is no key") }
        return key
    }

    private mutating func issue(_ plan: StrictPlan, node: Int) {
        issue(.change(.transaction(plan.transaction)), plan.operation, node: node)
    }

    @discardableResult
    private mutating func issue(
        _ call: StrictCall, _ operation: HistoryOperation?, isRead: Bool = false, claim: StrictClaim? = nil, node: Int
    ) -> CommandID {
        let id = replies.issue(operation.map { "\($0)" } ?? "\(call)", node: node, at: now)
        strict.issued(id, operation, isRead: isRead, claim: claim, node: node, at: now)
        if let until = nodes[node].stalledUntil { replies.delayed(node: node, by: until - now) }
        if gathered == nil {
            deliver(.command(id, .strict(call, within: Self.strictPatience)), to: node, process: nodes[node].process)
        } else {
            gathered?.append(StrictAsked(id: id, call: call, within: Self.strictPatience))
        }
        return id
    }

    // MARK: Holders of locks

    private static let lockCount = 2

    private mutating func stepHolder(_ node: Int, _ prefix: String, keys: Int) {
        if rng.chance(0.03) { holders[node].forget(&strict) }
        let locks = (1...Self.lockCount).map { strictName("\(prefix)lock-\($0)") }
        let step = holders[node].next(locks: locks, using: &rng)
        let value = "v\(replies.issued)"
        // The answer may come before the call returns.
        holders[node].ask(step, as: replies.nextCommand)
        switch step {
        // Of half of the nodes: such a lease may end sooner, when somebody else writes its keys.
        case .grant(let milliseconds):
            let grant = StrictOperation.grantLease(milliseconds: milliseconds, endsWithKeys: node.isMultiple(of: 2))
            issue(.change(grant), nil, node: node)
        case .keepAlive(let lease): issue(.change(.keepAlive(lease)), nil, node: node)
        // What it ends is told by the log.
        case .revoke(let lease): issue(.change(.revoke(lease)), nil, node: node)
        case .bind(let lease):
            let key = strictKey(prefix, rng.index(below: keys))
            issue(.change(.put(key, value: Array(value.utf8), lease: lease)), .put(key.text, value), node: node)
        case .acquire(let claim, let mayWait):
            issue(
                .change(.acquire(lock: claim.lock, lease: claim.lease, mayWait: mayWait)),
                .acquire(claim.lock.text, owner: Int(claim.lease)), claim: claim, node: node)
        case .look(let claim):
            issue(
                .read(.lock(claim.lock)), .acquire(claim.lock.text, owner: Int(claim.lease)), isRead: true,
                claim: claim,
                node: node)
        case .release(let claim):
            issue(
                .change(.release(lock: claim.lock, lease: claim.lease)),
                .release(claim.lock.text, owner: Int(claim.lease)), claim: claim, node: node)
        case .write(let lock, let token):
            let key = strictName("\(lock.text)-of")
            issue(StrictPlan([.holds(lock, token)], then: [.put(key, value)], otherwise: [.get(key)]), node: node)
        }
    }

    // MARK: Orders

    mutating func order(_ order: StrictOrder, node: Int) {
        command(.strict(.operate(order), within: .seconds(10)), name: "\(order)", node: node)
    }

    mutating func orderStrict(
        _ selector: NodeSelector, by: NodeSelector, line: Int, _ make: (NodeID) -> StrictOrder
    ) throws(ScenarioFailure) {
        let subjects = try resolve(selector, line: line)
        for node in try resolve(by, line: line) {
            for subject in subjects { order(make(nodes[subject].id), node: node) }
        }
    }

    // MARK: Looks

    /// The most advanced state of a group among the running nodes; of any without `group`.
    private func newestStrictPart(of group: UInt64? = nil) -> StrictNode? {
        views.runningNodes.compactMap { nodes[$0].kernel?.strictNode }
            .filter { $0.raft != nil && (group == nil || $0.knownGroup == group) }
            .max { $0.machine.appliedIndex < $1.machine.appliedIndex }
    }

    /// What contradicts that each running node's store has the strict keys as the group has them; nil: nothing does.
    var strictDisagreement: String? {
        guard let prefix = scenario.strict?.prefix, newestStrictPart() != nil else { return "there is no group" }
        for node in views.runningNodes {
            guard let kernel = nodes[node].kernel else { continue }
            let store = kernel.store
            guard let group = kernel.strictNode?.knownGroup, let newest = newestStrictPart(of: group) else {
                return "n\(node + 1) knows of no group that is there"
            }
            let entries = newest.machine.entries(withPrefix: prefix, max: .max)
            let page = store.list(prefix: prefix, limit: .max, bytesMax: .max)
            if page.entries.count != entries.count {
                return "n\(node + 1) has \(page.entries.count) strict keys, the group \(entries.count)"
            }
            for (view, (key, entry)) in zip(page.entries, entries) {
                guard view.key == key.text, view.content == .register(entry.value), view.index == entry.modified else {
                    return
                        "n\(node + 1) has '\(view.key)' of index \(view.index), the group '\(key)' of \(entry.modified)"
                }
            }
        }
        return nil
    }

    /// What contradicts that there is one leader whose log everybody has applied; nil: nothing does.
    var strictUnrest: String? {
        let parts = views.runningNodes.compactMap { node in
            nodes[node].kernel?.strictNode.flatMap { part in part.raft.map { (node, part, $0) } }
        }
        guard let (_, leading, leader) = parts.filter({ $0.2.isLeader }).max(by: { $0.2.term < $1.2.term }) else {
            return "nobody leads"
        }
        let status = leading.status
        guard leader.commitIndex == leader.lastPosition.index else { return "the leader's log is not all committed" }
        for (node, part, raft) in parts where status.voters.contains(raft.id) || status.learners.contains(raft.id) {
            if part.machine.appliedIndex != leader.commitIndex {
                return "n\(node + 1) has applied \(part.machine.appliedIndex) of \(leader.commitIndex)"
            }
        }
        return nil
    }
}
