// SPDX-License-Identifier: Apache-2.0
// Owns user events as values: what a client sends to all members, and how nodes speak of it.

import ClusterTypes

/// Names one event: who sent it, in which life of its process, and the how manieth it was.
package struct UserEventID: Hashable, Comparable, Sendable {
    package var origin: NodeID
    /// The incarnation that the origin had when its process sent the first event: durable before it was used, so that no
    /// two processes of a node share one, and later ones have higher ones.
    package var epoch: UInt64
    /// From 1, without gaps.
    package var sequence: UInt64

    /// No node comes so far; higher ones are refused, so that nothing overflows. A mark's `next` may be one more.
    package static let sequenceMax: UInt64 = 1 << 62 - 1

    package init(origin: NodeID, epoch: UInt64, sequence: UInt64) {
        self.origin = origin
        self.epoch = epoch
        self.sequence = sequence
    }

    package static func < (a: UserEventID, b: UserEventID) -> Bool {
        (a.origin, a.epoch, a.sequence) < (b.origin, b.epoch, b.sequence)
    }
}

/// An event that a client gave to all members.
package struct UserEvent: Hashable, Sendable {
    package var id: UserEventID
    /// 1 to `Bounds.userEventNameBytesMax` bytes of letters, digits, `.`, `_` and `-`.
    package var name: String
    /// At most `Bounds.userEventPayloadBytesMax`.
    package var payload: [UInt8]

    package init(id: UserEventID, name: String, payload: [UInt8]) {
        self.id = id
        self.name = name
        self.payload = payload
    }

    package static func isName(_ name: String) -> Bool {
        (1...Bounds.userEventNameBytesMax).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }
}

/// An event as it travels.
package struct UserEventNotice: Hashable, Sendable {
    package var event: UserEvent
    /// Since it was sent, as far as the nodes on its way have held it: the network's own delay is not in it.
    package var ageMilliseconds: UInt32
    /// The first event of this epoch that the origin still had to give when it sent this one: what is before it comes no
    /// more. At most the event's own number.
    package var floor: UInt64

    package init(event: UserEvent, ageMilliseconds: UInt32, floor: UInt64) {
        self.event = event
        self.ageMilliseconds = ageMilliseconds
        self.floor = floor
    }
}

/// What a node has of the events of one origin.
package struct UserEventMark: Hashable, Sendable {
    package var origin: NodeID
    package var epoch: UInt64
    /// All before this one, as far as they can be had; 0: none, not even how many there were.
    package var next: UInt64
    /// Bit n: also `next + 1 + n`.
    package var ahead: UInt64

    package init(origin: NodeID, epoch: UInt64, next: UInt64, ahead: UInt64) {
        self.origin = origin
        self.epoch = epoch
        self.next = next
        self.ahead = ahead
    }

    /// The last event that it speaks of; 0 when there is none.
    package var last: UInt64 {
        if ahead != 0 { return next &+ UInt64(64 - ahead.leadingZeroBitCount) }
        return next == 0 ? 0 : next - 1
    }
}

/// The marks of several origins.
package struct UserEventMarks: Hashable, Sendable {
    /// Also: "send me what I lack".
    package var isRequest: Bool
    /// At most `UserEventExchange.marksMax`.
    package var marks: [UserEventMark]

    package init(isRequest: Bool, marks: [UserEventMark]) {
        self.isRequest = isRequest
        self.marks = marks
    }
}

/// Counters of one process.
package struct UserEventStatistics: Hashable, Sendable {
    /// Sent by clients of this node, and refused because too many came in a short time.
    package var sent: UInt64 = 0
    package var sendsRefused: UInt64 = 0
    /// Handed to whoever listens here, own ones too.
    package var delivered: UInt64 = 0
    /// Heard again.
    package var repeated: UInt64 = 0
    /// Sent before this process began.
    package var beforeStart: UInt64 = 0
    /// Came after their place had been given up, of an epoch that is over, or too old.
    package var late: UInt64 = 0
    /// Given up: nobody had them to give, or there was no room.
    package var missed: UInt64 = 0
    /// Beyond a bound.
    package var refused: UInt64 = 0
    /// Requests for what is missing, and events sent in answer to such.
    package var asked: UInt64 = 0
    package var answered: UInt64 = 0
    /// Events held now for neighbours and for their turn.
    package var held: UInt64 = 0

    package init() {}
}
