// SPDX-License-Identifier: Apache-2.0
// Owns the body of a step of range-based reconciliation: each end is written as what it adds to the one before.

import ClusterTypes
import StoreCore

/// The key and the element of the end before; both empty in front of the first.
private struct FormerEnd {
    var key: [UInt8] = []
    var element: [UInt8] = []
    /// Keys and elements so far, written out.
    var bytes = 0

    mutating func move(toKey key: [UInt8], element: [UInt8]) {
        self.key = key
        self.element = element
        bytes += key.count + element.count
    }
}

extension [UInt8] {
    fileprivate func sharedPrefix(with other: [UInt8]) -> Int {
        let most = Swift.min(count, other.count)
        for index in 0..<most where self[index] != other[index] { return index }
        return most
    }
}

extension ByteSink {
    mutating func put(_ message: RangeMessage) {
        put(count: message.ranges.count)
        guard message.ranges.count <= WireLayout.rangesMax else { return refuse() }
        var former = FormerEnd()
        for range in message.ranges {
            let code = range.end?.part.type.rawValue ?? WireLayout.rangeEndNone
            put(range.content.code | code << WireLayout.rangeEndShift)
            if let end = range.end { put(end, after: &former) }
            switch range.content {
            case .settled: break
            case .sum(let rows, let hash):
                put(varint: rows)
                put(hash)
            case .rows(let hashes), .wanted(let hashes):
                put(count: hashes.count)
                for hash in hashes { put(hash) }
            }
        }
        if former.bytes > WireLayout.rangeEndBytesMax { refuse() }
    }

    private mutating func put(_ end: RowID, after former: inout FormerEnd) {
        let key = Array(end.key.utf8)
        put(key, after: former.key)
        switch end.part {
        case .register:
            former.move(toKey: key, element: [])
        case .element(let element):
            put(element, after: former.element)
            former.move(toKey: key, element: element)
        case .counter(let actor):
            put(actor)
            former.move(toKey: key, element: [])
        }
    }

    private mutating func put(_ bytes: [UInt8], after former: [UInt8]) {
        let shared = bytes.sharedPrefix(with: former)
        put(count: shared)
        put(counted: Array(bytes[shared...]))
    }
}

extension RangeMessage.Content {
    fileprivate var code: UInt8 {
        switch self {
        case .settled: WireLayout.rangeSettled
        case .sum: WireLayout.rangeSum
        case .rows: WireLayout.rangeRows
        case .wanted: WireLayout.rangeWanted
        }
    }
}

extension ByteReader {
    /// nil: a range has a content or an end that this version does not know.
    mutating func ranges() throws(DecodeFailure) -> RangeMessage? {
        let count = try count(max: UInt64(WireLayout.rangesMax), elementBytesMin: 1)
        var ranges: [RangeMessage.Range] = []
        // A range takes less room on the wire than in memory: not all that a peer claims is reserved at once.
        ranges.reserveCapacity(min(count, 1_024))
        var former = FormerEnd()
        for index in 0..<count {
            let head = try uint8()
            let endCode = head >> WireLayout.rangeEndShift
            var end: RowID?
            if endCode != WireLayout.rangeEndNone {
                guard let type = KeyType(rawValue: endCode) else { return nil }
                let read = try rangeEnd(type, after: &former)
                if let last = ranges.last?.end, !(last < read) { throw .value }
                end = read
            } else if index < count - 1 {
                throw .value
            }
            let content = try rangeContent(head & (1 << WireLayout.rangeEndShift - 1))
            ranges.append(RangeMessage.Range(end: end, content: content))
        }
        return RangeMessage(ranges: ranges)
    }

    private mutating func rangeEnd(_ type: KeyType, after former: inout FormerEnd) throws(DecodeFailure) -> RowID {
        let bytes = try bytes(after: former.key, max: Bounds.keyBytesMax)
        guard !bytes.isEmpty else { throw .bounds }
        guard let key = String(validating: bytes, as: UTF8.self) else { throw .utf8 }
        let part: RowID.Part
        switch type {
        case .register:
            part = .register
            former.move(toKey: bytes, element: [])
        case .set:
            let element = try self.bytes(after: former.element, max: Bounds.elementBytesMax)
            part = .element(element)
            former.move(toKey: bytes, element: element)
        case .counter:
            part = .counter(try rangeActor())
            former.move(toKey: bytes, element: [])
        }
        guard former.bytes <= WireLayout.rangeEndBytesMax else { throw .bounds }
        return RowID(key: key, part: part)
    }

    /// An actor, or the one that stands for those that are folded.
    private mutating func rangeActor() throws(DecodeFailure) -> ActorID {
        let node = try nodeID()
        let actor = ActorID(node: node, epoch: try uint32())
        guard actor.node != .unknown || actor == .folded else { throw .value }
        return actor
    }

    private mutating func bytes(after former: [UInt8], max: Int) throws(DecodeFailure) -> [UInt8] {
        let shared = try varint()
        guard shared <= UInt64(former.count) else { throw .value }
        return Array(former[..<Int(shared)]) + (try bytes(max: max - Int(shared)))
    }

    /// Two bits have no other codes.
    private mutating func rangeContent(_ code: UInt8) throws(DecodeFailure) -> RangeMessage.Content {
        switch code {
        case WireLayout.rangeSettled:
            return .settled
        case WireLayout.rangeSum:
            let rows = try varint()
            return .sum(rows: rows, hash: try uint64())
        case WireLayout.rangeRows:
            let hashes = try hashes()
            for index in hashes.indices.dropFirst() where hashes[index] < hashes[index - 1] { throw .value }
            return .rows(hashes)
        case _:
            return .wanted(try hashes())
        }
    }

    private mutating func hashes() throws(DecodeFailure) -> [UInt64] {
        let count = try count(elementBytesMin: 8)
        var hashes: [UInt64] = []
        hashes.reserveCapacity(count)
        for _ in 0..<count { hashes.append(try uint64()) }
        return hashes
    }
}
