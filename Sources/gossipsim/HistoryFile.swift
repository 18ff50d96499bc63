// SPDX-License-Identifier: Apache-2.0
// Owns the file in which clients keep what they asked for and what they were told: one call a line, as JSON.

import AdminModel
import FoundationEssentials
import Linearizability

/// A line that cannot be read.
struct HistoryFileFailure: Error, CustomStringConvertible {
    /// From 1.
    var line: Int
    var reason: String

    var description: String { "line \(line): \(reason)" }
}

enum HistoryFile {
    /// Bytes; some millions of calls.
    static let bytesMax = 1 << 30

    /// The calls that can have had an effect, or that saw one, in the order of the file; empty lines are passed over.
    static func calls(_ bytes: some Collection<UInt8>) throws(HistoryFileFailure) -> [HistoryCall] {
        var calls: [HistoryCall] = []
        var number = 0
        for text in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            number += 1
            if text.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\r") }) { continue }
            do throws(AdminFailure) {
                let line = try AdminJSON.decodeRequest(HistoryLine.self, from: text, subject: "this is no call")
                if let call = try line.call() { calls.append(call) }
            } catch {
                throw HistoryFileFailure(line: number, reason: error.message)
            }
        }
        return calls
    }
}

/// A step of a call, or the call's own.
struct HistoryLineStep: Decodable {
    /// get, put, delete, increment, acquire or release.
    var operation: String
    /// Of an acquire or release: the lock.
    var key: String
    var value: String?
    /// Of an increment.
    var by: Int64?
    /// Of an acquire or release: in whose name, such as a lease's number.
    var owner: Int?

    func step() throws(AdminFailure) -> HistoryStep {
        switch operation {
        case "get": return .get(key)
        case "put": return .put(key, try value.orMissing("value", operation))
        case "delete": return .delete(key)
        case "increment": return .increment(key, by: by ?? 1)
        case "acquire": return .acquire(key, owner: try owner.orMissing("owner", operation))
        case "release": return .release(key, owner: try owner.orMissing("owner", operation))
        case let other: throw AdminFailure(.badRequest, "there is no operation '\(other)'")
        }
    }
}

struct HistoryLineCondition: Decodable {
    var key: String?
    /// With a key one of these three. Version 0: the key is not there.
    var version: UInt64?
    var value: String?
    var exists: Bool?
    /// In place of a key: the lock is held under `token`.
    var lock: String?
    var token: UInt64?

    func condition() throws(AdminFailure) -> HistoryCondition {
        if let lock, key == nil, version == nil, value == nil, exists == nil {
            return .holds(lock, token: try token.orMissing("token", "condition about a lock"))
        }
        guard let key, lock == nil, token == nil else {
            throw AdminFailure(.badRequest, "a condition has a 'key', or a 'lock' and its 'token'")
        }
        switch (version, value, exists) {
        case (let version?, nil, nil): return .version(key, version)
        case (nil, let value?, nil): return .value(key, value)
        case (nil, nil, let exists?): return .exists(key, exists)
        case _: throw AdminFailure(.badRequest, "a condition has one of 'version', 'value' and 'exists'")
        }
    }
}

/// What a step gave; of a call, all that it gave.
struct HistoryLineResult: Decodable {
    /// Of a get: what was found; null or left out: nothing.
    var value: String?
    /// Of the key after it; not for what was not there.
    var version: UInt64?
    /// Of a delete: whether the key was there; of a release: whether the lock was held.
    var existed: Bool?
    /// Of an increment: the number after it.
    var number: Int64?
    /// Of an acquire: it holds the lock under this token, or another one does.
    var token: UInt64?
    var busy: Bool?

    func observation(of step: HistoryStep) -> HistoryObservation {
        switch step {
        case .get: .found(value, version: value == nil ? nil : version)
        case .put: version.map { .written(version: $0) } ?? .nothing
        case .delete: existed.map { .existed($0) } ?? .nothing
        case .increment: number.map { .number($0) } ?? .nothing
        case .acquire: token.map { .locked(token: $0) } ?? (busy == true ? .busy : .nothing)
        case .release: existed.map { .existed($0) } ?? .nothing
        }
    }
}

