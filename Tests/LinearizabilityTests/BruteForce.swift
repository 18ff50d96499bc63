// SPDX-License-Identifier: Apache-2.0
// Owns a judge without any cleverness, and the plain register that it and the makers of histories use.

import Linearizability

/// A register with versions as a program would write it that knows everything.
struct PlainRegister {
    var values: [String: (text: String, version: UInt64)] = [:]

    func holds(_ condition: HistoryCondition) -> Bool {
        switch condition {
        case .exists(let key, let isThere): (values[key] != nil) == isThere
        case .version(let key, let version): values[key]?.version ?? 0 == version
        case .value(let key, let text): values[key]?.text == text
        case .holds: false
        }
    }

    /// What really happens. nil: it fails.
    mutating func run(_ operation: HistoryOperation) -> HistoryObservation? {
        switch operation {
        case .get(let key): return step(.get(key))
        case .put(let key, let value): return step(.put(key, value))
        case .delete(let key): return step(.delete(key))
        case .increment(let key, let delta): return step(.increment(key, by: delta))
        case .acquire, .release: return nil
        case .compareAndSet(let condition, let key, let value):
            guard holds(condition), let result = step(.put(key, value)) else { return .branch(succeeded: false) }
            return .branch(succeeded: true, [result])
        case .transaction(let conditions, let then, let otherwise):
            let succeeded = !conditions.contains { !holds($0) }
            var results: [HistoryObservation] = []
            for part in succeeded ? then : otherwise {
                guard let result = step(part) else { return nil }
                results.append(result)
            }
            return .branch(succeeded: succeeded, results)
        }
    }

    private mutating func step(_ step: HistoryStep) -> HistoryObservation? {
        switch step {
        case .get(let key): return .found(values[key]?.text, version: values[key]?.version)
        case .put(let key, let value):
            let version = (values[key]?.version ?? 0) + 1
            values[key] = (value, version)
            return .written(version: version)
        case .delete(let key): return .existed(values.removeValue(forKey: key) != nil)
        case .increment(let key, let delta):
            guard let number = Int64(values[key]?.text ?? "0") else { return nil }
            values[key] = (String(number + delta), (values[key]?.version ?? 0) + 1)
            return .number(number + delta)
        case .acquire, .release: return nil
        }
    }
}

extension HistoryObservation {
    /// Whether a call that really gave `real` may have been seen as this.
    func fits(_ real: HistoryObservation) -> Bool {
        switch (self, real) {
        case (.nothing, _): true
        case (.found(let seen, nil), .found(let text, _)): seen == text
        case (.found(nil, _), .found(let text, _)): text == nil
        case (.branch(let succeeded, let seen), .branch(let really, let results)):
            succeeded == really
                && (seen.isEmpty || seen.count == results.count && zip(seen, results).allSatisfy { $0.fits($1) })
        case (let seen, let real): seen == real
        }
    }
}

/// Tries every order.
func isLinearizableByBruteForce(_ calls: [HistoryCall], _ register: PlainRegister = PlainRegister()) -> Bool {
    let open = calls.compactMap(\.returned)
    guard let first = open.min() else { return true }
    for place in calls.indices where calls[place].invoked <= first {
        var rest = calls
        let call = rest.remove(at: place)
        var next = register
        guard let real = next.run(call.operation) else {
            // An operation that fails changes nothing; an answer to it is wrong.
            continue
        }
        if call.returned != nil, !call.observation.fits(real) { continue }
        if isLinearizableByBruteForce(rest, next) { return true }
    }
    return false
}
