// SPDX-License-Identifier: Apache-2.0
// Owns the table `context`: the causal context as runs of events, one row a run.

import BackupFormat
import ClusterTypes
import StoreCore

/// Keeps every event of every row that was ever written, so that an overwritten event is not taken for a missing one
/// after a restart. Events of one transaction are gathered and written as runs: a busy writer costs one row.
struct ContextTable {
    private let below: Statement
    private let remove: Statement
    private let put: Statement
    private let clear: Statement
    private var gathered: [Dot] = []
    /// What this transaction has written already.
    private var joined = CausalContext()

    init(_ connection: Connection) throws(PersistenceFailure) {
        below = try connection.prepare(
            "SELECT first, last FROM context WHERE actor = ?1 AND first <= ?2 ORDER BY first DESC")
        remove = try connection.prepare("DELETE FROM context WHERE actor = ?1 AND first BETWEEN ?2 AND ?3")
        put = try connection.prepare(
            "INSERT INTO context (actor, first, last) VALUES (?1, ?2, ?3)"
                + " ON CONFLICT (actor, first) DO UPDATE SET last = excluded.last")
        clear = try connection.prepare("DELETE FROM context")
    }

    mutating func insert(_ dots: [Dot]) {
        if joined.isEmpty {
            gathered += dots
        } else {
            for dot in dots where !joined.contains(dot) { gathered.append(dot) }
        }
    }

    /// Forgets what `insert` has gathered.
    mutating func discard() {
        gathered = []
        joined = CausalContext()
    }

    /// Writes what was gathered.
    mutating func flush() throws(PersistenceFailure) {
        joined = CausalContext()
        if gathered.isEmpty { return }
        if gathered.count > 1 { gathered.sort() }
        var run = gathered[0]
        var last = run.counter
        for dot in gathered.dropFirst() {
            if dot.actor == run.actor, dot.counter <= last + 1 {
                last = dot.counter
            } else {
                try insert(run.actor, first: run.counter, last: last)
                run = dot
                last = dot.counter
            }
        }
        try insert(run.actor, first: run.counter, last: last)
        gathered.removeAll(keepingCapacity: true)
    }

    /// Inserts a whole context beside what is there.
    mutating func join(_ context: CausalContext) throws(PersistenceFailure) {
        for entry in context.entries { try insert(entry) }
        joined.formUnion(context)
    }

    /// What was gathered before is part of `context` or folded away.
    mutating func replace(by context: CausalContext) throws(PersistenceFailure) {
        discard()
        try clear.run()
        try join(context)
    }

    private func insert(_ entry: CausalContext.Entry) throws(PersistenceFailure) {
        if entry.contiguous > 0 { try insert(entry.actor, first: 1, last: entry.contiguous) }
        var at = 0
        while at < entry.cloud.count {
            let first = entry.cloud[at]
            var last = first
            while at + 1 < entry.cloud.count, entry.cloud[at + 1] == last + 1 {
                at += 1
                last += 1
            }
            try insert(entry.actor, first: first, last: last)
            at += 1
        }
    }

    /// Joins the run with those it overlaps or touches.
    private func insert(_ actor: ActorID, first: UInt64, last: UInt64) throws(PersistenceFailure) {
        let column = actor.columnBytes
        var merged = (first: first, last: last)
        var found = 0
        below.bind(1, column)
        below.bind(2, last + 1)
        defer { below.reset() }
        while try below.step() {
            let run = (first: below.unsigned(0), last: below.unsigned(1))
            if run.last + 1 < merged.first { break }
            if run.first <= first, run.last >= last { return }
            merged.first = min(merged.first, run.first)
            merged.last = max(merged.last, run.last)
            found += 1
        }
        below.reset()
        if found > (merged.first < first ? 1 : 0) {
            remove.bind(1, column)
            remove.bind(2, merged.first + 1)
            remove.bind(3, last + 1)
            try remove.run()
        }
        put.bind(1, column)
        put.bind(2, merged.first)
        put.bind(3, merged.last)
        try put.run()
    }

    /// Events of one run behind a gap; more than a store can have rows are damage.
    private static let cloudRunMax: UInt64 = 1 << 31

    /// The whole table. Runs that overlap or touch are damage.
    static func read(_ connection: Connection) throws(PersistenceFailure) -> CausalContext {
        let statement = try connection.prepare("SELECT actor, first, last FROM context ORDER BY actor, first")
        var entries: [CausalContext.Entry] = []
        while try statement.step() {
            let first = statement.unsigned(1)
            let last = statement.unsigned(2)
            guard let actor = statement.withBytes(0, { ActorID(columnBytes: $0) }), first > 0, first <= last,
                last <= Dot.counterMax, first == 1 || last - first < cloudRunMax
            else { throw .corrupt(file: connection.file, reason: "its causal context is damaged") }
            if entries.last?.actor != actor {
                entries.append(CausalContext.Entry(actor: actor, contiguous: 0, cloud: []))
            }
            let at = entries.count - 1
            if first == 1 {
                entries[at].contiguous = last
            } else {
                entries[at].cloud.append(contentsOf: first...last)
            }
        }
        guard let context = CausalContext(entries: entries) else {
            throw .corrupt(file: connection.file, reason: "its causal context is damaged")
        }
        return context
    }
}
