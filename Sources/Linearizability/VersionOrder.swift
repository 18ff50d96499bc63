// SPDX-License-Identifier: Apache-2.0
// Owns what versions that ascend tell by themselves: what returned earlier was not given a later one.

/// Looks at pairs of calls, not for an order of all: what it finds is wrong in any order, and what it lets pass may be.
struct VersionOrder {
    /// One version as one call saw it.
    private struct Sighting {
        var call: Int
        var key: String
        var version: UInt64
        var isWrite: Bool
        /// nil: not seen.
        var value: String?
    }

    private let calls: [HistoryCall]
    private var sightings: [Sighting] = []

    init(_ calls: [HistoryCall]) {
        self.calls = calls
        for place in calls.indices where calls[place].returned != nil { see(place) }
    }

    private mutating func see(_ place: Int) {
        let call = calls[place]
        func sighting(_ step: HistoryStep, _ observation: HistoryObservation) -> Sighting? {
            switch (step, observation) {
            case (.get(let key), .found(let value?, let version?)):
                Sighting(call: place, key: key, version: version, isWrite: false, value: value)
            case (.put(let key, let value), .written(let version)):
                Sighting(call: place, key: key, version: version, isWrite: true, value: value)
            case (_, .written(let version)):
                Sighting(call: place, key: step.key, version: version, isWrite: true)
            case _: nil
            }
        }
        var conditions: [HistoryCondition] = []
        var steps: [HistoryStep] = []
        var results = [call.observation]
        switch call.operation {
        case .get(let key): steps = [.get(key)]
        case .put(let key, let value): steps = [.put(key, value)]
        case .delete(let key): steps = [.delete(key)]
        case .increment(let key, let delta): steps = [.increment(key, by: delta)]
        case .acquire, .release: return
        case .compareAndSet, .transaction:
            guard case .branch(let succeeded, let observations) = call.observation else { return }
            results = observations
            if case .compareAndSet(let condition, let key, let value) = call.operation {
                conditions = [condition]
                steps = succeeded ? [.put(key, value)] : []
            } else if case .transaction(let all, let then, let otherwise) = call.operation {
                conditions = all
                steps = succeeded ? then : otherwise
            }
            guard succeeded else { break }
            // A condition that held is a version seen.
            for case .version(let key, let version) in conditions where version > 0 {
                sightings.append(Sighting(call: place, key: key, version: version, isWrite: false))
            }
        }
        for (step, result) in zip(steps, results) {
            if let seen = sighting(step, result) { sightings.append(seen) }
        }
    }

    /// At most `HistoryChecker.contradictionsMax`, the earliest first.
    func contradictions() -> [Contradiction] {
        let sorted = (twice() + backwards()).sorted { $0.through < $1.through }
        return Array(sorted.prefix(HistoryChecker.contradictionsMax))
    }

    private func contradiction(_ one: Sighting, _ other: Sighting) -> Contradiction {
        var shown = [calls[one.call], calls[other.call]]
        shown.sort { $0.invoked < $1.invoked }
        let ends = shown.compactMap(\.returned)
        return Contradiction(
            keys: Array(Set([one.key, other.key])).sorted(), from: shown[0].invoked, through: ends.max() ?? 0,
            calls: shown, others: 0)
    }

    private struct Place: Hashable {
        var key: String
        var version: UInt64
    }

    /// One version of one key that two wrote, or that has two values.
    private func twice() -> [Contradiction] {
        var result: [Contradiction] = []
        var writes: [Place: Sighting] = [:]
        var values: [Place: Sighting] = [:]
        for seen in sightings {
            let place = Place(key: seen.key, version: seen.version)
            if seen.isWrite {
                if let other = writes[place] {
                    result.append(contradiction(other, seen))
                    continue
                }
                writes[place] = seen
            }
            guard let value = seen.value else { continue }
            if let other = values[place], other.value != value {
                result.append(contradiction(other, seen))
            } else {
                values[place] = seen
            }
        }
        return result
    }

    /// A write that is lower than any version seen before it began; a read that is lower than one of its key.
    private func backwards() -> [Contradiction] {
        let begins = sightings.indices.sorted { calls[sightings[$0].call].invoked < calls[sightings[$1].call].invoked }
        func returned(_ place: Int) -> Int64 { calls[sightings[place].call].returned ?? .max }
        let ends = sightings.indices.sorted { returned($0) < returned($1) }
        var result: [Contradiction] = []
        var over = ends[...]
        var highest: Int?
        var highestOfKey: [String: Int] = [:]
        for place in begins {
            let seen = sightings[place]
            while let next = over.first, returned(next) < calls[seen.call].invoked {
                over.removeFirst()
                if highest.map({ sightings[$0].version < sightings[next].version }) ?? true { highest = next }
                let known = highestOfKey[sightings[next].key]
                if known.map({ sightings[$0].version < sightings[next].version }) ?? true {
                    highestOfKey[sightings[next].key] = next
                }
            }
            if seen.isWrite {
                if let highest, sightings[highest].version >= seen.version {
                    result.append(contradiction(sightings[highest], seen))
                }
            } else if let known = highestOfKey[seen.key], sightings[known].version > seen.version {
                result.append(contradiction(sightings[known], seen))
            }
        }
        return result
    }
}
