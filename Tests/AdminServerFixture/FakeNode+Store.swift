// SPDX-License-Identifier: Apache-2.0
// Owns the store of the node in memory: transactions, conditions, request ids, history, long answers.

import AdminModel
import AdminServer
import Synchronization

extension FakeNode {
    package func get(_ key: ConfigurationKey, _ options: ReadOptions) async throws(AdminFailure) -> KeyDocument {
        peek { $0.readNote }?()
        if let document = try strictGet(key, options) { return document }
        return try with { state throws(AdminFailure) in
            guard let document = state.keys[key.description] else { throw notFound(key) }
            return document
        }
    }

    package func put(_ key: ConfigurationKey, value: [UInt8]) async throws(AdminFailure) -> WriteResult {
        try await write([.put(key, value)], KeyWriteOptions())
    }

    package func delete(_ key: ConfigurationKey) async throws(AdminFailure) -> WriteResult {
        try await write([.delete(key)], KeyWriteOptions())
    }

    package func addToSet(_ key: ConfigurationKey, elements: [[UInt8]]) async throws(AdminFailure) -> WriteResult {
        try await write(elements.map { .add(key, element: $0) }, KeyWriteOptions())
    }

    package func removeFromSet(_ key: ConfigurationKey, elements: [[UInt8]]) async throws(AdminFailure) -> WriteResult {
        try await write(elements.map { .remove(key, element: $0) }, KeyWriteOptions())
    }

    package func addToCounter(_ key: ConfigurationKey, increment: Int64) async throws(AdminFailure) -> WriteResult {
        try await write([.increment(key, by: increment)], KeyWriteOptions())
    }

    package func list(_ prefix: KeyPrefix, _ options: ReadOptions) async throws(AdminFailure) -> KeyListDocument {
        let strict = try strictKeys(prefix, options)
        return try with { state throws(AdminFailure) in
            let others = state.keys.values.filter { prefix.matches($0.key) }
            return KeyListDocument(entries: (others + strict).sorted { $0.key < $1.key })
        }
    }

    package func listSet(_ key: ConfigurationKey) async throws(AdminFailure) -> SetDocument {
        guard case .set(let elements) = try await get(key).content else { throw otherType(key) }
        return SetDocument(key: key, elements: elements)
    }

    package func counter(_ key: ConfigurationKey) async throws(AdminFailure) -> CounterDocument {
        guard case .counter(let value) = try await get(key).content else { throw otherType(key) }
        return CounterDocument(key: key, value: value)
    }

    // MARK: Writing

    package func write(_ writes: [KeyWrite], _ options: KeyWriteOptions) async throws(AdminFailure) -> WriteResult {
        if let gate = peek({ $0.writeGate }) { await gate() }
        if let result = try strictWrite(writes, options) { return result }
        return try with { state throws(AdminFailure) in
            let first = writes[0].key
            if let id = options.requestID, let known = state.requests[id] {
                guard known.writes == writes else { throw AdminFailure(.requestIDReused, "request id was used") }
                return known.result
            }
            let present = state.keys[first.description]?.version
            switch options.condition {
            case .always: break
            case .absent:
                guard present == nil else { throw AdminFailure(.conditionFailed, "the key is there") }
            case .version(let version):
                guard present == version else { throw AdminFailure(.conditionFailed, "the key is at another version") }
            }
            var after = state
            var applied = false
            for write in writes where try apply(write, options, to: &after) { applied = true }
            guard applied else { throw AdminFailure(.notFound, "none of the elements is there") }
            var result = WriteResult(key: first, version: "v\(after.revision)", nodesHolding: 1, nodesTotal: 5)
            if writes.count == 1, case .counter(let value) = after.keys[first.description]?.content {
                result.value = value
            }
            if let id = options.requestID { after.requests[id] = (writes, result) }
            after.lastOptions = options
            after.lastSteps = writes.count
            after.holding = 1
            state = after
            return result
        }
    }

