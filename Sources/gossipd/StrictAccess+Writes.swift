// SPDX-License-Identifier: Apache-2.0
// Owns writes of strict keys: one key with its condition and its time to live, and transactions.

import AdminModel
import ClusterTypes
import RaftCore
import StrictCore
import StrictGroup

extension StrictAccess {
    /// One put or delete. The version of the answer is the log index of the write, 0 after a delete.
    func write(_ writes: [KeyWrite], _ options: KeyWriteOptions) async throws(AdminFailure) -> WriteResult {
        guard let write = writes.first, writes.count == 1 else {
            throw AdminFailure(
                .strictKey,
                "several writes at once with strict keys among them are not possible here: use gossipctl kv txn"
            )
        }
        let key = write.key
        try check(options, key)
        switch write {
        case .put(_, let value): return try await put(key, value, options)
        case .delete: return try await delete(key, options)
        case .add, .remove, .increment:
            let kind = if case .increment = write { "counters" } else { "sets" }
            throw AdminFailure(
                .strictKey,
                "key \(key.description.quoted) is strict, and strict keys hold plain values, not \(kind): put the whole value "
                    + "with --if-version, or choose a key outside of strict.prefixes")
        }
    }

    private func check(_ options: KeyWriteOptions, _ key: ConfigurationKey) throws(AdminFailure) {
        guard !options.isRepeat else {
            throw AdminFailure(
                .unavailable,
                "the connection to the daemon broke while it wrote strict key \(key.description.quoted): the change may have "
                    + "been made, so it was not sent again; read the key before you do",
                outcome: .unknown)
        }
        guard options.message.isEmpty else {
            throw AdminFailure(
                .strictKey,
                "key \(key.description.quoted) is strict, and the log keeps no reasons: leave the message out")
        }
        if let id = options.requestID, !id.hasPrefix(KeyWriteOptions.ownIDPrefix) {
            throw AdminFailure(
                .strictKey,
                "key \(key.description.quoted) is strict, and the log keeps no request ids: use --if-version or --if-absent, "
                    + "which make it safe to repeat a write")
        }
    }

    private func put(
        _ key: ConfigurationKey, _ value: [UInt8], _ options: KeyWriteOptions
    ) async throws(AdminFailure) -> WriteResult {
        let name = try Self.name(key)
        var lease: LeaseID = 0
        var options = options
        if let milliseconds = options.ttlMilliseconds {
            let begun = ContinuousClock.now
            lease = try await leaseOfValue(milliseconds, options.timeout)
            options.timeout = max(options.timeout - (ContinuousClock.now - begun), .milliseconds(1))
        }
        do throws(AdminFailure) {
            let modified = try await put(name, value, lease, options)
            var result = await result(key, version: modified)
            if lease != 0 { result.lease = String(lease) }
            return result
        } catch {
            // Nothing else is bound to it. If this does not get through it ends by itself.
            if lease != 0, error.outcome != .unknown {
                _ = try? await change(.revoke(lease), min(options.timeout, .seconds(1)))
            }
            throw error
        }
    }

    private func leaseOfValue(_ milliseconds: UInt64, _ timeout: Duration) async throws(AdminFailure) -> LeaseID {
        do throws(AdminFailure) {
            let grant = StrictOperation.grantLease(milliseconds: milliseconds, endsWithKeys: true)
            guard case .lease(let lease, _) = try await change(grant, timeout) else {
                throw AdminFailure.unexpectedReply
            }
            return lease
        } catch {
            guard error.outcome == .unknown else { throw error }
            // Whatever became of the lease, the key was not touched.
            var failure = error
            failure.outcome = .notDone
            failure.message =
                "the strict group did not answer in time when asked for the value's time to live: the key was not touched; try again"
            throw failure
        }
    }

    private func put(
        _ name: StrictKey, _ value: [UInt8], _ lease: LeaseID, _ options: KeyWriteOptions
    ) async throws(AdminFailure) -> LogIndex {
        guard let compare = try Self.compare(name, options.condition) else {
            let put = StrictOperation.put(name, value: value, lease: lease)
            guard case .put(_, let modified) = try await change(put, options.timeout) else { throw .unexpectedReply }
            return modified
        }
        // The answer to a put within a transaction does not name the index: the read after it does.
        let transaction = StrictTransaction(
            compares: [compare], then: [.put(name, value: value, lease: lease), .get(name)], otherwise: [.get(name)])
        switch try await change(.transaction(transaction), options.timeout) {
        case .transaction(succeeded: true, let results):
            guard case .got(let entry?)? = results.last else { throw .unexpectedReply }
            return entry.modified
        case .transaction(succeeded: false, let results): throw Self.conditionFailed(name, results.first)
        default: throw .unexpectedReply
        }
    }

    private func delete(_ key: ConfigurationKey, _ options: KeyWriteOptions) async throws(AdminFailure) -> WriteResult {
        let name = try Self.name(key)
        let deleted: Bool
        if let compare = try Self.compare(name, options.condition) {
            let transaction = StrictTransaction(compares: [compare], then: [.delete(name)], otherwise: [.get(name)])
            switch try await change(.transaction(transaction), options.timeout) {
            case .transaction(succeeded: true, let results):
                guard case .deleted(let wasThere)? = results.first else { throw .unexpectedReply }
                deleted = wasThere
            case .transaction(succeeded: false, let results): throw Self.conditionFailed(name, results.first)
            default: throw .unexpectedReply
            }
        } else {
            guard case .deleted(let wasThere) = try await change(.delete(name), options.timeout) else {
                throw .unexpectedReply
            }
            deleted = wasThere
        }
        guard deleted else { throw Self.notFound(key) }
        return await result(key, version: 0)
    }

