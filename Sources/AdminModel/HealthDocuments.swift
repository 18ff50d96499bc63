// SPDX-License-Identifier: Apache-2.0
// Owns the documents about the store's health: comparing the fleet, the findings of `doctor`, the import queue.

/// `GET /v1/verify`: this node's store beside those of all active members.
package struct VerifyDocument: Codable, Hashable, Sendable {
    package enum Result: String, Codable, Hashable, Sendable {
        case equal, different
        /// The peer did not answer, or its store kept changing.
        case unknown
    }

    package struct Range: Codable, Hashable, Sendable {
        /// The first key of the range.
        package var first: String
        /// The first key after it; nil when it goes to the last.
        package var end: String?

        package init(first: String, end: String?) {
            self.first = first
            self.end = end
        }
    }

    package struct Peer: Codable, Hashable, Sendable {
        package var member: MemberIdentity
        package var result: Result
        /// Ranges of keys that differ; at most 64.
        package var ranges: [Range]
        /// Why the result is unknown.
        package var reason: String?

        package init(member: MemberIdentity, result: Result, ranges: [Range] = [], reason: String? = nil) {
            self.member = member
            self.result = result
            self.ranges = ranges
            self.reason = reason
        }
    }

    package var root: String
    /// Rows of this node's store: registers, elements and counters, deleted ones included.
    package var rows: Int
    package var peers: [Peer]

    package init(root: String, rows: Int, peers: [Peer]) {
        self.root = root
        self.rows = rows
        self.peers = peers
    }
}

/// `GET /v1/doctor`: what an operator should know, the worst first.
package struct DoctorDocument: Codable, Hashable, Sendable {
    /// Open for newer daemons: an unknown text decodes as `warning`.
    package enum Severity: String, Codable, Hashable, Sendable {
        case ok, warning, error

        package init(from decoder: any Decoder) throws {
            self = Severity(rawValue: try decoder.singleValueContainer().decode(String.self)) ?? .warning
        }
    }

    package struct Finding: Codable, Hashable, Sendable {
        package var severity: Severity
        /// A short stable name in snake_case, such as `clock_outlier`.
        package var code: String
        /// One sentence that says what is so.
        package var summary: String
        /// One sentence that says what to do; empty when there is nothing to do.
        package var advice: String
        package var evidence: [String: String]

        package init(
            _ severity: Severity, code: String, summary: String, advice: String = "", evidence: [String: String] = [:]
        ) {
            self.severity = severity
            self.code = code
            self.summary = summary
            self.advice = advice
            self.evidence = evidence
        }
    }

    /// One member that was asked, over each way.
    package struct Peer: Codable, Hashable, Sendable {
        package var member: MemberIdentity
        /// A small datagram: `answered`, `silent`, `not_sent`.
        package var datagram: String
        package var datagramMilliseconds: Double?
        /// A datagram of `membership.datagram_size_max`: the same, or `not_tried`.
        package var largeDatagram: String
        /// `answered`, `refused`, `timed_out`, `unreachable`, `broken_off`, `other_cluster` or `not_tried`.
        package var stream: String
        /// From the connect to the answer.
        package var streamMilliseconds: Double?
        /// The state in which the member holds this node; nil when it did not say.
        package var holdsUsFor: String?
        /// The member's clock ahead of this one.
        package var clockOffsetMilliseconds: Int64?
        /// The member's own health score.
        package var localHealth: Int?
        package var protocolVersion: Int

        package init(
            member: MemberIdentity, datagram: String, datagramMilliseconds: Double? = nil, largeDatagram: String,
            stream: String, streamMilliseconds: Double? = nil, holdsUsFor: String? = nil,
            clockOffsetMilliseconds: Int64? = nil, localHealth: Int? = nil, protocolVersion: Int
        ) {
            self.member = member
            self.datagram = datagram
            self.datagramMilliseconds = datagramMilliseconds
            self.largeDatagram = largeDatagram
            self.stream = stream
            self.streamMilliseconds = streamMilliseconds
            self.holdsUsFor = holdsUsFor
            self.clockOffsetMilliseconds = clockOffsetMilliseconds
            self.localHealth = localHealth
            self.protocolVersion = protocolVersion
        }

        private enum CodingKeys: String, CodingKey {
            case member
            case datagram = "udp"
            case datagramMilliseconds = "udp_ms"
            case largeDatagram = "udp_large"
            case stream = "tcp"
            case streamMilliseconds = "tcp_ms"
            case holdsUsFor = "holds_us_for"
            case clockOffsetMilliseconds = "clock_offset_ms"
            case localHealth = "local_health"
            case protocolVersion = "protocol_version"
        }
    }

    package var findings: [Finding]
    /// Members that were asked, at most 64; nil from a daemon that asks none.
    package var peers: [Peer]?
    /// Members that were not asked because there are too many.
    package var peersLeft: Int?

    private enum CodingKeys: String, CodingKey {
        case findings, peers
        case peersLeft = "peers_left"
    }

    package init(findings: [Finding], peers: [Peer]? = nil, peersLeft: Int? = nil) {
        self.peers = peers
        self.peersLeft = peersLeft
        func rank(_ severity: Severity) -> Int {
            switch severity {
            case .error: 0
            case .warning: 1
            case .ok: 2
            }
        }
        // Sorting keeps the order of equals.
        self.findings = findings.enumerated().sorted {
            (rank($0.element.severity), $0.offset) < (rank($1.element.severity), $1.offset)
        }.map(\.element)
    }
}

