// SPDX-License-Identifier: Apache-2.0
// Owns the document of `gossipctl status`: this node, its view of the cluster, its store.

package struct StatusDocument: Codable, Hashable, Sendable {
    package struct MemberCounts: Codable, Hashable, Sendable {
        package var alive: Int
        package var suspect: Int
        package var failed: Int
        package var left: Int

        package init(alive: Int, suspect: Int = 0, failed: Int = 0, left: Int = 0) {
            self.alive = alive
            self.suspect = suspect
            self.failed = failed
            self.left = left
        }
    }

    package struct Store: Codable, Hashable, Sendable {
        /// 128-bit fingerprint of the whole store, 32 hexadecimal digits: equal on nodes that hold the same.
        package var root: String
        package var keys: Int
        /// Bytes of keys and values.
        package var bytes: Int
        /// Counts this node's changes; never goes backwards.
        package var revision: UInt64
        /// Everything deleted before this time is forgotten everywhere; nil until something was collected.
        package var floorCutoff: Timestamp?
        /// Keys received in an exchange under way; nil when there is none.
        package var catchUp: CatchUp?
        package var storage: StorageState
        /// Writes in the import queue, which wait for an operator.
        package var queuedWrites: Int

        package init(
            root: String, keys: Int, bytes: Int, revision: UInt64 = 0, floorCutoff: Timestamp? = nil,
            catchUp: CatchUp? = nil, storage: StorageState = .ok, queuedWrites: Int = 0
        ) {
            self.root = root
            self.keys = keys
            self.bytes = bytes
            self.revision = revision
            self.floorCutoff = floorCutoff
            self.catchUp = catchUp
            self.storage = storage
            self.queuedWrites = queuedWrites
        }
    }

    package struct CatchUp: Codable, Hashable, Sendable {
        package var received: Int
        package var total: Int

        package init(received: Int, total: Int) {
            self.received = received
            self.total = total
        }
    }

    /// What the disk under the data directory does. Open for newer daemons: an unknown text decodes as `unknown`.
    package enum StorageState: String, Codable, Hashable, Sendable {
        case ok, full, slow, unknown

        package init(from decoder: any Decoder) throws {
            self = StorageState(rawValue: try decoder.singleValueContainer().decode(String.self)) ?? .unknown
        }
    }

    package struct Strict: Codable, Hashable, Sendable {
        /// `leader`, `follower`, `pre-candidate`, `candidate`, `learner`, or `client`: no member of the group.
        package var role: String
        package var term: UInt64
        /// The leader's name; nil while there is none.
        package var leader: String?
        /// Nil until the group has formed.
        package var group: String?
        package var commit: UInt64?
        package var applied: UInt64?
        package var voters: Int?
        /// Voters that this node reaches.
        package var votersReachable: Int?
        /// This node was removed from the group; nil: it was not.
        package var isRemoved: Bool?
        /// Not formed: who is missing.
        package var missing: [AdminFailure.Missing]?
        /// Names of the leaders of other groups that are alive beside this node's; nil: there is none.
        package var foreignLeaders: [String]?

        package init(role: String, term: UInt64, leader: String?) {
            self.role = role
            self.term = term
            self.leader = leader
        }

        private enum CodingKeys: String, CodingKey {
            case role, term, leader, group, commit, applied, voters, missing
            case isRemoved = "removed"
            case votersReachable = "voters_reachable"
            case foreignLeaders = "foreign_leaders"
        }

        /// `leader` and `group` are written as `null` while there is none.
        package func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(role, forKey: .role)
            try container.encode(term, forKey: .term)
            try container.encode(leader, forKey: .leader)
            try container.encode(group, forKey: .group)
            try container.encodeIfPresent(commit, forKey: .commit)
            try container.encodeIfPresent(applied, forKey: .applied)
            try container.encodeIfPresent(voters, forKey: .voters)
            try container.encodeIfPresent(votersReachable, forKey: .votersReachable)
            try container.encodeIfPresent(isRemoved, forKey: .isRemoved)
            try container.encodeIfPresent(missing, forKey: .missing)
            try container.encodeIfPresent(foreignLeaders, forKey: .foreignLeaders)
        }
    }

    package var node: MemberIdentity
    package var cluster: String
    package var version: String
    package var uptimeSeconds: Double
    package var members: MemberCounts
    package var store: Store
    /// Nil when no strict prefix is configured; written as `null`.
    package var strict: Strict?
    /// Lifeguard's local health: 0 is healthy, higher means that this node doubts itself.
    package var localHealth: Int?
    /// Sentences about what an operator should look at; empty when all is well.
    package var warnings: [String]?
    /// Commands that run on events; older daemons do not tell.
    package var handlers: [HandlerStatus]?

    package init(
        node: MemberIdentity, cluster: String, version: String = AdminVersion.current, uptimeSeconds: Double,
        members: MemberCounts, store: Store, strict: Strict? = nil, localHealth: Int? = nil, warnings: [String] = []
    ) {
        self.node = node
        self.cluster = cluster
        self.version = version
        self.uptimeSeconds = uptimeSeconds
        self.members = members
        self.store = store
        self.strict = strict
        self.localHealth = localHealth
        self.warnings = warnings
    }

    private enum CodingKeys: String, CodingKey {
        case node, cluster, version, members, store, strict, warnings, handlers
        case uptimeSeconds = "uptime_seconds"
        case localHealth = "local_health"
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(node, forKey: .node)
        try container.encode(cluster, forKey: .cluster)
        try container.encode(version, forKey: .version)
        try container.encode(uptimeSeconds, forKey: .uptimeSeconds)
        try container.encode(members, forKey: .members)
        try container.encode(store, forKey: .store)
        try container.encode(strict, forKey: .strict)
        try container.encodeIfPresent(localHealth, forKey: .localHealth)
        try container.encode(warnings ?? [], forKey: .warnings)
        try container.encode(handlers ?? [], forKey: .handlers)
    }
}

extension StatusDocument.Store {
    private enum CodingKeys: String, CodingKey {
        case root, keys, bytes, revision, storage
        case floorCutoff = "floor_cutoff"
        case catchUp = "catch_up"
        case queuedWrites = "queued_writes"
    }

    /// Fields that an older daemon does not send have the value of a store at rest.
    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        root = try container.decode(String.self, forKey: .root)
        keys = try container.decode(Int.self, forKey: .keys)
        bytes = try container.decode(Int.self, forKey: .bytes)
        revision = try container.decodeIfPresent(UInt64.self, forKey: .revision) ?? 0
        floorCutoff = try container.decodeIfPresent(Timestamp.self, forKey: .floorCutoff)
        catchUp = try container.decodeIfPresent(StatusDocument.CatchUp.self, forKey: .catchUp)
        storage = try container.decodeIfPresent(StatusDocument.StorageState.self, forKey: .storage) ?? .ok
        queuedWrites = try container.decodeIfPresent(Int.self, forKey: .queuedWrites) ?? 0
    }

    /// What is not there is written as `null`, so that a field never comes and goes.
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(root, forKey: .root)
        try container.encode(keys, forKey: .keys)
        try container.encode(bytes, forKey: .bytes)
        try container.encode(revision, forKey: .revision)
        try container.encode(floorCutoff, forKey: .floorCutoff)
        try container.encode(catchUp, forKey: .catchUp)
        try container.encode(storage, forKey: .storage)
        try container.encode(queuedWrites, forKey: .queuedWrites)
    }
}
