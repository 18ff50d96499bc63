// SPDX-License-Identifier: Apache-2.0
// Owns the identity of a node: 128 random bits that outlive its name and its address.

/// A node's identity, minted once with its data directory and never reused (DESIGN.md section 3).
///
/// Ordered and printed as one big-endian 128-bit number, so that every process sorts nodes alike.
package struct NodeID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var high: UInt64
    package var low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Mints an id from 128 random bits.
    package init(using rng: inout SeededGenerator) {
        self.init(high: rng.next(), low: rng.next())
    }

    /// Parses the 32 lower- or upper-case hexadecimal digits that `description` prints; anything else is nil.
    package init?(_ text: some StringProtocol) {
        let digits = Array(text.utf8)
        guard digits.count == 32, digits.allSatisfy(Hex.isDigit) else { return nil }
        guard let high = UInt64(text.prefix(16), radix: 16), let low = UInt64(text.suffix(16), radix: 16) else {
            return nil
        }
        self.init(high: high, low: low)
    }

    /// The id that no node has: it marks "unknown" on the wire.
    package static let unknown = NodeID(high: 0, low: 0)

    package static func < (a: NodeID, b: NodeID) -> Bool {
        a.high != b.high ? a.high < b.high : a.low < b.low
    }

    package var description: String { Hex.string(high) + Hex.string(low) }

    /// The first eight digits: for logs, where the whole id is noise.
    package var short: String { String(description.prefix(8)) }
}
