// SPDX-License-Identifier: Apache-2.0
// Owns range-based reconciliation: the answer to each message, from the store as it is now.

import ClusterTypes

/// One side of an exchange after Meyer, "Range-Based Set Reconciliation" (2022): ranges with different sums are split
/// until few rows are left, which are listed.
///
/// Both sides run the same machine; it begins on one of them. It keeps nothing of the store between two messages, so
/// the store may change meanwhile: what changed is repaired now or by the next exchange.
package struct RangeReconciliation: Sendable {
    package enum Purpose: Hashable, Sendable {
        /// Rows move until both sides hold the same.
        case repair
        /// Only asks which keys differ. The peer needs no special mode: it is never given reason to send rows.
        case compare
    }

    /// Parts of a split, and rows that are listed rather than split. One difference in 1 000 000 rows is found by three
    /// splits (1 000 000 / 28^3 = 46 rows) and a list, messages 1 to 4; 5 and 6 bring rows both ways: 3 round trips. A
    /// split costs about 15 bytes a part, a list 8 a row: fewer parts make longer lists, more parts longer splits.
    package static let partsMax = 28
    package static let listedMax = 96
    /// Each part of a split has at least this many rows.
    static let partRowsMin = 16
    /// Of one message; what we send has fewer.
    package static let rangesMax = 65_536
    /// Of one range and of all ranges in one message; what we send has fewer.
    package static let rangeHashesMax = 4_096
    package static let hashesMax = 131_072
    /// Messages from the peer: enough for 16 777 216 rows that all differ.
    package static let stepsMax = 65_536
    /// Differing ranges that a comparison reports; it ends there.
    package static let differingMax = 64

    package let purpose: Purpose
    /// Messages from the peer so far.
    package private(set) var steps = 0
    /// Sorted, apart from each other; only for `compare`.
    package private(set) var differing: [DifferingKeys] = []

    package init(purpose: Purpose = .repair) { self.purpose = purpose }

    /// The first message; to be sent when the roots differ.
    package mutating func begin(_ store: Store) -> RangeMessage {
        var turn = RangeTurn(store: store, limit: RangeLimit())
        let rows = store.order.count
        switch purpose {
        case .repair:
            if rows <= Self.listedMax { turn.list(turn.everything) } else { turn.split(turn.everything) }
        case .compare:
            if rows < 2 * Self.partRowsMin { turn.state(turn.everything) } else { turn.split(turn.everything) }
        }
        return turn.message
    }

    /// Costs a search for each range, and one pass over the rows of listed ranges.
    ///
    /// - Throws: `RangeFailure` on what no honest peer sends; close the exchange.
    package mutating func answer(
        _ message: RangeMessage, store: Store, limit: RangeLimit = RangeLimit()
    ) throws(RangeFailure) -> RangeStep {
        try message.check()
        guard steps < Self.stepsMax else { throw .tooManySteps }
        steps += 1
        if message.isSettled { return RangeStep(reply: nil, rowsToSend: [], isFinished: true) }
        var turn = RangeTurn(store: store, limit: limit)
        var span = turn.everything
        for range in message.ranges {
            span.end = turn.edge(range.end)
            switch range.content {
            case .settled: turn.settle(span)
            case .sum(let rows, let hash): compare(rows: rows, hash: hash, span, &turn)
            case .rows(let hashes): meet(hashes, span, &turn)
            case .wanted(let hashes): send(hashes, span, &turn)
            }
            // The last range stands for the rest already.
            if turn.isFull { break }
            span.first = span.end
        }
        // A comparison that has found enough leaves the rest.
        let reply = differing.count >= Self.differingMax ? .settled : turn.message
        return RangeStep(reply: reply, rowsToSend: turn.rowsToSend, isFinished: reply.isSettled)
    }

    private mutating func compare(rows: UInt64, hash: UInt64, _ span: RangeTurn.Span, _ turn: inout RangeTurn) {
        let own = turn.summary(span)
        if UInt64(own.rows) == rows, own.hash == hash { return turn.settle(span) }
        let isFew = own.rows <= Self.listedMax
        switch purpose {
        case .repair:
            if isFew { turn.list(span) } else { turn.split(span) }
        case .compare:
            // A list of ours would make the peer send rows.
            if own.rows == 0 || rows == 0 || (isFew && rows <= UInt64(Self.listedMax)) {
                report(span, &turn)
            } else if isFew {
                turn.state(span)
            } else {
                turn.split(span)
            }
        }
    }

    private mutating func meet(_ hashes: [UInt64], _ span: RangeTurn.Span, _ turn: inout RangeTurn) {
        switch purpose {
        case .repair: turn.meet(hashes, span)
        case .compare: if turn.matches(hashes, span) { turn.settle(span) } else { report(span, &turn) }
        }
    }

    private func send(_ hashes: [UInt64], _ span: RangeTurn.Span, _ turn: inout RangeTurn) {
        switch purpose {
        case .repair: turn.send(hashes, span)
        // We listed nothing, so the peer can want nothing.
        case .compare: turn.settle(span)
        }
    }

    /// Notes that the range differs; ranges that touch become one.
    private mutating func report(_ span: RangeTurn.Span, _ turn: inout RangeTurn) {
        turn.settle(span)
        var found = DifferingKeys(first: span.first.id?.key ?? "", end: span.end.id?.firstKeyNotBefore)
        let touching = differing.filter { $0.touches(found) }
        for other in touching { found.form(unionWith: other) }
        differing.removeAll { touching.contains($0) }
        let at = differing.firstIndex { ConfigurationKey.precedes(found.first, $0.first) } ?? differing.count
        if differing.count < Self.differingMax { differing.insert(found, at: at) }
    }
}

extension RowID {
    /// The first key of which all rows are behind the id, or at it.
    fileprivate var firstKeyNotBefore: String {
        switch part {
        case .register: key
        case .element, .counter: key + "\u{0}"
        }
    }
}

extension DifferingKeys {
    fileprivate func touches(_ other: DifferingKeys) -> Bool { reaches(other.first) && other.reaches(first) }

    private func reaches(_ key: String) -> Bool { end.map { !ConfigurationKey.precedes($0, key) } ?? true }

    fileprivate mutating func form(unionWith other: DifferingKeys) {
        if ConfigurationKey.precedes(other.first, first) { first = other.first }
        guard let last = end, let otherEnd = other.end else { return end = nil }
        if ConfigurationKey.precedes(last, otherEnd) { end = otherEnd }
    }
}
