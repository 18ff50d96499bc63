// SPDX-License-Identifier: Apache-2.0
// Owns what is remembered of each member for `member explain`: changes and findings, bounded for one and for all.

import ClusterTypes
import SWIMCore

/// One thing that happened to a member, or several equal findings in a row.
package struct TimelineEntry: Sendable {
    package enum What: Hashable, Sendable {
        case event(MemberEvent)
        case note(MemberNote)
    }

    package var at: Clock
    package var what: What
    /// The member's incarnation then, as this node knew it.
    package var incarnation: UInt64
    /// How often in a row, and when last.
    package var times = 1
    package var lastAt: Clock
    /// Grows from entry to entry.
    fileprivate var number: UInt64
}

/// The memory of `member explain`. Each member has its own `perMemberMax` entries, so that one that flaps does not push out what
/// happened to another; all together have `entriesMax`, of which the oldest quarter goes when they are used up.
struct MemberTimeline: Sendable {
    /// Of findings that repeat, one entry counts.
    static let perMemberMax = 32

    private var entries: [NodeID: [TimelineEntry]] = [:]
    private let entriesMax: Int
    private var number: UInt64 = 0
    private(set) var count = 0

    init(entriesMax: Int) { self.entriesMax = entriesMax }

    /// Oldest first.
    subscript(id: NodeID) -> [TimelineEntry] { entries[id] ?? [] }

    mutating func add(_ what: TimelineEntry.What, of id: NodeID, incarnation: UInt64, at clock: Clock) {
        var own = entries.removeValue(forKey: id) ?? []
        defer { entries[id] = own }
        if case .note = what, let last = own.indices.last, own[last].what == what, own[last].incarnation == incarnation
        {
            own[last].times += 1
            own[last].lastAt = clock
            return
        }
        number += 1
        if own.count >= Self.perMemberMax {
            own.removeFirst()
        } else {
            count += 1
        }
        own.append(TimelineEntry(at: clock, what: what, incarnation: incarnation, lastAt: clock, number: number))
    }

    /// The member is no longer in the table.
    mutating func forget(_ id: NodeID) { count -= entries.removeValue(forKey: id)?.count ?? 0 }

    /// Keeps the bound on all; to be called after `add`.
    mutating func trim() {
        guard count > entriesMax else { return }
        let numbers = entries.values.flatMap { $0.map(\.number) }.sorted()
        let oldest = numbers[min(numbers.count - 1, count - entriesMax + entriesMax / 4)]
        entries = entries.compactMapValues { own in
            let kept = own.drop { $0.number < oldest }
            return kept.isEmpty ? nil : Array(kept)
        }
        count = entries.values.reduce(0) { $0 + $1.count }
    }

    func checkBounds() {
        precondition(count <= entriesMax, "\(count) entries of all members exceed \(entriesMax)")
        for own in entries.values {
            precondition(own.count <= Self.perMemberMax, "\(own.count) entries of a member exceed \(Self.perMemberMax)")
        }
    }
}
