// SPDX-License-Identifier: Apache-2.0
// Owns what is known of one member: its state, its incarnation and what it says of itself.

import ClusterTypes

/// A member's state. The raw value is its rank: at one incarnation the higher rank wins.
package enum MemberState: UInt8, Hashable, Comparable, Sendable, CaseIterable {
    case alive = 0
    case suspect = 1
    case failed = 2
    case left = 3
    case forgotten = 4

    package static func < (a: MemberState, b: MemberState) -> Bool { a.rawValue < b.rawValue }

    /// Alive or suspect: it takes part, is probed and gossiped to.
    package var isActive: Bool { self == .alive || self == .suspect }
}

/// A tag of a member: a name and a value of its operator's choosing.
package struct Tag: Hashable, Comparable, Sendable {
    package var name: String
    package var value: String

    package init(name: String, value: String) {
        self.name = name
        self.value = value
    }

    package static func < (a: Tag, b: Tag) -> Bool {
        a.name != b.name ? a.name < b.name : a.value < b.value
    }
}

/// What a member says of itself. Immutable and shared: ten thousand tables may hold one object.
package final class MemberInfo: Hashable, Sendable {
    package let name: String
    package let address: Address
    /// Sorted by name, names unique.
    package let tags: [Tag]
    /// The newest protocol version the member speaks.
    package let protocolVersion: UInt8

    package init(name: String, address: Address, tags: [Tag], protocolVersion: UInt8) {
        self.name = name
        self.address = address
        self.tags = tags.sorted()
        self.protocolVersion = protocolVersion
    }

    package static func == (a: MemberInfo, b: MemberInfo) -> Bool {
        a === b
            || a.name == b.name && a.address == b.address && a.tags == b.tags
                && a.protocolVersion == b.protocolVersion
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(name)
        hasher.combine(address)
        hasher.combine(tags)
    }

    /// Whether name and tags keep to `Bounds`; what does not is refused where it arrives.
    package var isWithinBounds: Bool {
        var bytes = 0
        var previous: String?
        for tag in tags {
            guard !tag.name.isEmpty, tag.name.utf8.count <= Bounds.tagNameBytesMax, tag.name != previous else {
                return false
            }
            previous = tag.name
            bytes += tag.name.utf8.count + tag.value.utf8.count
        }
        return (1...Bounds.nameBytesMax).contains(name.utf8.count) && tags.count <= Bounds.tagsMax
            && bytes <= Bounds.tagBytesMax
    }
}

/// One member as this node knows it.
package struct Member: Hashable, Sendable {
    package let id: NodeID
    package var info: MemberInfo
    package var incarnation: UInt64
    package var state: MemberState
    /// When this node learned of the present state.
    package var since: Clock
    /// Smoothed round trip time (RFC 6298 section 2) of this node's own probes; nil before the first ack.
    package var roundTrip: RoundTrip?
    /// This node's latest probes that were answered over a stream alone, without a break.
    package var streamOnlyProbes = 0

    package init(id: NodeID, info: MemberInfo, incarnation: UInt64, state: MemberState, since: Clock) {
        self.id = id
        self.info = info
        self.incarnation = incarnation
        self.state = state
        self.since = since
    }

    /// The row of this member in a push-pull sent at `now`.
    package func entry(now: Instant) -> MemberTableEntry {
        let age = max(0, (now - since.now).nanoseconds / 1_000_000_000)
        return MemberTableEntry(
            id: id, incarnation: incarnation, state: state, ageSeconds: UInt32(clamping: age), info: info)
    }

    /// The claim that gossip makes of this member's present state; `accuser` stands in where a claim needs one.
    package func update(accuser: NodeID) -> MemberUpdate {
        let claim: MemberClaim =
            switch state {
            case .alive: .alive(info)
            case .suspect: .suspect(by: accuser)
            case .failed: .failed(by: accuser)
            case .left: .left
            case .forgotten: .forgotten(by: accuser)
            }
        return MemberUpdate(subject: id, incarnation: incarnation, claim: claim)
    }
}

/// Smoothed round trip time and its variance, as RFC 6298 section 2 computes them.
package struct RoundTrip: Hashable, Sendable {
    package private(set) var smoothed: Interval
    package private(set) var variance: Interval

    package init(first sample: Interval) {
        smoothed = sample
        variance = sample / 2
    }

    package mutating func add(_ sample: Interval) {
        let difference = Interval(nanoseconds: abs(smoothed.nanoseconds - sample.nanoseconds))
        variance = variance - variance / 4 + difference / 4
        smoothed = smoothed - smoothed / 8 + sample / 8
    }

    /// SRTT + 4 * RTTVAR.
    package var timeout: Interval { smoothed + variance * 4 }
}
