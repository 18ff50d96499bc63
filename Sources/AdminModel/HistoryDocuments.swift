// SPDX-License-Identifier: Apache-2.0
// Owns the documents about the past: a key's history, a key as it was, the difference between two points.

/// A point of this node's past. History is local: it says what this node applied, in the order it did.
package enum PastPoint: Hashable, Sendable, CustomStringConvertible {
    /// After the change with this revision.
    case revision(UInt64)
    /// After the last change that this node applied at or before this time.
    case time(Timestamp)

    package var description: String {
        switch self {
        case .revision(let revision): "revision \(revision)"
        case .time(let time): time.description
        }
    }
}

/// One change of a key.
package struct HistoryEntry: Hashable, Sendable {
    package var revision: UInt64
    package var key: String
    /// `put`, `delete`, `add`, `remove`, `increment`, or another name.
    package var event: String
    package var type: KeyType
    /// When this node applied it.
    package var appliedAt: Timestamp
    /// When its author wrote it, by the author's clock.
    package var writtenAt: Timestamp
    package var version: String
    package var author: MemberIdentity
    /// Who asked for it, as the author's node knew the user; nil when it did not say.
    package var user: String?
    /// The message given with the write.
    package var reason: String?
    package var expiresAt: Timestamp?
    /// What a register or counter showed before; nil when nothing was live, and for sets.
    package var old: KeyContent?
    /// What a register or counter showed then; nil after a delete, and for sets.
    package var new: KeyContent?
    /// Of `add` and `remove`.
    package var element: [UInt8]?

    package init(
        revision: UInt64, key: ConfigurationKey, event: String, type: KeyType, appliedAt: Timestamp,
        writtenAt: Timestamp, version: String, author: MemberIdentity
    ) {
        self.revision = revision
        self.key = key.description
        self.event = event
        self.type = type
        self.appliedAt = appliedAt
        self.writtenAt = writtenAt
        self.version = version
        self.author = author
    }
}

extension HistoryEntry: Codable {
    private enum CodingKeys: String, CodingKey {
        case revision, key, event, type, version, author, user, reason, old, new, element
        case appliedAt = "applied_at"
        case writtenAt = "written_at"
        case expiresAt = "expires_at"
        case elementBase64 = "element_base64"
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        revision = try container.decode(UInt64.self, forKey: .revision)
        key = try container.decode(String.self, forKey: .key)
        event = try container.decode(String.self, forKey: .event)
        type = try container.decode(KeyType.self, forKey: .type)
        appliedAt = try container.decode(Timestamp.self, forKey: .appliedAt)
        writtenAt = try container.decode(Timestamp.self, forKey: .writtenAt)
        version = try container.decode(String.self, forKey: .version)
        author = try container.decode(MemberIdentity.self, forKey: .author)
        user = try container.decodeIfPresent(String.self, forKey: .user)
        reason = try container.decodeIfPresent(String.self, forKey: .reason)
        expiresAt = try container.decodeIfPresent(Timestamp.self, forKey: .expiresAt)
        old = try container.decodeIfPresent(ContentDocument.self, forKey: .old)?.content
        new = try container.decodeIfPresent(ContentDocument.self, forKey: .new)?.content
        element = ByteText.join(
            text: try container.decodeIfPresent(String.self, forKey: .element),
            base64: try container.decodeIfPresent(String.self, forKey: .elementBase64))
    }

    /// `old` and `new` are always there, null when nothing was live.
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(revision, forKey: .revision)
        try container.encode(key, forKey: .key)
        try container.encode(event, forKey: .event)
        try container.encode(type, forKey: .type)
        try container.encode(appliedAt, forKey: .appliedAt)
        try container.encode(writtenAt, forKey: .writtenAt)
        try container.encode(version, forKey: .version)
        try container.encode(author, forKey: .author)
        try container.encodeIfPresent(user, forKey: .user)
        try container.encodeIfPresent(reason, forKey: .reason)
        try container.encodeIfPresent(expiresAt, forKey: .expiresAt)
        try container.encode(old.map { ContentDocument($0) }, forKey: .old)
        try container.encode(new.map { ContentDocument($0) }, forKey: .new)
        if let element {
            let (text, base64) = ByteText.split(element)
            try container.encodeIfPresent(text, forKey: .element)
            try container.encodeIfPresent(base64, forKey: .elementBase64)
        }
    }
}

/// `GET /v1/history/KEY`: the newest changes first.
package struct HistoryDocument: Codable, Hashable, Sendable {
    package var key: String
    package var entries: [HistoryEntry]
    /// The `before` of the next page; nil when there is none: older changes never were, or are no longer kept.
    package var next: UInt64?

    package init(key: ConfigurationKey, entries: [HistoryEntry], next: UInt64?) {
        self.key = key.description
        self.entries = entries
        self.next = next
    }
}

/// How one key differs between two states.
package struct DiffEntry: Hashable, Sendable {
    package enum Change: String, Codable, Hashable, Sendable {
        case added, removed, changed
    }

    package var key: String
    package var change: Change
    /// Nil when it was added, and when the contents of a long answer are left out.
    package var old: KeyContent?
    /// Nil when it was removed, and when the contents of a long answer are left out.
    package var new: KeyContent?

    /// Nil when the two are the same.
    package init?(key: ConfigurationKey, old: KeyContent?, new: KeyContent?) {
        guard old != new else { return nil }
        self.key = key.description
        change = old == nil ? .added : new == nil ? .removed : .changed
        self.old = old
        self.new = new
    }

    /// A change of something beside the content, such as its time of expiry.
    package init(changed key: ConfigurationKey, old: KeyContent?, new: KeyContent) {
        self.key = key.description
        change = old == nil ? .added : .changed
        self.old = old
        self.new = new
    }
}

extension DiffEntry: Codable {
    private enum CodingKeys: String, CodingKey {
        case key, change, old, new
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        key = try container.decode(String.self, forKey: .key)
        change = try container.decode(Change.self, forKey: .change)
        old = try container.decodeIfPresent(ContentDocument.self, forKey: .old)?.content
        new = try container.decodeIfPresent(ContentDocument.self, forKey: .new)?.content
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(key, forKey: .key)
        try container.encode(change, forKey: .change)
        try container.encode(old.map { ContentDocument($0) }, forKey: .old)
        try container.encode(new.map { ContentDocument($0) }, forKey: .new)
    }
}

/// `GET /v1/diff`: the keys below a prefix that differ between two points, in byte order.
package struct DiffDocument: Codable, Hashable, Sendable {
    /// The points as revisions: give them for the next page, so that all pages tell of the same two states.
    package var fromRevision: UInt64
    package var toRevision: UInt64
    package var entries: [DiffEntry]
    /// The `after` of the next page; nil when there is none.
    package var next: String?

    package init(fromRevision: UInt64, toRevision: UInt64, entries: [DiffEntry], next: ConfigurationKey? = nil) {
        self.fromRevision = fromRevision
        self.toRevision = toRevision
        self.entries = entries
        self.next = next?.description
    }

    private enum CodingKeys: String, CodingKey {
        case entries, next
        case fromRevision = "from_revision"
        case toRevision = "to_revision"
    }
}
