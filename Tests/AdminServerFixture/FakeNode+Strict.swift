// SPDX-License-Identifier: Apache-2.0
// Owns the strict keys of the node in memory: one log index, leases that end when a test says so, locks in line.

import AdminModel
import AdminServer

extension FakeNode {
    package struct Strict: Sendable {
        /// Empty: the class is off.
        package var prefixes: [String] = []
        package var index: UInt64 = 0
        package var values: [String: (value: [UInt8], modified: UInt64, lease: UInt64)] = [:]
        /// Time to live, milliseconds.
        package var leases: [UInt64: UInt64] = [:]
        package var locks: [String: (token: UInt64, line: [UInt64])] = [:]
        /// What calls of the group fail with, when set; reads of this node alone go on.
        package var failure: AdminFailure?
        package var staleness: UInt64 = 12
        package var renewals = 0
        /// So many renewals come before anything about a single lock is answered.
        package var renewalsBeforeLocks = 0
        package var lastTimeout: Duration?
        package var orders: [StrictOrderRequest] = []
        package var document = StrictDocument(prefixes: [], role: "client", term: 0)
    }

    private func covers(_ key: String, _ state: State) -> Bool {
        state.strict.prefixes.contains { key.utf8.starts(with: $0.utf8) }
    }

    /// Nil when the key is not strict.
    func strictGet(_ key: ConfigurationKey, _ options: ReadOptions) throws(AdminFailure) -> KeyDocument? {
        try with { state throws(AdminFailure) in
            guard covers(key.description, state) else {
                guard options.consistency != .linearizable else { throw notStrict(key.description) }
                return nil
            }
            if options.consistency != .local { try reach(&state, options.timeout) }
            guard let entry = state.strict.values[key.description] else {
                throw AdminFailure(.notFound, "there is no key \(key.description.quoted)")
            }
            var document = KeyDocument(
                key: key, content: .register(entry.value), keyClass: .strict, version: "\(entry.modified)",
                writtenAt: options.consistency == .local ? Self.start : nil,
                author: MemberIdentity(id: "0", name: "strict"))
            document.lease = entry.lease == 0 ? nil : "\(entry.lease)"
            if options.consistency == .local { document.stalenessMilliseconds = state.strict.staleness }
            return document
        }
    }

    func strictKeys(_ prefix: KeyPrefix, _ options: ReadOptions) throws(AdminFailure) -> [KeyDocument] {
        let (isWhole, names) = peek { state in
            (covers(prefix.description, state), state.strict.values.keys.filter(prefix.matches).sorted())
        }
        guard isWhole || options.consistency != .linearizable else { throw notStrict(prefix.description) }
        var documents: [KeyDocument] = []
        for name in names {
            let reading = ReadOptions(isWhole ? options.consistency : .local, timeout: options.timeout)
            if let document = try strictGet(try ConfigurationKey(name), reading) { documents.append(document) }
        }
        return documents
    }

    /// Nil when no key is strict.
    func strictWrite(_ writes: [KeyWrite], _ options: KeyWriteOptions) throws(AdminFailure) -> WriteResult? {
        try with { state throws(AdminFailure) in
            guard let write = writes.first, covers(write.key.description, state) else { return nil }
            guard options.message.isEmpty, options.requestID?.hasPrefix(KeyWriteOptions.ownIDPrefix) != false else {
                throw AdminFailure(.strictKey, "the log keeps no reasons and no request ids")
            }
            guard !options.isRepeat else {
                throw AdminFailure(.unavailable, "the change may have been made: read the key", outcome: .unknown)
            }
            try reach(&state, options.timeout)
            let key = write.key.description
            let present = state.strict.values[key]?.modified ?? 0
            switch options.condition {
            case .always: break
            case .absent:
                guard present == 0 else { throw AdminFailure(.conditionFailed, "it is at version \(present)") }
            case .version(let version):
                guard present == (try VersionText(version).number()) else {
                    throw AdminFailure(.conditionFailed, "it is at version \(present)")
                }
            }
            state.strict.index += 1
            var result = WriteResult(key: write.key, version: "\(state.strict.index)", nodesHolding: 2, nodesTotal: 3)
            result.keyClass = .strict
            switch write {
            case .put(_, let value):
                state.strict.values[key] = (value, state.strict.index, 0)
            case .delete:
                guard present > 0 else { throw AdminFailure(.notFound, "there is no key \(key.quoted)") }
                state.strict.values[key] = nil
                result.version = "0"
            case .add, .remove, .increment: throw AdminFailure(.strictKey, "strict keys hold plain values")
            }
            return result
        }
    }

