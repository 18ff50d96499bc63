// SPDX-License-Identifier: Apache-2.0
// Owns the memory of which counters of a session were seen.

/// A sliding window over the last 1 024 counters (RFC 6479): a ring of words, one of them spare, so that moving on only
/// clears words and shifts nothing.
struct ReplayWindow: Sendable {
    /// A counter that is this far behind the highest one, or further, is refused unseen.
    static let width: UInt64 = 1_024
    private static let words: UInt64 = width / 64 + 1

    private var bits = [UInt64](repeating: 0, count: Int(words))
    /// The highest counter seen.
    private var top: UInt64?

    /// Whether the counter is new.
    func admits(_ counter: UInt64) -> Bool {
        guard let top, counter <= top else { return true }
        guard top - counter < Self.width else { return false }
        return bits[Self.word(of: counter)] & Self.bit(of: counter) == 0
    }

    /// Notes a counter that `admits` and that is authentic.
    mutating func insert(_ counter: UInt64) {
        if let top, counter > top {
            let moved = counter / 64 - top / 64
            for step in 0..<min(moved, Self.words) { bits[Int((counter / 64 - step) % Self.words)] = 0 }
        }
        top = max(top ?? 0, counter)
        bits[Self.word(of: counter)] |= Self.bit(of: counter)
    }

    private static func word(of counter: UInt64) -> Int { Int(counter / 64 % words) }
    private static func bit(of counter: UInt64) -> UInt64 { 1 << (counter % 64) }
}
