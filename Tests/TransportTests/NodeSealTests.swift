// SPDX-License-Identifier: Apache-2.0
// Owns the proofs about which form and which key a datagram gets, without sockets.

import ClusterTypes
import NIOCore
import NodeKernel
import Sealing
import Testing
import WireProtocol

@testable import Transport

func sealKey(_ seed: UInt64) -> ClusterKey {
    var rng = SeededGenerator(seed: seed)
    return ClusterKey(using: &rng)
}

/// A node's seal with the bytes that it would send.
private final class End {
    let seal: NodeSeal
    let counters = CounterBox()
    let address: Address

    init(_ port: UInt16, _ keys: [ClusterKey], acceptsPlain: Bool = false, cluster: ClusterID = testCluster) {
        address = Address(ipv4: 0x7f00_0001, port: port)
        let told = Holder()
        holder = told
        seal = NodeSeal(
            settings: SealSettings(keys: keys, acceptsPlain: acceptsPlain), cluster: cluster, datagramBytesMax: 1_400,
            counters: counters
        ) { refusal, _ in told.refusals.append(refusal) }
    }

    final class Holder { var refusals: [SealRefusal] = [] }
    let holder: Holder

    /// All forms in which a packet goes to `other`.
    func forms(to other: End) -> [[UInt8]] {
        var plain = [UInt8](repeating: 0, count: 1_400)
        let size = plain.withUnsafeMutableBytes { (try? PacketCodec.encode(packet(), into: $0)) ?? 0 }
        var forms: [[UInt8]] = []
        plain.withUnsafeMutableBytes { raw in
            _ = seal.forms(of: UnsafeMutableRawBufferPointer(rebasing: raw[..<size]), to: other.address) {
                forms.append(Array($0))
                return true
            }
        }
        return forms
    }

    /// Sends one packet to `other`; the forms that it took there.
    @discardableResult
    func send(to other: End) -> [[UInt8]] {
        let forms = forms(to: other)
        for form in forms { other.take(form, from: self) }
        return forms
    }

    @discardableResult
    func take(_ bytes: [UInt8], from other: End) -> DecodedPacket? {
        bytes.withUnsafeBytes { raw in
            switch seal.open(raw, from: other.address) {
            case .plain: try? PacketCodec.decode(raw)
            case .opened(let packet): try? PacketCodec.decode(packet)
            case .refused: nil
            }
        }
    }

    func refused(_ refusal: SealRefusal) -> UInt64 { counters.snapshot.sealRefusals[refusal] ?? 0 }
}

/// The key id in a sealed datagram's header, and whether it was borrowed; nil for a plain one.
private func keyOf(_ bytes: [UInt8]) -> (KeyID, Bool)? {
    guard bytes[3] & 1 != 0 else { return nil }
    return (KeyID(rawValue: bytes[6..<10].reduce(0) { $0 << 8 | UInt32($1) }), bytes[3] & 2 != 0)
}

@Suite("A node's seal")
struct NodeSealTests {
    private let old = sealKey(1)
    private let new = sealKey(2)

    @Test("without keys packets go as they are, and sealed ones are refused")
    func plain() {
        let (a, b) = (End(1, []), End(2, [old]))
        #expect(a.forms(to: b).map(keyOf).allSatisfy { $0 == nil })
        #expect(a.forms(to: b).count == 1)
        b.send(to: a)
        #expect(a.refused(.unknownKey) == 1 && a.holder.refusals == [.unknownKey])
        a.send(to: b)
        #expect(b.refused(.plain) == 1 && b.holder.refusals == [.plain])
    }

    @Test("with keys every packet goes sealed, once, and comes out as it went in")
    func sealed() throws {
        let (a, b) = (End(1, [old]), End(2, [old]))
        let forms = a.forms(to: b)
        #expect(forms.count == 1 && keyOf(forms[0])?.0 == old.id && forms[0].count == packetBytes + 28)
        let decoded = try #require(b.take(forms[0], from: a))
        #expect(decoded.packet == packet())
        #expect(b.take(forms[0], from: a) == nil)
        #expect(b.refused(.replay) == 1 && b.holder.refusals.isEmpty)
    }

    private let packetBytes = PacketCodec.size(of: packet())

    @Test("what is refused is counted each time and told once a minute and host")
    func told() {
        let (a, b) = (End(1, [old]), End(2, [new]))
        for _ in 0..<50 { a.send(to: b) }
        #expect(b.refused(.unknownKey) == 50)
        #expect(b.holder.refusals == [.unknownKey])
    }

