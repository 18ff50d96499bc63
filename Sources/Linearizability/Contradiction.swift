// SPDX-License-Identifier: Apache-2.0
// Owns the explanation of a history that has no order: its smallest window, and the calls in it that contradict each other.

package struct Contradiction: Hashable, Sendable {
    package var keys: [String]
    /// Nanoseconds: no order explains what returned from here on until `through`. nil: from the beginning of the history.
    package var from: Int64?
    /// When the call returned with which the history stopped to be explainable.
    package var through: Int64
    /// By invocation: few enough to read, and together they cannot be.
    package var calls: [HistoryCall]
    /// Calls of the window that the contradiction does not need.
    package var others: Int
}

/// Looks for less and less of a history that is contradictory still.
private struct Minimizer {
    let items: [Item]
    let keys: Int
    let checker: HistoryChecker
    /// For finding what is not needed: beyond it more is shown.
    static let triesMax = 300_000

    /// Giving up counts as explained: then more is shown than needed, never less.
    private func isContradicted(_ items: [Item], from initial: KeyState, triesMax: Int = .max) -> Bool {
        var search = Search(
            items, keys: keys, configurationsMax: checker.configurationsMax, triesMax: triesMax)
        return search.run(from: [KeyState](repeating: initial, count: keys)) == .contradicted
    }

    private var beginning: KeyState { checker.beginsEmpty ? .empty(checker.versions) : unknown }
    private var unknown: KeyState { .unknown(checker.versions) }

    /// What was known at `end`: later answers had not come, later calls had not begun.
    private func known(at end: Int64) -> [(place: Int, item: Item)] {
        items.indices.filter { items[$0].invoked <= end }.map { place in
            var item = items[place]
            if item.returned > end { item.role = .optional }
            return (place, item)
        }
    }

    /// The same, forgetting all that was over at `start`; what was under way then may have had its effect before.
    private func window(_ known: [(place: Int, item: Item)], from start: Int64) -> [(place: Int, item: Item)] {
        known.filter { $0.item.role == .optional || $0.item.returned >= start }.map { place, item in
            var item = item
            if item.invoked < start { item.role = .optional }
            return (place, item)
        }
    }

    /// The first of sorted times for which `holds` is true; it is true of the last one, and of all after the first.
    private func first(_ times: [Int64], where holds: (Int64) -> Bool) -> Int64 {
        var low = 0
        var high = times.count - 1
        while low < high {
            let middle = (low + high) / 2
            if holds(times[middle]) { high = middle } else { low = middle + 1 }
        }
        return times[low]
    }

    func minimize() -> (from: Int64?, through: Int64, places: [Int], others: Int) {
        let ends = items.filter { $0.role == .required }.map(\.returned).sorted()
        let through = first(ends) { isContradicted(known(at: $0).map(\.item), from: beginning) }
        let prefix = known(at: through)
        var shown = prefix
        var initial = beginning
        var from: Int64?
        // Latest first.
        let starts = prefix.map(\.item.invoked).sorted(by: >)
        func isEnough(_ start: Int64) -> Bool {
            isContradicted(window(prefix, from: start).map(\.item), from: unknown, triesMax: Self.triesMax)
        }
        if let earliest = starts.last, isEnough(earliest) {
            let start = first(starts, where: isEnough)
            shown = window(prefix, from: start)
            initial = unknown
            from = start
        }
        let needed = reduce(shown.map(\.item), from: initial)
        return (from, through, needed.map { shown[$0].place }, shown.count - needed.count)
    }

    /// Lets ever fewer calls at once be anything, as long as the rest contradicts itself.
    /// - Returns: The places of those that are needed.
    private func reduce(_ items: [Item], from initial: KeyState) -> [Int] {
        var items = items
        var size = max(1, items.count / 2)
        var tries = 0
        while tries < Self.triesMax {
            for start in stride(from: 0, to: items.count, by: size) where tries < Self.triesMax {
                let part = start..<min(start + size, items.count)
                if items[part].allSatisfy({ $0.role == .pooled }) { continue }
                var fewer = items
                for place in part { fewer[place].role = .pooled }
                var search = Search(
                    fewer, keys: keys, configurationsMax: checker.configurationsMax,
                    triesMax: min(20_000, Self.triesMax - tries))
                if search.run(from: [KeyState](repeating: initial, count: keys)) == .contradicted { items = fewer }
                tries += search.tries
            }
            if size == 1 { break }
            size /= 2
        }
        return items.indices.filter { items[$0].role != .pooled }
    }
}

extension Partition {
    /// Of a partition that was found contradicted.
    func contradiction(_ checker: HistoryChecker) -> Contradiction {
        let found = Minimizer(items: items(), keys: keys.count, checker: checker).minimize()
        var shown = found.places.map { calls[$0] }
        shown.sort { $0.invoked < $1.invoked }
        return Contradiction(
            keys: keys, from: found.from, through: found.through, calls: shown, others: found.others)
    }
}
