// SPDX-License-Identifier: Apache-2.0
// Owns the lines of the two streams: cluster events and key changes, with heartbeats and endings.

/// Names of events that belong to the stream itself, in both streams.
package enum StreamEvent {
    /// Nothing happened, the stream lives.
    package static let heartbeat = "heartbeat"
    /// The cursor is too old: read the current state, then continue from this line's cursor.
    package static let resync = "resync"
    /// The last line of a stream that the daemon ends; `reason` says why.
    package static let closed = "closed"
}

/// Why the daemon ended a stream.
package enum StreamEnding: String, Codable, Sendable {
    /// The reader fell behind by more than the buffer holds.
    case slowReader = "slow_reader"
    /// The daemon is stopping.
    case shutdown

    package var message: String {
        switch self {
        case .slowReader: "this reader fell too far behind: read faster, and resume from the last cursor"
        case .shutdown: "the daemon is stopping: resume from the last cursor when it is back"
        }
    }
}

/// One change of the cluster, as the journal, `gossipctl events` and `member explain` show it.
package struct ClusterEvent: Codable, Hashable, Sendable {
    /// Opaque; resumes the stream after this line.
    package var cursor: String
    package var time: Timestamp
    /// `member_joined`, `member_suspected`, `member_failed`, `member_alive`, `member_left`, `member_forgotten`,
    /// or another snake_case name; a reader skips names that it does not know.
    package var event: String
    package var member: MemberIdentity?
    /// A short stable name of the cause, such as `no_ack`, `refused`, `refuted`.
    package var reason: String?
    /// The whole event as one sentence for people.
    package var message: String
    package var evidence: Evidence?
    /// In `member explain`: how often it happened in a row, when more than once, and when last.
    package var times: Int?
    package var lastTime: Timestamp?

    private enum CodingKeys: String, CodingKey {
        case cursor, time, event, member, reason, message, evidence, times
        case lastTime = "last_time"
    }

    package init(
        cursor: String, time: Timestamp, event: String, member: MemberIdentity? = nil, reason: String? = nil,
        message: String, evidence: Evidence? = nil
    ) {
        self.cursor = cursor
        self.time = time
        self.event = event
        self.member = member
        self.reason = reason
        self.message = message
        self.evidence = evidence
    }
}

/// One change of the store below a watched prefix.
package struct WatchEvent: Codable, Hashable, Sendable {
    /// Opaque; resumes the watch after this line.
    package var cursor: String
    /// `put`, `delete`, `add`, `remove`, `increment`, or one of `StreamEvent`.
    package var event: String
    package var time: Timestamp?
    package var key: String?
    package var type: KeyType?
    /// `put`: the new value, when it is UTF-8; else `value_base64`.
    package var value: String?
    package var valueBase64: String?
    /// `add` and `remove`: the element, when it is UTF-8; else `element_base64`.
    package var element: String?
    package var elementBase64: String?
    /// `increment`: the counter's value after the change, as this node knows it.
    package var counter: Int64?
    package var version: String?
    package var author: MemberIdentity?
    /// Who asked for the write, as its author's node knew the user.
    package var user: String?
    /// Why: what was given with the write, or why the stream is closed.
    package var reason: String?
    package var message: String?

    package init(cursor: String, event: String) {
        self.cursor = cursor
        self.event = event
    }

    private enum CodingKeys: String, CodingKey {
        case cursor, event, time, key, type, value, element, counter, version, author, user, reason, message
        case valueBase64 = "value_base64"
        case elementBase64 = "element_base64"
    }
}

extension WatchEvent {
    /// A register was written.
    package static func put(
        cursor: String, time: Timestamp, key: ConfigurationKey, value: [UInt8], version: String, author: MemberIdentity
    ) -> WatchEvent {
        var event = change("put", .register, cursor, time, key, version, author)
        (event.value, event.valueBase64) = ByteText.split(value)
        return event
    }

    /// A key of any type was deleted.
    package static func delete(
        cursor: String, time: Timestamp, key: ConfigurationKey, type: KeyType, version: String, author: MemberIdentity
    ) -> WatchEvent {
        change("delete", type, cursor, time, key, version, author)
    }

    /// An element came into a set (`added`) or left it.
    package static func element(
        _ element: [UInt8], added: Bool, cursor: String, time: Timestamp, key: ConfigurationKey, version: String,
        author: MemberIdentity
    ) -> WatchEvent {
        var event = change(added ? "add" : "remove", .set, cursor, time, key, version, author)
        (event.element, event.elementBase64) = ByteText.split(element)
        return event
    }

    /// A counter changed to `value`.
    package static func increment(
        cursor: String, time: Timestamp, key: ConfigurationKey, value: Int64, version: String, author: MemberIdentity
    ) -> WatchEvent {
        var event = change("increment", .counter, cursor, time, key, version, author)
        event.counter = value
        return event
    }

    /// History before `cursor` is gone: the reader lists the prefix again.
    package static func resync(cursor: String) -> WatchEvent {
        var event = WatchEvent(cursor: cursor, event: StreamEvent.resync)
        event.message = "changes are missing before this line: list the prefix again, then go on from this cursor"
        return event
    }

    private static func change(
        _ name: String, _ type: KeyType, _ cursor: String, _ time: Timestamp, _ key: ConfigurationKey,
        _ version: String, _ author: MemberIdentity
    ) -> WatchEvent {
        var event = WatchEvent(cursor: cursor, event: name)
        event.time = time
        event.key = key.description
        event.type = type
        event.version = version
        event.author = author
        return event
    }
}
