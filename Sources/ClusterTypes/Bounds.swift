// SPDX-License-Identifier: Apache-2.0
// Owns the bounds that every module shares: what is larger is refused at the edge it arrives at.

/// Sizes in bytes unless the name says otherwise.
package enum Bounds {
    /// A member's name, UTF-8.
    package static let nameBytesMax = 64
    /// Tags of one member.
    package static let tagsMax = 64
    /// A tag's name; its value may use the rest of `tagBytesMax`.
    package static let tagNameBytesMax = 64
    /// Names and values of all tags of one member together: an alive update with its proof fits into the smallest
    /// packet, beside a ping and a digest with a floor (1 185 of 1 200 bytes; the seal takes 32 more).
    package static let tagBytesMax = 752
    /// A user event's name.
    package static let userEventNameBytesMax = 64
    /// A user event's payload: with the longest name and numbers the event takes 1 145 bytes of a datagram, which leaves
    /// 87 of the smallest one for sealing.
    package static let userEventPayloadBytesMax = 1_000
    /// A configuration key, UTF-8.
    package static let keyBytesMax = 512
    /// Keys that begin so belong to the daemons: clients do not write them.
    package static let reservedKeyPrefix = ".gossipd/"
    /// A register's value.
    package static let valueBytesMax = 512 * 1024
    /// A set's element.
    package static let elementBytesMax = 4 * 1024
    /// Actors that one row may name: writers of one set element or resetters of one counter.
    package static let rowActorsMax = 1_024
    /// The reason given with a write, UTF-8.
    package static let reasonBytesMax = 512
    /// The user's name that a write carries, UTF-8.
    package static let userBytesMax = 64
    /// A client's idempotency id, UTF-8.
    package static let requestIDBytesMax = 128
    /// Idempotency ids that a node remembers; the oldest are forgotten.
    package static let requestsMax = 65_536
    /// Writes of one transaction.
    package static let transactionWritesMax = 16_384
    /// Keys and values of one transaction together.
    package static let transactionBytesMax = 16 * 1024 * 1024
    /// The longest time to live of a value: ten years in milliseconds.
    package static let ttlMillisecondsMax: UInt64 = 10 * 366 * 86_400_000
    /// The smallest allowed limit of a datagram: IPv6's minimum MTU less its headers.
    package static let datagramBytesMin = 1_232
    /// The same less what a seal adds: what a kernel must be able to fill.
    package static let packetBytesMin = 1_204
    /// The largest UDP payload over IPv4.
    package static let datagramBytesMax = 65_507
    /// One frame of a stream.
    package static let frameBytesMax = 1024 * 1024
    /// Messages in one datagram or frame.
    package static let messagesPerPacketMax = 8_192
    /// Members a node keeps, in any state; more are refused and counted.
    package static let membersMax = 20_000
    /// An incarnation that no honest node reaches; higher ones are refused, so that refutation never overflows.
    package static let incarnationMax: UInt64 = 1 << 62
}
