// SPDX-License-Identifier: Apache-2.0
// Owns repeated requests: a write with an idempotency id is carried out once.

import ClusterTypes
import SWIMCore
import StoreCore

/// The answers given to requests with an id: at most `Bounds.requestsMax`, the oldest are forgotten.
struct RequestTable: Sendable {
    private struct Entry: Sendable {
        var record: RequestRecord
        /// The write that the answer depends on; nil when it is durable.
        var awaits: PersistToken?
        /// Who sent the request again while the first is still waiting for the disk.
        var waiting: [CommandID] = []
    }

    /// What is known of a request.
    enum Finding: Equatable {
        case unknown
        /// The id stands for another request.
        case otherRequest
        /// It was carried out; the write waits for the disk.
        case underWay
        case answered(RequestRecord)
    }

    /// Only ever looked up.
    private var entries: [String: Entry] = [:]
    private var underWay: [PersistToken: String] = [:]
    /// Of a store that is gone.
    private var forgotten: Set<PersistToken> = []
    /// In the order of arrival; the entries before `oldest` are forgotten.
    private var order: [String] = []
    private var oldest = 0

    init(_ records: [RequestRecord] = []) {
        for record in records { insert(Entry(record: record, awaits: nil)) }
    }

    var count: Int { entries.count }

    func find(_ id: String, fingerprint: UInt64) -> Finding {
        guard let entry = entries[id] else { return .unknown }
        if entry.record.fingerprint != fingerprint { return .otherRequest }
        return entry.awaits == nil ? .answered(entry.record) : .underWay
    }

    /// A request was carried out; its answer waits for `token`.
    mutating func insert(_ record: RequestRecord, awaits token: PersistToken) {
        insert(Entry(record: record, awaits: token))
        underWay[token] = record.id
    }

    private mutating func insert(_ entry: Entry) {
        if entries.updateValue(entry, forKey: entry.record.id) == nil { order.append(entry.record.id) }
        while entries.count > Bounds.requestsMax {
            entries[order[oldest]] = nil
            oldest += 1
        }
        // Half of the list is forgotten: give the memory back, which costs one step for each request.
        if oldest > Bounds.requestsMax {
            order.removeFirst(oldest)
            oldest = 0
        }
    }

    /// `command` gets the answer to the same request when it is durable.
    mutating func wait(_ command: CommandID, for id: String) { entries[id]?.waiting.append(command) }

    /// The write is durable: those who repeated it, and the answer for them.
    mutating func complete(_ token: PersistToken) -> (record: RequestRecord, waiting: [CommandID])? {
        let isForgotten = forgotten.remove(token) != nil
        guard let id = underWay.removeValue(forKey: token), var entry = entries[id], entry.awaits == token else {
            return nil
        }
        let waiting = entry.waiting
        entry.awaits = nil
        entry.waiting = []
        entries[id] = entry
        if isForgotten { remove(id) }
        return (entry.record, waiting)
    }

    /// The store was replaced. Who still waits for the disk gets the answer, and then that is forgotten too.
    mutating func forgetAll() {
        var kept: [String: Entry] = [:]
        order = []
        oldest = 0
        for token in underWay.keys.sorted() {
            guard let id = underWay[token], let entry = entries[id], entry.awaits == token else { continue }
            kept[id] = entry
            order.append(id)
            forgotten.insert(token)
        }
        entries = kept
    }

    private mutating func remove(_ id: String) {
        entries[id] = nil
        if let index = order[oldest...].firstIndex(of: id) { order.remove(at: index) }
    }

    /// Takes away everybody who waits for the disk, in the order of the writes.
    mutating func takeWaiting() -> [CommandID] {
        var waiting: [CommandID] = []
        for token in underWay.keys.sorted() {
            guard let id = underWay[token], let entry = entries[id], entry.awaits == token else { continue }
            waiting += entry.waiting
            entries[id]?.waiting = []
        }
        return waiting
    }
}

extension NodeKernel {
    /// Answers a write that was asked for before, or says why not; false when it has to be carried out.
    mutating func answerRepeated(
        _ command: CommandID, _ requestID: String, fingerprint: UInt64, _ turn: inout Turn
    ) -> Bool {
        switch requests.find(requestID, fingerprint: fingerprint) {
        case .unknown:
            return false
        case .otherRequest:
            reply(command, .failure(.requestIDReused(requestID)), &turn)
        case .underWay where storage == .full:
            reply(command, .failure(.storageFull), &turn)
        case .underWay:
            statistics.requestsRepeated += 1
            requests.wait(command, for: requestID)
        case .answered(let record):
            statistics.requestsRepeated += 1
            reply(command, .written(report(record)), &turn)
        }
        return true
    }

    /// The write of a request is durable: whoever sent it again is answered with the first one.
    mutating func answerWaitingRequests(_ token: PersistToken, _ turn: inout Turn) {
        guard let (record, waiting) = requests.complete(token) else { return }
        for command in waiting { reply(command, .written(report(record)), &turn) }
    }

    private func report(_ record: RequestRecord) -> WriteReport {
        WriteReport(
            key: record.key, version: record.version, nodesHolding: 1, nodesTotal: presumedCount)
    }

    /// Tells requests apart: a hash of everything that was asked for, the same in every process.
    static func fingerprint(of writes: [StoreWrite], _ options: WriteOptions) -> UInt64 {
        var hasher = StableHasher()
        hasher.absorb(UInt64(writes.count))
        for write in writes { absorb(write, into: &hasher) }
        switch options.condition {
        case .always: hasher.absorb(UInt8(0))
        case .absent: hasher.absorb(UInt8(1))
        case .version(let version):
            hasher.absorb(UInt8(2))
            hasher.absorb(counted: version.utf8)
        }
        hasher.absorb(counted: options.user.utf8)
        hasher.absorb(counted: options.reason.utf8)
        hasher.absorb(options.ttlMilliseconds == nil ? UInt8(0) : 1)
        hasher.absorb(options.ttlMilliseconds ?? 0)
        for number in options.dequeued { hasher.absorb(number) }
        return hasher.finalize().low
    }

    private static func absorb(_ write: StoreWrite, into hasher: inout StableHasher) {
        let kind: UInt8
        var bytes: [UInt8] = []
        var amount: Int64 = 0
        switch write {
        case .put(_, let value):
            kind = 0
            bytes = value
        case .delete:
            kind = 1
        case .add(_, let element):
            kind = 2
            bytes = element
        case .remove(_, let element):
            kind = 3
            bytes = element
        case .increment(_, let by):
            kind = 4
            amount = by
        }
        hasher.absorb(kind)
        hasher.absorb(counted: write.key.utf8)
        hasher.absorb(counted: bytes)
        hasher.absorb(UInt64(bitPattern: amount))
    }
}
