// SPDX-License-Identifier: Apache-2.0
// Owns the knowledge of who read and who can write each value: an order that leaves a reader behind is given up at once.

struct Demand {
    private var readers: [Program.KeyValue: [Int]] = [:]
    private var writers: [Program.KeyValue: [Int]] = [:]
    private var optionalWriters: [Program.KeyValue: [Int]] = [:]
    /// Whoever is left out may write them at any time.
    private var free: Set<Program.KeyValue> = []
    /// Some call may write any value.
    private var isOpen = false

    /// The places are those in `required` and `optional`.
    init(required: [Item], optional: [Item], pooled: [Item]) {
        for (place, item) in required.enumerated() {
            if let found = item.program.found { readers[found, default: []].append(place) }
            for value in item.program.written ?? [] { writers[value, default: []].append(place) }
        }
        for (place, item) in optional.enumerated() {
            for value in item.program.written ?? [] { optionalWriters[value, default: []].append(place) }
        }
        for item in pooled { free.formUnion(item.program.written ?? []) }
        isOpen = (required + optional + pooled).contains { $0.program.written == nil }
    }

    /// Whether a value was found that nobody can have written and that was not there.
    func isAbsurd(from initial: [KeyState]) -> Bool {
        if isOpen { return false }
        return readers.keys.contains { found in
            writers[found] == nil && optionalWriters[found] == nil && !free.contains(found)
                && initial[found.key].presence != .unknown && initial[found.key].value != found.value
        }
    }

    /// Whether a value is gone that a get not yet in the order has found, and nobody is left to write it again.
    func isStranded(from old: [KeyState], to new: [KeyState], _ done: DoneSet, _ used: [UInt64]) -> Bool {
        if isOpen { return false }
        for key in old.indices {
            guard let value = old[key].value, new[key].value != value, new[key].presence != .unknown else { continue }
            let lost = Program.KeyValue(key: key, value: value)
            guard let readers = readers[lost], !free.contains(lost) else { continue }
            guard readers.contains(where: { !done.contains($0) }) else { continue }
            if let writers = writers[lost], writers.contains(where: { !done.contains($0) }) { continue }
            if let writers = optionalWriters[lost], writers.contains(where: { !used.has($0) }) { continue }
            return true
        }
        return false
    }
}