/// `GET /v1/queue`: writes that a reset took out of the store, for the operator to decide on.
package struct QueueDocument: Codable, Hashable, Sendable {
    package struct Entry: Hashable, Sendable {
        package enum Cause: String, Codable, Hashable, Sendable {
            /// Made while this node was away beyond the collection floor.
            case beforeFloor = "before_floor"
            /// Stamped by a clock that was too far ahead.
            case clockAhead = "clock_ahead"
            case unknown

            package init(from decoder: any Decoder) throws {
                self = Cause(rawValue: try decoder.singleValueContainer().decode(String.self)) ?? .unknown
            }
        }

        /// Names the entry; grows.
        package var number: UInt64
        package var cause: Cause
        package var queuedAt: Timestamp
        package var key: String
        package var type: KeyType
        /// `put`, `delete`, `add`, `remove` or `increment`: what applying it would do.
        package var event: String
        package var writtenAt: Timestamp
        package var author: MemberIdentity
        /// Of `put` and `increment` (then by how much).
        package var content: KeyContent?
        /// Of `add` and `remove`.
        package var element: [UInt8]?

        package init(
            number: UInt64, cause: Cause, queuedAt: Timestamp, key: ConfigurationKey, type: KeyType, event: String,
            writtenAt: Timestamp, author: MemberIdentity, content: KeyContent? = nil, element: [UInt8]? = nil
        ) {
            self.number = number
            self.cause = cause
            self.queuedAt = queuedAt
            self.key = key.description
            self.type = type
            self.event = event
            self.writtenAt = writtenAt
            self.author = author
            self.content = content
            self.element = element
        }
    }

    /// In the order of their numbers.
    package var writes: [Entry]
    /// The `after` of the next page; nil when there is none.
    package var next: UInt64?

    package init(writes: [Entry], next: UInt64? = nil) {
        self.writes = writes
        self.next = next
    }
}

extension QueueDocument.Entry: Codable {
    private enum CodingKeys: String, CodingKey {
        case number, cause, key, type, event, author, content, element
        case queuedAt = "queued_at"
        case writtenAt = "written_at"
        case elementBase64 = "element_base64"
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        number = try container.decode(UInt64.self, forKey: .number)
        cause = try container.decode(Cause.self, forKey: .cause)
        queuedAt = try container.decode(Timestamp.self, forKey: .queuedAt)
        key = try container.decode(String.self, forKey: .key)
        type = try container.decode(KeyType.self, forKey: .type)
        event = try container.decode(String.self, forKey: .event)
        writtenAt = try container.decode(Timestamp.self, forKey: .writtenAt)
        author = try container.decode(MemberIdentity.self, forKey: .author)
        content = try container.decodeIfPresent(ContentDocument.self, forKey: .content)?.content
        element = ByteText.join(
            text: try container.decodeIfPresent(String.self, forKey: .element),
            base64: try container.decodeIfPresent(String.self, forKey: .elementBase64))
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(number, forKey: .number)
        try container.encode(cause, forKey: .cause)
        try container.encode(queuedAt, forKey: .queuedAt)
        try container.encode(key, forKey: .key)
        try container.encode(type, forKey: .type)
        try container.encode(event, forKey: .event)
        try container.encode(writtenAt, forKey: .writtenAt)
        try container.encode(author, forKey: .author)
        try container.encodeIfPresent(content.map { ContentDocument($0) }, forKey: .content)
        if let element {
            let (text, base64) = ByteText.split(element)
            try container.encodeIfPresent(text, forKey: .element)
            try container.encodeIfPresent(base64, forKey: .elementBase64)
        }
    }
}

/// `POST /v1/queue`: apply some of the queued writes anew, drop others.
package struct QueueRequest: Codable, Hashable, Sendable {
    package var apply: [UInt64]?
    package var drop: [UInt64]?

    package init(apply: [UInt64] = [], drop: [UInt64] = []) {
        self.apply = apply.isEmpty ? nil : apply
        self.drop = drop.isEmpty ? nil : drop
    }

    /// Fails with `bad_request`: 1 to 1024 numbers, none twice.
    package func validate() throws(AdminFailure) {
        let numbers = (apply ?? []) + (drop ?? [])
        guard (1...AdminLimits.queueNumbersMax).contains(numbers.count) else {
            throw AdminFailure(
                .badRequest, "give 1 to \(AdminLimits.queueNumbersMax) numbers of queued writes to apply or drop")
        }
        guard numbers.allSatisfy({ $0 > 0 }) else {
            throw AdminFailure(
                .badRequest, "queued writes are numbered from 1: see gossipctl kv import --queued --list")
        }
        guard Set(numbers).count == numbers.count else {
            throw AdminFailure(.badRequest, "a number of a queued write is given twice: name each once")
        }
    }
}

/// The answer: what was done. What was not in the queue fails the request with `not_found`, and nothing is done.
package struct QueueResult: Codable, Hashable, Sendable {
    package var applied: [UInt64]
    package var dropped: [UInt64]
    /// Writes that still wait.
    package var remaining: Int

    package init(applied: [UInt64], dropped: [UInt64], remaining: Int) {
        self.applied = applied
        self.dropped = dropped
        self.remaining = remaining
    }
}
