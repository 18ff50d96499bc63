// SPDX-License-Identifier: Apache-2.0
// Owns what others saw of calls that have no answer: whose value was read has taken effect, and not later than that.

/// Without it the search would try every such call at every moment. Only where nobody else can have written the same value
/// to the same key, which excludes keys with increments; what is concluded holds in any order that explains the history.
struct Resolution {
    /// The calls, those without an answer with what is known of them.
    private(set) var calls: [HistoryCall]
    /// What was asked and answered, by what was made of it.
    private var originals: [HistoryCall: HistoryCall] = [:]

    private struct Written: Hashable {
        var key: String
        var value: String
    }

    private struct Sight {
        var returned: Int64
        var version: UInt64?
    }

    /// - Parameter isUsed: False: the calls stay as they are.
    init(_ calls: [HistoryCall], isUsed: Bool, versions: HistoryVersions = .counted) {
        self.calls = calls
        if !isUsed { return }
        var writers: [Written: Int] = [:]
        var sights: [Written: Sight] = [:]
        var counted: Set<String> = []
        for call in calls {
            counted.formUnion(Self.increments(call.operation))
            for written in Set(Self.writes(call.operation)) { writers[written, default: 0] += 1 }
            guard let returned = call.returned else { continue }
            for (written, version) in Self.reads(call) {
                if let known = sights[written], known.returned <= returned { continue }
                sights[written] = Sight(returned: returned, version: version)
            }
        }
        for place in calls.indices where calls[place].returned == nil {
            var seen: [Written: Sight] = [:]
            for written in Self.writes(calls[place].operation)
            where writers[written] == 1 && !counted.contains(written.key) {
                seen[written] = sights[written]
            }
            guard let first = seen.values.min(by: { $0.returned < $1.returned }),
                let observation = Self.observation(of: calls[place].operation, seen, versions)
            else { continue }
            var resolved = calls[place]
            resolved.returned = max(first.returned, resolved.invoked)
            resolved.observation = observation
            self.calls[place] = resolved
            originals[resolved] = calls[place]
        }
    }

    func restored(_ contradiction: Contradiction) -> Contradiction {
        var restored = contradiction
        restored.calls = contradiction.calls.map { originals[$0] ?? $0 }
        return restored
    }

    /// Of one that may have two outcomes, those of its success.
    private static func writes(_ operation: HistoryOperation) -> [Written] {
        switch operation {
        case .put(let key, let value), .compareAndSet(_, let key, let value): return [Written(key: key, value: value)]
        case .transaction(_, let then, let otherwise):
            return (then + otherwise).compactMap { step in
                if case .put(let key, let value) = step { Written(key: key, value: value) } else { nil }
            }
        case .get, .delete, .increment, .acquire, .release: return []
        }
    }

    private static func increments(_ operation: HistoryOperation) -> [String] {
        switch operation {
        case .increment(let key, _): return [key]
        case .transaction(_, let then, let otherwise):
            return (then + otherwise).compactMap { if case .increment(let key, _) = $0 { key } else { nil } }
        case .get, .put, .delete, .compareAndSet, .acquire, .release: return []
        }
    }

    private static func reads(_ call: HistoryCall) -> [(Written, version: UInt64?)] {
        switch (call.operation, call.observation) {
        case (.get(let key), .found(let value?, let version)): return [(Written(key: key, value: value), version)]
        case (.transaction(_, let then, let otherwise), .branch(let succeeded, let results)):
            return zip(succeeded ? then : otherwise, results).compactMap { step, result in
                guard case .get(let key) = step, case .found(let value?, let version) = result else { return nil }
                return (Written(key: key, value: value), version)
            }
        case _: return []
        }
    }

    /// nil: nothing can be said, because either branch may have written what was seen.
    private static func observation(
        of operation: HistoryOperation, _ seen: [Written: Sight], _ versions: HistoryVersions
    ) -> HistoryObservation? {
        // Counted versions of the keys of one transaction have nothing to do with each other.
        let shared = versions == .ascending ? seen.values.lazy.compactMap(\.version).first : nil
        func written(_ key: String, _ value: String) -> HistoryObservation {
            let version = seen[Written(key: key, value: value)]?.version ?? shared
            return version.map { .written(version: $0) } ?? .nothing
        }
        switch operation {
        case .put(let key, let value): return written(key, value)
        case .compareAndSet(_, let key, let value): return .branch(succeeded: true, [written(key, value)])
        case .transaction(_, let then, let otherwise):
            if otherwise.contains(where: { if case .put = $0 { true } else { false } }) { return nil }
            let results = then.map { step in
                if case .put(let key, let value) = step { written(key, value) } else { HistoryObservation.nothing }
            }
            return .branch(succeeded: true, results)
        case .get, .delete, .increment, .acquire, .release: return nil
        }
    }
}