    private func notStrict(_ key: String) -> AdminFailure { AdminFailure(.notStrict, "\(key.quoted) is not strict") }

    private func reach(_ state: inout State, _ timeout: Duration) throws(AdminFailure) {
        guard !state.strict.prefixes.isEmpty else {
            throw AdminFailure(.conditionFailed, "this node has no strict keys")
        }
        state.strict.lastTimeout = timeout
        if let failure = state.strict.failure { throw failure }
    }

    // MARK: The group

    package func strictGroup() async throws(AdminFailure) -> StrictDocument {
        try with { state throws(AdminFailure) in
            guard !state.strict.prefixes.isEmpty else {
                throw AdminFailure(.conditionFailed, "this node has no strict keys")
            }
            return state.strict.document
        }
    }

    package func orderStrict(_ order: StrictOrderRequest, timeout: Duration) async throws(AdminFailure)
        -> StrictDocument
    {
        try with { state throws(AdminFailure) in
            try reach(&state, timeout)
            state.strict.orders.append(order)
            return state.strict.document
        }
    }

    package func transact(
        _ transaction: StrictTransactionRequest, timeout: Duration
    ) async throws(AdminFailure) -> StrictTransactionResult {
        try with { state throws(AdminFailure) in
            try reach(&state, timeout)
            var holds = true
            for compare in transaction.compare ?? [] {
                holds = try isTrue(try compare.meaning(), state) && holds
            }
            state.strict.index += 1
            var results: [StrictTransactionResult.Step] = []
            for step in (holds ? transaction.then : transaction.otherwise) ?? [] {
                results.append(try apply(try step.meaning(), &state))
            }
            let wrote = results.contains { $0.put != nil }
            return StrictTransactionResult(
                succeeded: holds, results: results, version: wrote ? "\(state.strict.index)" : nil)
        }
    }

    private func isTrue(
        _ compare: StrictTransactionRequest.Compare.Meaning, _ state: State
    ) throws(AdminFailure) -> Bool {
        switch compare {
        case .exists(let key, let exists): (state.strict.values[key.description] != nil) == exists
        case .version(let key, let version): (state.strict.values[key.description]?.modified ?? 0) == version
        case .value(let key, let value): state.strict.values[key.description]?.value == value
        case .holds(let lock, let token): state.strict.locks[lock.description]?.token == token
        }
    }

    private func apply(
        _ step: StrictTransactionRequest.Step.Meaning, _ state: inout State
    ) throws(AdminFailure) -> StrictTransactionResult.Step {
        let key = step.key.description
        guard covers(key, state) else { throw notStrict(key) }
        switch step {
        case .put(_, let value, let lease):
            state.strict.values[key] = (value, state.strict.index, lease)
            var result = StrictTransactionResult.Step(put: key)
            result.version = "\(state.strict.index)"
            return result
        case .delete:
            var result = StrictTransactionResult.Step(delete: key)
            result.found = state.strict.values.removeValue(forKey: key) != nil
            return result
        case .get:
            var result = StrictTransactionResult.Step(get: key)
            let entry = state.strict.values[key]
            result.found = entry != nil
            if let entry {
                (result.value, result.valueBase64) = ByteText.split(entry.value)
                result.version = "\(entry.modified)"
            }
            return result
        }
    }

    // MARK: Leases and locks

    /// An answer that takes long: until there were as many renewals as the test wants, for five seconds at most.
    private func awaitRenewals() async {
        for _ in 0..<1_000 {
            if peek({ $0.strict.renewals >= $0.strict.renewalsBeforeLocks }) { return }
            try? await Task.sleep(for: .milliseconds(5))
        }
    }

    package func grantLease(_ ttl: Duration, timeout: Duration) async throws(AdminFailure) -> LeaseDocument {
        try with { state throws(AdminFailure) in
            try reach(&state, timeout)
            state.strict.index += 1
            let milliseconds = UInt64(ttl / .milliseconds(1))
            state.strict.leases[state.strict.index] = milliseconds
            return LeaseDocument(lease: state.strict.index, ttlMilliseconds: milliseconds)
        }
    }