    static func notFound(_ key: ConfigurationKey) -> AdminFailure {
        AdminFailure(.notFound, "there is no key \(key.description.quoted): see gossipctl kv list")
    }

    private func result(_ key: ConfigurationKey, version: LogIndex) async -> WriteResult {
        let voters = await voters()
        var result = WriteResult(
            key: key, version: String(version), nodesHolding: voters.quorum, nodesTotal: voters.total)
        result.keyClass = .strict
        return result
    }

    private static func compare(
        _ name: StrictKey, _ condition: KeyWriteOptions.Condition
    ) throws(AdminFailure) -> StrictCompare? {
        switch condition {
        case .always: nil
        case .absent: .modified(name, 0)
        case .version(let version): .modified(name, try VersionText(version).number())
        }
    }

    private static func conditionFailed(_ name: StrictKey, _ present: StrictResult?) -> AdminFailure {
        var now = "it does not exist (version 0)"
        if case .got(let entry?)? = present { now = "it is at version \(entry.modified)" }
        return AdminFailure(
            .conditionFailed,
            "key \(name.text.quoted) is not as the condition says: \(now); read it with gossipctl kv get, then decide anew",
            outcome: .notDone)
    }

    /// Fails with what the state refused.
    func change(_ operation: StrictOperation, _ timeout: Duration) async throws(AdminFailure) -> StrictAnswer {
        guard case .answer(let answer) = try await ask(.change(operation), timeout) else { throw .unexpectedReply }
        if case .refused(let refusal) = answer { throw AdminFailure(refusal) }
        return answer
    }

    // MARK: Transactions

    func transact(
        _ request: StrictTransactionRequest, _ timeout: Duration
    ) async throws(AdminFailure) -> StrictTransactionResult {
        try requireOn()
        let then = try (request.then ?? []).map { step throws(AdminFailure) in try self.step(try step.meaning()) }
        let otherwise = try (request.otherwise ?? []).map { step throws(AdminFailure) in
            try self.step(try step.meaning())
        }
        let compares = try (request.compare ?? []).map { compare throws(AdminFailure) in
            try self.compare(try compare.meaning())
        }
        let transaction = StrictTransaction(
            compares: compares, then: Self.withIndex(then), otherwise: Self.withIndex(otherwise))
        if let defect = transaction.defect { throw AdminFailure(defect) }
        guard case .transaction(let succeeded, let results) = try await change(.transaction(transaction), timeout)
        else {
            throw .unexpectedReply
        }
        let steps = succeeded ? then : otherwise
        guard results.count >= steps.count else { throw .unexpectedReply }
        var version: LogIndex?
        if results.count > steps.count, case .got(let entry?)? = results.last { version = entry.modified }
        return StrictTransactionResult(
            succeeded: succeeded, results: zip(steps, results).map { Self.document($0, $1, version) },
            version: version.map { String($0) })
    }

    /// With a read of the smallest value that was put, which tells the index of the whole.
    private static func withIndex(_ steps: [StrictStep]) -> [StrictStep] {
        var least: (key: StrictKey, bytes: Int)?
        for case .put(let key, let value, _) in steps where value.count < least?.bytes ?? .max {
            least = (key, value.count)
        }
        return least.map { steps + [.get($0.key)] } ?? steps
    }

    private func strictName(_ key: ConfigurationKey) throws(AdminFailure) -> StrictKey {
        guard covers(key.description) else { throw notStrict(key.description) }
        return try Self.name(key)
    }

    private func step(_ step: StrictTransactionRequest.Step.Meaning) throws(AdminFailure) -> StrictStep {
        let name = try strictName(step.key)
        return switch step {
        case .put(_, let value, let lease): .put(name, value: value, lease: lease)
        case .delete: .delete(name)
        case .get: .get(name)
        }
    }

    private func compare(_ compare: StrictTransactionRequest.Compare.Meaning) throws(AdminFailure) -> StrictCompare {
        switch compare {
        case .exists(let key, let exists): .exists(try strictName(key), exists)
        case .version(let key, let version): .modified(try strictName(key), version)
        case .value(let key, let value): .value(try strictName(key), value)
        // Names of locks are their own: no prefix is asked of them.
        case .holds(let lock, let token): .holds(lock: try Self.name(lock), token: token)
        }
    }

    private static func document(
        _ step: StrictStep, _ result: StrictResult, _ version: LogIndex?
    ) -> StrictTransactionResult.Step {
        switch (step, result) {
        case (.put(let key, _, _), _):
            var document = StrictTransactionResult.Step(put: key.text)
            document.version = version.map { String($0) }
            return document
        case (.delete(let key), _):
            var document = StrictTransactionResult.Step(delete: key.text)
            document.found = result == .deleted(true)
            return document
        case (.get(let key), .got(let entry?)):
            var document = StrictTransactionResult.Step(get: key.text)
            document.found = true
            (document.value, document.valueBase64) = ByteText.split(entry.value)
            document.version = String(entry.modified)
            document.lease = entry.lease == 0 ? nil : String(entry.lease)
            return document
        case (.get(let key), _):
            var document = StrictTransactionResult.Step(get: key.text)
            document.found = false
            return document
        }
    }
}
