// SPDX-License-Identifier: Apache-2.0
// Owns the proofs about sealed datagrams: what opens, what is refused and why, that no nonce is used twice.

import ClusterTypes
import Testing

@testable import Sealing

@Suite("Sealed datagrams")
struct DatagramTests {
    @Test("what was sealed opens to the plain packet, 28 bytes shorter")
    func roundTrip() {
        let key = key(1)
        var pair = Pair([key])
        for count in [0, 1, 15, 16, 50, 1_372] {
            let plain = packet((0..<count).map { UInt8(truncatingIfNeeded: $0) })
            let sealed = pair.seal(plain, key)
            #expect(sealed.count == plain.count + 28)
            #expect(pair.open(sealed) == .success(plain))
        }
        #expect(pair.opener.sessionCount == 1)
    }

    @Test("nothing of the packet is in the clear")
    func hidden() {
        let key = key(1)
        var pair = Pair([key])
        let plain = packet(Array("a value that nobody should read".utf8))
        let sealed = pair.seal(plain, key)
        for start in 12..<plain.count - 4 {
            #expect(
                !sealed.indices.dropLast(4).contains { Array(sealed[$0..<$0 + 4]) == Array(plain[start..<start + 4]) })
        }
    }

    @Test("every single bit that is flipped is noticed")
    func flips() {
        let key = key(1)
        var pair = Pair([key])
        let sealed = pair.seal(packet([1, 2, 3]), key)
        var reasons: Set<SealRefusal> = []
        for bit in 0..<sealed.count * 8 {
            var broken = sealed
            broken[bit / 8] ^= 1 << UInt8(bit % 8)
            guard case .failure(let refusal) = pair.open(broken) else {
                Issue.record("bit \(bit) went unnoticed")
                continue
            }
            reasons.insert(refusal)
        }
        #expect(reasons == [.seal, .version, .cluster, .unknownKey, .plain])
        #expect(pair.opener.sessionCount == 0)
        #expect(pair.open(sealed) == .success(packet([1, 2, 3])))
    }

    @Test("each refusal has its reason")
    func reasons() throws {
        let (ours, other) = (key(1), key(2))
        var pair = Pair([ours])
        let plain = packet([1])
        #expect(pair.open(plain) == .failure(.plain))
        #expect(pair.open(pair.seal(plain, other)) == .failure(.unknownKey))
        var stranger = Pair([ours], cluster: ~cluster)
        #expect(pair.open(stranger.seal(plain, ours)) == .failure(.cluster))
        // Another cluster with the same hint is only told apart by the key that it derives.
        var neighbour = Pair([ours], cluster: cluster ^ 1)
        #expect(pair.open(neighbour.seal(plain, ours)) == .failure(.seal))
        var newer = pair.seal(plain, ours)
        newer[2] = 0x20
        #expect(pair.open(newer) == .failure(.version))
        let sealed = pair.seal(plain, ours)
        #expect(pair.open(Array(sealed[..<55])) == .failure(.seal))
        #expect(pair.open([]) == .failure(.seal))
        #expect(pair.open(sealed) == .success(plain))
        #expect(pair.open(sealed) == .failure(.replay))
    }

    @Test("what is our own is refused when it comes back")
    func reflection() {
        let key = key(1)
        var pair = Pair([key])
        let sealed = pair.seal(packet([1]), key)
        let outcome = sealed.withUnsafeBytes { raw in
            Result { () throws(SealRefusal) in try pair.opener.open(raw, notFrom: pair.sealer).packet }
        }
        #expect(outcome == .failure(.replay))
    }

    @Test("packets in any order are taken once within the window, and not at all behind it")
    func window() {
        let key = key(1)
        var pair = Pair([key])
        let sealed = (0..<3_000).map { pair.seal(packet(BigEndian.bytes(UInt16($0))), key) }
        #expect(pair.open(sealed[1_500]) == .success(packet(BigEndian.bytes(UInt16(1_500)))))
        #expect(pair.open(sealed[476]) == .failure(.replay))
        #expect(pair.open(sealed[477]) == .success(packet(BigEndian.bytes(UInt16(477)))))
        #expect(pair.open(sealed[477]) == .failure(.replay))
        #expect(pair.open(sealed[2_999]) == .success(packet(BigEndian.bytes(UInt16(2_999)))))
        #expect(pair.open(sealed[1_975]) == .failure(.replay))
        #expect(pair.open(sealed[1_976]) == .success(packet(BigEndian.bytes(UInt16(1_976)))))
        #expect(pair.open(sealed[1_500]) == .failure(.replay))
    }

    @Test("the window agrees with a set of what was seen", arguments: 1...20)
    func windowModel(seed: Int) {
        var rng = SeededGenerator(seed: UInt64(seed))
        var window = ReplayWindow()
        var seen: Set<UInt64> = []
        var top: UInt64 = 0
        for _ in 0..<4_000 {
            let jump = rng.index(below: 100) == 0 ? rng.index(below: 5_000) : rng.index(below: 80)
            let back = rng.index(below: 1_400)
            let counter = rng.chance(0.5) ? top + UInt64(jump) : top - min(top, UInt64(back))
            let isNew = !seen.contains(counter) && (counter > top || top - counter < 1_024)
            #expect(window.admits(counter) == isNew, "seed \(seed): \(counter) after \(top)")
            guard window.admits(counter) else { continue }
            window.insert(counter)
            seen.insert(counter)
            top = max(top, counter)
        }
    }

    @Test("no session and counter comes twice, over the bound of a session and over restarts")
    func nonces() {
        let key = key(1)
        var used: Set<[UInt8]> = []
        var sessions: Set<[UInt8]> = []
        for restart in 0..<20 {
            var pair = Pair([key], seed: UInt64(restart) + 100, packetsMax: 50)
            for _ in 0..<225 {
                let sealed = pair.seal(packet([7]), key)
                #expect(used.insert(Array(sealed[10..<24])).inserted)
                sessions.insert(Array(sealed[10..<20]))
                #expect(pair.open(sealed) == .success(packet([7])))
            }
        }
        #expect(used.count == 20 * 225)
        #expect(sessions.count == 20 * 5)
    }

    @Test("a session ends at the highest counter of 32 bits")
    func lastCounter() {
        let header = SealedHeader(
            version: version, flags: 1, hint: 0xa1a2, key: KeyID(rawValue: 5), session: SessionID(high: .max, low: 7),
            counter: .max)
        var bytes = [UInt8](repeating: 0, count: SealedLayout.headerBytes)
        bytes.withUnsafeMutableBytes { header.write(to: $0) }
        #expect(bytes.withUnsafeBytes { SealedHeader($0) } == header)
        #expect(hex(bytes) == "67731001a1a200000005ffffffffffffffff0007ffffffff")
    }

    @Test("each key has its own session, and a key that is dropped takes its sessions along")
    func keys() {
        let (old, new) = (key(1), key(2))
        var pair = Pair([old, new])
        let (first, second) = (pair.seal(packet([1]), old), pair.seal(packet([1]), new, isBorrowed: true))
        #expect(first[10..<20] != second[10..<20])
        #expect(second[3] == 3)
        #expect(pair.open(first) == .success(packet([1])))
        #expect(pair.open(second) == .success(packet([1])))
        #expect(pair.opener.sessionCount == 2)
        pair.opener.accept([new])
        #expect(pair.opener.sessionCount == 1)
        #expect(pair.open(pair.seal(packet([2]), old)) == .failure(.unknownKey))
        #expect(pair.open(second) == .failure(.replay))
    }

    @Test("only what opens makes a session, and the least recently used ones are forgotten")
    func sessions() {
        let key = key(1)
        var receiver = Pair([key], room: 16)
        var busy = Pair([key], seed: 1)
        for seed in 2..<100 {
            var other = Pair([key], seed: UInt64(seed))
            #expect(receiver.open(busy.seal(packet([1]), key)) == .success(packet([1])))
            #expect(receiver.open(other.seal(packet([1]), key)) == .success(packet([1])))
            #expect(receiver.opener.sessionCount <= 16)
        }
        var forged = busy.seal(packet([1]), key)
        let count = receiver.opener.sessionCount
        forged[12] ^= 1
        #expect(receiver.open(forged) == .failure(.seal))
        #expect(receiver.opener.sessionCount == count)
    }

    @Test("no bytes at all trap", arguments: 1...10)
    func noise(seed: Int) {
        let key = key(1)
        var pair = Pair([key])
        var rng = SeededGenerator(seed: UInt64(seed))
        for _ in 0..<2_000 {
            var bytes = random(rng.index(below: 100), &rng)
            // Mostly good headers, so that the depths are reached.
            if bytes.count >= 4, rng.chance(0.8) { bytes.replaceSubrange(0..<4, with: [0x67, 0x73, 0x10, 1]) }
            if bytes.count >= 6, rng.chance(0.8) { bytes.replaceSubrange(4..<6, with: [0xa1, 0xa2]) }
            if bytes.count >= 10, rng.chance(0.8) {
                bytes.replaceSubrange(6..<10, with: BigEndian.bytes(key.id.rawValue))
            }
            guard case .failure = pair.open(bytes) else {
                Issue.record("seed \(seed) opened")
                return
            }
        }
        #expect(pair.opener.sessionCount == 0)
    }
}
