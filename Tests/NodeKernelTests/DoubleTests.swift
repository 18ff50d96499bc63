// SPDX-License-Identifier: Apache-2.0
// Owns the tests of two living processes with one id: the later one ends, the older one goes on.

import ClusterTypes
import NodeKernel
import SWIMCore
import Testing

/// The bench's process starts at wall time 0, so that a double that did the same is decided by its address.
@Suite("Doubles")
struct DoubleTests {
    private static let elsewhere = address(0)

    /// A peer says that this node is at another address.
    private func hearOfDouble(_ bench: inout KernelBench, at place: Address = elsewhere) -> UInt32? {
        let info = MemberInfo(name: "n1", address: place, tags: [], protocolVersion: 1)
        bench.hear([.update(MemberUpdate(subject: id(1), incarnation: 1, claim: .alive(info)))], from: 2)
        for (packet, to) in bench.sent where to == place {
            for case .ping(let ping) in packet.messages where ping.target == id(1) { return ping.sequence }
        }
        return nil
    }

    private func refused(_ bench: KernelBench) -> [Address] {
        bench.log.compactMap { if case .refused(let address) = $0 { address } else { nil } }
    }

    @Test("A process that finds an older one with its id alive ends, and says nothing more")
    func later() throws {
        var bench = KernelBench.knowing(2...3)
        let sequence = try #require(hearOfDouble(&bench))
        bench.hear([.ack(Ack(sequence: sequence, wall: 0))], from: 1, at: Self.elsewhere)
        #expect(refused(bench) == [Self.elsewhere])
        #expect(bench.events.contains { if case .identityInUse = $0 { true } else { false } })
        bench.clear()
        bench.pass(.seconds(5))
        #expect(bench.sent.isEmpty && bench.opened.isEmpty, "no leave, no gossip")
    }

    @Test("The older process tells when it began, reports the double and goes on")
    func older() throws {
        var bench = KernelBench.knowing(2...3)
        let sequence = try #require(hearOfDouble(&bench))
        bench.hear([.ack(Ack(sequence: sequence, wall: 5))], from: 1, at: Self.elsewhere)
        #expect(refused(bench).isEmpty)
        bench.hear([.ping(Ping(sequence: 77, target: id(1)))], from: 1, at: Self.elsewhere)
        let answers = bench.sent.filter { $0.to == Self.elsewhere }.flatMap(\.packet.messages)
        #expect(answers.contains(.ack(Ack(sequence: 77, wall: 0))))
        #expect(bench.events.contains { if case .identityInUse = $0 { true } else { false } })
    }

    @Test("A node that moved asks its former address, where nobody or it itself answers, and serves")
    func moved() throws {
        var bench = KernelBench.knowing(2...3)
        let sequence = try #require(hearOfDouble(&bench))
        bench.clear()
        // The former address still leads here: our own question comes back.
        bench.hear([.ping(Ping(sequence: sequence, target: id(1)))], from: 1, at: Self.elsewhere)
        #expect(!bench.sent.contains { $0.packet.messages.contains { if case .ack = $0 { true } else { false } } })
        bench.hear([.ack(Ack(sequence: sequence, wall: 0))], from: 1, at: Self.elsewhere)
        #expect(refused(bench).isEmpty)
    }

    @Test("Answers that nobody asked for, and late ones, end nothing")
    func unasked() throws {
        var bench = KernelBench.knowing(2...3)
        bench.hear([.ack(Ack(sequence: 1, wall: 0))], from: 1, at: Self.elsewhere)
        bench.passAnswering(.seconds(61))
        bench.clear()
        #expect(hearOfDouble(&bench) == nil, "an old process asks nobody")
        #expect(refused(bench).isEmpty)
    }

    @Test("An evicted node tells it, leaves and stops; a forced forget needs the force")
    func evicted() {
        var bench = KernelBench.knowing(2...3)
        let plain = bench.command(.forget("n2", isForced: false))
        #expect(bench.answers(to: plain).contains { if case .failure(.memberIsActive) = $0 { true } else { false } })
        bench.command(.forget("n2", isForced: true))
        #expect(bench.state(2) == .forgotten)
        bench.hear([.update(MemberUpdate(subject: id(1), incarnation: 1, claim: .evicted(by: id(3))))], from: 3)
        #expect(bench.events.contains { if case .evicted(by: id(3)) = $0 { true } else { false } })
        bench.pass(.seconds(2))
        #expect(bench.stopped.count == 1)
    }
}
