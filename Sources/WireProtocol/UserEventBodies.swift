// SPDX-License-Identifier: Apache-2.0
// Owns the bodies of the messages about user events: the event itself, and what a node has of them.

import ClusterTypes
import NodeKernel

extension ByteSink {
    mutating func put(_ notice: UserEventNotice) {
        let event = notice.event
        put(event.id.origin)
        put(varint: event.id.epoch)
        put(varint: event.id.sequence)
        // Not the floor itself: mostly it is near.
        put(varint: event.id.sequence &- notice.floor)
        put(notice.ageMilliseconds)
        put(counted: event.name)
        put(counted: event.payload)
    }

    mutating func put(_ marks: UserEventMarks) {
        put(marks.isRequest ? WireLayout.marksFlagRequest : 0)
        put(count: marks.marks.count)
        for mark in marks.marks {
            put(mark.origin)
            put(varint: mark.epoch)
            put(varint: mark.next)
            put(varint: mark.ahead)
        }
    }
}

extension ByteReader {
    mutating func userEvent() throws(DecodeFailure) -> UserEventNotice {
        let origin = try knownNodeID()
        let epoch = try varint()
        let sequence = try varint()
        let before = try varint()
        guard epoch <= Bounds.incarnationMax, sequence <= UserEventID.sequenceMax else { throw .bounds }
        // Event 0, or a floor before event 1.
        guard sequence > before else { throw .value }
        let age = try uint32()
        let name = try text(min: 1, max: Bounds.userEventNameBytesMax)
        guard UserEvent.isName(name) else { throw .value }
        let payload = try bytes(max: Bounds.userEventPayloadBytesMax)
        let id = UserEventID(origin: origin, epoch: epoch, sequence: sequence)
        return UserEventNotice(
            event: UserEvent(id: id, name: name, payload: payload), ageMilliseconds: age, floor: sequence - before)
    }

    mutating func userEventMarks() throws(DecodeFailure) -> UserEventMarks {
        let isRequest = try uint8() & WireLayout.marksFlagRequest != 0
        let count = try count(max: UInt64(UserEventExchange.marksMax), elementBytesMin: 19)
        var marks: [UserEventMark] = []
        marks.reserveCapacity(count)
        for _ in 0..<count {
            let origin = try knownNodeID()
            let epoch = try varint()
            let next = try varint()
            guard epoch <= Bounds.incarnationMax, next <= UserEventID.sequenceMax + 1 else { throw .bounds }
            marks.append(UserEventMark(origin: origin, epoch: epoch, next: next, ahead: try varint()))
        }
        return UserEventMarks(isRequest: isRequest, marks: marks)
    }
}
