// SPDX-License-Identifier: Apache-2.0
// Owns the numbers of the format: magic, message kinds, codes. Docs/protocol.md describes every byte.

import ClusterTypes

/// Byte counts and codes of the format.
package enum WireLayout {
    /// `gs`.
    static let magic: UInt16 = 0x6773
    /// Magic 2, version 1, flags 1, cluster 8, sender 16.
    package static let headerBytes = 28
    /// In place of a 2-byte length: a 4-byte length follows.
    static let lengthEscape: UInt16 = 0xffff
    static let lengthEscapeBytes = 4
    static let actorBytes = 20
    /// Events of the dot clouds that one context is sent with, so that it fits a frame; the lowest are sent. A peer
    /// that is told of fewer events sends some rows again, and nothing is lost.
    package static let contextCloudMax = 32_768

    static let familyIPv4: UInt8 = 4
    static let familyIPv6: UInt8 = 6
    static let contentDeleted: UInt8 = 0
    static let contentPresent: UInt8 = 1
    static let tableFlagLast: UInt8 = 1

    /// A row's first byte: the key type below, in the upper bits which details follow.
    static let rowTypeMask: UInt8 = 0x07
    /// The strict log's index, the last of the details.
    static let rowFlagIndex: UInt8 = 0x08
    static let rowFlagUser: UInt8 = 0x10
    static let rowFlagReason: UInt8 = 0x20
    static let rowFlagExpiry: UInt8 = 0x40
    static let rowFlagTransaction: UInt8 = 0x80
    /// A row's first byte in a `rows` message: the key type below, whether the row is plain (one version, whose actor is
    /// the author), which details follow.
    static let rowsTypeMask: UInt8 = 0x03
    static let rowsFlagPlain: UInt8 = 0x04
    /// Head, two lengths of the key, actor and event, stamp, content.
    static let rowsElementBytesMin = 7
    /// Actors that a place of one byte can stand for; more are written out each time.
    package static let rowsNamedMax = 127
    /// What the `rows` messages of one packet leave out together, because it was written before: shared prefixes, actors,
    /// users and reasons. So no packet says more than twice what its frame could hold as single rows.
    package static let rowsLeftOutMax = Bounds.frameBytesMax
    /// A time of expiry that no honest node reaches: stamps end at 2^48.
    static let expiryMax: UInt64 = 1 << 49

    /// An ack's wall clock: 48 bits, as in a stamp.
    static let ackWallMax: UInt64 = 1 << 48 - 1
    /// In a view answer: the asker is not known.
    static let stateUnknown: UInt8 = 0xff
    /// A claim, and a row's state: forgotten while it was alive.
    static let stateEvicted: UInt8 = 5
    static let requestFlagReset: UInt8 = 1
    static let marksFlagRequest: UInt8 = 1
    static let answerFlagAgrees: UInt8 = 1
    static let answerFlagFolds: UInt8 = 2

    /// A range's first byte: the content's code below, then the code of its end.
    static let rangeSettled: UInt8 = 0
    static let rangeSum: UInt8 = 1
    static let rangeRows: UInt8 = 2
    static let rangeWanted: UInt8 = 3
    static let rangeEndShift: UInt8 = 2
    /// The range reaches to the last row; other ends have the code of their key type.
    static let rangeEndNone: UInt8 = 0
    /// Ranges in one message.
    package static let rangesMax = 65_536
    /// Keys and elements of all ends of one message together, written out: shared prefixes must not let a small
    /// message take much memory. Room for `rangesMax` of the longest keys.
    package static let rangeEndBytesMax = 32 * 1024 * 1024
    /// Dots of one `ConfirmRequest`.
    package static let confirmDotsMax = 64
    /// An encoded key ring: more than 64 entries with their keys take.
    package static let keyRingBytesMax = 4_096
    /// Actors of one `CollectRequest`.
    package static let collectFoldsMax = 32
}

/// The kind of a message: its first byte. Numbers are never reused.
enum MessageKind: UInt8, CaseIterable {
    case ping = 1
    case ack = 2
    case indirectPing = 3
    case nack = 4
    case update = 5
    case digest = 6
    case row = 7
    case announcement = 8
    case floorMark = 9
    case confirmRequest = 10
    case confirmed = 11
    case collectRequest = 12
    case collectAnswer = 13
    case floor = 14
    case digestWithFloor = 15
    case memberTable = 16
    case storeRequest = 17
    case storeComplete = 18
    case storeBatchEnd = 19
    case storeContinue = 20
    case rowRequest = 21
    case ranges = 22
    /// Several rows; to the kernel they are as many row messages.
    case rows = 23
    case sentinel = 24
    case coordinate = 25
    case viewRequest = 26
    case viewAnswer = 27
    case padding = 28
    case userEvent = 32
    case userEventMarks = 33
    case keyRing = 34
    case ringMark = 35
    case strict = 36
    case strictMark = 37
}
