// SPDX-License-Identifier: Apache-2.0
// Owns the documents about members: the table, one member's explanation, joining, leaving, tags, pings.

/// Who a member is, wherever an answer names one.
package struct MemberIdentity: Codable, Hashable, Sendable {
    /// 32 hexadecimal digits.
    package var id: String
    package var name: String
    /// `address:port`, IPv6 in brackets; nil where only the id is known.
    package var address: String?

    package init(id: String, name: String, address: String? = nil) {
        self.id = id
        self.name = name
        self.address = address
    }
}

/// A member's state as this node holds it. Open for newer daemons: an unknown text decodes as `unknown`.
package enum MemberState: String, CaseIterable, Codable, Sendable {
    case alive, suspect, failed, left, unknown

    package init(from decoder: any Decoder) throws {
        self = MemberState(rawValue: try decoder.singleValueContainer().decode(String.self)) ?? .unknown
    }
}

/// One row of the member table.
package struct MemberDocument: Codable, Hashable, Sendable {
    package var id: String
    package var name: String
    package var address: String
    package var state: MemberState
    package var incarnation: UInt64
    package var tags: [String: String]
    /// Smoothed round trip time in milliseconds; nil until measured, and for the node itself.
    package var rttMilliseconds: Double?
    /// The round trip by network coordinates in milliseconds; nil while one is not known, and for the node itself.
    package var rttEstimateMilliseconds: Double?
    /// When the member entered its state, by this node's clock.
    package var since: Timestamp
    /// Whether this is the node that answers.
    package var isSelf: Bool
    /// The newest protocol version that the member speaks.
    package var protocolVersion: Int?
    /// Another member that is alive or suspect has the same name.
    package var nameConflict: Bool?
    /// Since when the member has been suspected; only while it is.
    package var suspectedSince: Timestamp?

    private enum CodingKeys: String, CodingKey {
        case id, name, address, state, incarnation, tags
        case rttMilliseconds = "rtt_ms"
        case rttEstimateMilliseconds = "rtt_estimate_ms"
        case since
        case isSelf = "self"
        case protocolVersion = "protocol_version"
        case nameConflict = "name_conflict"
        case suspectedSince = "suspected_since"
    }

    package init(
        id: String, name: String, address: String, state: MemberState, incarnation: UInt64,
        tags: [String: String] = [:], rttMilliseconds: Double? = nil, rttEstimateMilliseconds: Double? = nil,
        since: Timestamp, isSelf: Bool = false,
        protocolVersion: Int? = nil, nameConflict: Bool = false, suspectedSince: Timestamp? = nil
    ) {
        self.id = id
        self.name = name
        self.address = address
        self.state = state
        self.incarnation = incarnation
        self.tags = tags
        self.rttMilliseconds = rttMilliseconds
        self.rttEstimateMilliseconds = rttEstimateMilliseconds
        self.since = since
        self.isSelf = isSelf
        self.protocolVersion = protocolVersion
        self.nameConflict = nameConflict
        self.suspectedSince = suspectedSince
    }

    package var identity: MemberIdentity { MemberIdentity(id: id, name: name, address: address) }
}

extension MemberDocument {
    /// `rtt_ms` and `rtt_estimate_ms` are in every row, null while unknown, so that a column never comes and goes.
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(id, forKey: .id)
        try container.encode(name, forKey: .name)
        try container.encode(address, forKey: .address)
        try container.encode(state, forKey: .state)
        try container.encode(incarnation, forKey: .incarnation)
        try container.encode(tags, forKey: .tags)
        try container.encode(rttMilliseconds, forKey: .rttMilliseconds)
        try container.encode(rttEstimateMilliseconds, forKey: .rttEstimateMilliseconds)
        try container.encode(since, forKey: .since)
        try container.encode(isSelf, forKey: .isSelf)
        try container.encodeIfPresent(protocolVersion, forKey: .protocolVersion)
        try container.encode(nameConflict ?? false, forKey: .nameConflict)
        try container.encodeIfPresent(suspectedSince, forKey: .suspectedSince)
    }
}

/// The member table, sorted by name, then id.
package struct MembersDocument: Codable, Hashable, Sendable {
    package var members: [MemberDocument]

    package init(members: [MemberDocument]) {
        self.members = members.sorted { ($0.name, $0.id) < ($1.name, $1.id) }
    }
}

/// Which members a request wants; all conditions must hold.
package struct MemberFilter: Hashable, Sendable {
    /// Any of these states; empty means every state.
    package var states: Set<MemberState>
    /// All of these tags with these values.
    package var tags: [String: String]

    package init(states: Set<MemberState> = [], tags: [String: String] = [:]) {
        self.states = states
        self.tags = tags
    }

    package func accepts(_ member: MemberDocument) -> Bool {
        (states.isEmpty || states.contains(member.state)) && tags.allSatisfy { member.tags[$0.key] == $0.value }
    }
}

