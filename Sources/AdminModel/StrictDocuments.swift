// SPDX-License-Identifier: Apache-2.0
// Owns the documents about the strict group: who votes, who leads, how far each is; and how current a read is to be.

/// How current a read of strict keys is to be.
package enum ReadConsistency: String, CaseIterable, Sendable {
    /// No older than the moment at which it was asked for: the leader is asked.
    case linearizable
    /// What this node holds, at once; the answer says how old that may be.
    case local
}

package struct ReadOptions: Hashable, Sendable {
    /// Nil: linearizable for strict keys, local for the others.
    package var consistency: ReadConsistency?
    /// Of linearizable reads: an answer comes by then.
    package var timeout: Duration

    package init(_ consistency: ReadConsistency? = nil, timeout: Duration = AdminLimits.strictTimeoutDefault) {
        self.consistency = consistency
        self.timeout = timeout
    }
}

/// `GET /v1/strict`: the group as this node knows it.
package struct StrictDocument: Codable, Hashable, Sendable {
    package enum Vote: String, Codable, Hashable, Sendable {
        case voter, learner, unknown

        package init(from decoder: any Decoder) throws {
            self = Vote(rawValue: try decoder.singleValueContainer().decode(String.self)) ?? .unknown
        }
    }

    package struct Member: Codable, Hashable, Sendable {
        package var member: MemberIdentity
        package var vote: Vote
        /// As membership holds it; `unknown` when it is not in the table.
        package var state: MemberState
        /// Whether this node reaches it; itself included.
        package var isReachable: Bool
        /// The last log entry that it is known to hold; only the leader knows.
        package var match: UInt64?
        /// Entries that it lacks; only the leader knows.
        package var lag: UInt64?
        /// Since the leader heard of it, in milliseconds; only the leader knows.
        package var silentMilliseconds: Double?
        /// It is being sent the whole state.
        package var isInstalling: Bool?

        package init(member: MemberIdentity, vote: Vote, state: MemberState, isReachable: Bool) {
            self.member = member
            self.vote = vote
            self.state = state
            self.isReachable = isReachable
        }

        private enum CodingKeys: String, CodingKey {
            case member, vote, state, match, lag
            case isReachable = "reachable"
            case silentMilliseconds = "silent_ms"
            case isInstalling = "installing"
        }
    }

    /// Another strict group that is alive beside this node's.
    package struct ForeignGroup: Codable, Hashable, Sendable {
        /// 16 hexadecimal digits.
        package var group: String
        package var leader: MemberIdentity
        package var voters: [MemberIdentity]

        package init(group: String, leader: MemberIdentity, voters: [MemberIdentity]) {
            self.group = group
            self.leader = leader
            self.voters = voters
        }
    }

    /// The prefixes as this node is configured.
    package var prefixes: [String]
    /// 16 hexadecimal digits; nil until the group has formed.
    package var group: String?
    /// As in `status`.
    package var role: String
    package var term: UInt64
    package var leader: MemberIdentity?
    /// The last entry that a majority holds, as far as this node knows.
    package var commit: UInt64
    /// The last entry that is in this node's strict state.
    package var applied: UInt64
    /// The last entry of this node's log.
    package var last: UInt64
    package var members: [Member]
    /// Voters that must agree.
    package var quorum: Int
    /// Not formed: who is missing.
    package var missing: [AdminFailure.Missing]
    package var keys: Int
    package var leases: Int
    package var locks: Int
    package var sessions: Int
    /// This node's log was damaged and is being fetched again; it does not vote until it is whole.
    package var isRefetching: Bool
    /// This node was removed from the group: it is a client, and votes again with an empty data directory only.
    package var isRemoved: Bool
    /// On nodes that are no members: since something new was heard of a leader, in milliseconds; nil: never.
    package var leaderSilentMilliseconds: Double?
    /// Elections that this node has begun since its start.
    package var elections: UInt64
    /// Two clusters with groups of their own have met, or a group was recovered beside a living leader. Nil: as it should be.
    package var foreignGroups: [ForeignGroup]?

    package init(prefixes: [String], role: String, term: UInt64) {
        self.prefixes = prefixes
        self.role = role
        self.term = term
        commit = 0
        applied = 0
        last = 0
        members = []
        quorum = 0
        missing = []
        keys = 0
        leases = 0
        locks = 0
        sessions = 0
        isRefetching = false
        isRemoved = false
        elections = 0
    }

    package var votersReachable: Int { members.count { $0.vote == .voter && $0.isReachable } }
    package var votersTotal: Int { members.count { $0.vote == .voter } }

    private enum CodingKeys: String, CodingKey {
        case prefixes, group, role, term, leader, commit, applied, last, members, quorum, missing, keys, leases, locks
        case sessions, elections
        case isRefetching = "refetching"
        case isRemoved = "removed"
        case leaderSilentMilliseconds = "leader_silent_ms"
        case foreignGroups = "foreign_groups"
    }

    /// `group` and `leader` are written as `null` while there is none.
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(prefixes, forKey: .prefixes)
        try container.encode(group, forKey: .group)
        try container.encode(role, forKey: .role)
        try container.encode(term, forKey: .term)
        try container.encode(leader, forKey: .leader)
        try container.encode(commit, forKey: .commit)
        try container.encode(applied, forKey: .applied)
        try container.encode(last, forKey: .last)
        try container.encode(members, forKey: .members)
        try container.encode(quorum, forKey: .quorum)
        try container.encode(missing, forKey: .missing)
        try container.encode(keys, forKey: .keys)
        try container.encode(leases, forKey: .leases)
        try container.encode(locks, forKey: .locks)
        try container.encode(sessions, forKey: .sessions)
        try container.encode(isRefetching, forKey: .isRefetching)
        try container.encode(isRemoved, forKey: .isRemoved)
        try container.encodeIfPresent(leaderSilentMilliseconds, forKey: .leaderSilentMilliseconds)
        try container.encode(elections, forKey: .elections)
        try container.encodeIfPresent(foreignGroups, forKey: .foreignGroups)
    }
}

/// What an operator orders of the group.
package enum StrictOrderRequest: Hashable, Sendable {
    /// By name, id or the beginning of an id, as all three here.
    case add(String)
    case remove(String)
    /// Nil: to the follower that is furthest.
    case transfer(to: String?)
    /// This node goes on alone with what it holds; `evenIfBehind`: also when a voter that is reached holds more, or its own
    /// log is damaged.
    case recover(evenIfBehind: Bool)
}

/// `POST /v1/strict/recover`: says in so many words what it costs.
package struct StrictRecoverRequest: Codable, Hashable, Sendable {
    package var losesWrites: Bool?
    package var evenIfBehind: Bool?

    package init(losesWrites: Bool, evenIfBehind: Bool? = nil) {
        self.losesWrites = losesWrites
        self.evenIfBehind = evenIfBehind
    }

    private enum CodingKeys: String, CodingKey {
        case losesWrites = "loses_writes"
        case evenIfBehind = "even_if_behind"
    }

    /// Fails with `condition_failed` unless the loss was accepted.
    package func validate() throws(AdminFailure) {
        guard losesWrites == true else {
            throw AdminFailure(
                .conditionFailed,
                "recovery gives up what only the other voters hold, also writes that were acknowledged: send "
                    + "{\"loses_writes\":true} when they will not come back")
        }
    }
}

/// `POST /v1/strict/leader`
package struct StrictTransferRequest: Codable, Hashable, Sendable {
    /// Nil: to the follower that is furthest.
    package var to: String?

    package init(to: String?) { self.to = to }
}
