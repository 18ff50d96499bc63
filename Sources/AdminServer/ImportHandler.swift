// SPDX-License-Identifier: Apache-2.0
// Owns an import: lines become one transaction that brings the keys to what the lines say, or a look at it.

import AdminModel

/// `POST /v1/import`. The lines are read as they come; what is held is bounded by one transaction.
struct ImportHandler: Sendable {
    /// Contents shown of a dry run, in bytes; beyond that only keys and kinds of change are.
    private static let shownBytesMax = 32 * 1024 * 1024
    /// One line: a set of many elements, or a value in base64.
    private static let lineBytesMax = 32 * 1024 * 1024
    /// Times of expiry that are this near are the same: a time to live counts from the write.
    private static let expirySlackMilliseconds: Int64 = 2_000

    private let request: RequestContext
    private let isDryRun: Bool
    private let prunes: Bool
    private let prefix: KeyPrefix

    init(_ request: RequestContext) throws(AdminFailure) {
        self.request = request
        isDryRun = try request.flag("dry_run")
        prunes = try request.flag("prune")
        prefix = try request.prefix()
    }

    func run() async throws(AdminFailure) -> ImportResult {
        let options = try request.writeOptions()
        let entries = try await read()
        guard options.condition == .always || (entries.count == 1 && !prunes) else {
            throw AdminFailure(.badRequest, "a condition is for one key: import it alone")
        }
        let plan = try await makePlan(entries)
        try KeyWrite.checkWritable(plan.writes + plan.expiring.map(\.write))
        var result = ImportResult(dryRun: isDryRun, unchanged: plan.unchanged, entries: plan.entries)
        guard !isDryRun else { return result }
        if !plan.writes.isEmpty { result.version = try await request.node.write(plan.writes, options).version }
        try await writeExpiring(plan.expiring, options, result.version != nil)
        return result
    }

    // MARK: Reading

