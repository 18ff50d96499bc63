// SPDX-License-Identifier: Apache-2.0
// Owns the tests of when a node synchronises and with whom: digests, gaps, quarantine.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore
import Testing

@Suite("Repair")
struct RepairTests {
    @Test("digest mismatch leads to repair only after it outlasts gossip")
    func digestMismatch() {
        var bench = KernelBench.knowing(2...3)
        let theirs = Digest(members: bench.kernel.digest.members, store: Hash128(high: 1, low: 2))
        bench.hear([.digest(theirs)], from: 2)
        bench.pass(.milliseconds(400))
        bench.hear([.digest(theirs)], from: 2)
        #expect(bench.kernel.statistics.storeSyncsStarted == 0)
        // An equal digest in between: it was news under way.
        bench.hear([.digest(bench.kernel.digest)], from: 3)
        bench.pass(.milliseconds(200))
        bench.hear([.digest(theirs)], from: 2)
        #expect(bench.kernel.statistics.storeSyncsStarted == 0)
        bench.pass(.milliseconds(500))
        bench.hear([.digest(theirs)], from: 2)
        #expect(bench.kernel.statistics.storeSyncsStarted == 1)
        // One at a time.
        bench.pass(.seconds(1))
        bench.hear([.digest(theirs)], from: 2)
        #expect(bench.kernel.statistics.storeSyncsStarted == 1)
    }

    @Test("where UDP is blocked, digests on the probes' streams still lead to repair")
    func digestOnStreams() {
        var bench = KernelBench.knowing(2...3)
        let theirs = Digest(members: bench.kernel.digest.members, store: Hash128(high: 1, low: 2))
        for sequence in 1...2 as ClosedRange<UInt32> {
            let stream = bench.accept(from: 2)
            bench.hear(
                [.ping(Ping(sequence: sequence, target: id(1))), .digest(theirs)], on: stream, from: 2)
            bench.pass(.milliseconds(600))
        }
        #expect(bench.kernel.statistics.storeSyncsStarted == 1)
    }

    @Test("a difference is repaired in the end even while our own digest keeps changing")
    func busyStore() {
        var bench = KernelBench.knowing(2...3)
        let theirs = Digest(members: bench.kernel.digest.members, store: Hash128(high: 1, low: 2))
        for round in 0..<60 {
            bench.command(.put(key: "k", value: [UInt8(round)]))
            bench.hear([.digest(theirs)], from: 2)
            bench.passAnswering(.milliseconds(100))
        }
        #expect(bench.kernel.statistics.storeSyncsStarted == 1)
    }

    @Test("member tables that stay different are exchanged, also while there always is news")
    func memberRepair() {
        var quiet = KernelBench.knowing(2...9)
        let theirs = { (bench: KernelBench) in Digest(members: 42, store: bench.kernel.store.root) }
        quiet.hear([.digest(theirs(quiet))], from: 2)
        #expect(quiet.kernel.statistics.memberSyncsStarted == 0)
        quiet.passAnswering(.milliseconds(2_100))
        quiet.hear([.digest(theirs(quiet))], from: 2)
        #expect(quiet.kernel.statistics.memberSyncsStarted == 1)
        var busy = KernelBench.knowing(2...9)
        for round in 1...70 as ClosedRange<UInt64> {
            busy.hear([alive(9, round + 1), .digest(theirs(busy))], from: 2)
            busy.passAnswering(.milliseconds(100))
        }
        #expect(busy.kernel.statistics.memberSyncsStarted == 1)
    }

    @Test("an unknown peer is asked for its table")
    func unknownPeer() {
        var bench = KernelBench.knowing(2...3)
        bench.hear([.ping(Ping(sequence: 1, target: id(1))), .digest(Digest(members: 7, store: .zero))], from: 8)
        #expect(bench.opened.map(\.to) == [address(8)])
    }

    @Test("a quarantined row does not keep two nodes synchronising")
    func futileSynchronisations() {
        var bench = KernelBench.knowing(2...3)
        let theirs = Digest(members: bench.kernel.digest.members, store: Hash128(high: 1, low: 2))
        let row = Row.register("far", [1], by: 2, counter: 5, wall: 1 << 47)
        for _ in 0..<1_200 {
            bench.hear([.digest(theirs)], from: 2)
            bench.passAnswering(.milliseconds(100))
            for stream in bench.opened {
                bench.handle(.streamOpened(stream.id))
                bench.hear([.row(row), .storeComplete(CausalContext())], on: stream.id, from: 2)
            }
            bench.clear()
        }
        // Two minutes: after 0.25, 0.5, 1, 2... s and then every 32 s.
        #expect((5...14).contains(bench.kernel.statistics.storeSyncsStarted))
        // Agreement ends the patience.
        bench.hear([.digest(bench.kernel.digest)], from: 3)
        let before = bench.kernel.statistics.storeSyncsStarted
        bench.passAnswering(.seconds(40))
        bench.hear([.digest(theirs)], from: 2)
        bench.passAnswering(.seconds(1))
        bench.hear([.digest(theirs)], from: 2)
        #expect(bench.kernel.statistics.storeSyncsStarted == before + 1)
    }

    @Test("a gap that nobody can fill does not keep a node synchronising")
    func unfillableGap() {
        var bench = KernelBench.knowing(2...3)
        bench.hear([.row(.register("k", [1], by: 9, counter: 2))], from: 2)
        #expect(bench.kernel.store.context.hasGaps)
        for _ in 0..<1_200 {
            bench.hear([.digest(bench.kernel.digest)], from: 2)
            bench.passAnswering(.milliseconds(100))
            for stream in bench.opened {
                bench.handle(.streamOpened(stream.id))
                bench.hear([.storeComplete(bench.kernel.store.context)], on: stream.id, from: 2)
            }
            bench.clear()
        }
        #expect((5...14).contains(bench.kernel.statistics.storeSyncsStarted))
    }

    @Test("a gap that lasts is repaired from whoever speaks next")
    func gap() {
        var bench = KernelBench.knowing(2...3)
        bench.hear([.row(.register("k", [1], by: 2, counter: 2))], from: 3)
        bench.hear([.digest(bench.kernel.digest)], from: 2)
        #expect(bench.kernel.statistics.storeSyncsStarted == 0)
        bench.pass(.milliseconds(500))
        bench.hear([.digest(bench.kernel.digest)], from: 2)
        #expect(bench.kernel.statistics.storeSyncsStarted == 1)
    }
}
