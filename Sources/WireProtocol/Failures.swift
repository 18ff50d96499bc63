// SPDX-License-Identifier: Apache-2.0
// Owns the ways in which bytes are refused, each with a name that is counted and shown.

import ClusterTypes
import NodeKernel

/// Why a packet or a frame was refused as a whole. Nothing of it is handed on.
package enum DecodeFailure: UInt8, Error, Hashable, Sendable, CaseIterable {
    /// It ends before its header or inside the frame of a message.
    case short = 0
    /// It does not begin with `gs`: not a packet of ours.
    case magic = 1
    /// Another major version.
    case version = 2
    /// It is larger than `Bounds.frameBytesMax`, or a message's length is written in a longer form than needed; bytes on
    /// disk go on behind their last field.
    case length = 3
    /// More than `Bounds.messagesPerPacketMax` messages.
    case tooManyMessages = 4
    /// A message's body is shorter than its fields, or claims more elements than its bytes can hold.
    case truncated = 5
    /// A varint that is longer than needed or does not fit 64 bits.
    case varint = 6
    /// Text that is not UTF-8.
    case utf8 = 7
    /// A field beyond its bound in `Bounds`.
    case bounds = 8
    /// A value that no sender has: unsorted or repeated entries, an event number 0, the unknown node as a subject.
    case value = 9

    /// The name for metrics and logs.
    package var name: String {
        switch self {
        case .short: "short"
        case .magic: "magic"
        case .version: "version"
        case .length: "length"
        case .tooManyMessages: "too_many_messages"
        case .truncated: "truncated"
        case .varint: "varint"
        case .utf8: "utf8"
        case .bounds: "bounds"
        case .value: "value"
        }
    }
}

/// Why a packet was not written. Nothing is sent then.
package enum EncodeFailure: Error, Hashable, Sendable {
    /// It takes more bytes than the buffer or the limit has.
    case limit
    /// More than `Bounds.messagesPerPacketMax` messages.
    case tooManyMessages
    /// A row's content is of another type than its id says; ranges are more or longer than a message may have.
    case contentMismatch
}

/// What a packet held that this version does not know; the rest of the packet is good.
package struct Skipped: Hashable, Sendable {
    /// Messages of an unknown kind.
    package var unknownKinds = 0
    /// Messages, or rows of a member table, that hold an unknown claim, state, role, key type, content or address.
    package var unknownValues = 0

    package init() {}

    package var isEmpty: Bool { unknownKinds == 0 && unknownValues == 0 }
}

/// A decoded packet, and how much of it was passed over.
package struct DecodedPacket: Hashable, Sendable {
    package var packet: Packet
    package var skipped: Skipped

    package init(packet: Packet, skipped: Skipped) {
        self.packet = packet
        self.skipped = skipped
    }
}
