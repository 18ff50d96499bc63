// SPDX-License-Identifier: Apache-2.0
// Owns the text in which an operator reads calls and contradictions.

extension Contradiction: CustomStringConvertible {
    package var description: String {
        let begin = from.map { "between \(Self.seconds($0)) and" } ?? "from the beginning to"
        var lines = [
            "\(keys.joined(separator: ", ")): not linearizable \(begin) \(Self.seconds(through)). "
                + "No order of these calls explains their answers:"
        ]
        for call in calls { lines.append("  \(call)") }
        if others > 0 { lines.append("  (not needed to see this: \(others) more)") }
        return lines.joined(separator: "\n")
    }

    /// Seconds with six digits.
    static func seconds(_ nanoseconds: Int64) -> String {
        let micros = (nanoseconds / 1_000).magnitude
        let digits = String(micros % 1_000_000)
        return (nanoseconds < 0 ? "-" : "") + "\(micros / 1_000_000)."
            + String(repeating: "0", count: 6 - digits.count) + digits + " s"
    }
}

extension HistoryCall: CustomStringConvertible {
    package var description: String {
        let time =
            Contradiction.seconds(invoked) + " - " + (returned.map { Contradiction.seconds($0) } ?? "no answer")
        let answer = returned == nil ? "?" : observation.description
        return "client \(client)  [\(time)]  \(operation) -> \(answer)"
    }
}

extension HistoryOperation: CustomStringConvertible {
    package var description: String {
        switch self {
        case .get(let key): "get \(key)"
        case .put(let key, let value): "put \(key) = \(value)"
        case .delete(let key): "delete \(key)"
        case .compareAndSet(let condition, let key, let value): "if \(condition) put \(key) = \(value)"
        case .increment(let key, let delta): "increment \(key) by \(delta)"
        case .acquire(let lock, let owner): "acquire \(lock) for \(owner)"
        case .release(let lock, let owner): "release \(lock) of \(owner)"
        case .transaction(let conditions, let then, let otherwise):
            "if \(Self.list(conditions)) then \(Self.list(then)) else \(Self.list(otherwise))"
        }
    }

    private static func list(_ parts: [some CustomStringConvertible]) -> String {
        "{" + parts.map(\.description).joined(separator: ", ") + "}"
    }
}

extension HistoryCondition: CustomStringConvertible {
    package var description: String {
        switch self {
        case .exists(let key, let isThere): isThere ? "\(key) exists" : "\(key) does not exist"
        case .version(let key, let version): "\(key) has version \(version)"
        case .value(let key, let value): "\(key) is \(value)"
        case .holds(let lock, let token): "\(lock) is held under \(token)"
        }
    }
}

extension HistoryStep: CustomStringConvertible {
    package var description: String {
        switch self {
        case .get(let key): "get \(key)"
        case .put(let key, let value): "put \(key) = \(value)"
        case .delete(let key): "delete \(key)"
        case .increment(let key, let delta): "increment \(key) by \(delta)"
        case .acquire(let lock, let owner): "acquire \(lock) for \(owner)"
        case .release(let lock, let owner): "release \(lock) of \(owner)"
        }
    }
}

extension HistoryObservation: CustomStringConvertible {
    package var description: String {
        switch self {
        case .nothing: "done"
        case .found(nil, _): "not there"
        case .found(let value?, let version): "\(value)" + (version.map { ", version \($0)" } ?? "")
        case .written(let version): "version \(version)"
        case .existed(let wasThere): wasThere ? "yes" : "was not"
        case .number(let number): "\(number)"
        case .locked(let token): "locked, token \(token)"
        case .busy: "busy"
        case .branch(let succeeded, let results):
            (succeeded ? "held" : "did not hold")
                + (results.isEmpty ? "" : " {" + results.map(\.description).joined(separator: ", ") + "}")
        }
    }
}
