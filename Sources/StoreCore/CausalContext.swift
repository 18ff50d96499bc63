// SPDX-License-Identifier: Apache-2.0
// Owns the causal context: exactly which events a node has seen, as a version vector and a dot cloud.

import ClusterTypes

/// A set of dots: per actor a contiguous prefix 1...n (version vector) and single dots beyond it (dot cloud).
///
/// Dots move from the cloud into the vector as soon as the gap before them is filled (Almeida, Shoker and Baquero,
/// "Delta state replicated data types", 2018, section 7.2). The cloud is kept as sorted runs, so that one missing event
/// in front of a million others costs one run.
package struct CausalContext: Hashable, Sendable {
    /// One actor's part, for the codec: `contiguous` covers 1...contiguous; `cloud` is sorted and lies beyond it + 1.
    package struct Entry: Hashable, Sendable {
        package var actor: ActorID
        package var contiguous: UInt64
        package var cloud: [UInt64]

        package init(actor: ActorID, contiguous: UInt64, cloud: [UInt64]) {
            self.actor = actor
            self.contiguous = contiguous
            self.cloud = cloud
        }
    }

    /// The counters `first...last`; never empty.
    struct Run: Hashable, Sendable {
        var first: UInt64
        var last: UInt64
    }

    /// One actor's dots as runs: sorted, not adjacent, none empty. A run from 1 is the vector, the others the cloud.
    struct ActorRuns: Hashable, Sendable {
        var actor: ActorID
        var runs: [Run]
    }

    /// Sorted by actor, each actor once, none without runs.
    private(set) var actors: [ActorRuns] = []

    package init() {}

    /// Nil unless the entries are sorted by actor, each actor once and not empty, each cloud sorted, without
    /// repetition and beyond `contiguous + 1`, and no counter beyond `Dot.counterMax`.
    package init?(entries: [Entry]) {
        actors.reserveCapacity(entries.count)
        for entry in entries {
            if let last = actors.last, !(last.actor < entry.actor) { return nil }
            guard let runs = Self.runs(of: entry) else { return nil }
            actors.append(ActorRuns(actor: entry.actor, runs: runs))
        }
    }

    private static func runs(of entry: Entry) -> [Run]? {
        guard entry.contiguous > 0 || !entry.cloud.isEmpty else { return nil }
        guard entry.contiguous <= Dot.counterMax, entry.cloud.last ?? 0 <= Dot.counterMax else { return nil }
        var runs: [Run] = []
        if entry.contiguous > 0 { runs.append(Run(first: 1, last: entry.contiguous)) }
        var before = entry.contiguous
        for (index, counter) in entry.cloud.enumerated() {
            guard index == 0 ? counter > before + 1 : counter > before else { return nil }
            if index > 0, counter == before + 1 {
                runs[runs.count - 1].last = counter
            } else {
                runs.append(Run(first: counter, last: counter))
            }
            before = counter
        }
        return runs
    }

    /// Sorted by actor, each actor once, none empty.
    package var entries: [Entry] { entries(cloudMax: .max) }

    /// The entries with at most `cloudMax` dots in all clouds together, the lowest of each actor. What is left out
    /// makes a peer send rows again or a receiver adopt less; nothing is lost by it.
    package func entries(cloudMax: Int) -> [Entry] {
        var room = cloudMax
        var entries: [Entry] = []
        for part in actors {
            let contiguous = Self.contiguous(part.runs)
            var cloud: [UInt64] = []
            for run in part.runs where run.first > 1 {
                let taken = min(UInt64(room), run.last - run.first + 1)
                if taken == 0 { break }
                cloud.append(contentsOf: run.first..<(run.first + taken))
                room -= Int(taken)
            }
            if contiguous > 0 || !cloud.isEmpty {
                entries.append(Entry(actor: part.actor, contiguous: contiguous, cloud: cloud))
            }
        }
        return entries
    }

    package var isEmpty: Bool { actors.isEmpty }

    /// Events in the cloud, of all actors.
    package var cloudCount: UInt64 {
        actors.reduce(0) { $1.runs.reduce($0) { $1.first > 1 ? $0 + ($1.last - $1.first + 1) : $0 } }
    }

    /// True when an event is missing in front of one that was seen.
    package var hasGaps: Bool { actors.contains { $0.runs.count > 1 || $0.runs[0].first > 1 } }

    /// The highest counter seen of `actor`, 0 when none was.
    /// The actor's event up to which all are in the context; 0: not even the first is.
    package func contiguous(of actor: ActorID) -> UInt64 { Self.contiguous(runs(of: actor)) }

    package func highest(of actor: ActorID) -> UInt64 {
        guard let index = index(of: actor), let last = actors[index].runs.last else { return 0 }
        return last.last
    }

    /// Whether an event of a strict group is here that is not `own`.
    package func namesStrictFeed(otherThan own: ActorID) -> Bool {
        actors.contains { $0.actor.isStrictFeed && $0.actor != own }
    }

    package func contains(_ dot: Dot) -> Bool {
        guard let index = index(of: dot.actor) else { return false }
        let runs = actors[index].runs
        let at = Self.firstRun(in: runs, endingFrom: dot.counter)
        return at < runs.count && runs[at].first <= dot.counter
    }

    /// The actor's runs; empty when none of its events was seen.
    func runs(of actor: ActorID) -> [Run] { index(of: actor).map { actors[$0].runs } ?? [] }

    package mutating func insert(_ dot: Dot) {
        precondition(dot.counter > 0 && dot.counter <= Dot.counterMax, "\(dot) is no event")
        insert(Run(first: dot.counter, last: dot.counter), of: dot.actor)
    }

    private mutating func insert(_ run: Run, of actor: ActorID) {
        let at = insertionPoint(of: actor)
        guard at < actors.count, actors[at].actor == actor else {
            actors.insert(ActorRuns(actor: actor, runs: [run]), at: at)
            return
        }
        Self.insert(run, into: &actors[at].runs)
    }

    /// Forgets all dots of an actor: its events are of no more interest to anybody.
    mutating func remove(_ actor: ActorID) {
        if let index = index(of: actor) { actors.remove(at: index) }
    }

    /// True when the actor's dots are 1...counter and no other.
    func holdsExactly(_ dot: Dot) -> Bool { runs(of: dot.actor) == [Run(first: 1, last: dot.counter)] }

    /// Inserts every dot of `other`.
    package mutating func formUnion(_ other: CausalContext) {
        for part in other.actors {
            for run in part.runs { insert(run, of: part.actor) }
        }
    }

    package func union(_ other: CausalContext) -> CausalContext {
        var result = self
        result.formUnion(other)
        return result
    }

    /// True when every dot of `other` is contained.
    package func isSuperset(of other: CausalContext) -> Bool {
        other.actors.allSatisfy { part in
            guard let index = index(of: part.actor) else { return false }
            let runs = actors[index].runs
            return part.runs.allSatisfy { run in
                let at = Self.firstRun(in: runs, endingFrom: run.first)
                return at < runs.count && runs[at].first <= run.first && runs[at].last >= run.last
            }
        }
    }

    /// Actors are sorted and unique; runs are sorted, apart from each other and not empty.
    package func checkInvariants() {
        for (index, part) in actors.enumerated() {
            precondition(index == 0 || actors[index - 1].actor < part.actor, "\(part.actor) is out of order")
            precondition(!part.runs.isEmpty, "\(part.actor) has no dots")
            var before: UInt64?
            for run in part.runs {
                precondition(run.first > 0 && run.first <= run.last, "\(part.actor) has the run \(run)")
                if let before { precondition(run.first > before + 1, "\(part.actor) has touching runs at \(run)") }
                before = run.last
            }
        }
    }

    private func insertionPoint(of actor: ActorID) -> Int {
        var low = 0
        var high = actors.count
        while low < high {
            let middle = (low + high) / 2
            if actors[middle].actor < actor { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private func index(of actor: ActorID) -> Int? {
        let at = insertionPoint(of: actor)
        return at < actors.count && actors[at].actor == actor ? at : nil
    }

    private static func contiguous(_ runs: [Run]) -> UInt64 {
        guard let first = runs.first, first.first == 1 else { return 0 }
        return first.last
    }

    /// The first run whose last counter is `counter` or more.
    static func firstRun(in runs: [Run], endingFrom counter: UInt64) -> Int {
        if let last = runs.last, last.last < counter { return runs.count }
        var low = 0
        var high = runs.count
        while low < high {
            let middle = (low + high) / 2
            if runs[middle].last < counter { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private static func insert(_ run: Run, into runs: inout [Run]) {
        // Runs that overlap or touch `run` become one with it.
        let start = firstRun(in: runs, endingFrom: run.first - 1)
        var end = start
        var merged = run
        while end < runs.count, runs[end].first <= run.last + 1 {
            merged.first = min(merged.first, runs[end].first)
            merged.last = max(merged.last, runs[end].last)
            end += 1
        }
        if end == start + 1 { runs[start] = merged } else { runs.replaceSubrange(start..<end, with: [merged]) }
    }
}
