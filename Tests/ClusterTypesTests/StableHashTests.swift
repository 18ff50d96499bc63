// SPDX-License-Identifier: Apache-2.0
// Owns the tests of what must be the same in every process: the stable hash, the generator, the logarithm, hex.

import ClusterTypes
import Testing

@Suite struct StableHashTests {
    /// From the reference implementation's table for SipHash-2-4 with 128-bit output: key 00...0f, the message of n
    /// bytes is 00, 01, ..., n - 1.
    static let vectors: [(length: Int, digest: String)] = [
        (0, "a3817f04ba25a8e66df67214c7550293"), (1, "da87c1d86b99af44347659119b22fc45"),
        (2, "8177228da4a45dc7fca38bdef60affe4"), (3, "9c70b60c5267a94e5f33b6b02985ed51"),
        (7, "a1f1ebbed8dbc153c0b84aa61ff08239"), (8, "3b62a9ba6258f5610f83e264f31497b4"),
        (9, "264499060ad9baabc47f8b02bb6d71ed"), (15, "5493e99933b0a8117e08ec0f97cfc3d9"),
        (16, "6ee2a4ca67b054bbfd3315bf85230577"), (17, "473d06e8738db89854c066c47ae47740"),
        (63, "5150d1772f50834a503e069a973fbd7c"),
    ]

    static func hasher() -> StableHasher {
        StableHasher(key0: 0x0706_0504_0302_0100, key1: 0x0f0e_0d0c_0b0a_0908)
    }

    /// The digest's bytes in order: each half little-endian.
    static func digest(_ hash: Hash128) -> String {
        Hex.string(hash.high.byteSwapped) + Hex.string(hash.low.byteSwapped)
    }

    @Test("Agrees with the published vectors of SipHash-2-4-128", arguments: vectors)
    func published(length: Int, digest: String) {
        let message = (0..<length).map { UInt8($0) }
        var atOnce = Self.hasher()
        atOnce.absorb(raw: message)
        #expect(Self.digest(atOnce.finalize()) == digest)
        var byByte = Self.hasher()
        for byte in message { byByte.absorb(byte) }
        #expect(Self.digest(byByte.finalize()) == digest)
        var lazily = Self.hasher()
        lazily.absorb(raw: message.lazy.map { $0 })
        #expect(Self.digest(lazily.finalize()) == digest)
    }

    @Test("Integers are absorbed little-endian at any offset", arguments: 0..<8)
    func integers(offset: Int) {
        var words = Self.hasher()
        var bytes = Self.hasher()
        for index in 0..<offset {
            words.absorb(UInt8(index))
            bytes.absorb(UInt8(index))
        }
        words.absorb(UInt64(0x0807_0605_0403_0201))
        words.absorb(UInt32(0x0c0b_0a09))
        for byte in UInt8(1)...12 { bytes.absorb(byte) }
        #expect(words.finalize() == bytes.finalize())
    }

    @Test("Counted fields cannot run into each other")
    func counted() {
        func hash(_ fields: [[UInt8]]) -> Hash128 {
            var hasher = StableHasher()
            for field in fields { hasher.absorb(counted: field) }
            return hasher.finalize()
        }
        #expect(hash([[1], [2, 3]]) != hash([[1, 2], [3]]))
        #expect(hash([[1], [2, 3]]) == hash([[1], [2, 3]]))
    }

    @Test("Sums ignore order and can be taken back")
    func sums() {
        let a = Hash128(high: .max, low: 3)
        let b = Hash128(high: 2, low: .max)
        var left = a
        left += b
        var right = b
        right += a
        #expect(left == right && left == Hash128(high: 1, low: 2))
        left -= b
        #expect(left == a)
    }
}

