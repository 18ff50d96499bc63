// SPDX-License-Identifier: Apache-2.0
// Owns the name of a strict key or lock: valid by construction, compared as bytes.

import ClusterTypes
import StoreCore

/// The rules are those of all keys (`ConfigurationKey`). `String` alone would take canonically equivalent texts for one.
package struct StrictKey: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let text: String

    /// nil: the text breaks a rule of keys.
    package init?(_ text: String) {
        guard ConfigurationKey.defect(of: text) == nil else { return nil }
        self.text = text
    }

    package var bytes: Int { text.utf8.count }
    package var description: String { text }

    package static func == (a: StrictKey, b: StrictKey) -> Bool { ConfigurationKey.equal(a.text, b.text) }
    package static func < (a: StrictKey, b: StrictKey) -> Bool { ConfigurationKey.precedes(a.text, b.text) }

    /// Equal bytes have equal hashes; the reverse is for `==` to tell.
    package func hash(into hasher: inout Hasher) { hasher.combine(text) }

    /// Nothing that is valid comes before a space.
    static let least = StrictKey(" ")

    static func precedes(_ key: StrictKey, _ text: String) -> Bool { ConfigurationKey.precedes(key.text, text) }

    package func hasPrefix(_ prefix: String) -> Bool { ConfigurationKey.hasPrefix(text, prefix) }
}
