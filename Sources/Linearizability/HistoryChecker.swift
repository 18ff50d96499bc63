// SPDX-License-Identifier: Apache-2.0
// Owns the judgement on a history: partition by partition, each explained, contradicted or given up.

/// Whether there is an order of the calls, each at a moment between its invocation and its return, in which every
/// answer is that of one register a key (Herlihy and Wing 1990).
package enum HistoryVerdict: Hashable, Sendable, CustomStringConvertible {
    case linearizable
    /// One for each partition, at most `HistoryChecker.contradictionsMax`.
    case contradicted([Contradiction])
    /// Not contradicted as far as was looked, which was not to the end for these keys.
    case undecided(keys: [String])

    package var isLinearizable: Bool { self == .linearizable }

    package var description: String {
        switch self {
        case .linearizable: "linearizable"
        case .contradicted(let all): all.map(\.description).joined(separator: "\n")
        case .undecided(let keys):
            "undecided for \(keys.joined(separator: ", ")): too many calls at once, or too many without an answer"
        }
    }
}

/// Wing and Gong's search ("Testing and verifying concurrent objects", 1993) with Lowe's memory of what was reached
/// ("Testing for linearizability", 2017), for each key by itself; a transaction makes one partition of its keys.
///
/// Time grows with the number of calls, and exponentially with how many of one partition are under way at once or remain
/// without an answer and could each explain what was seen. Observed versions keep both small.
package struct HistoryChecker: Sendable {
    package static let contradictionsMax = 8
    /// States of one search that are remembered before it gives up; about 200 bytes each.
    package var configurationsMax = 1_000_000
    /// False when keys were in use before the history began: then nothing is known of them at first.
    package var beginsEmpty = true
    package var versions = HistoryVersions.counted

    package init() {}

    package func check(_ calls: [HistoryCall]) -> HistoryVerdict {
        // Quicker than any search, and never undecided.
        var contradictions = versions == .ascending ? VersionOrder(calls).contradictions() : []
        if !contradictions.isEmpty { return .contradicted(contradictions) }
        var undecided: [String] = []
        // Where nothing is known of the beginning, a value that was seen may be one from before.
        let resolution = Resolution(calls, isUsed: beginsEmpty, versions: versions)
        for partition in Partition.all(of: resolution.calls) {
            switch partition.verdict(self) {
            case .explained: break
            case .contradicted:
                contradictions.append(resolution.restored(partition.contradiction(self)))
                if contradictions.count == Self.contradictionsMax { return .contradicted(contradictions) }
            case .undecided: undecided += partition.keys
            }
        }
        if !contradictions.isEmpty { return .contradicted(contradictions) }
        return undecided.isEmpty ? .linearizable : .undecided(keys: undecided)
    }
}

/// The calls on keys that transactions tie together; most often one key.
struct Partition {
    /// Sorted.
    var keys: [String]
    var calls: [HistoryCall]

    /// In the order of their first keys.
    static func all(of calls: [HistoryCall]) -> [Partition] {
        var parents: [String: String] = [:]
        func root(_ key: String) -> String {
            var root = key
            while let next = parents[root], next != root { root = next }
            // Shortens the way for the next one.
            var at = key
            while let next = parents[at], next != root {
                parents[at] = root
                at = next
            }
            parents[root] = root
            return root
        }
        for call in calls {
            let keys = call.operation.keys
            for key in keys { parents[root(key)] = root(keys[0]) }
        }
        var partitions: [String: Partition] = [:]
        for key in parents.keys { partitions[root(key), default: Partition(keys: [], calls: [])].keys.append(key) }
        for call in calls {
            // One of nothing says nothing.
            guard let first = call.operation.keys.first else { continue }
            partitions[root(first)]?.calls.append(call)
        }
        var result = partitions.values.map { Partition(keys: $0.keys.sorted(), calls: $0.calls) }
        result.sort { $0.keys[0] < $1.keys[0] }
        return result
    }

    func items() -> [Item] {
        var places: [String: Int] = [:]
        for (place, key) in keys.enumerated() { places[key] = place }
        return calls.map { call in
            // An answer before the question: the clocks are not one. The call is taken for one moment.
            let returned = call.returned.map { max($0, call.invoked) }
            return Item(
                program: Program(call) { places[$0, default: 0] }, invoked: call.invoked, returned: returned ?? .max,
                role: returned == nil ? .optional : .required)
        }
    }

    func verdict(_ checker: HistoryChecker) -> Search.Verdict {
        var search = Search(items(), keys: keys.count, configurationsMax: checker.configurationsMax)
        return search.run(from: initial(isKnown: checker.beginsEmpty, checker.versions))
    }

    func initial(isKnown: Bool, _ versions: HistoryVersions = .counted) -> [KeyState] {
        [KeyState](repeating: isKnown ? .empty(versions) : .unknown(versions), count: keys.count)
    }
}
