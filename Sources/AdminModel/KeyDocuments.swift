// SPDX-License-Identifier: Apache-2.0
// Owns the documents about keys: registers, sets, counters, listings and the answers to writes.

package enum KeyType: String, CaseIterable, Codable, Sendable {
    case register, set, counter
}

/// Which promise a key is under: eventual (answers through any partition) or strict (linearizable).
package enum KeyClass: String, CaseIterable, Codable, Sendable {
    case eventual, strict
}

/// What a key holds.
package enum KeyContent: Hashable, Sendable {
    case register([UInt8])
    /// In the order of the elements' bytes.
    case set([[UInt8]])
    case counter(Int64)

    package var type: KeyType {
        switch self {
        case .register: .register
        case .set: .set
        case .counter: .counter
        }
    }

    /// The bytes alone, as `kv get` prints them: the value; one element a line; the number and a line feed.
    package var rawBytes: [UInt8] {
        switch self {
        case .register(let bytes): bytes
        case .set(let elements): elements.flatMap { $0 + [UInt8(ascii: "\n")] }
        case .counter(let value): Array("\(value)\n".utf8)
        }
    }
}

/// One key with its content: `kv get`, each entry of `kv list`, each line of `kv export`. Its content is written as
/// `ContentDocument` does.
package struct KeyDocument: Hashable, Sendable {
    package var key: String
    package var content: KeyContent
    package var keyClass: KeyClass
    /// Opaque; equal versions mean equal contents. Of a strict key the log index of its last write, in decimal.
    package var version: String
    /// Written as `null` for a strict key that this node's own store has not got yet in this version.
    package var writtenAt: Timestamp?
    /// Who wrote last; the id alone when the member is no longer known. The strict log does not keep who wrote: there it
    /// is the group.
    package var author: MemberIdentity
    /// When the value stops to show; nil for never. Only registers.
    package var expiresAt: Timestamp?
    /// The lease with which a strict key ends, in decimal; nil for none, and in local reads.
    package var lease: String?
    /// Of local reads of strict keys: at most so old is what was read, in milliseconds.
    package var stalenessMilliseconds: UInt64?

    package init(
        key: ConfigurationKey, content: KeyContent, keyClass: KeyClass = .eventual, version: String,
        writtenAt: Timestamp?, author: MemberIdentity, expiresAt: Timestamp? = nil
    ) {
        self.key = key.description
        self.content = content
        self.keyClass = keyClass
        self.version = version
        self.writtenAt = writtenAt
        self.author = author
        self.expiresAt = expiresAt
    }
}

extension KeyDocument: Codable {
    private enum CodingKeys: String, CodingKey {
        case key, version, author, lease
        case keyClass = "class"
        case writtenAt = "written_at"
        case expiresAt = "expires_at"
        case stalenessMilliseconds = "staleness_ms"
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        key = try container.decode(String.self, forKey: .key)
        keyClass = try container.decode(KeyClass.self, forKey: .keyClass)
        version = try container.decode(String.self, forKey: .version)
        writtenAt = try container.decodeIfPresent(Timestamp.self, forKey: .writtenAt)
        author = try container.decode(MemberIdentity.self, forKey: .author)
        expiresAt = try container.decodeIfPresent(Timestamp.self, forKey: .expiresAt)
        lease = try container.decodeIfPresent(String.self, forKey: .lease)
        stalenessMilliseconds = try container.decodeIfPresent(UInt64.self, forKey: .stalenessMilliseconds)
        content = try ContentDocument(from: decoder).content
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(key, forKey: .key)
        try container.encode(keyClass, forKey: .keyClass)
        try ContentDocument(content).encode(to: encoder)
        try container.encode(version, forKey: .version)
        try container.encode(writtenAt, forKey: .writtenAt)
        try container.encode(author, forKey: .author)
        try container.encodeIfPresent(expiresAt, forKey: .expiresAt)
        try container.encodeIfPresent(lease, forKey: .lease)
        try container.encodeIfPresent(stalenessMilliseconds, forKey: .stalenessMilliseconds)
    }
}

/// The keys below a prefix, in byte order.
package struct KeyListDocument: Codable, Hashable, Sendable {
    package var entries: [KeyDocument]

    package init(entries: [KeyDocument]) { self.entries = entries }
}

/// A set: `set list`.
package struct SetDocument: Codable, Hashable, Sendable {
    package var key: String
    package var elements: [String]
    /// Elements that are not UTF-8; absent when there is none.
    package var elementsBase64: [String]?

    package init(key: ConfigurationKey, elements: [[UInt8]]) {
        let lists = ElementLists(elements)
        self.key = key.description
        self.elements = lists.elements
        elementsBase64 = lists.base64
    }

    /// All elements in the order of their bytes.
    package var allElements: [[UInt8]] { ElementLists(elements: elements, base64: elementsBase64).bytes }

    private enum CodingKeys: String, CodingKey {
        case key, elements
        case elementsBase64 = "elements_base64"
    }
}

/// A counter: `counter get`.
package struct CounterDocument: Codable, Hashable, Sendable {
    package var key: String
    package var value: Int64

    package init(key: ConfigurationKey, value: Int64) {
        self.key = key.description
        self.value = value
    }
}

/// The answer to every write of a key.
package struct WriteResult: Codable, Hashable, Sendable {
    package var key: String
    /// `strict` for strict keys, absent for others.
    package var keyClass: KeyClass?
    /// Of a strict key that was deleted: 0, which no key that is there has.
    package var version: String
    /// Nodes known to hold the write durably, this one included. Of a strict key: the voters that must, at least.
    package var nodesHolding: Int
    /// Members of record. Of a strict key: the voters.
    package var nodesTotal: Int
    /// `counter add`: the counter's value with this write, as this node knows it.
    package var value: Int64?
    /// Of a strict key that was written with a time to live.
    package var lease: String?

    package init(key: ConfigurationKey, version: String, nodesHolding: Int, nodesTotal: Int, value: Int64? = nil) {
        self.key = key.description
        self.version = version
        self.nodesHolding = nodesHolding
        self.nodesTotal = nodesTotal
        self.value = value
    }

    private enum CodingKeys: String, CodingKey {
        case key, version, value, lease
        case keyClass = "class"
        case nodesHolding = "nodes_holding"
        case nodesTotal = "nodes_total"
    }
}
