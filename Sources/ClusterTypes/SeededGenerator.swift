// SPDX-License-Identifier: Apache-2.0
// Owns the only source of randomness in the cores: a generator that replays from its seed.

/// xoshiro256** 1.0 (Blackman and Vigna), seeded through SplitMix64. Same seed, same numbers, on every machine.
///
/// Not for secrets. The daemon seeds it from the kernel's generator once, the simulator from its seed.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var s0: UInt64
    private var s1: UInt64
    private var s2: UInt64
    private var s3: UInt64

    package init(seed: UInt64) {
        var x = seed
        func splitMix() -> UInt64 {
            x &+= 0x9e37_79b9_7f4a_7c15
            var z = x
            z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            return z ^ (z >> 31)
        }
        s0 = splitMix()
        s1 = splitMix()
        s2 = splitMix()
        s3 = splitMix()
    }

    package mutating func next() -> UInt64 {
        let scrambled = Self.rotate(s1 &* 5, 7) &* 9
        let t = s1 << 17
        s2 ^= s0
        s3 ^= s1
        s1 ^= s2
        s0 ^= s3
        s2 ^= t
        s3 = Self.rotate(s3, 45)
        return scrambled
    }

    /// A generator whose numbers are independent of this one's: one per simulated node or link.
    package mutating func split() -> SeededGenerator { SeededGenerator(seed: next()) }

    /// A uniform number in `0..<bound`; `bound` must be positive.
    package mutating func index(below bound: Int) -> Int {
        precondition(bound > 0, "index(below: \(bound)) needs a positive bound")
        return Int(next(upperBound: UInt64(bound)))
    }

    /// True with `probability` (0...1).
    package mutating func chance(_ probability: Double) -> Bool { fraction() < probability }

    /// A uniform number in 0..<1 with 53 random bits.
    package mutating func fraction() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// `base` times a uniform factor in `1 - spread ..< 1 + spread`: jitter for timers.
    package mutating func jittered(_ base: Interval, spread: Double) -> Interval {
        base * (1 - spread + 2 * spread * fraction())
    }

    private static func rotate(_ x: UInt64, _ k: UInt64) -> UInt64 { (x << k) | (x >> (64 - k)) }
}