/// Why a state changed. Every field is there only when the change has such evidence.
package struct Evidence: Codable, Hashable, Sendable {
    /// The member whose probe went unanswered, or who brought the news.
    package var reportedBy: MemberIdentity?
    /// What was tried in vain: `udp`, `relays`, `stream`.
    package var pathsFailed: [String]?
    /// Unanswered probes.
    package var probes: Int?
    /// Who suspected the member independently.
    package var confirmedBy: [MemberIdentity]?
    /// Since when there was no answer: the first probe that had none, or the first report.
    package var silentSince: Timestamp?
    /// Milliseconds from the first doubt to this change.
    package var afterMilliseconds: Double?
    /// The host answered that nothing listens on the port.
    package var refused: Bool?
    package var incarnation: UInt64?
    /// What does not fit elsewhere, by name.
    package var details: [String: String]?

    package init(
        reportedBy: MemberIdentity? = nil, pathsFailed: [String]? = nil, probes: Int? = nil,
        confirmedBy: [MemberIdentity]? = nil, silentSince: Timestamp? = nil, afterMilliseconds: Double? = nil,
        refused: Bool? = nil, incarnation: UInt64? = nil, details: [String: String]? = nil
    ) {
        self.reportedBy = reportedBy
        self.pathsFailed = pathsFailed
        self.probes = probes
        self.confirmedBy = confirmedBy
        self.silentSince = silentSince
        self.afterMilliseconds = afterMilliseconds
        self.refused = refused
        self.incarnation = incarnation
        self.details = details
    }

    private enum CodingKeys: String, CodingKey {
        case probes, refused, incarnation, details
        case reportedBy = "reported_by"
        case pathsFailed = "paths_failed"
        case confirmedBy = "confirmed_by"
        case silentSince = "silent_since"
        case afterMilliseconds = "after_ms"
    }
}

/// What this node knows about one member and why: `gossipctl member explain`.
package struct MemberExplanation: Codable, Hashable, Sendable {
    package var member: MemberDocument
    /// One sentence that answers "why is it in this state?".
    package var summary: String
    /// The change that brought it into this state, with its evidence; nil when it is no longer remembered.
    package var cause: ClusterEvent?
    /// Who suspects it now, the first one first; only while it is suspect.
    package var accusers: [MemberIdentity]?
    /// What happened to the member, oldest first, as far back as this node remembers: changes, and between them findings, which
    /// are in no stream.
    package var timeline: [ClusterEvent]

    package init(
        member: MemberDocument, summary: String, cause: ClusterEvent? = nil, accusers: [MemberIdentity]? = nil,
        timeline: [ClusterEvent]
    ) {
        self.member = member
        self.summary = summary
        self.cause = cause
        self.accusers = accusers
        self.timeline = timeline
    }
}

/// What became of each address given to `join`.
package struct JoinResult: Codable, Hashable, Sendable {
    package struct Attempt: Codable, Hashable, Sendable {
        package var address: String
        /// Who answered there; nil when nobody did.
        package var member: MemberIdentity?
        /// Why it failed; nil when it did not.
        package var error: String?

        package init(address: String, member: MemberIdentity? = nil, error: String? = nil) {
            self.address = address
            self.member = member
            self.error = error
        }
    }

    package var attempts: [Attempt]
    /// Members known after the join, the node itself included.
    package var membersTotal: Int

    package init(attempts: [Attempt], membersTotal: Int) {
        self.attempts = attempts
        self.membersTotal = membersTotal
    }

    package var joined: Int { attempts.filter { $0.error == nil }.count }

    private enum CodingKeys: String, CodingKey {
        case attempts
        case membersTotal = "members_total"
    }
}

/// How the graceful leave went; the daemon stops after it.
package struct LeaveResult: Codable, Hashable, Sendable {
    /// Peers that confirmed they know.
    package var acknowledgedBy: Int
    /// Peers that were alive when the leave began.
    package var peersTotal: Int

    package init(acknowledgedBy: Int, peersTotal: Int) {
        self.acknowledgedBy = acknowledgedBy
        self.peersTotal = peersTotal
    }

    private enum CodingKeys: String, CodingKey {
        case acknowledgedBy = "acknowledged_by"
        case peersTotal = "peers_total"
    }
}

package struct ForgetResult: Codable, Hashable, Sendable {
    package var member: MemberIdentity

    package init(member: MemberIdentity) { self.member = member }
}

/// This node's tags after a change.
package struct TagsDocument: Codable, Hashable, Sendable {
    package var tags: [String: String]

    package init(tags: [String: String]) { self.tags = tags }
}

package struct PingResult: Codable, Hashable, Sendable {
    package var member: MemberIdentity
    /// This ping's round trip in milliseconds.
    package var rttMilliseconds: Double
    /// How the answer came: `udp`, or `self` when the member is the node that was asked and nothing was sent.
    package var path: String

    /// The path of a node that pings itself.
    package static let ownPath = "self"

    package init(member: MemberIdentity, rttMilliseconds: Double, path: String = "udp") {
        self.member = member
        self.rttMilliseconds = rttMilliseconds
        self.path = path
    }

    private enum CodingKeys: String, CodingKey {
        case member, path
        case rttMilliseconds = "rtt_ms"
    }
}
