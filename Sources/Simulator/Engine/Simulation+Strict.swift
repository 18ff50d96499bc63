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

    /// Something random with one key, or with two in a transaction.
    mutating func callStrict(_ node: Int, keys: Int) {
        guard nodes[node].isRunning, let prefix = scenario.strict?.prefix else { return }
        let number = rng.index(below: keys)
        let key = strictKey(prefix, number)
        let value = "v\(replies.issued)"
        let bytes = Array(value.utf8)
        switch rng.index(below: 10) {
        case 0..<3:
            issue(.change(.put(key, value: bytes, lease: 0)), .put(key.text, value), node: node)
        case 3..<6:
            issue(.read(.entry(key)), .get(key.text), isRead: true, node: node)
        case 6:
            issue(.change(.delete(key)), .delete(key.text), node: node)
        case 7, 8:
            compareAndSet(key, value, keys: keys, node: node)
        default:
            // In pairs: transactions tie the keys of a history together, and the judge's work grows with what is tied.
            let other = strictKey(prefix, number ^ 1)
            let isThere = rng.chance(0.5)
            let transaction = StrictTransaction(
                compares: [.exists(key, isThere)], then: [.put(key, value: bytes, lease: 0)], otherwise: [.get(other)])
            issue(
                .change(.transaction(transaction)),
                .transaction(
                    [.exists(key.text, isThere)], then: [.put(key.text, value)], otherwise: [.get(other.text)]),
                node: node)
        }
    }

    /// Against the version that this node has in its own store, which may be an old one.
    private mutating func compareAndSet(_ key: StrictKey, _ value: String, keys: Int, node: Int) {
        let entry = strictEntry(key, at: node)
        let version = entry?.version ?? 0
        let transaction = StrictTransaction(
            compares: [.version(key, version)], then: [.put(key, value: Array(value.utf8), lease: 0)],
            otherwise: [.get(key)])
        issue(
            .change(.transaction(transaction)),
            .transaction(
                [.version(key.text, version)], then: [.put(key.text, value)], otherwise: [.get(key.text)]), node: node)
    }

    /// What this node's own replica knows of a key; nil where it has none.
    private func strictEntry(_ key: StrictKey, at node: Int) -> StrictEntry? {
        let own = nodes[node].kernel?.strictNode
        if let own, own.raft != nil { return own.machine.entry(key) }
        return nodes.lazy.compactMap { $0.kernel?.strictNode }.first { $0.raft != nil }?.machine.entry(key)
    }

    private func strictKey(_ prefix: String, _ number: Int) -> StrictKey {
        guard let key = StrictKey("\(prefix)\(number + 1)") else {
            preconditionFailure("'\(prefix)' is no beginning of a key")
        }
        return key
    }

    private mutating func issue(
        _ call: StrictCall, _ operation: HistoryOperation, isRead: Bool = false, node: Int
    ) {
        let id = replies.issue("\(operation)", node: node, at: now)
        strict.issued(id, operation, isRead: isRead, node: node, at: now)
        if let until = nodes[node].stalledUntil { replies.delayed(node: node, by: until - now) }
        deliver(
            .command(id, .strict(call, within: Self.strictPatience)), to: node, process: nodes[node].process)
    }

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

    /// The most advanced state of the group among the running nodes.
    private var newestStrictPart: StrictNode? {
        views.runningNodes.compactMap { nodes[$0].kernel?.strictNode }.filter { $0.raft != nil }
            .max { $0.machine.appliedIndex < $1.machine.appliedIndex }
    }

    /// What contradicts that each running node's store has the strict keys as the group has them; nil: nothing does.
    var strictDisagreement: String? {
        guard let prefix = scenario.strict?.prefix, let newest = newestStrictPart else { return "there is no group" }
        let entries = newest.machine.entries(withPrefix: prefix, max: .max)
        for node in views.runningNodes {
            guard let store = nodes[node].kernel?.store else { continue }
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
