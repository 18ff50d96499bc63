// SPDX-License-Identifier: Apache-2.0
// Owns the log in memory: entries behind a base, the terms' first entries, and the memberships they state.

import ClusterTypes

/// The entries after `base`. Reading one, its term, and appending cost O(1); finding where a term begins O(log terms).
struct RaftLog: Sendable {
    /// The entry before the first one here: 0/0, or the last one that was compacted away.
    private(set) var base: LogPosition
    /// Entries from `head` on; those before it were dropped and their room is not yet given back.
    private var entries: [LogEntry]
    private var head = 0
    /// Where each term begins among the entries, ascending.
    private var terms: [LogPosition] = []
    /// What is in force from which index on, ascending; the first one at or before `base`. Never empty.
    private(set) var memberships: [(index: LogIndex, membership: RaftMembership)]
    /// The sum of the entries' `bytes`.
    private(set) var bytes = 0

    init(base: LogPosition, membership: RaftMembership, entries: [LogEntry] = []) {
        self.base = base
        self.entries = []
        memberships = [(base.index, membership)]
        for entry in entries { append(entry) }
    }

    var firstIndex: LogIndex { base.index + 1 }
    var lastIndex: LogIndex { base.index + UInt64(count) }
    var count: Int { entries.count - head }
    var last: LogPosition { entries.count > head ? entries[entries.count - 1].position : base }
    /// What is in force.
    var membership: RaftMembership { memberships[memberships.count - 1].membership }
    /// The entry that put it in force.
    var membershipIndex: LogIndex { memberships[memberships.count - 1].index }

    /// nil: compacted away, or not there yet.
    func term(at index: LogIndex) -> Term? {
        if index == base.index { return base.term }
        return entry(at: index)?.term
    }

    func entry(at index: LogIndex) -> LogEntry? {
        guard index > base.index, index <= lastIndex else { return nil }
        return entries[place(index)]
    }

    func contains(_ position: LogPosition) -> Bool { term(at: position.index) == position.term }

    /// The entries from `first` up to `through` and `bytesMax`, at least one if there is one.
    func slice(from first: LogIndex, through: LogIndex, bytesMax: Int, countMax: Int = .max) -> ArraySlice<LogEntry> {
        let through = min(through, lastIndex)
        guard first > base.index, first <= through else { return [] }
        let start = place(first)
        var end = start
        var sum = 0
        while end <= place(through), end - start < countMax {
            sum += entries[end].bytes
            if sum > bytesMax, end > start { break }
            end += 1
        }
        return entries[start..<end]
    }

    /// Of the entries after `first`.
    func bytes(after first: LogIndex, through: LogIndex = .max) -> Int {
        let first = max(first, base.index)
        let through = min(through, lastIndex)
        guard first < through else { return 0 }
        return entries[place(first + 1)...place(through)].reduce(0) { $0 + $1.bytes }
    }

    func membership(at index: LogIndex) -> RaftMembership {
        for (from, membership) in memberships.reversed() where from <= index { return membership }
        return memberships[0].membership
    }

    /// The first entry here of the same term as the one at `index`.
    func firstOfTerm(at index: LogIndex) -> LogPosition? {
        guard let term = term(at: index) else { return nil }
        let place = termPlace(after: term)
        if place > 0, terms[place - 1].term == term { return terms[place - 1] }
        return base
    }

    /// The last entry here whose term is at most `term`, no later than `index`.
    func last(ofTermAtMost term: Term, noLaterThan index: LogIndex) -> LogIndex {
        let place = termPlace(after: term)
        let end = place < terms.count ? terms[place].index - 1 : lastIndex
        return max(min(end, index), base.index)
    }

    mutating func append(_ entry: LogEntry) {
        precondition(entry.index == lastIndex + 1, "entry \(entry.position) does not follow \(last)")
        precondition(entry.term >= last.term, "entry \(entry.position) goes back from \(last)")
        if entry.term != last.term { terms.append(entry.position) }
        if case .membership(let membership) = entry.payload { memberships.append((entry.index, membership)) }
        bytes += entry.bytes
        entries.append(entry)
    }

    /// Drops `index` and all after it, memberships included (thesis 4.1: a change can be taken back).
    mutating func truncate(from index: LogIndex) {
        precondition(index > base.index, "truncation at \(index), the log begins at \(base)")
        guard index <= lastIndex else { return }
        for entry in entries[place(index)...] { bytes -= entry.bytes }
        entries.removeSubrange(place(index)...)
        while let last = terms.last, last.index >= index { terms.removeLast() }
        while memberships.count > 1, memberships[memberships.count - 1].index >= index { memberships.removeLast() }
    }

    /// Drops everything up to `index`, amortised O(1) an entry.
    mutating func compact(through index: LogIndex) {
        guard index > base.index, let term = term(at: index) else { return }
        let end = place(index)
        for entry in entries[head...end] { bytes -= entry.bytes }
        head = end + 1
        base = LogPosition(term: term, index: index)
        terms.removeAll { $0.index <= index }
        while memberships.count > 1, memberships[1].index <= index { memberships.removeFirst() }
        if head > 64, head > entries.count / 2 {
            entries.removeFirst(head)
            head = 0
        }
    }

    private func place(_ index: LogIndex) -> Int { head + Int(index - base.index - 1) }

    /// How many terms begin here that are at most `term`.
    private func termPlace(after term: Term) -> Int {
        var low = 0
        var high = terms.count
        while low < high {
            let middle = (low + high) / 2
            if terms[middle].term <= term { low = middle + 1 } else { high = middle }
        }
        return low
    }

    func checkInvariants() {
        precondition(count >= 0 && !memberships.isEmpty)
        precondition(terms.count <= count, "\(terms.count) terms in \(count) entries")
        var before = base
        var sum = 0
        var starts: [LogPosition] = []
        for entry in entries[head...] {
            precondition(
                entry.index == before.index + 1 && entry.term >= before.term, "\(entry.position) after \(before)")
            if entry.term != before.term { starts.append(entry.position) }
            before = entry.position
            sum += entry.bytes
        }
        precondition(sum == bytes, "\(bytes) bytes are \(sum)")
        precondition(starts == terms, "terms begin at \(starts), not \(terms)")
    }
}
