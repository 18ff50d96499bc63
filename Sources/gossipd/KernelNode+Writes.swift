// SPDX-License-Identifier: Apache-2.0
// Owns the translation between the admin API and the kernel: writes, who holds them, the import queue.

import AdminModel
import AdminServer
import ClusterTypes
import NodeKernel
import Persistence
import StoreCore

extension KernelNode {
    func write(_ writes: [KeyWrite], _ options: KeyWriteOptions) async throws(AdminFailure) -> WriteResult {
        guard let first = writes.first else { throw AdminFailure(.badRequest, "there is nothing to write") }
        if strict.isOn, writes.contains(where: { strict.covers($0.key.description) }) {
            return try await strict.write(writes, options)
        }
        let command = Command.write(writes.map(StoreWrite.init), WriteOptions(options))
        guard case .written(let report) = try await ask(command) else { throw .unexpectedReply }
        var result = WriteResult(
            key: first.key, version: report.version, nodesHolding: report.nodesHolding, nodesTotal: report.nodesTotal)
        if case .increment = first, writes.count == 1 { result.value = try await counter(first.key).value }
        return result
    }

    func holders(
        _ key: ConfigurationKey, version: String?, atLeast: Int, timeout: Duration
    ) async throws(AdminFailure) -> HoldersDocument {
        guard !strict.covers(key.description) else {
            throw AdminFailure(
                .strictKey,
                "key \(key.description.quoted) is strict: what was answered is on a majority of the voters, see gossipctl strict "
                    + "members")
        }
        var wanted = version
        if wanted == nil { wanted = try await read(key).0.version.description }
        let command = Command.confirm(
            key: key.description, version: wanted ?? "", atLeast: atLeast, deadline: Interval(timeout))
        guard case .confirmed(let found) = try await ask(command) else { throw .unexpectedReply }
        return HoldersDocument(
            key: key, version: wanted ?? "", nodesHolding: found.holding, nodesTotal: found.total,
            missing: found.missing)
    }

    func queuedWrites(after: UInt64?, limit: Int) async throws(AdminFailure) -> QueueDocument {
        let queued = try await past.read { try $0.queued(after: after ?? 0, limit: limit) }
        var entries: [QueueDocument.Entry] = []
        for write in queued.entries { entries.append(try entry(write)) }
        return QueueDocument(writes: entries, next: queued.hasMore ? queued.entries.last?.number : nil)
    }

    func decideQueued(
        apply: [UInt64], drop: [UInt64], user: String
    ) async throws(AdminFailure) -> QueueResult {
        let numbers = Set(apply + drop)
        let queued = try await past.read { reader in
            try numbers.sorted().flatMap {
                try reader.queued(after: $0 - 1, limit: 1).entries.filter { numbers.contains($0.number) }
            }
        }
        let known = Dictionary(queued.map { ($0.number, $0) }) { $1 }
        if let missing = (apply + drop).first(where: { known[$0] == nil }) {
            throw AdminFailure(.notFound, "no write has the number \(missing): see gossipctl kv import --queued --list")
        }
        let writes = apply.compactMap { known[$0].flatMap { StoreWrite(again: $0.row) } }
        if writes.isEmpty {
            guard case .done = try await ask(.dequeue(apply + drop)) else { throw .unexpectedReply }
        } else {
            // Durable together: a crash between them must not write an increment twice.
            let options = WriteOptions(
                user: user, reason: "applied from the import queue", dequeued: (apply + drop).sorted())
            guard case .written = try await ask(.write(writes, options)) else { throw .unexpectedReply }
        }
        let remaining = try await status().store.queuedWrites
        return QueueResult(applied: apply, dropped: drop, remaining: remaining)
    }

    private func entry(_ queued: QueuedWrite) throws(AdminFailure) -> QueueDocument.Entry {
        let row = queued.row
        let (event, content, element): (String, KeyContent?, [UInt8]?) =
            switch (row.id.part, row.content) {
            case (_, .register(let value?)): ("put", .register(value), nil)
            case (_, .register(nil)): ("delete", nil, nil)
            case (.element(let bytes), _): (row.isLive ? "add" : "remove", nil, bytes)
            case (_, .counter(let entry)): ("increment", .counter(Int64(clamping: entry.value)), nil)
            case (_, .element): ("add", nil, nil)
            }
        return QueueDocument.Entry(
            number: queued.number, cause: queued.cause == .beforeFloor ? .beforeFloor : .clockAhead,
            queuedAt: Timestamp(queued.queuedAt), key: try ConfigurationKey(row.id.key),
            type: row.id.part.type.document, event: event, writtenAt: Timestamp(row.stamp.wall),
            author: hub.identity(row.author.node), content: content, element: element)
    }
}

extension StoreWrite {
    init(_ write: KeyWrite) {
        switch write {
        case .put(let key, let value): self = .put(key: key.description, value: value)
        case .delete(let key): self = .delete(key: key.description)
        case .add(let key, let element): self = .add(key: key.description, element: element)
        case .remove(let key, let element): self = .remove(key: key.description, element: element)
        case .increment(let key, let amount): self = .increment(key: key.description, by: amount)
        }
    }

    /// What a queued row asks for, as a new write; nil when it asks for nothing.
    init?(again row: Row) {
        switch (row.id.part, row.content) {
        case (_, .register(let value?)): self = .put(key: row.id.key, value: value)
        case (_, .register(nil)): self = .delete(key: row.id.key)
        case (.element(let bytes), .element):
            self = row.isLive ? .add(key: row.id.key, element: bytes) : .remove(key: row.id.key, element: bytes)
        case (_, .counter(let entry)):
            guard let amount = Int64(exactly: entry.value), amount != 0 else { return nil }
            self = .increment(key: row.id.key, by: amount)
        case (_, .element): return nil
        }
    }
}

extension WriteOptions {
    init(_ options: KeyWriteOptions) {
        let condition: WriteCondition =
            switch options.condition {
            case .always: .always
            case .absent: .absent
            case .version(let version): .version(version)
            }
        self.init(
            condition: condition, user: options.user, reason: options.message,
            ttlMilliseconds: options.ttlMilliseconds, requestID: options.requestID)
    }
}

extension Interval {
    init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        self.init(nanoseconds: overflow ? Int64.max / 2 : whole + attoseconds / 1_000_000_000)
    }
}