/// One call.
struct HistoryLine: Decodable {
    var client: Int
    /// Nanoseconds on a clock that all clients share.
    var begin: Int64
    var end: Int64?
    /// ok; unknown: it may have taken effect, or may do so yet; fail: it is known to have had none.
    var outcome: String
    /// get, put, delete, increment, acquire, release, compare_and_set or transaction.
    var operation: String
    var key: String?
    /// Asked for, or of a get: found.
    var value: String?
    var by: Int64?
    var version: UInt64?
    var existed: Bool?
    var number: Int64?
    /// Of an acquire or release of the lock `key`.
    var owner: Int?
    var token: UInt64?
    var busy: Bool?
    /// Of a compare-and-set: one condition, and `key` is put to `value`.
    var compare: [HistoryLineCondition]?
    var then: [HistoryLineStep]?
    var otherwise: [HistoryLineStep]?
    /// Which branch was taken, and what its steps gave; without these nothing is said of them.
    var succeeded: Bool?
    var results: [HistoryLineResult]?

    enum CodingKeys: String, CodingKey {
        case client, begin, end, outcome, operation, key, value, by, version, existed, number, owner, token, busy
        case compare, then
        case otherwise = "else"
        case succeeded, results
    }

    /// nil: it neither did nor saw anything.
    func call() throws(AdminFailure) -> HistoryCall? {
        let (operation, observation) = try meaning()
        switch outcome {
        case "ok":
            return HistoryCall(
                client: client, invoked: begin, returned: try end.orMissing("end", "call with an answer"), operation,
                observation)
        case "unknown": return HistoryCall(client: client, invoked: begin, returned: nil, operation)
        case "fail": return nil
        case let other:
            throw AdminFailure(.badRequest, "the outcome is ok, unknown or fail, not '\(other)'")
        }
    }

    private func meaning() throws(AdminFailure) -> (HistoryOperation, HistoryObservation) {
        switch operation {
        case "transaction":
            let steps = (try Self.steps(then), try Self.steps(otherwise))
            var conditions: [HistoryCondition] = []
            for one in compare ?? [] { conditions.append(try one.condition()) }
            return (
                .transaction(conditions, then: steps.0, otherwise: steps.1),
                try branch(succeeded == false ? steps.1 : steps.0)
            )
        case "compare_and_set":
            let key = try key.orMissing("key", operation)
            let value = try value.orMissing("value", operation)
            guard let compare, compare.count == 1 else {
                throw AdminFailure(.badRequest, "a compare_and_set has one condition in 'compare'")
            }
            let results = succeeded == true ? [HistoryLineResult(version: version)] : nil
            let observation = succeeded.map { succeeded in
                HistoryObservation.branch(
                    succeeded: succeeded, results.map { $0.map { $0.observation(of: .put(key, value)) } } ?? [])
            }
            return (.compareAndSet(try compare[0].condition(), key, value), observation ?? .nothing)
        case _:
            let key = try key.orMissing("key", operation)
            let step = try HistoryLineStep(operation: operation, key: key, value: value, by: by, owner: owner).step()
            let result = HistoryLineResult(
                value: value, version: version, existed: existed, number: number, token: token, busy: busy)
            return (HistoryOperation(step), result.observation(of: step))
        }
    }

    private func branch(_ steps: [HistoryStep]) throws(AdminFailure) -> HistoryObservation {
        guard let succeeded else { return .nothing }
        guard let results else { return .branch(succeeded: succeeded) }
        guard results.count == steps.count else {
            throw AdminFailure(.badRequest, "there are \(results.count) results of \(steps.count) steps")
        }
        return .branch(succeeded: succeeded, zip(results, steps).map { $0.observation(of: $1) })
    }

    private static func steps(_ lines: [HistoryLineStep]?) throws(AdminFailure) -> [HistoryStep] {
        var steps: [HistoryStep] = []
        for line in lines ?? [] { steps.append(try line.step()) }
        return steps
    }
}

extension HistoryOperation {
    fileprivate init(_ step: HistoryStep) {
        switch step {
        case .get(let key): self = .get(key)
        case .put(let key, let value): self = .put(key, value)
        case .delete(let key): self = .delete(key)
        case .increment(let key, let delta): self = .increment(key, by: delta)
        case .acquire(let lock, let owner): self = .acquire(lock, owner: owner)
        case .release(let lock, let owner): self = .release(lock, owner: owner)
        }
    }
}

extension Optional {
    fileprivate func orMissing(_ field: String, _ operation: String) throws(AdminFailure) -> Wrapped {
        if let self { return self }
        let article = operation.first.map { "aeiou".contains($0) } == true ? "an" : "a"
        throw AdminFailure(.badRequest, "\(article) \(operation) has the field '\(field)'")
    }
}
