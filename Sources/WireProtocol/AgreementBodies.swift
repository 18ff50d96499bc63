// SPDX-License-Identifier: Apache-2.0
// Owns the bodies of the messages by which nodes agree: exchanges opened, writes confirmed, collection, floors.

import ClusterTypes
import NodeKernel
import StoreCore

extension ByteSink {
    mutating func put(_ request: StoreRequest) {
        put(request.context)
        put(request.isReset ? WireLayout.requestFlagReset : 0)
        put(varint: request.floorMark)
    }

    mutating func put(_ request: ConfirmRequest) {
        put(request.id)
        put(request.dots)
    }

    mutating func put(_ request: CollectRequest) {
        put(request.cutoff.rawValue)
        put(varint: request.floorMark)
        put(request.deadHash.high)
        put(request.deadHash.low)
        put(request.folds)
    }

    mutating func put(_ answer: CollectAnswer) {
        put(answer.cutoff.rawValue)
        let agrees = answer.agrees ? WireLayout.answerFlagAgrees : 0
        put(answer.agreesToFolds ? agrees | WireLayout.answerFlagFolds : agrees)
        put(answer.epoch)
    }

    mutating func put(_ floor: CollectionFloor) {
        put(floor.cutoff.rawValue)
        put(count: floor.folded.count)
        for entry in floor.folded {
            put(Dot(actor: entry.actor, counter: entry.counter))
            put(entry.cutoff.rawValue)
        }
    }
}

extension ByteReader {
    mutating func storeRequest() throws(DecodeFailure) -> StoreRequest {
        let context = try context()
        let isReset = try uint8() & WireLayout.requestFlagReset != 0
        return StoreRequest(context: context, floorMark: try varint(), isReset: isReset)
    }

    mutating func confirmRequest() throws(DecodeFailure) -> ConfirmRequest {
        let id = try uint32()
        return ConfirmRequest(id: id, dots: try dots(max: WireLayout.confirmDotsMax))
    }

    mutating func stamp() throws(DecodeFailure) -> HybridTimestamp {
        let stamp = HybridTimestamp(rawValue: try uint64())
        guard stamp <= HybridClock.stampMax else { throw .bounds }
        return stamp
    }

    mutating func collectRequest() throws(DecodeFailure) -> CollectRequest {
        let cutoff = try stamp()
        let mark = try varint()
        let high = try uint64()
        let hash = Hash128(high: high, low: try uint64())
        return CollectRequest(
            cutoff: cutoff, floorMark: mark, deadHash: hash, folds: try dots(max: WireLayout.collectFoldsMax))
    }

    mutating func collectAnswer() throws(DecodeFailure) -> CollectAnswer {
        let cutoff = try stamp()
        let flags = try uint8()
        return CollectAnswer(
            cutoff: cutoff, agrees: flags & WireLayout.answerFlagAgrees != 0,
            agreesToFolds: flags & WireLayout.answerFlagFolds != 0, epoch: try uint32())
    }

    mutating func floor() throws(DecodeFailure) -> CollectionFloor {
        let cutoff = try stamp()
        let count = try count(max: UInt64(CollectionFloor.foldedMax), elementBytesMin: WireLayout.actorBytes + 9)
        var folded: [CollectionFloor.Folded] = []
        folded.reserveCapacity(count)
        for _ in 0..<count {
            let last = try dot()
            if let before = folded.last, !(before.actor < last.actor) { throw .value }
            folded.append(CollectionFloor.Folded(last, cutoff: try stamp()))
        }
        return CollectionFloor(cutoff: cutoff, folded: folded)
    }
}
