// SPDX-License-Identifier: Apache-2.0
// Owns the numbers of the format: magic, versions, message kinds, codes. Docs/protocol.md describes every byte.

/// The protocol's version: one byte, the major version in the high half, the minor in the low half.
///
/// Another major version is refused. Every minor version is accepted: a newer one only adds message kinds, values
/// and fields at the end of bodies, and what is unknown is passed over.
package enum ProtocolVersion {
    package static let major: UInt8 = 1
    package static let minor: UInt8 = 0
    package static let current: UInt8 = major << 4 | minor
}

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
    case memberTable = 16
    case storeRequest = 17
    case storeComplete = 18
    case storeBatchEnd = 19
    case storeContinue = 20
    case rowRequest = 21
    case ranges = 22
}
