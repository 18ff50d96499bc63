// SPDX-License-Identifier: Apache-2.0
// Owns the proofs about sealed streams: handshake, records, new keys, refusals.

import ClusterTypes
import Testing

@testable import Sealing

@Suite("Sealed streams")
struct StreamTests {
    private static let ephemeral: [UInt8] = Array(1...32)
    private static let other: [UInt8] = Array(101...132)

    private func outcome(
        _ stream: inout SealedStream, _ bytes: [UInt8]
    ) -> Result<SealedStream.Progress, SealRefusal> {
        Result { () throws(SealRefusal) in try stream.receive(bytes, ephemeral: Self.other) }
    }

    private func sealed(_ stream: inout SealedStream, _ plain: [UInt8]) throws -> [UInt8] {
        let records = stream.seal(plain)
        return try #require(records)
    }

    /// Two ends after their handshake.
    private func open() throws -> (SealedStream, SealedStream) {
        var (initiator, first) = try #require(
            SealedStream.initiate(under: key(1), cluster: cluster, version: version, ephemeral: Self.ephemeral))
        var responder = SealedStream(accepting: [key(2), key(1)], cluster: cluster, version: version)
        #expect(first.count == 58)
        let second = try responder.receive(first, ephemeral: Self.other)
        #expect(second.answer.count == 48 && second.plain.isEmpty && !responder.isOpen)
        let third = try initiator.receive(second.answer, ephemeral: [])
        #expect(third.answer.count == 18 && initiator.isOpen)
        let fourth = try responder.receive(third.answer, ephemeral: [])
        #expect(fourth.answer.isEmpty && fourth.plain.isEmpty && responder.isOpen)
        return (initiator, responder)
    }

    @Test("bytes go both ways, whatever pieces they come in")
    func bothWays() throws {
        var (initiator, responder) = try open()
        #expect(initiator.key == key(1).id && responder.key == key(1).id)
        let plain = (0..<40_000).map { UInt8(truncatingIfNeeded: $0 / 3) }
        let sent = try sealed(&initiator, plain)
        #expect(sent.count == plain.count + 3 * 18)
        var got: [UInt8] = []
        var at = 0
        var piece = 1
        while at < sent.count {
            let end = min(at + piece, sent.count)
            got += try responder.receive(sent[at..<end], ephemeral: []).plain
            at = end
            piece = piece * 3 % 997 + 1
        }
        #expect(got == plain)
        let back = try sealed(&responder, Array(plain.reversed()))
        #expect(try initiator.receive(back, ephemeral: []).plain == plain.reversed())
        #expect(initiator.seal([]) == [])
    }

    @Test("the handshake in single bytes does as well")
    func singleBytes() throws {
        var (initiator, out) = try #require(
            SealedStream.initiate(under: key(1), cluster: cluster, version: version, ephemeral: Self.ephemeral))
        var responder = SealedStream(accepting: [key(1)], cluster: cluster, version: version)
        var back: [UInt8] = []
        for _ in 0..<3 {
            for byte in out { back += try responder.receive([byte], ephemeral: Self.other).answer }
            out = []
            for byte in back { out += try initiator.receive([byte], ephemeral: []).answer }
            back = []
        }
        #expect(initiator.isOpen && responder.isOpen)
    }

    @Test("nothing can be written before the other side has proven the key")
    func early() throws {
        var (initiator, first) = try #require(
            SealedStream.initiate(under: key(1), cluster: cluster, version: version, ephemeral: Self.ephemeral))
        #expect(initiator.seal([1]) == nil)
        var responder = SealedStream(accepting: [key(1)], cluster: cluster, version: version)
        _ = try responder.receive(first, ephemeral: Self.other)
        #expect(responder.seal([1]) == nil)
        // A replayed greeting gets no further than here: whoever replays it cannot make the first record.
        #expect(outcome(&responder, [0, 16] + [UInt8](repeating: 0, count: 16)).failure == .seal)
        #expect(outcome(&responder, []).failure == .seal)
    }

    @Test("keys are renewed on both sides at the same record")
    func rekey() throws {
        var (initiator, responder) = try open()
        // The empty record was the first under the first key.
        for index in 1..<150_000 {
            let byte = UInt8(truncatingIfNeeded: index)
            let sent = try sealed(&initiator, [byte])
            let plain = try responder.receive(sent, ephemeral: []).plain
            guard plain == [byte] else {
                Issue.record("record \(index)")
                return
            }
        }
    }

    @Test("each refusal has its reason, and stays")
    func refusals() throws {
        func greeting(_ change: (inout [UInt8]) -> Void) throws -> [UInt8] {
            var (_, bytes) = try #require(
                SealedStream.initiate(under: key(1), cluster: cluster, version: version, ephemeral: Self.ephemeral))
            change(&bytes)
            return bytes
        }
        let cases: [(SealRefusal, [UInt8])] = [
            (.plain, [0, 0, 0, 41]), (.version, try greeting { $0[2] = 0x20 }), (.cluster, try greeting { $0[4] ^= 1 }),
            (.unknownKey, try greeting { $0[9] ^= 1 }), (.seal, try greeting { $0[0] = 1 }),
            (.seal, try greeting { $0[1] = 1 }), (.seal, try greeting { $0[3] = 0 }),
            (.seal, try greeting { $0[57] ^= 1 }), (.seal, try greeting { $0[10] ^= 1 }),
            // A minor version is part of the prologue: it cannot be talked down.
            (.seal, try greeting { $0[2] = 0x11 }),
        ]
        for (refusal, bytes) in cases {
            var responder = SealedStream(accepting: [key(1)], cluster: cluster, version: version)
            #expect(outcome(&responder, bytes).failure == refusal)
            #expect(outcome(&responder, [1]).failure == refusal)
            #expect(!responder.isOpen)
        }
        // The same id hint, another cluster.
        var responder = SealedStream(accepting: [key(1)], cluster: cluster ^ 1, version: version)
        #expect(outcome(&responder, try greeting { _ in }).failure == .seal)
    }

    @Test("a peer with another key of the same id, a low public key, and a broken record are refused")
    func forgeries() throws {
        var (initiator, _) = try #require(
            SealedStream.initiate(under: key(1), cluster: cluster, version: version, ephemeral: Self.ephemeral))
        #expect(outcome(&initiator, [UInt8](repeating: 0, count: 48)).failure == .seal)

        let pairs = try open()
        var (sender, receiver) = pairs
        var broken = try sealed(&sender, [1, 2, 3])
        broken[5] ^= 1
        #expect(outcome(&receiver, broken).failure == .seal)
        #expect(receiver.seal([1]) == nil)

        // Records out of order, twice, or with a length that is none.
        (sender, receiver) = pairs
        let first = try sealed(&sender, [1])
        let second = try sealed(&sender, [2])
        var swapped = receiver
        #expect(outcome(&swapped, second).failure == .seal)
        #expect(try receiver.receive(first, ephemeral: []).plain == [1])
        var twice = receiver
        #expect(outcome(&twice, first).failure == .seal)
        #expect(outcome(&receiver, [0, 15]).failure == .seal)
    }

    @Test("no bytes at all trap", arguments: 1...10)
    func noise(seed: Int) throws {
        var rng = SeededGenerator(seed: UInt64(seed))
        for _ in 0..<300 {
            var (initiator, first) = try #require(
                SealedStream.initiate(under: key(1), cluster: cluster, version: version, ephemeral: Self.ephemeral))
            var responder = SealedStream(accepting: [key(1)], cluster: cluster, version: version)
            let cut = rng.index(below: first.count + 1)
            _ = outcome(&responder, Array(first[..<cut]) + random(rng.index(below: 100), &rng))
            _ = outcome(&initiator, random(rng.index(below: 200), &rng))
            #expect(!responder.isOpen && !initiator.isOpen)
        }
    }
}

extension Result {
    fileprivate var failure: Failure? { if case .failure(let failure) = self { failure } else { nil } }
}