    @Test("a node that only has the old key is answered under it, and the mark says why")
    func grace() {
        let (behind, ahead) = (End(1, [old]), End(2, [new, old]))
        #expect(keyOf(ahead.forms(to: behind)[0])?.0 == new.id)
        behind.send(to: ahead)
        let answer = ahead.send(to: behind)
        #expect(answer.count == 1 && answer.first.flatMap(keyOf).map { $0 == (old.id, true) } == true)
        #expect(behind.counters.snapshot.datagramsOpened == 1)
        behind.send(to: ahead)
        #expect(keyOf(ahead.forms(to: behind)[0])?.0 == old.id)
        // It has caught up.
        behind.seal.update(SealSettings(keys: [new, old]))
        behind.send(to: ahead)
        #expect(keyOf(ahead.forms(to: behind)[0]).map { $0 == (new.id, false) } == true)
    }

    @Test("two nodes that both move on do not keep each other at the old key")
    func moveOn() {
        let (a, b) = (End(1, [old]), End(2, [old]))
        a.send(to: b)
        b.send(to: a)
        a.seal.update(SealSettings(keys: [new, old]))
        b.seal.update(SealSettings(keys: [new, old]))
        for _ in 0..<2 {
            a.send(to: b)
            b.send(to: a)
        }
        #expect(keyOf(a.forms(to: b)[0]).map { $0 == (new.id, false) } == true)
        #expect(keyOf(b.forms(to: a)[0]).map { $0 == (new.id, false) } == true)
        a.seal.update(SealSettings(keys: [new]))
        b.seal.update(SealSettings(keys: [new]))
        a.send(to: b)
        #expect(b.refused(.unknownKey) == 0)
    }

    @Test("while sealing is switched on, two nodes find that they can, and then send nothing plain")
    func switchOn() {
        let (a, b) = (End(1, [old], acceptsPlain: true), End(2, [old], acceptsPlain: true))
        let first = a.send(to: b)
        #expect(first.map { keyOf($0) == nil } == [true, false])
        // b has opened the copy.
        #expect(b.send(to: a).map { keyOf($0) == nil } == [false])
        #expect(a.send(to: b).map { keyOf($0) == nil } == [false])
        // One of them gets strict; the other goes on.
        a.seal.update(SealSettings(keys: [old]))
        b.send(to: a)
        #expect(a.refused(.plain) == 0)
    }

    @Test("while sealing is switched on, nodes without keys and with other keys are reached plain")
    func notYet() {
        let (a, without, other) = (
            End(1, [old], acceptsPlain: true), End(2, []), End(3, [new], acceptsPlain: true)
        )
        without.send(to: a)
        for _ in 0..<3 { #expect(a.send(to: without).map { keyOf($0) == nil } == [true]) }
        other.send(to: a)
        a.send(to: other)
        // A sealed copy now and then, but always a plain packet that counts.
        for _ in 0..<3 {
            #expect(a.forms(to: other).first.map { keyOf($0) == nil } == true)
            #expect(other.forms(to: a).first.map { keyOf($0) == nil } == true)
        }
        // It loses its keys again.
        let (b, c) = (End(4, [old], acceptsPlain: true), End(5, [old], acceptsPlain: true))
        b.send(to: c)
        c.send(to: b)
        #expect(b.forms(to: c).map { keyOf($0) == nil } == [false])
        c.seal.update(SealSettings())
        c.send(to: b)
        #expect(b.forms(to: c).map { keyOf($0) == nil } == [true])
    }

    @Test("streams to an unknown address are tried sealed and plain in turn, where plain is allowed")
    func streams() {
        let strict = End(1, [old])
        let open = End(2, [old], acceptsPlain: true)
        let peer = End(3, [old], acceptsPlain: true)
        for _ in 0..<2 {
            #expect(strict.seal.streamKey(to: peer.address)?.id == old.id)
            strict.seal.streamFailed(to: peer.address, wasSealed: true)
        }
        var tries: [Bool] = []
        for _ in 0..<4 {
            let isSealed = open.seal.streamKey(to: peer.address) != nil
            tries.append(isSealed)
            open.seal.streamFailed(to: peer.address, wasSealed: isSealed)
        }
        #expect(tries == [true, false, true, false])
        open.seal.streamOpened(to: peer.address, under: old)
        #expect(open.seal.streamKey(to: peer.address)?.id == old.id)
        #expect(End(4, []).seal.streamKey(to: peer.address) == nil)
    }

    @Test("another cluster is refused by name, whether sealed or not")
    func cluster() {
        let (a, b) = (End(1, [old]), End(2, [old], cluster: ClusterID(name: "another")))
        b.send(to: a)
        #expect(a.refused(.cluster) == 1)
    }
}
