// SPDX-License-Identifier: Apache-2.0
// Owns the clients of the tests: what they ask which node, what they see, and the history that comes of it.

import ClusterTypes
import Linearizability
import RaftCore
import StrictCore
import StrictGroup

struct Clients {
    struct Asked {
        var node: NodeID
        var client: Int
        var invoked: Instant
        var operation: HistoryOperation?
    }

    private(set) var open: [UInt64: Asked] = [:]
    private(set) var replies: [UInt64: StrictReply] = [:]
    private(set) var history: [HistoryCall] = []
    private(set) var answered = 0
    private(set) var failed = 0
    private(set) var unknown = 0
    private var nextCall: UInt64 = 1

    mutating func begin(_ operation: HistoryOperation?, client: Int, on node: NodeID, now: Instant) -> UInt64 {
        let id = nextCall
        nextCall += 1
        open[id] = Asked(node: node, client: client, invoked: now, operation: operation)
        return id
    }

    func isBusy(_ client: Int) -> Bool { open.values.contains { $0.client == client } }

    /// The node's process ended: what it was asked may have been done.
    mutating func lose(on node: NodeID) {
        for (id, asked) in open.sorted(by: { $0.key < $1.key }) where asked.node == node {
            open[id] = nil
            unknown += 1
            note(asked, returned: nil, .nothing)
        }
    }

    private mutating func note(_ asked: Asked, returned: Instant?, _ observation: HistoryObservation) {
        guard let operation = asked.operation else { return }
        history.append(
            HistoryCall(
                client: asked.client, invoked: asked.invoked.nanoseconds, returned: returned?.nanoseconds, operation,
                observation))
    }

    mutating func take(_ reply: StrictReply, for id: UInt64, now: Instant, _ judge: inout Judge) {
        guard let asked = open.removeValue(forKey: id) else {
            judge.violate("call \(id) was answered twice: \(reply)")
            return
        }
        replies[id] = reply
        switch reply {
        case .answer(let answer):
            answered += 1
            note(asked, returned: now, observation(answer))
        case .found(.entry(let entry), _):
            answered += 1
            let value = entry.map { String(decoding: $0.value, as: UTF8.self) }
            note(asked, returned: now, .found(value, version: entry?.version ?? 0))
        case .found, .done, .status: answered += 1
        case .failed(.unavailable(_, let isOutcomeUnknown)):
            failed += 1
            if isOutcomeUnknown {
                unknown += 1
                note(asked, returned: nil, .nothing)
            }
        case .failed: failed += 1
        }
    }

    /// What is still open at the end has no answer.
    mutating func close() {
        for (id, asked) in open.sorted(by: { $0.key < $1.key }) {
            open[id] = nil
            note(asked, returned: nil, .nothing)
        }
    }

    private func observation(_ answer: StrictAnswer) -> HistoryObservation {
        switch answer {
        case .put(let version, _): .written(version: version)
        case .deleted(let wasThere): .existed(wasThere)
        case .transaction(let succeeded, _): .branch(succeeded: succeeded)
        case .session, .sessionsEnded, .lease, .leaseEnded, .locked, .waiting, .busy, .released, .raised, .reissued,
            .refused:
            .nothing
        }
    }
}

extension Village {
    /// What is asked of the group for an operation of a history.
    static func call(_ operation: HistoryOperation) -> StrictCall {
        switch operation {
        case .get(let name): .read(.entry(key(name)))
        case .put(let name, let value): .change(.put(key(name), value: Array(value.utf8), lease: 0))
        case .delete(let name): .change(.delete(key(name)))
        case .compareAndSet(.version(let name, let version), let target, let value):
            .change(
                .transaction(
                    StrictTransaction(
                        compares: [.version(key(name), version)],
                        then: [.put(key(target), value: Array(value.utf8), lease: 0)])))
        case .compareAndSet, .increment, .acquire, .release, .transaction: preconditionFailure("\(operation)")
        }
    }

    @discardableResult
    mutating func ask(
        _ operation: HistoryOperation, client: Int = 0, on id: NodeID, within time: Interval = .seconds(5)
    ) -> UInt64 {
        let call = clients.begin(operation, client: client, on: id, now: now)
        if faults.readsStale, case .get(let name) = operation, let machine = machine(id) {
            clients.take(
                .found(.entry(machine.entry(key(name))), at: machine.appliedIndex), for: call, now: now, &judge)
            return call
        }
        handle(.call(id: call, Self.call(operation), deadline: now + time), on: id)
        return call
    }

    @discardableResult
    mutating func ask(_ call: StrictCall, on id: NodeID, within time: Interval = .seconds(5)) -> UInt64 {
        let number = clients.begin(nil, client: -1, on: id, now: now)
        handle(.call(id: number, call, deadline: now + time), on: id)
        return number
    }

    @discardableResult
    mutating func put(_ name: String, _ value: String, on id: NodeID, within time: Interval = .seconds(5))
        -> StrictReply?
    {
        get(.change(.put(key(name), value: Array(value.utf8), lease: 0)), on: id, within: time)
    }

    /// What a linearizable read on this node gives; nil: not there, or no answer.
    mutating func value(_ name: String, on id: NodeID) -> String? {
        guard case .found(.entry(let entry?), _) = get(.read(.entry(key(name))), on: id) else { return nil }
        return String(decoding: entry.value, as: UTF8.self)
    }

    /// Asks and waits for the answer.
    mutating func get(_ call: StrictCall, on id: NodeID, within time: Interval = .seconds(5)) -> StrictReply? {
        let number = ask(call, on: id, within: time)
        run(within: time + .seconds(1)) { $0.clients.replies[number] != nil }
        return clients.replies[number]
    }
}