    /// False when there was nothing to do.
    private func apply(
        _ write: KeyWrite, _ options: KeyWriteOptions, to state: inout State
    ) throws(AdminFailure) -> Bool {
        let key = write.key
        let old = state.keys[key.description]?.content
        let new: KeyContent?
        var event = ""
        var element: [UInt8]?
        switch (write, old) {
        case (.put(_, let value), nil), (.put(_, let value), .register): (event, new) = ("put", .register(value))
        case (.delete, nil): throw notFound(key)
        case (.delete, _): (event, new) = ("delete", nil)
        case (.add(_, let added), nil): (event, new, element) = ("add", .set([added]), added)
        case (.add(_, let added), .set(let held)):
            (event, new, element) = ("add", .set(Self.sorted(Set(held).union([added]))), added)
        case (.remove(_, let removed), .set(let held)):
            guard held.contains(removed) else { return false }
            (event, new, element) = ("remove", .set(held.filter { $0 != removed }), removed)
        case (.remove, nil): throw notFound(key)
        case (.increment(_, let amount), nil): (event, new) = ("increment", .counter(amount))
        case (.increment(_, let amount), .counter(let held)): (event, new) = ("increment", .counter(held &+ amount))
        case (.put, _), (.add, _), (.remove, _), (.increment, _): throw otherType(key)
        }
        state.revision += 1
        let version = "v\(state.revision)"
        let time = Timestamp(milliseconds: Self.start.milliseconds + Int64(state.revision) * 1000)
        let type = (new ?? old)?.type ?? .register
        state.keys[key.description] = new.map {
            KeyDocument(
                key: key, content: $0, version: version, writtenAt: Self.start, author: me,
                expiresAt: options.ttlMilliseconds.map {
                    Timestamp(milliseconds: Self.start.milliseconds + Int64($0))
                })
        }
        var entry = HistoryEntry(
            revision: state.revision, key: key, event: event, type: type, appliedAt: time, writtenAt: time,
            version: version, author: me)
        entry.user = options.user
        entry.reason = options.message.isEmpty ? nil : options.message
        if element == nil { (entry.old, entry.new) = (old, new) } else { entry.element = element }
        state.history.append(entry)
        state.states.append(state.keys)
        emit(write, version, new ?? old, key)
        return true
    }

    private func emit(_ write: KeyWrite, _ version: String, _ content: KeyContent?, _ key: ConfigurationKey) {
        let size = content?.rawBytes.count ?? 0
        changes.append(cost: size + 256) { cursor in
            switch write {
            case .put(_, let value):
                .put(cursor: cursor, time: Self.start, key: key, value: value, version: version, author: self.me)
            case .delete:
                .delete(
                    cursor: cursor, time: Self.start, key: key, type: content?.type ?? .register, version: version,
                    author: self.me)
            case .add(_, let element), .remove(_, let element):
                .element(
                    element, added: write == .add(key, element: element), cursor: cursor, time: Self.start, key: key,
                    version: version, author: self.me)
            case .increment:
                .increment(
                    cursor: cursor, time: Self.start, key: key, value: 0, version: version, author: self.me)
            }
        }
    }

    package func holders(
        _ key: ConfigurationKey, version: String?, atLeast: Int, timeout: Duration
    ) async throws(AdminFailure) -> HoldersDocument {
        try with { state throws(AdminFailure) in
            guard let present = version ?? state.keys[key.description]?.version else { throw notFound(key) }
            state.holding = min(state.holdersMax, state.holding + 1)
            let missing = (state.holding..<5).map { "web-\($0 + 1)" }
            return HoldersDocument(
                key: key, version: present, nodesHolding: state.holding, nodesTotal: 5, missing: missing)
        }
    }

    // MARK: The past

    private func revision(_ point: PastPoint, _ state: State) throws(AdminFailure) -> UInt64 {
        let revision: UInt64
        switch point {
        case .revision(let number): revision = number
        case .time(let time): revision = state.history.last { $0.appliedAt <= time }?.revision ?? 0
        }
        guard revision <= state.revision, revision >= state.forgottenThrough else {
            throw AdminFailure(.historyGone, "history does not reach \(point)")
        }
        return revision
    }

    package func past(_ key: ConfigurationKey, at point: PastPoint) async throws(AdminFailure) -> KeyDocument {
        try with { state throws(AdminFailure) in
            let revision = try revision(point, state)
            guard let document = state.states[Int(revision)][key.description] else { throw notFound(key) }
            return document
        }
    }

    package func history(
        _ key: ConfigurationKey, before: UInt64?, limit: Int
    ) async throws(AdminFailure) -> HistoryDocument {
        try with { state throws(AdminFailure) in
            let all = state.history.reversed().filter {
                $0.key == key.description && $0.revision < before ?? .max && $0.revision > state.forgottenThrough
            }
            let page = Array(all.prefix(limit))
            return HistoryDocument(key: key, entries: page, next: page.count < all.count ? page.last?.revision : nil)
        }
    }

