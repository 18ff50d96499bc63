// SPDX-License-Identifier: Apache-2.0
// Owns what can be said of a range message without a store: its size on the wire, and whether it makes sense.

import ClusterTypes

extension RangeMessage {
    /// What the message takes on the wire, its kind included. Each end is written as what it adds to the one before.
    package var encodedBytes: Int {
        var bytes = 1 + Self.varintBytes(UInt64(ranges.count))
        var former: RowID?
        for range in ranges {
            bytes += range.encodedBytes(after: former)
            former = range.end
        }
        return bytes
    }

    /// Throws what no honest peer sends. Linear in the message.
    func check() throws(RangeFailure) {
        if ranges.count > RangeReconciliation.rangesMax { throw .tooManyRanges }
        guard let last = ranges.last, last.end == nil else { throw .incomplete }
        var former: RowID?
        var hashesLeft = RangeReconciliation.hashesMax
        for (index, range) in ranges.enumerated() {
            if let end = range.end {
                guard end.isPossibleEnd else { throw .invalidEnd }
                if let former, !(former < end) { throw .unsortedEnds }
                former = end
            } else if index + 1 < ranges.count {
                throw .incomplete
            }
            switch range.content {
            case .settled, .sum: break
            case .rows(let hashes), .wanted(let hashes):
                hashesLeft -= hashes.count
                if hashes.count > RangeReconciliation.rangeHashesMax || hashesLeft < 0 { throw .tooManyHashes }
                for at in hashes.indices.dropFirst() where hashes[at] < hashes[at - 1] { throw .unsortedHashes }
            }
        }
    }

    /// Seven bits a byte.
    static func varintBytes(_ value: UInt64) -> Int { max(1, (70 - value.leadingZeroBitCount) / 7) }
}

extension RangeMessage.Range {
    /// One byte for the kinds of end and content, then both.
    func encodedBytes(after former: RowID?) -> Int {
        var bytes = 1
        if let end {
            bytes += Self.encodedBytes(end.key.utf8, after: former?.key.utf8)
            switch end.part {
            case .register: break
            case .element(let element): bytes += Self.encodedBytes(element, after: former?.element)
            case .counter: bytes += 20
            }
        }
        switch content {
        case .settled: break
        case .sum(let rows, _): bytes += RangeMessage.varintBytes(rows) + 8
        case .rows(let hashes), .wanted(let hashes):
            bytes += RangeMessage.varintBytes(UInt64(hashes.count)) + 8 * hashes.count
        }
        return bytes
    }

    /// Lengths of the shared prefix and of the rest, and the rest.
    private static func encodedBytes<Bytes: Collection<UInt8>>(_ bytes: Bytes, after former: Bytes?) -> Int {
        let shared = former.map { RowID.sharedPrefix($0, bytes) } ?? 0
        let rest = bytes.count - shared
        return RangeMessage.varintBytes(UInt64(shared)) + RangeMessage.varintBytes(UInt64(rest)) + rest
    }
}

extension RowID {
    fileprivate var element: [UInt8]? {
        switch part {
        case .element(let bytes): bytes
        case .register, .counter: nil
        }
    }

    /// An end keeps the bounds of a key and an element, but need not be a valid key.
    fileprivate var isPossibleEnd: Bool {
        let bytes = key.utf8.count
        return bytes > 0 && bytes <= Bounds.keyBytesMax && (element?.count ?? 0) <= Bounds.elementBytesMax
    }

    fileprivate static func sharedPrefix<Bytes: Collection<UInt8>>(_ a: Bytes, _ b: Bytes) -> Int {
        var shared = 0
        for (left, right) in zip(a, b) {
            if left != right { break }
            shared += 1
        }
        return shared
    }

    /// The shortest end that is behind `a` and not behind `b`, which must come after `a`.
    static func separator(of a: RowID, and b: RowID) -> RowID {
        if !ConfigurationKey.equal(a.key, b.key) {
            let bytes = Array(b.key.utf8)
            var length = sharedPrefix(a.key.utf8, b.key.utf8) + 1
            // Up to the end of a character: a key is text.
            while length < bytes.count, bytes[length] & 0xc0 == 0x80 { length += 1 }
            return RowID(key: String(decoding: bytes[..<length], as: UTF8.self), part: .register)
        }
        switch (a.part, b.part) {
        case (.element(let x), .element(let y)):
            return RowID(key: b.key, part: .element(Array(y[..<(sharedPrefix(x, y) + 1)])))
        case (.register, .element):
            return RowID(key: b.key, part: .element([]))
        case (.register, _), (.element, _), (.counter, _):
            return b
        }
    }
}
