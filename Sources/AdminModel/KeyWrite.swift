// SPDX-License-Identifier: Apache-2.0
// Owns a write as the API asks for it: the steps, the conditions, and what is said of it.

/// One step of a write. A set's elements are one step each.
package enum KeyWrite: Hashable, Sendable {
    case put(ConfigurationKey, [UInt8])
    case delete(ConfigurationKey)
    case add(ConfigurationKey, element: [UInt8])
    case remove(ConfigurationKey, element: [UInt8])
    /// By what is not zero.
    case increment(ConfigurationKey, by: Int64)

    package var key: ConfigurationKey {
        switch self {
        case .put(let key, _), .delete(let key), .add(let key, _), .remove(let key, _), .increment(let key, _): key
        }
    }

    /// Bytes of key and value, as `AdminLimits.transactionBytesMax` counts them.
    package var bytes: Int {
        switch self {
        case .put(let key, let value), .add(let key, let value), .remove(let key, let value):
            key.description.utf8.count + value.count
        case .delete(let key), .increment(let key, _): key.description.utf8.count
        }
    }
}

/// What goes along with a write. The query carries all of it but `user`, which the daemon takes from the peer's
/// credentials.
package struct KeyWriteOptions: Hashable, Sendable {
    package enum Condition: Hashable, Sendable {
        case always
        /// Nothing is live under the key: `if_absent`.
        case absent
        /// The key is live and its version is this one: `if_version`.
        case version(String)
    }

    /// Judged for the key of the first step; fails with `condition_failed`.
    package var condition: Condition = .always
    /// The same id again does nothing and gets the same answer; with another request it fails with
    /// `request_id_reused`.
    package var requestID: String?
    /// Why, for history; may be empty.
    package var message = ""
    /// The name of the caller's user; `uid N` when the host knows no name.
    package var user = ""
    /// From the write until the value stops to show, in milliseconds; nil for never. Only for `put`.
    package var ttlMilliseconds: UInt64?
    /// Of strict keys: an answer comes by then, if only that there is none.
    package var timeout = AdminLimits.strictTimeoutDefault
    /// The client has sent the same request before, and its connection broke: what became of that is not known.
    package var isRepeat = false

    /// `gossipctl` makes ids that begin so by itself. Strict keys take no other ones: the log does not keep them.
    package static let ownIDPrefix = "gossipctl-"

    package init() {}

    /// Fails with `bad_request` when a field is beyond its bound.
    package func validate() throws(AdminFailure) {
        guard message.utf8.count <= AdminLimits.messageBytesMax else {
            throw AdminFailure(
                .badRequest,
                "the message has \(message.utf8.count) bytes: at most \(AdminLimits.messageBytesMax) are allowed")
        }
        guard !message.unicodeScalars.contains(where: \.isControl) else {
            throw AdminFailure(.badRequest, "the message contains a control character: write it in one line")
        }
        if let requestID {
            guard (1...AdminLimits.requestIDBytesMax).contains(requestID.utf8.count),
                !requestID.unicodeScalars.contains(where: \.isControl)
            else {
                throw AdminFailure(
                    .badRequest,
                    "the request id must have 1 to \(AdminLimits.requestIDBytesMax) bytes and no control character")
            }
        }
        if case .version(let version) = condition {
            guard (1...AdminLimits.versionBytesMax).contains(version.utf8.count) else {
                throw AdminFailure(.badRequest, "\(version.quoted) is not a version: give one that kv get shows")
            }
        }
        if let ttlMilliseconds {
            guard ttlMilliseconds > 0,
                Duration.milliseconds(Int64(clamping: ttlMilliseconds)) <= AdminLimits.timeToLiveMax
            else { throw AdminFailure(.badRequest, "the time to live must be above zero and at most ten years") }
        }
    }
}

/// How many nodes must hold a write before its command is done: `3`, `majority` or `all`.
package enum WaitGoal: Hashable, Sendable, CustomStringConvertible {
    case nodes(Int)
    case majority
    case all

    package init?(_ text: String) {
        switch text {
        case "majority": self = .majority
        case "all": self = .all
        default:
            guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
                let count = Int(text), (1...1_000_000).contains(count)
            else { return nil }
            self = .nodes(count)
        }
    }

    /// The number of nodes among `total`. `nodes` may be above the total: then it cannot be reached now.
    package func required(of total: Int) -> Int {
        switch self {
        case .nodes(let count): count
        case .majority: total / 2 + 1
        case .all: total
        }
    }

    package var description: String {
        switch self {
        case .nodes(let count): String(count)
        case .majority: "majority"
        case .all: "all"
        }
    }
}

/// `GET /v1/holders/KEY`: who holds a write.
package struct HoldersDocument: Codable, Hashable, Sendable {
    package var key: String
    package var version: String
    /// Nodes known to hold the write or a newer one durably, this one included.
    package var nodesHolding: Int
    /// Active members, this one included.
    package var nodesTotal: Int
    /// Names of members that have not confirmed it; at most 16.
    package var missing: [String]

    package init(key: ConfigurationKey, version: String, nodesHolding: Int, nodesTotal: Int, missing: [String]) {
        self.key = key.description
        self.version = version
        self.nodesHolding = nodesHolding
        self.nodesTotal = nodesTotal
        self.missing = missing
    }

    private enum CodingKeys: String, CodingKey {
        case key, version, missing
        case nodesHolding = "nodes_holding"
        case nodesTotal = "nodes_total"
    }
}
