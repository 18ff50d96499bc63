// SPDX-License-Identifier: Apache-2.0
// Owns one answer of range-based reconciliation while it is made: what is said of each range, within the limits.

import ClusterTypes

/// The reply so far. The store is the one that the whole step is about.
///
/// What a split or a list adds may take half of the message. A range for which there is no room is answered with our
/// sum, so that the peer takes the next step on it; such ranges and those that are settled may take a quarter, and then
/// the rest of the order becomes one range. The last quarter is for the ends (up to `Bounds.keyBytesMax +
/// elementBytesMax`) that exceed these shares. So each step makes progress on at least one range.
struct RangeTurn {
    /// A place between rows; without id the start or the end of the order.
    struct Edge {
        var id: RowID?
        var position: RowOrder.Position
    }

    struct Span {
        var first: Edge
        var end: Edge
    }

    let store: Store
    let limit: RangeLimit
    private(set) var ranges: [RangeMessage.Range] = []
    private(set) var rowsToSend: [RowID] = []
    /// Set when one range stands for all that is left of the order.
    private(set) var isFull = false
    /// Of all ranges, and of those that splits and lists made.
    private var bytes = 4
    private var detailBytes = 0
    /// The end of the last but one range, and the size of the last.
    private var former: RowID?
    private var lastBytes = 0

    init(store: Store, limit: RangeLimit) {
        self.store = store
        self.limit = limit
    }

    var message: RangeMessage { RangeMessage(ranges: ranges) }

    func edge(_ id: RowID?) -> Edge { Edge(id: id, position: id.map(store.position(before:)) ?? store.order.end) }

    var everything: Span { Span(first: Edge(id: nil, position: store.order.start), end: edge(nil)) }

    func summary(_ span: Span) -> RangeSummary { store.order.summary(from: span.first.position, to: span.end.position) }

    /// Room for a split or a list. Less than a sixteenth of the message is not worth beginning with.
    private var detailRoom: Int {
        let room = limit.bytesMax / 2 - detailBytes
        return room < limit.bytesMax / 16 ? 0 : room
    }

    /// Neighbours that are settled become one range.
    private mutating func append(_ content: RangeMessage.Content, to end: RowID?) {
        if content == .settled, let last = ranges.last, last.content == .settled {
            bytes -= lastBytes
            ranges[ranges.count - 1].end = end
        } else {
            former = ranges.last?.end
            ranges.append(RangeMessage.Range(end: end, content: content))
        }
        lastBytes = ranges[ranges.count - 1].encodedBytes(after: former)
        bytes += lastBytes
    }

    private mutating func appendDetail(_ content: RangeMessage.Content, to end: RowID?) {
        append(content, to: end)
        detailBytes += lastBytes
    }

    mutating func settle(_ span: Span) { append(.settled, to: span.end.id) }

    /// Leaves the next step on the range to the peer.
    mutating func state(_ span: Span) {
        if bytes - detailBytes > limit.bytesMax / 4 {
            isFull = true
            append(summary(Span(first: span.first, end: edge(nil))).content, to: nil)
        } else {
            append(summary(span).content, to: span.end.id)
        }
    }

    /// Lists the rows of the range, which are few.
    mutating func list(_ span: Span) {
        guard detailRoom > 0 else { return state(span) }
        var hashes: [UInt64] = []
        forEachRow(span) { _, row in
            hashes.append(store.order.shortHash(of: row))
            return true
        }
        appendDetail(.rows(hashes.sorted()), to: span.end.id)
    }

    /// Splits the range into parts of about equal numbers of rows. Where exactly is left to the keys: of all ends within
    /// an eighth of a part the shortest is taken, since ends make up a third of the message.
    mutating func split(_ span: Span) {
        let room = detailRoom
        guard room > 0 else { return state(span) }
        let rows = summary(span).rows
        let parts = min(max(rows / RangeReconciliation.partRowsMin, 2), RangeReconciliation.partsMax)
        let slack = rows / parts / 16
        let bytesMax = detailBytes + room
        let order = store.order
        var part = Span(first: span.first, end: span.end)
        var walked = (rank: 0, position: span.first.position)
        for number in 1..<parts where detailBytes < bytesMax {
            let rank = number * rows / parts
            let lower = order.position(walked.position, advancedBy: rank - 1 - slack - walked.rank)
            let upper = order.position(lower, advancedBy: 1 + 2 * slack)
            walked = (rank + slack, upper)
            guard let below = order.element(at: lower), let above = order.element(at: upper) else { break }
            part.end = edge(RowID.separator(of: store.id(at: below), and: store.id(at: above)))
            appendDetail(summary(part).content, to: part.end.id)
            part.first = part.end
        }
        part.end = span.end
        appendDetail(summary(part).content, to: part.end.id)
    }

    /// The peer has listed its rows of the range: sends what it lacks, asks for what we lack.
    mutating func meet(_ hashes: [UInt64], _ span: Span) {
        // What we ask for is no longer than what the peer listed; a list on its own always fits.
        guard detailRoom >= hashes.count * 8 || detailBytes == 0 else { return state(span) }
        var isKnown = [Bool](repeating: false, count: hashes.count)
        var cut: Edge?
        var before: UInt32?
        forEachRow(span) { position, row in
            if let index = hashes.index(ofSorted: store.order.shortHash(of: row)) {
                isKnown[index] = true
            } else if rowsToSend.count < limit.rowsMax {
                rowsToSend.append(store.id(at: row))
            } else {
                let id = before.map { RowID.separator(of: store.id(at: $0), and: store.id(at: row)) }
                cut = Edge(id: id, position: position)
                return false
            }
            before = row
            return true
        }
        if let cut, cut.id == nil { return state(span) }
        // Rows behind the cut are among them; the peer does not find those in this range, and lists them again.
        let lacking = hashes.indices.filter { !isKnown[$0] }.map { hashes[$0] }
        let end = cut ?? span.end
        appendDetail(lacking.isEmpty ? .settled : .wanted(lacking), to: end.id)
        if cut != nil { state(Span(first: end, end: span.end)) }
    }

    /// The peer has asked for these rows of the range.
    mutating func send(_ hashes: [UInt64], _ span: Span) {
        var isCut = false
        forEachRow(span) { _, row in
            guard hashes.index(ofSorted: store.order.shortHash(of: row)) != nil else { return true }
            isCut = rowsToSend.count >= limit.rowsMax
            if !isCut { rowsToSend.append(store.id(at: row)) }
            return !isCut
        }
        if isCut { state(span) } else { settle(span) }
    }

    /// True when the range holds exactly the rows that the peer has listed.
    func matches(_ hashes: [UInt64], _ span: Span) -> Bool {
        guard summary(span).rows == hashes.count else { return false }
        var matches = true
        forEachRow(span) { _, row in
            matches = hashes.index(ofSorted: store.order.shortHash(of: row)) != nil
            return matches
        }
        return matches
    }

    /// Calls `body` until it returns false.
    private func forEachRow(_ span: Span, _ body: (RowOrder.Position, UInt32) -> Bool) {
        var position = span.first.position
        while position < span.end.position, let row = store.order.element(at: position), body(position, row) {
            position = store.order.position(after: position)
        }
    }
}

extension RangeSummary {
    var content: RangeMessage.Content { .sum(rows: UInt64(rows), hash: hash) }
}
