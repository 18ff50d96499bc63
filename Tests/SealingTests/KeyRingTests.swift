// SPDX-License-Identifier: Apache-2.0
// Owns the proofs about the ring: rules of its changes, that merging has no order, that no bytes trap.

import ClusterTypes
import Testing

@testable import Sealing

@Suite("The key ring")
struct KeyRingTests {
    private static let keys = (1...12).map { key(UInt64($0)) }

    /// Everything that a ring says, for comparison.
    private func text(_ ring: KeyRing) -> String { hex(ring.encoded()) }

    private func refusal(_ body: () throws(KeyRingRefusal) -> Void) -> KeyRingRefusal? {
        do throws(KeyRingRefusal) { try body() } catch { return error }
        return nil
    }

    @Test("a key is installed, used, and the old one retired, whose grace ends")
    func life() throws {
        let (a, b) = (Self.keys[0], Self.keys[1])
        var ring = KeyRing()
        #expect(ring.primary == nil && ring.accepted.isEmpty && ring.fingerprint == 0)
        try ring.install(a, at: 1_000)
        #expect(ring.primary?.id == a.id)
        try ring.install(b, at: 2_000)
        #expect(ring.primary?.id == a.id)
        #expect(refusal { () throws(KeyRingRefusal) in try ring.retire(a.id, at: 3_000) } == .primary(a.id))
        try ring.use(b.id, at: 3_000)
        #expect(ring.accepted.map(\.id) == [b.id, a.id])
        try ring.retire(a.id, at: 4_000)
        #expect(ring.accepted.map(\.id) == [b.id, a.id])
        #expect(refusal { () throws(KeyRingRefusal) in try ring.use(a.id, at: 5_000) } == .retired(a.id))
        #expect(refusal { () throws(KeyRingRefusal) in try ring.install(a, at: 5_000) } == .retired(a.id))
        #expect(refusal { () throws(KeyRingRefusal) in try ring.retire(a.id, at: 5_000) } == .retired(a.id))
        let unknown = Self.keys[5].id
        #expect(refusal { () throws(KeyRingRefusal) in try ring.use(unknown, at: 5_000) } == .unknown(unknown))
        #expect(refusal { () throws(KeyRingRefusal) in try ring.retire(unknown, at: 5_000) } == .unknown(unknown))

        let before = ring.fingerprint
        let grace = UInt64(72 * 3_600 * 1_000)
        let dropped = [3_999 + grace, 4_000 + grace, 4_000 + grace].map { ring.expire(at: $0) }
        #expect(dropped == [false, true, false])
        #expect(ring.accepted.map(\.id) == [b.id])
        #expect(ring[a.id]?.state == .retired && ring[a.id]?.key == nil)
        #expect(ring.fingerprint == before)
    }

    @Test("eight keys are installed at most, and what is retired makes room")
    func full() throws {
        var ring = KeyRing()
        for key in Self.keys[..<8] { try ring.install(key, at: 1) }
        #expect(refusal { () throws(KeyRingRefusal) in try ring.install(Self.keys[8], at: 1) } == .full)
        try ring.install(Self.keys[0], at: 1)
        try ring.retire(Self.keys[3].id, at: 1)
        try ring.install(Self.keys[8], at: 1)
    }

    @Test("a change comes after everything it knows of, whatever the clock says")
    func stamps() throws {
        var ring = KeyRing()
        try ring.install(Self.keys[0], at: 1_000_000)
        try ring.install(Self.keys[1], at: 5)
        try ring.use(Self.keys[1].id, at: 5)
        #expect(ring[Self.keys[1].id]?.stamp == 1_000_002)
        var late = KeyRing()
        try late.install(Self.keys[0], at: .max)
        try late.install(Self.keys[1], at: 1)
        #expect(late[Self.keys[1].id]?.stamp == .max)
    }

    @Test("both halves of a split network end with one ring, and never without a key")
    func split() throws {
        let (a, b) = (Self.keys[0], Self.keys[1])
        var one = KeyRing()
        try one.install(a, at: 1)
        try one.install(b, at: 2)
        var two = one
        try one.use(b.id, at: 10)
        try one.retire(a.id, at: 11)
        try two.retire(b.id, at: 20)
        one.merge(two)
        // Both are retired now; the newest still seals until somebody generates another.
        #expect(one.primary != nil)
        two.merge(one)
        #expect(one.primary?.id == two.primary?.id)
        #expect(one.fingerprint == two.fingerprint)
        _ = one.expire(at: .max)
        #expect(one.primary != nil)
    }

    /// A ring after a random history of its own, from keys that all rings share.
    private func ring(_ rng: inout SeededGenerator, steps: Int) -> KeyRing {
        var ring = KeyRing(keys: Array(Self.keys[..<2]))
        for _ in 0..<steps {
            let key = Self.keys[rng.index(below: Self.keys.count)]
            let now = UInt64(rng.index(below: 50))
            switch rng.index(below: 4) {
            case 0: try? ring.install(key, at: now)
            case 1: try? ring.use(key.id, at: now)
            case 2: try? ring.retire(key.id, at: now)
            case _: _ = ring.expire(at: now, grace: .milliseconds(30))
            }
        }
        return ring
    }

