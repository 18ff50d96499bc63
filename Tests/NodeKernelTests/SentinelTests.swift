// SPDX-License-Identifier: Apache-2.0
// Owns the tests of sentinels: whom a node watches, what the end of a stream means, and farewells.

import ClusterTypes
import NodeKernel
import SWIMCore
import Testing

@Suite("Sentinels")
struct SentinelTests {
    private func watching() throws -> (bench: KernelBench, stream: StreamID) {
        var bench = KernelBench.knowing(2...6) { $0.sentinels = 2 }
        bench.passAnswering(.seconds(5))
        let targets = bench.opened.map(\.to)
        #expect(targets == [address(2), address(3)] || targets == [address(3), address(2)])
        let stream = try #require(bench.opened.first { $0.to == address(2) }?.id)
        bench.handle(.streamOpened(stream))
        #expect(bench.frames(on: stream).contains(.sentinel(.hold)))
        bench.hear([.sentinel(.hold)], on: stream, from: 2)
        #expect(bench.kept == [stream])
        bench.clear()
        return (bench, stream)
    }

    @Test(
        "a held stream that breaks makes its member probed at once, over a stream as well",
        arguments: [StreamEnd.finished, .reset])
    func broken(end: StreamEnd) throws {
        var (bench, stream) = try watching()
        bench.handle(.streamClosed(stream, end))
        #expect(bench.opened.map(\.to) == [address(2)])
        #expect(bench.kernel.statistics.sentinelsBroken == 1)
    }

    @Test("a connection that the host took, and whose seal nobody answers, is a process that stands still")
    func standingStill() throws {
        var (bench, stream) = try watching()
        bench.handle(.streamClosed(stream, .reset))
        let probe = try #require(bench.opened.first?.id)
        bench.handle(.streamConnected(probe))
        #expect(bench.written.allSatisfy { $0.id != probe }, "nothing is sent before it is open")
        // It gets the patience that a plain stream's acceptance gives, and is not called unreachable after it.
        bench.passAnswering(.milliseconds(1_500), except: 2)
        #expect(bench.kernel.membership.table[id(2)]?.state == .alive)
        bench.passAnswering(.seconds(3), except: 2)
        let evidence = bench.events.compactMap {
            if case .member(let event) = $0, case .suspected(let evidence) = event.kind { evidence } else { nil }
        }
        #expect(evidence.map(\.isMute) == [true] && evidence.map(\.isUnreachable) == [false])
    }

    @Test("a farewell is no hint")
    func farewell() throws {
        var (bench, stream) = try watching()
        bench.hear([.sentinel(.farewell)], on: stream, from: 2)
        #expect(bench.closed == [stream])
        #expect(bench.opened.isEmpty && bench.kernel.statistics.sentinelsBroken == 0)
    }

    @Test("a stream of a peer is kept when it asks for that, and watched")
    func watched() {
        var bench = KernelBench.knowing(2...6) { $0.sentinels = 2 }
        let stream = StreamID(rawValue: 1)
        bench.handle(.streamAccepted(stream, from: address(5)))
        bench.hear([.sentinel(.hold)], on: stream, from: 5)
        #expect(bench.kept == [stream] && bench.frames(on: stream) == [.sentinel(.hold)])
        bench.clear()
        bench.handle(.timer(.streamIdle(stream)))
        #expect(bench.closed.isEmpty, "an idle stream is what it is for")
        bench.handle(.streamClosed(stream, .reset))
        #expect(bench.opened.map(\.to) == [address(5)])
    }

    @Test("whoever stops says farewell on every stream that is watched")
    func stopping() throws {
        var (bench, stream) = try watching()
        let accepted = StreamID(rawValue: 1)
        bench.handle(.streamAccepted(accepted, from: address(6)))
        bench.hear([.sentinel(.hold)], on: accepted, from: 6)
        bench.clear()
        bench.handle(.stopping)
        #expect(Set(bench.closed).isSuperset(of: [stream, accepted]))
        for id in [stream, accepted] { #expect(bench.frames(on: id) == [.sentinel(.farewell)]) }
    }

    @Test("peers keep no more streams than the bound; a stranger keeps none")
    func bounded() {
        var bench = KernelBench.knowing(2...20) { $0.sentinels = 2 }
        for number in 2...20 {
            let stream = StreamID(rawValue: UInt64(2 * number + 1))
            bench.handle(.streamAccepted(stream, from: address(number)))
            bench.hear([.sentinel(.hold)], on: stream, from: number)
        }
        #expect(bench.kept.count == 8)
        let stranger = StreamID(rawValue: 99)
        bench.handle(.streamAccepted(stranger, from: address(40)))
        bench.hear([.sentinel(.hold)], on: stranger, from: 40)
        #expect(bench.closed.contains(stranger) && bench.frames(on: stranger) == [.sentinel(.farewell)])
    }
}
