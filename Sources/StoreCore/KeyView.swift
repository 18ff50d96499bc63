// SPDX-License-Identifier: Apache-2.0
// Owns what a read returns: the visible content of a key.

/// The visible content of a live key.
package struct KeyView: Hashable, Sendable {
    package enum Content: Hashable, Sendable {
        case register([UInt8])
        /// The live elements, sorted by their bytes.
        case set([[UInt8]])
        /// Saturates at the ends of Int64.
        case counter(Int64)

        package var type: KeyType {
            switch self {
            case .register: .register
            case .set: .set
            case .counter: .counter
            }
        }
    }

    package var key: String
    package var content: Content
    /// The newest write among the rows of the visible type.
    package var version: Version
    /// Other types with live content under this key, kept aside by a type conflict; sorted.
    package var aside: [KeyType]
    /// From when a register's value no longer shows, milliseconds since 1970; 0: never.
    package var expiresAt: UInt64
    /// The strict log's entry that wrote it: its version as users see it; 0 for what no strict log wrote.
    package var index: UInt64

    package init(
        key: String, content: Content, version: Version, aside: [KeyType], expiresAt: UInt64 = 0, index: UInt64 = 0
    ) {
        self.key = key
        self.content = content
        self.version = version
        self.aside = aside
        self.expiresAt = expiresAt
        self.index = index
    }

    /// What users are shown and compare with: the log's index, or stamp and author.
    package var shownVersion: String { index > 0 ? String(index) : version.description }

    package var type: KeyType { content.type }
    package var stamp: HybridTimestamp { version.stamp }
    package var author: ActorID { version.author }
}

/// A part of a listing, in the order of the keys' UTF-8 bytes.
package struct KeyPage: Hashable, Sendable {
    package var entries: [KeyView]
    /// Pass as `after` to go on; nil when the listing is complete. A page may be short, even empty, and still go on.
    package var next: String?

    package init(entries: [KeyView], next: String?) {
        self.entries = entries
        self.next = next
    }
}
