// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the key ring in one kernel: where it goes and where not, durable before it is used, compared with each ping.

import ClusterTypes
import NodeKernel
import SWIMCore
import Testing

/// Rings that are sets of bytes; a zero is none.
private let sets = RingRules { ours, theirs, _ in
    let all = Set((ours?.secretBytes ?? []) + (theirs?.secretBytes ?? []))
    return all.contains(0) ? nil : ring(all.sorted())
}

private func ring(_ bytes: [UInt8]) -> Ring {
    Ring(bytes: RingBytes(bytes), fingerprint: bytes.reduce(1) { $0 << 8 ^ UInt64($1) })
}

@Suite("The key ring")
struct KeyRingTests {
    private func bench(_ bytes: [UInt8] = [1], _ mode: RingMode = .required) -> KernelBench {
        KernelBench.knowing(2...3) {
            $0.ringRules = sets
            $0.ring = ring(bytes)
            $0.ringMode = mode
        }
    }

    private func rings(_ packets: [Packet]) -> [[UInt8]] {
        packets.flatMap(\.messages).compactMap { if case .keyRing(let ring) = $0 { ring.secretBytes } else { nil } }
    }

    private func written(_ bench: KernelBench) -> [[UInt8]] {
        bench.persists.flatMap(\.records).compactMap { if case .ring(let ring) = $0 { ring.secretBytes } else { nil } }
    }

    private func changes(_ bench: KernelBench) -> [[UInt8]] {
        bench.log.compactMap { if case .ringChanged(let ring) = $0 { ring.secretBytes } else { nil } }
    }

    private func packet(_ messages: [Message], from number: Int = 2) -> Packet {
        Packet(cluster: KernelBench.cluster, sender: id(number), messages: messages)
    }

    private let stream = StreamID(rawValue: 9_001)

    /// What a join writes once its stream is open.
    private func joined(_ bench: KernelBench, isSealed: Bool) throws -> [Packet] {
        var bench = bench
        _ = bench.command(.join([address(7).description]))
        bench.handle(.resolved(seed: address(7).description, [address(7)]))
        let id = try #require(bench.opened.last?.id)
        bench.handle(.streamOpened(id, isSealed: isSealed))
        return bench.written.map(\.packet)
    }

    @Test("whoever joins tells its ring before its table, on a sealed stream alone and not while sealing is off")
    func join() throws {
        let sealed = try joined(bench(), isSealed: true)
        #expect(rings(sealed) == [[1]])
        guard case .keyRing? = sealed.first?.messages.first, case .memberTable? = sealed.last?.messages.last else {
            Issue.record("the ring does not come first")
            return
        }
        #expect(rings(try joined(bench(), isSealed: false)) == [])
        #expect(rings(try joined(bench([1], .off), isSealed: true)) == [])
        #expect(rings(try joined(bench([1], .offered), isSealed: true)) == [[1]])
    }

    @Test("a ring on a sealed stream is answered with ours, joined, made durable, and only then used and told")
    func exchange() {
        var bench = bench()
        bench.persistsAtOnce = false
        bench.handle(.streamAccepted(stream, from: address(2), isSealed: true))
        bench.handle(.streamPacket(stream, packet([.keyRing(RingBytes([2]))])))
        #expect(rings(bench.written.map(\.packet)) == [[1]])
        #expect(written(bench) == [[1, 2]])
        #expect(changes(bench) == [])
        let before = bench.kernel.digest.members
        // The same once more is not written again.
        bench.handle(.streamPacket(stream, packet([.keyRing(RingBytes([2]))])))
        #expect(written(bench) == [[1, 2]])
        bench.persistAll()
        #expect(changes(bench) == [[1, 2]])
        #expect(bench.kernel.digest.members != before)
        #expect(Set(bench.opened.map(\.to)) == [address(2), address(3)])
        // They get it on streams that are sealed, and are left alone on others.
        for (index, opened) in bench.opened.enumerated() {
            bench.handle(.streamOpened(opened.id, isSealed: index == 0))
        }
        #expect(rings(bench.written.map(\.packet)) == [[1], [1, 2]])
        #expect(bench.closed == [bench.opened[1].id])
    }

    @Test("what comes on a plain stream or in a datagram is no ring")
    func plain() {
        var bench = bench()
        bench.handle(.streamAccepted(stream, from: address(2)))
        bench.handle(.streamPacket(stream, packet([.keyRing(RingBytes([2]))])))
        #expect(bench.closed == [stream] && bench.written.isEmpty && written(bench).isEmpty)
        #expect(bench.events.contains(.packetIgnored(.unexpected, from: address(2))))
        bench.handle(.packet(packet([.keyRing(RingBytes([2]))]), from: address(2)))
        #expect(written(bench).isEmpty && bench.kernel.statistics.ignored(.unexpected) == 2)
    }

