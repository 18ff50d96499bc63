// SPDX-License-Identifier: Apache-2.0
// Owns what clients ask of the store: reads from memory at once, writes answered when they are durable.

import ClusterTypes
import SWIMCore
import StoreCore

extension NodeKernel {
    mutating func onStoreCommand(_ id: CommandID, _ command: Command, _ turn: inout Turn) {
        let wall = turn.clock.wall
        switch command {
        case .read(let key):
            if let view = store.read(key) {
                reply(id, .key(view, author: author(of: view)), &turn)
            } else {
                reply(id, .failure(.noSuchKey(key)), &turn)
            }
        case .list(let prefix, let after, let limit):
            let page = store.list(prefix: prefix, after: after, limit: limit)
            reply(id, .keys(page.entries.map { ($0, author(of: $0)) }, next: page.next), &turn)
        case .write(let writes, _):
            guard let first = writes.first else { return reply(id, .failure(.invalid("nothing to write")), &turn) }
            switch first {
            case .put(let key, let value):
                write(id, key, .register, &turn) { store throws(StoreFailure) in
                    try store.put(value, for: key, wall: wall)
                }
            case .delete(let key):
                write(id, key, nil, &turn) { store throws(StoreFailure) in try store.delete(key, wall: wall) }
            case .add(let key, let element):
                write(id, key, .set, &turn) { store throws(StoreFailure) in
                    try store.add(element, to: key, wall: wall)
                }
            case .remove(let key, let element):
                write(id, key, .set, &turn) { store throws(StoreFailure) in
                    try store.remove(element, from: key, wall: wall)
                }
            case .increment(let key, let amount):
                write(id, key, .counter, &turn) { store throws(StoreFailure) in
                    try store.increment(key, by: amount, wall: wall)
                }
            }
        case .confirm(let key, let version, let atLeast, let deadline):
            onConfirmCommand(id, key: key, version: version, atLeast: atLeast, deadline: deadline, &turn)
        case .verify(let deadline):
            onVerify(id, deadline: deadline, &turn)
        case .diagnose:
            reply(id, .diagnosis(diagnosis), &turn)
        case .restore(let rows, let context, let floor, let revision):
            onRestore(id, rows: rows, context: context, floor: floor, revision: revision, &turn)
        case .dequeue(let numbers):
            onDequeue(id, numbers, &turn)
        case .status, .statistics, .members, .explain, .join, .replaceSeeds, .leave, .forget, .changeTags, .ping:
            preconditionFailure("\(command) is not about the store")
        }
    }

    /// Carries out one write; the answer waits until its rows are durable.
    private mutating func write(
        _ id: CommandID, _ key: String, _ type: KeyType?, _ turn: inout Turn,
        _ body: (inout Store) throws(StoreFailure) -> Mutation
    ) {
        guard isReady(id, &turn) else { return }
        let mutation: Mutation
        do {
            mutation = try body(&store)
        } catch {
            reply(id, .failure(Self.failure(error, key: key, requested: type)), &turn)
            return
        }
        guard let version = mutation.version, !mutation.rows.isEmpty else {
            // Only a remove of what is not there does nothing.
            reply(id, .failure(type == .set ? .noSuchElement(key: key) : .noSuchKey(key)), &turn)
            return
        }
        statistics.localWrites += 1
        let report = WriteReport(
            key: key, version: version.description, nodesHolding: 1, nodesTotal: membership.table.activeCount)
        persistRows(mutation.rows, changes: mutation.changes, reply: (id, report), &turn)
    }

    func author(of view: KeyView) -> AuthorView {
        let id = view.author.node
        return AuthorView(id: id, name: membership.table[id]?.info.name ?? "")
    }

    private static func failure(_ failure: StoreFailure, key: String, requested: KeyType?) -> CommandFailure {
        switch failure {
        case .invalidKey(let defect):
            .invalid("the key is not valid: \(defect.rawValue)")
        case .valueTooLarge(let bytes):
            .invalid("the value has \(bytes) bytes; at most \(Bounds.valueBytesMax) are allowed")
        case .elementTooLarge(let bytes):
            .invalid("the element has \(bytes) bytes; at most \(Bounds.elementBytesMax) are allowed")
        case .typeConflict(let existing):
            .typeConflict(key: key, existing: existing, requested: requested ?? existing)
        case .notFound: .noSuchKey(key)
        case .counterOverflow: .counterOverflow(key: key)
        case .zeroIncrement: .invalid("a counter is changed by a number other than 0")
        case .tooManyActors:
            .invalid("too many nodes have written this entry; write it on one that already has")
        case .storeFull: .storeFull
        case .conditionFailed(let current): .conditionFailed(key: key, current: current)
        case .reasonTooLong: .invalid("the reason has more than \(Bounds.reasonBytesMax) bytes")
        case .invalidTTL: .invalid("the time to live is not possible, or not for this kind of write")
        case .transactionTooLarge: .invalid("the request writes too much at once")
        case .ofWrite(_, let key, let reason): Self.failure(reason, key: key, requested: requested)
        }
    }
}