    /// The entries in the order of the lines; no key twice, below the prefix, within one transaction.
    private func read() async throws(AdminFailure) -> [ImportEntry] {
        var entries: [ImportEntry] = []
        var keys: Set<ConfigurationKey> = []
        var bytes = 0
        var number = 0
        var rest: [UInt8] = []
        func take(_ line: some Collection<UInt8>) throws(AdminFailure) {
            number += 1
            guard line.contains(where: { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\r") }) else { return }
            let entry = try ImportEntry(line: line, number: number)
            guard prefix.matches(entry.key.description) else {
                throw AdminFailure(
                    .badRequest,
                    "line \(number): key \(entry.key.description.quoted) is not below prefix \(prefix.description.quoted)"
                )
            }
            guard keys.insert(entry.key).inserted else {
                throw AdminFailure(
                    .badRequest, "line \(number): key \(entry.key.description.quoted) is there twice: keep one")
            }
            bytes += entry.key.description.utf8.count + entry.content.rawBytes.count
            entries.append(entry)
            try Self.checkSize(writes: entries.count, bytes: bytes)
        }
        while let piece = try await request.stream.next() {
            var view = piece[...]
            while let end = view.firstIndex(of: UInt8(ascii: "\n")) {
                rest += view[..<end]
                view = view[(end + 1)...]
                let line = rest
                rest = []
                try take(line)
            }
            rest += view
            guard rest.count <= Self.lineBytesMax else {
                throw AdminFailure(
                    .tooLarge, "line \(number + 1) has more than \(Self.lineBytesMax >> 20) MiB: is it JSON lines?")
            }
        }
        if !rest.isEmpty { try take(rest) }
        return entries
    }

    private static func checkSize(writes: Int, bytes: Int) throws(AdminFailure) {
        guard writes <= AdminLimits.transactionWritesMax, bytes <= AdminLimits.transactionBytesMax else {
            throw AdminFailure(
                .tooLarge,
                "the import is larger than one transaction, which has at most \(AdminLimits.transactionWritesMax) writes "
                    + "and \(AdminLimits.transactionBytesMax >> 20) MiB: split it with --chunk N, which is atomic for each "
                    + "chunk only")
        }
    }

    // MARK: Planning

    private struct Plan {
        var writes: [KeyWrite] = []
        /// Registers that expire: a time to live holds for a whole transaction, so each is one of its own.
        var expiring: [(write: KeyWrite, at: Timestamp)] = []
        var entries: [DiffEntry] = []
        var unchanged = 0
        var bytes = 0
        var shownBytes = 0
    }

    private func makePlan(_ entries: [ImportEntry]) async throws(AdminFailure) -> Plan {
        var plan = Plan()
        for entry in entries { try add(entry, try await present(entry.key), to: &plan) }
        if prunes {
            let kept = Set(entries.map(\.key))
            let pages = try await request.node.export(prefix)
            defer { pages.close() }
            while let page = try await pages.next() {
                for document in page {
                    let key = try ConfigurationKey(document.key)
                    guard !kept.contains(key) else { continue }
                    try append([.delete(key)], DiffEntry(key: key, old: document.content, new: nil), &plan)
                }
            }
        }
        return plan
    }

    private func present(_ key: ConfigurationKey) async throws(AdminFailure) -> KeyDocument? {
        do throws(AdminFailure) {
            return try await request.node.get(key)
        } catch {
            guard error.code == .notFound else { throw error }
            return nil
        }
    }

    private func add(_ entry: ImportEntry, _ present: KeyDocument?, to plan: inout Plan) throws(AdminFailure) {
        if let present, present.content.type != entry.content.type {
            throw AdminFailure(
                .conflict,
                "key \(present.key.quoted) is a \(present.content.type.rawValue) here and a "
                    + "\(entry.content.type.rawValue) in the import: delete it first, or leave it out")
        }
        let difference = DiffEntry(key: entry.key, old: present?.content, new: entry.content)
        if let expiresAt = entry.expiresAt, case .register(let value) = entry.content {
            let distance = present?.expiresAt.map { abs($0.milliseconds - expiresAt.milliseconds) }
            // A value that has expired meanwhile is not brought back.
            let isSame = difference == nil && (distance ?? .max) <= Self.expirySlackMilliseconds
            guard !isSame, expiresAt > WallClock.read() else {
                plan.unchanged += 1
                return
            }
            let shown = difference ?? DiffEntry(changed: entry.key, old: present?.content, new: entry.content)
            plan.expiring.append((.put(entry.key, value), expiresAt))
            return try append([], shown, &plan)
        }
        // A set without elements is not there at all.
        let isNothing = present == nil && entry.content == .set([])
        let becomesLasting = present?.expiresAt != nil && present?.content.type == .register
        let lasting =
            becomesLasting ? DiffEntry(changed: entry.key, old: present?.content, new: entry.content) : nil
        guard !isNothing, let difference = difference ?? lasting else {
            plan.unchanged += 1
            return
        }
        try append(try Self.writes(entry, present?.content), difference, &plan)
    }

    private static func writes(_ entry: ImportEntry, _ old: KeyContent?) throws(AdminFailure) -> [KeyWrite] {
        switch entry.content {
        case .register(let value): return [.put(entry.key, value)]
        case .set(let elements):
            var before: Set<[UInt8]> = []
            if case .set(let held) = old { before = Set(held) }
            let after = Set(elements)
            return elements.filter { !before.contains($0) }.map { .add(entry.key, element: $0) }
                + before.subtracting(after).sorted { $0.lexicographicallyPrecedes($1) }
                .map { .remove(entry.key, element: $0) }
        case .counter(let value):
            var before: Int64 = 0
            if case .counter(let held) = old { before = held }
            let (amount, overflow) = value.subtractingReportingOverflow(before)
            guard !overflow else {
                throw AdminFailure(.badRequest, "counter \(entry.key.description.quoted) cannot go that far at once")
            }
            // A counter of zero that is not there yet still has to come into being.
            guard amount == 0 else { return [.increment(entry.key, by: amount)] }
            return [.increment(entry.key, by: 1), .increment(entry.key, by: -1)]
        }
    }

    private func append(
        _ writes: [KeyWrite], _ difference: DiffEntry?, _ plan: inout Plan
    ) throws(AdminFailure) {
        plan.writes += writes
        plan.bytes += writes.reduce(0) { $0 + $1.bytes }
        try Self.checkSize(writes: plan.writes.count, bytes: plan.bytes)
        guard var difference else { return }
        plan.shownBytes += (difference.old?.rawBytes.count ?? 0) + (difference.new?.rawBytes.count ?? 0)
        if !isDryRun || plan.shownBytes > Self.shownBytesMax { (difference.old, difference.new) = (nil, nil) }
        plan.entries.append(difference)
    }

    // MARK: Writing

    private func writeExpiring(
        _ expiring: [(write: KeyWrite, at: Timestamp)], _ options: KeyWriteOptions, _ wroteOthers: Bool
    ) async throws(AdminFailure) {
        var options = options
        // The id belongs to the transaction; with it these would count as the same request.
        if wroteOthers || expiring.count > 1 { options.requestID = nil }
        for (index, (write, at)) in expiring.enumerated() {
            let left = at.milliseconds - WallClock.read().milliseconds
            guard left > 0 else { continue }
            options.ttlMilliseconds = UInt64(left)
            do throws(AdminFailure) {
                _ = try await request.node.write([write], options)
            } catch {
                let done = wroteOthers ? "what does not expire is written, and " : ""
                throw AdminFailure(
                    error.code,
                    "\(done)\(index) of \(expiring.count) keys that expire are: then \(write.key.description.quoted) "
                        + "failed: \(error.message)")
            }
        }
    }
}