@Suite struct SeededGeneratorTests {
    /// xoshiro256** seeded through SplitMix64, as published for seed 0 in several libraries' tests.
    @Test("Gives the published numbers of xoshiro256**")
    func published() {
        var rng = SeededGenerator(seed: 0)
        let numbers = (0..<8).map { _ in rng.next() }
        #expect(
            numbers == [
                0x99ec_5f36_cb75_f2b4, 0xbf6e_1f78_4956_452a, 0x1a5f_849d_4933_e6e0, 0x6aa5_94f1_262d_2d2c,
                0xbba5_ad4a_1f84_2e59, 0xffef_8375_d9eb_caca, 0x6c16_0dee_d2f5_4c98, 0x8920_ad64_8fc3_0a3f,
            ])
        var other = SeededGenerator(seed: 42)
        #expect([other.next(), other.next()] == [0x1578_0b2e_0c2e_c716, 0x6104_d986_6d11_3a7e])
    }

    @Test("Derived numbers stay in their ranges and fill them")
    func ranges() {
        var rng = SeededGenerator(seed: 9)
        var seen = Set<Int>()
        var sum = 0.0
        for _ in 0..<2_000 {
            let index = rng.index(below: 7)
            #expect((0..<7).contains(index))
            seen.insert(index)
            let fraction = rng.fraction()
            #expect(fraction >= 0 && fraction < 1)
            sum += fraction
            let jittered = rng.jittered(.seconds(10.0), spread: 0.2)
            #expect(jittered >= .seconds(8.0) && jittered <= .seconds(12.0))
        }
        #expect(seen.count == 7)
        #expect(abs(sum / 2_000 - 0.5) < 0.05)
        #expect((0..<100).allSatisfy { _ in !rng.chance(0) && rng.chance(1) })
    }

    @Test("A split generator neither repeats nor disturbs its parent")
    func split() {
        var parent = SeededGenerator(seed: 3)
        var twin = parent
        var child = parent.split()
        _ = twin.next()
        #expect(parent.next() == twin.next())
        #expect(child.next() != parent.next())
    }
}

@Suite struct NumberTests {
    @Test(
        "Natural and decimal logarithms agree with known values",
        arguments: [
            (1.0, 0.0, 0.0), (2, 0.693_147_180_559_945_3, 0.301_029_995_663_981_2),
            (10, 2.302_585_092_994_046, 1), (0.5, -0.693_147_180_559_945_3, -0.301_029_995_663_981_2),
            (1_000_000, 13.815_510_557_964_274, 6), (30, 3.401_197_381_662_155_5, 1.477_121_254_719_662_4),
            (1e-9, -20.723_265_836_946_41, -9), (1.999_999_999, 0.693_147_180_059_945_2, 0.301_029_995_446_834_0),
        ])
    func logarithms(x: Double, natural: Double, decimal: Double) {
        #expect(abs(Logarithm.natural(x) - natural) < 1e-12 * max(1, abs(natural)))
        #expect(abs(Logarithm.base10(x) - decimal) < 1e-12 * max(1, abs(decimal)))
    }

    @Test(
        "Decimal digits count exactly", arguments: [(0, 0), (1, 1), (9, 1), (10, 2), (99, 2), (100, 3), (20_000, 5)])
    func digits(count: Int, digits: Int) {
        #expect(Logarithm.decimalDigits(count) == digits)
    }

    @Test("Hex keeps leading zeros")
    func hex() {
        #expect(Hex.string(UInt8(0)) == "00")
        #expect(Hex.string(UInt32(0xbeef)) == "0000beef")
        #expect(Hex.string(UInt64.max) == "ffffffffffffffff")
    }

    @Test("A node id is what it prints")
    func nodeID() {
        let id = NodeID(high: 0x0123_4567_89ab_cdef, low: 0xf)
        #expect(id.description == "0123456789abcdef000000000000000f" && id.short == "01234567")
        #expect(NodeID(id.description) == id && NodeID(id.description.uppercased()) == id)
        for text in [
            "", "12", "+123456789abcdef000000000000000f", id.description + "0", "é" + id.description.dropFirst(2),
        ] {
            #expect(NodeID(text) == nil, "\(text)")
        }
        #expect(NodeID(high: 1, low: 0) > NodeID(high: 0, low: .max))
    }

    @Test(
        "Intervals print for people",
        arguments: [
            (Interval.zero, "0 ms"), (.milliseconds(340), "340 ms"), (.milliseconds(999), "999 ms"),
            (.milliseconds(2_149), "2.1 s"), (.milliseconds(2_150), "2.2 s"), (.seconds(60.0), "60.0 s"),
        ])
    func intervals(interval: Interval, text: String) {
        #expect(interval.description == text)
    }
}