    @Test("merging is commutative, associative and idempotent", arguments: 1...200)
    func lattice(seed: Int) {
        var rng = SeededGenerator(seed: UInt64(seed))
        let (a, b, c) = (ring(&rng, steps: 12), ring(&rng, steps: 12), ring(&rng, steps: 12))
        func merged(_ rings: KeyRing...) -> KeyRing {
            rings.dropFirst().reduce(into: rings[0]) { $0.merge($1) }
        }
        let all = text(merged(a, b, c))
        #expect(text(merged(a, b)) == text(merged(b, a)), "seed \(seed)")
        #expect(text(merged(a, merged(b, c))) == all, "seed \(seed)")
        #expect(text(merged(c, a, b)) == all && text(merged(b, c, a, b, a)) == all, "seed \(seed)")
        #expect(text(merged(a, a)) == text(a), "seed \(seed)")
        let abc = merged(a, b, c)
        #expect(abc.fingerprint == merged(c, b, a).fingerprint)
        #expect(abc.primary?.id == merged(c, b, a).primary?.id)
        #expect(abc.primary != nil)
    }

    @Test("merging has no order beyond the bound on entries, too", arguments: 1...20)
    func latticeOfMany(seed: Int) {
        var rng = SeededGenerator(seed: UInt64(seed))
        var rings = (0..<4).map { _ in KeyRing() }
        for index in rings.indices {
            for number in 0..<60 {
                let key = key(UInt64(1_000 + rng.index(below: 100)))
                try? rings[index].install(key, at: UInt64(number + rng.index(below: 90)))
                if number % 5 == 0 { try? rings[index].use(key.id, at: 0) }
                if rng.chance(0.8) { try? rings[index].retire(key.id, at: 0) }
            }
        }
        let forward = rings.dropFirst().reduce(into: rings[0]) { $0.merge($1) }
        let backward = rings.reversed().dropFirst().reduce(into: rings[3]) { $0.merge($1) }
        #expect(forward.entries.count <= KeyRing.entriesMax)
        #expect(text(forward) == text(backward), "seed \(seed)")
        #expect(forward.primary?.id == backward.primary?.id)
    }

    @Test("the fingerprint differs for rings that say something else, and is not made of keys")
    func fingerprint() throws {
        var prints: Set<UInt64> = [0]
        var ring = KeyRing()
        try ring.install(Self.keys[0], at: 1)
        #expect(prints.insert(ring.fingerprint).inserted)
        try ring.install(Self.keys[1], at: 2)
        #expect(prints.insert(ring.fingerprint).inserted)
        try ring.use(Self.keys[1].id, at: 3)
        #expect(prints.insert(ring.fingerprint).inserted)
        try ring.retire(Self.keys[0].id, at: 4)
        #expect(prints.insert(ring.fingerprint).inserted)
    }

    @Test("a ring's bytes give the ring back", arguments: 1...100)
    func roundTrip(seed: Int) throws {
        var rng = SeededGenerator(seed: UInt64(seed))
        let ring = ring(&rng, steps: 30)
        let again = try KeyRing(encoded: ring.encoded())
        #expect(text(again) == text(ring))
        #expect(again.fingerprint == ring.fingerprint && again.primary?.id == ring.primary?.id)
        #expect(try KeyRing(encoded: KeyRing().encoded()).entries.isEmpty)
        #expect(ring.encoded().count <= KeyRing.encodedBytesMax)
    }

    @Test("bytes that are no ring are refused with the reason")
    func refusals() throws {
        func refusal(_ bytes: [UInt8]) -> KeyRingCodecFailure? {
            do throws(KeyRingCodecFailure) { _ = try KeyRing(encoded: bytes) } catch { return error }
            return nil
        }
        let good = KeyRing(keys: Array(Self.keys[..<2])).encoded()
        #expect(refusal(good) == nil && good.count == 14 + 2 * 45)
        #expect(refusal([]) == .length)
        #expect(refusal([2] + good.dropFirst()) == .version)
        #expect(refusal(good + [0]) == .length)
        for count in 1..<good.count { #expect(refusal(Array(good[..<count])) != nil) }
        func changed(_ at: Int, _ value: UInt8) -> [UInt8] {
            var bytes = good
            bytes[at] = value
            return bytes
        }
        #expect(refusal(changed(13, 65)) == .value)
        #expect(refusal(changed(18, 0x82)) == .value)
        #expect(refusal(changed(40, good[40] ^ 1)) == .id)
        // The same entry twice, and an installed one without its key.
        #expect(refusal(Array(good[..<59]) + good[14..<59]) == .value)
        #expect(refusal(Array(good[..<13]) + [1] + good[14..<18] + [0] + good[19..<27]) == .value)
        #expect(refusal([1] + [UInt8](repeating: 1, count: 12) + [0]) == .value)
    }

    @Test("no bytes at all trap", arguments: 1...20)
    func noise(seed: Int) throws {
        var rng = SeededGenerator(seed: UInt64(seed))
        for _ in 0..<1_000 {
            var bytes = ring(&rng, steps: 5).encoded()
            for _ in 0...rng.index(below: 3) {
                bytes[rng.index(below: bytes.count)] = UInt8(truncatingIfNeeded: rng.next())
            }
            if rng.chance(0.3) { bytes = random(rng.index(below: 200), &rng) }
            guard var ring = try? KeyRing(encoded: bytes) else { continue }
            // Whatever was accepted can be used.
            ring.merge(KeyRing(keys: Self.keys))
            _ = ring.expire(at: rng.next())
            #expect(try KeyRing(encoded: ring.encoded()).fingerprint == ring.fingerprint)
        }
    }
}
