// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the causal context and the hybrid clock.

import ClusterTypes
import StoreCore
import Testing

@Suite struct HybridClockTests {
    @Test("Stamps follow the wall clock and never run backwards")
    func strictlyIncreasing() {
        var clock = HybridClock()
        let first = clock.next(wall: wall(5))
        #expect(first == HybridTimestamp(wall: wall(5)))
        let second = clock.next(wall: wall(5))
        let third = clock.next(wall: wall(1))
        #expect(second.rawValue == first.rawValue + 1 && third.rawValue == first.rawValue + 2)
        clock.observe(HybridTimestamp(wall: wall(100)))
        clock.observe(HybridTimestamp(wall: wall(50)))
        #expect(clock.next(wall: wall(6)).rawValue == HybridTimestamp(wall: wall(100)).rawValue + 1)
        #expect(clock.next(wall: wall(200)) == HybridTimestamp(wall: wall(200)))
    }

    @Test("A wall clock at its end does not overflow")
    func end() {
        var clock = HybridClock()
        let last = clock.next(wall: WallTime(milliseconds: .max))
        #expect(last.wall == HybridClock.wallMax)
        #expect(clock.next(wall: WallTime(milliseconds: .max)) > last)
    }

    @Test("How far a stamp is ahead is counted in milliseconds")
    func ahead() {
        let stamp = HybridTimestamp(wall: wall(70))
        #expect(HybridClock.milliseconds(of: stamp, aheadOf: wall(20)) == 50)
        #expect(HybridClock.milliseconds(of: stamp, aheadOf: wall(70)) == 0)
        #expect(HybridClock.milliseconds(of: stamp, aheadOf: wall(90)) == 0)
    }
}

@Suite struct CausalContextTests {
    static func context(_ counters: [UInt64], of number: Int = 1) -> CausalContext {
        var context = CausalContext()
        for counter in counters { context.insert(Dot(actor: actor(number), counter: counter)) }
        return context
    }

    @Test("Dots move from the cloud into the vector when the gap is filled")
    func compaction() {
        var context = Self.context([1, 2, 5, 7, 6])
        let a = actor(1)
        #expect(context.entries == [CausalContext.Entry(actor: a, contiguous: 2, cloud: [5, 6, 7])])
        #expect(context.hasGaps && context.cloudCount == 3 && context.highest(of: a) == 7)
        context.insert(Dot(actor: a, counter: 4))
        context.insert(Dot(actor: a, counter: 3))
        context.insert(Dot(actor: a, counter: 3))
        #expect(context.entries == [CausalContext.Entry(actor: a, contiguous: 7, cloud: [])])
        #expect(!context.hasGaps && context.cloudCount == 0)
    }

    @Test("Agrees with a plain set of dots", arguments: Array(1...20) as [UInt64])
    func model(seed: UInt64) {
        var rng = SeededGenerator(seed: seed)
        var contexts = [CausalContext(), CausalContext()]
        var sets: [Set<Dot>] = [[], []]
        for _ in 0..<120 {
            let dot = Dot(actor: actor(rng.index(below: 3)), counter: UInt64(rng.index(below: 30) + 1))
            let side = rng.index(below: 2)
            contexts[side].insert(dot)
            sets[side].insert(dot)
            if rng.chance(0.05) {
                contexts[side].formUnion(contexts[1 - side])
                sets[side].formUnion(sets[1 - side])
            }
            for side in 0..<2 {
                contexts[side].checkInvariants()
                #expect(CausalContext(entries: contexts[side].entries) == contexts[side], "seed \(seed)")
                for number in 0..<3 {
                    for counter in UInt64(1)...31 {
                        let dot = Dot(actor: actor(number), counter: counter)
                        #expect(contexts[side].contains(dot) == sets[side].contains(dot), "seed \(seed), \(dot)")
                    }
                }
                #expect(
                    contexts[side].isSuperset(of: contexts[1 - side]) == sets[side].isSuperset(of: sets[1 - side]),
                    "seed \(seed)")
            }
            #expect(contexts[0].union(contexts[1]) == contexts[1].union(contexts[0]), "seed \(seed)")
        }
    }

    @Test("A truncated cloud leaves out the later dots only")
    func truncated() {
        var context = Self.context([1, 3, 4, 9])
        context.formUnion(Self.context([2, 5], of: 2))
        let entries = context.entries(cloudMax: 2)
        #expect(entries == [CausalContext.Entry(actor: actor(1), contiguous: 1, cloud: [3, 4])])
        #expect(CausalContext(entries: entries).map(context.isSuperset) == true)
    }

    @Test(
        "Entries that no context makes are refused",
        arguments: [
            [CausalContext.Entry(actor: actor(1), contiguous: 0, cloud: [])],
            [CausalContext.Entry(actor: actor(1), contiguous: 4, cloud: [5])],
            [CausalContext.Entry(actor: actor(1), contiguous: 4, cloud: [3])],
            [CausalContext.Entry(actor: actor(1), contiguous: 0, cloud: [0])],
            [CausalContext.Entry(actor: actor(1), contiguous: 0, cloud: [1])],
            [CausalContext.Entry(actor: actor(1), contiguous: 4, cloud: [8, 7])],
            [CausalContext.Entry(actor: actor(1), contiguous: 4, cloud: [7, 7])],
            [CausalContext.Entry(actor: actor(1), contiguous: .max, cloud: [])],
            [CausalContext.Entry(actor: actor(1), contiguous: 1, cloud: [Dot.counterMax + 1])],
            [
                CausalContext.Entry(actor: actor(2), contiguous: 1, cloud: []),
                CausalContext.Entry(actor: actor(1), contiguous: 1, cloud: []),
            ],
            [
                CausalContext.Entry(actor: actor(1), contiguous: 1, cloud: []),
                CausalContext.Entry(actor: actor(1), contiguous: 2, cloud: []),
            ],
        ])
    func refused(entries: [CausalContext.Entry]) {
        #expect(CausalContext(entries: entries) == nil)
    }
}
