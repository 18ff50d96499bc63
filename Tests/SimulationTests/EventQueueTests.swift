// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the simulator's queue, links and figures.

import ClusterTypes
import Simulator
import Testing

@Suite("Event queue, links and figures")
struct EventQueueTests {
    @Test("Events come out by time, and at one time in the order they were put in", arguments: [1, 2, 3] as [UInt64])
    func order(seed: UInt64) {
        var rng = SeededGenerator(seed: seed)
        var queue = EventQueue<Int>()
        var expected: [(time: Int, number: Int)] = []
        var taken: [Int] = []
        for number in 0..<2_000 {
            let time = rng.index(below: 50)
            queue.push(number, at: Instant(nanoseconds: Int64(time)))
            expected.append((time, number))
        }
        while let (_, number) = queue.pop(until: Instant(nanoseconds: 100)) { taken.append(number) }
        expected.sort { $0.time != $1.time ? $0.time < $1.time : $0.number < $1.number }
        #expect(taken == expected.map(\.number))
    }

    @Test("Nothing that is later than the limit comes out")
    func limit() {
        var queue = EventQueue<String>()
        queue.push("late", at: Instant(nanoseconds: 11))
        queue.push("early", at: Instant(nanoseconds: 10))
        #expect(queue.pop(until: Instant(nanoseconds: 10))?.payload == "early")
        #expect(queue.pop(until: Instant(nanoseconds: 10)) == nil)
        #expect(queue.count == 1)
    }

    @Test("A packet's fate depends on its link and number alone")
    func linkRandomness() {
        var alone = LinkRandomness(seed: 7, nodes: 3)
        var busy = LinkRandomness(seed: 7, nodes: 3)
        for _ in 0..<10 { _ = busy.next(from: 2, to: 1) }
        for _ in 0..<10 {
            var a = alone.next(from: 0, to: 1)
            var b = busy.next(from: 0, to: 1)
            #expect(a.next() == b.next())
        }
        var back = alone.next(from: 1, to: 0)
        var forth = LinkRandomness(seed: 7, nodes: 3)
        var first = forth.next(from: 0, to: 1)
        #expect(back.next() != first.next())
    }

    @Test("A later statement about a link replaces the earlier one, and one about all links its exceptions")
    func linkTable() {
        var table = LinkTable()
        let one = NodeMask([0], count: 3)
        let two = NodeMask([1], count: 3)
        table.change(.loss(0.1))
        table.change(.loss(0.5), from: one, to: two)
        table.change(.duplication(0.2), from: one, to: two)
        #expect(table.settings(from: 0, to: 1).loss == 0.5)
        #expect(table.settings(from: 1, to: 0).loss == 0.1)
        table.change(.loss(0))
        #expect(table.settings(from: 0, to: 1).loss == 0)
        #expect(table.settings(from: 0, to: 1).duplication == 0.2)
    }

    @Test("Barriers block what they say and no more")
    func topology() {
        var topology = Topology()
        let cut = Topology.Barrier.cut(from: NodeMask([0], count: 4), to: NodeMask([1], count: 4))
        topology.raise(cut)
        #expect(topology.blocks(from: 0, to: 1))
        #expect(!topology.blocks(from: 1, to: 0))
        #expect(topology.connects(0, 1, relays: [true, true, true, true]))
        #expect(!topology.connects(0, 1, relays: [true, true, false, false]))
        topology.lower(cut)
        #expect(!topology.blocks(from: 0, to: 1))
        topology.raise(.partition([0, 0, 1, -1]))
        #expect(topology.blocks(from: 0, to: 2) && topology.blocks(from: 2, to: 0))
        #expect(!topology.blocks(from: 0, to: 1) && !topology.blocks(from: 0, to: 3))
        topology.heal()
        topology.raise(.isolation(NodeMask([3], count: 4)))
        #expect(topology.blocks(from: 3, to: 0) && topology.blocks(from: 0, to: 3) && !topology.blocks(from: 0, to: 1))
    }

    @Test(
        "Figures round half away from zero",
        arguments: [
            (0.0005, 3, "0.001"), (1.0, 3, "1.000"), (12.3456, 2, "12.35"), (-0.0001, 3, "0.000"), (-1.5, 0, "-2"),
        ] as [(Double, Int, String)])
    func decimals(value: Double, digits: Int, text: String) {
        #expect(Figure.decimal(value, digits: digits) == text)
    }

    @Test(
        "Large counts are grouped", arguments: [(0, "0"), (999, "999"), (1_000, "1 000"), (-12_034_005, "-12 034 005")])
    func grouped(value: Int, text: String) {
        #expect(Figure.grouped(value) == text)
    }

    @Test("Quantiles are samples that were seen")
    func quantiles() throws {
        var samples = Samples()
        for value in (1...200).reversed() { samples.add(.milliseconds(value)) }
        let summary = try #require(samples.summary)
        #expect(summary.first == .milliseconds(1))
        #expect(summary.median == .milliseconds(100))
        #expect(summary.p99 == .milliseconds(198))
        #expect(summary.last == .milliseconds(200))
        #expect(Samples().summary == nil)
    }
}