    package func difference(
        _ prefix: KeyPrefix, from: PastPoint, to: PastPoint?, after: ConfigurationKey?, limit: Int
    ) async throws(AdminFailure) -> DiffDocument {
        try with { state throws(AdminFailure) in
            let from = try revision(from, state)
            let end = try to.map { point throws(AdminFailure) in try revision(point, state) } ?? state.revision
            let (old, new) = (state.states[Int(from)], state.states[Int(end)])
            let keys = Set(old.keys).union(new.keys).filter(prefix.matches).sorted()
                .filter { $0 > after?.description ?? "" }
            var entries: [DiffEntry] = []
            for text in keys {
                let key = try ConfigurationKey(text)
                if let entry = DiffEntry(key: key, old: old[text]?.content, new: new[text]?.content) {
                    entries.append(entry)
                }
            }
            // Small pages, so that tests see several.
            let page = Array(entries.prefix(min(limit, 2)))
            let next = page.count < entries.count ? page.last?.key : nil
            return DiffDocument(
                fromRevision: from, toRevision: end, entries: page,
                next: try next.map { text throws(AdminFailure) in try ConfigurationKey(text) })
        }
    }

    // MARK: Long answers

    private func pull<Piece: Sendable>(_ pieces: [Piece], failure: AdminFailure? = nil) -> PullStream<Piece> {
        let rest = Mutex(pieces[...])
        peek { $0.openStreams += 1 }
        return PullStream { () throws(AdminFailure) in
            let piece = rest.withLock { $0.popFirst() }
            if piece == nil, let failure { throw failure }
            return piece
        } close: {
            self.peek { $0.openStreams -= 1 }
        }
    }

    package func export(_ prefix: KeyPrefix) async throws(AdminFailure) -> PullStream<[KeyDocument]> {
        pull(try await list(prefix, ReadOptions()).entries.map { [$0] })
    }

    package func backup() async throws(AdminFailure) -> PullStream<[UInt8]> {
        let (pieces, failure) = peek { ($0.backup, $0.backupFailure) }
        return pull(pieces, failure: failure)
    }

    package func restore(
        _ bytes: PullStream<[UInt8]>, strict mode: StrictRestore
    ) async throws(AdminFailure) -> RestoreResult {
        let keys = peek { $0.keys.count }
        guard keys == 0 else { throw AdminFailure(.conflict, "the store holds \(keys) keys: restore into a new node") }
        var all: [UInt8] = []
        while let piece = try await bytes.next() { all += piece }
        let whole = all
        peek { $0.restored = whole }
        var result = RestoreResult(keys: 7, revision: 1_000_000_007)
        if mode == .only { (result.strictRestored, result.strictKept) = (2, 1) }
        return result
    }

    // MARK: Care

    package func verify(timeout: Duration) async throws(AdminFailure) -> VerifyDocument {
        try with { state throws(AdminFailure) in state.verification }
    }

    package func doctor() async throws(AdminFailure) -> DoctorDocument {
        try with { state throws(AdminFailure) in DoctorDocument(findings: state.findings) }
    }

    package func queuedWrites(after: UInt64?, limit: Int) async throws(AdminFailure) -> QueueDocument {
        try with { state throws(AdminFailure) in
            let all = state.queue.filter { $0.number > after ?? 0 }
            let page = Array(all.prefix(min(limit, 2)))
            return QueueDocument(writes: page, next: page.count < all.count ? page.last?.number : nil)
        }
    }

    package func decideQueued(
        apply: [UInt64], drop: [UInt64], user: String
    ) async throws(AdminFailure) -> QueueResult {
        try with { state throws(AdminFailure) in
            for number in apply + drop where !state.queue.contains(where: { $0.number == number }) {
                throw AdminFailure(.notFound, "no write \(number) is queued")
            }
            state.queue.removeAll { (apply + drop).contains($0.number) }
            return QueueResult(applied: apply, dropped: drop, remaining: state.queue.count)
        }
    }

    private static func sorted(_ elements: Set<[UInt8]>) -> [[UInt8]] {
        elements.sorted { $0.lexicographicallyPrecedes($1) }
    }

    private func notFound(_ key: ConfigurationKey) -> AdminFailure {
        AdminFailure(.notFound, "there is no key \(key.description.quoted)")
    }

    private func otherType(_ key: ConfigurationKey) -> AdminFailure {
        AdminFailure(.conflict, "key \(key.description.quoted) has another type")
    }
}