    @Test("bytes that are no ring change nothing, and their sender still gets ours")
    func broken() {
        var bench = bench()
        bench.handle(.streamAccepted(stream, from: address(2), isSealed: true))
        bench.handle(.streamPacket(stream, packet([.keyRing(RingBytes([0]))])))
        #expect(written(bench).isEmpty && bench.closed.isEmpty)
        #expect(rings(bench.written.map(\.packet)) == [[1]])
    }

    @Test("a command is answered when its change is durable, and refused on a full disk")
    func command() throws {
        var bench = bench()
        bench.persistsAtOnce = false
        let command = bench.command(.ring(.join(RingBytes([3]))))
        #expect(!bench.replies.contains { $0.id == command })
        bench.persistAll()
        let changed = try #require(bench.log.firstIndex { if case .ringChanged = $0 { true } else { false } })
        #expect(changes(bench) == [[1, 3]])
        let answered = try #require(
            bench.log.firstIndex { if case .reply(command, .done) = $0 { true } else { false } })
        #expect(changed < answered)
        // What is so already is answered at once.
        let again = bench.command(.ring(.join(RingBytes([3]))))
        #expect(bench.replies.contains { $0.id == again })
        bench.handle(.storage(.full))
        let full = bench.command(.ring(.join(RingBytes([4]))))
        guard case .failure(.storageFull)? = bench.replies.first(where: { $0.id == full })?.reply else {
            Issue.record("a full disk took a key")
            return
        }
        let nothing = bench.command(.ring(.join(RingBytes([0]))))
        #expect(bench.replies.contains { $0.id == nothing })
    }

    @Test("digests hold the ring where sealing is required; equal ones confirm it, and one without it is no difference")
    func digests() throws {
        var bench = bench()
        let table = bench.kernel.membership.table.fingerprint
        let own = bench.kernel.digest
        #expect(own.members == table ^ ring([1]).fingerprint)
        func confirmed() -> Set<NodeID> {
            let command = bench.command(.ring(.read))
            guard case .ring(let view)? = bench.replies.last(where: { $0.id == command })?.reply else { return [] }
            return view.confirmed
        }
        bench.hear([.digest(own)], from: 2)
        #expect(confirmed() == [id(2)])
        var without = own
        without.members = table
        bench.clear()
        for _ in 0..<20 {
            bench.hear([.digest(without)], from: 3)
            bench.passAnswering(.milliseconds(500))
        }
        #expect(confirmed() == [id(2)])
        #expect(bench.kernel.statistics.memberSyncsStarted == 0)
        var other = own
        other.members = table ^ ring([1, 2]).fingerprint
        for _ in 0..<20 where bench.kernel.statistics.memberSyncsStarted == 0 {
            bench.hear([.digest(other)], from: 3)
            bench.passAnswering(.milliseconds(500))
        }
        #expect(bench.kernel.statistics.memberSyncsStarted == 1)
    }

    @Test("where plain packets are taken the ring has a mark of its own, and another mark starts an exchange of rings")
    func marks() throws {
        var bench = bench([1], .offered)
        #expect(bench.kernel.digest.members == bench.kernel.membership.table.fingerprint)
        bench.hear([.ping(Ping(sequence: 1, target: id(1)))], from: 2)
        let mark = Message.ringMark(ring([1]).fingerprint)
        #expect(bench.sent.contains { $0.packet.messages.contains(mark) })
        bench.clear()
        bench.hear([mark], from: 2)
        #expect(bench.opened.isEmpty)
        bench.hear([.ringMark(5), .ringMark(6)], from: 2)
        #expect(bench.opened.map(\.to) == [address(2)])
        var off = self.bench([1], .off)
        off.hear([.ringMark(5), .ping(Ping(sequence: 1, target: id(1)))], from: 2)
        #expect(off.opened.isEmpty)
        #expect(!off.sent.contains { $0.packet.messages.contains { if case .ringMark = $0 { true } else { false } } })
    }

    @Test("no text of anything that holds a ring shows its bytes")
    func silence() {
        let secret = ring([171, 205, 239])
        let things: [Any] = [
            secret.bytes, secret, Message.keyRing(secret.bytes), packet([.keyRing(secret.bytes)]),
            Action.ringChanged(secret.bytes),
            DurableRecord.ring(secret.bytes), Command.ring(.join(secret.bytes)),
            Reply.ring(RingView(ring: secret, confirmed: [])),
            Input.streamPacket(stream, packet([.keyRing(secret.bytes)])),
        ]
        for thing in things {
            var dumped = ""
            dump(thing, to: &dumped)
            for text in ["\(thing)", String(reflecting: thing), dumped] {
                #expect(!text.contains("171") && !text.contains("205") && !text.contains("abcd"), "\(text)")
            }
        }
    }
}