    package func renewLease(_ lease: UInt64, timeout: Duration) async throws(AdminFailure) -> LeaseDocument {
        try with { state throws(AdminFailure) in
            try reach(&state, timeout)
            guard let milliseconds = state.strict.leases[lease] else {
                throw AdminFailure(.notFound, "the lease has ended")
            }
            state.strict.renewals += 1
            return LeaseDocument(lease: lease, ttlMilliseconds: milliseconds)
        }
    }

    package func revokeLease(_ lease: UInt64, timeout: Duration) async throws(AdminFailure) -> ReleaseDocument {
        try with { state throws(AdminFailure) in
            try reach(&state, timeout)
            return ReleaseDocument(released: Self.end(lease, &state.strict))
        }
    }

    /// What the leader's clock does: the lease ends with all that it holds.
    @discardableResult
    package static func end(_ lease: UInt64, _ strict: inout Strict) -> Bool {
        for name in strict.locks.keys { _ = withdraw(lease, name, &strict) }
        return strict.leases.removeValue(forKey: lease) != nil
    }

    private static func withdraw(_ lease: UInt64, _ name: String, _ strict: inout Strict) -> Bool {
        guard var lock = strict.locks[name], let place = lock.line.firstIndex(of: lease) else { return false }
        lock.line.remove(at: place)
        strict.index += 1
        if place == 0 { lock.token = strict.index }
        strict.locks[name] = lock.line.isEmpty ? nil : lock
        return true
    }

    package func acquireLock(
        _ name: ConfigurationKey, lease: UInt64, mayWait: Bool, timeout: Duration
    ) async throws(AdminFailure) -> LockDocument {
        await awaitRenewals()
        return try with { state throws(AdminFailure) in
            try reach(&state, timeout)
            guard state.strict.leases[lease] != nil else { throw AdminFailure(.notFound, "the lease has ended") }
            state.strict.index += 1
            var lock = state.strict.locks[name.description] ?? (state.strict.index, [])
            if !lock.line.contains(lease), mayWait || lock.line.isEmpty { lock.line.append(lease) }
            state.strict.locks[name.description] = lock
            return document(name, lease, state)
        }
    }

    package func releaseLock(
        _ name: ConfigurationKey, lease: UInt64, timeout: Duration
    ) async throws(AdminFailure) -> ReleaseDocument {
        try with { state throws(AdminFailure) in
            try reach(&state, timeout)
            return ReleaseDocument(released: Self.withdraw(lease, name.description, &state.strict))
        }
    }

    package func lock(
        _ name: ConfigurationKey, lease: UInt64, timeout: Duration
    ) async throws(AdminFailure) -> LockDocument {
        await awaitRenewals()
        return try with { state throws(AdminFailure) in
            try reach(&state, timeout)
            return document(name, lease, state)
        }
    }

    private func document(_ name: ConfigurationKey, _ lease: UInt64, _ state: State) -> LockDocument {
        guard let lock = state.strict.locks[name.description] else {
            return LockDocument(name: name.description, state: .free)
        }
        switch lock.line.firstIndex(of: lease) {
        case 0: return LockDocument(name: name.description, state: .held, token: lock.token)
        case let place?:
            return LockDocument(name: name.description, state: .waiting, token: lock.token, ahead: UInt64(place))
        case nil: return LockDocument(name: name.description, state: .busy, token: lock.token)
        }
    }

    package func locks(
        after: ConfigurationKey?, limit: Int, timeout: Duration
    ) async throws(AdminFailure) -> LockListDocument {
        try with { state throws(AdminFailure) in
            try reach(&state, timeout)
            let names = state.strict.locks.keys.sorted().filter { $0 > after?.description ?? "" }
            // Small pages, so that tests see several.
            let page = names.prefix(min(limit, 2))
            let entries = page.compactMap { name in
                state.strict.locks[name].map { lock in
                    LockListDocument.Entry(
                        name: name, token: lock.token, lease: lock.line.first ?? 0, waiting: lock.line.count - 1)
                }
            }
            return LockListDocument(locks: entries, next: page.count < names.count ? page.last : nil)
        }
    }
}
