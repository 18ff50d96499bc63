// SPDX-License-Identifier: Apache-2.0
// Owns the tests of wall clocks: who is the outlier, and that a wrong clock poisons nobody.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore
import Testing

@Suite("Clocks")
struct ClockTests {
    static let year: UInt64 = 31_536_000_000

    /// Runs until each peer has answered a probe; `offsets`: how far its clock is ahead of ours, in milliseconds.
    private func probe(_ bench: inout KernelBench, _ offsets: [Int: Int64]) {
        let end = bench.now + .seconds(2 * offsets.count + 2)
        while bench.now < end {
            bench.pass(.milliseconds(10))
            let datagrams = bench.sent
            bench.sent.removeAll()
            for (packet, _) in datagrams {
                for case .ping(let ping) in packet.messages {
                    guard let number = offsets.keys.first(where: { id($0) == ping.target }) else { continue }
                    let wall = UInt64(Int64(bench.clock.wall.milliseconds) + (offsets[number] ?? 0))
                    bench.hear([.ack(Ack(sequence: ping.sequence, wall: wall))], from: number)
                }
            }
        }
    }

    private func reports(_ bench: KernelBench) -> [KernelEvent] {
        bench.events.filter {
            switch $0 {
            case .clockOutlier, .clockRecovered: true
            case _: false
            }
        }
    }

    @Test(
        "the outlier is who differs from more than half of the others in one direction",
        arguments: [
            ([2: 0, 3: 0, 4: 0], false), ([2: 61_500, 3: 61_500, 4: 0], true), ([2: -90_000, 3: -90_000, 4: 0], true),
            ([2: 90_000, 3: 0, 4: 0], false), ([2: 90_000, 3: -90_000], false), ([2: 90_000], false),
            ([2: 90_000, 3: 90_000], true),
        ] as [([Int: Int64], Bool)])
    func outlier(_ offsets: [Int: Int64], _ expected: Bool) {
        var bench = KernelBench.knowing(2...(1 + offsets.count))
        probe(&bench, offsets)
        #expect(reports(bench).count == (expected ? 1 : 0))
        let written = bench.command(.put(key: "k", value: [1]))
        if case .failure(.clockOutlier(let offset))? = bench.answers(to: written).first {
            #expect(expected && offset.signum() == -(offsets[2] ?? 0).signum())
        } else {
            #expect(!expected)
        }
    }

    @Test("a clock that is set right is trusted again at once, one that is nearly right is not")
    func recovers() {
        var bench = KernelBench.knowing(2...4)
        bench.wallOffset = 90_000
        let offsets: [Int: Int64] = [2: -90_000, 3: -90_000, 4: -90_000]
        probe(&bench, offsets)
        #expect(reports(bench).count == 1)
        bench.wallOffset = 45_000
        bench.pass(.seconds(61))
        #expect(reports(bench).count == 1, "45 s off: allowed, but too near to the bound for one that was beyond it")
        bench.wallOffset = 0
        bench.pass(.seconds(61))
        #expect(reports(bench).last == .clockRecovered)
    }

    @Test(
        "a node one year ahead poisons nobody; set right, it comes back to the present and its writes go to the queue")
    func oneYearAhead() {
        var cluster = KernelCluster(3, configure: collecting)
        cluster.act(on: 3) { $0.wallOffset = Self.year }
        cluster.start()
        cluster.run(.milliseconds(200))
        cluster.ask(.put(key: "ahead", value: [3]), on: 3)
        cluster.run(.seconds(20))
        #expect(cluster[3].events.contains { if case .clockOutlier = $0 { true } else { false } })
        guard case .failure(.clockOutlier)? = cluster.ask(.put(key: "x", value: [1]), on: 3) else {
            Issue.record("the outlier takes a write")
            return
        }
        cluster.ask(.put(key: "k", value: [1]), on: 1)
        cluster.run(.seconds(100))
        for number in 1...2 {
            #expect(cluster[number].value("ahead") == nil)
            #expect(cluster[number].kernel.store.clock.seen.wall <= cluster[number].clock.wall)
            #expect(cluster.floor(number).cutoff.wall <= cluster[number].clock.wall)
        }
        cluster.act(on: 3) { $0.wallOffset = 0 }
        cluster.run(.seconds(60))
        #expect(cluster[3].disk.queue.map(\.cause) == [.clockAhead])
        #expect(cluster[3].kernel.store.clock.seen.wall <= cluster[3].clock.wall)
        cluster.ask(.put(key: "k", value: [2]), on: 3)
        cluster.run(.seconds(5))
        for number in 1...3 { #expect(cluster[number].value("k") == [2]) }
        let isAgreed = cluster.isAgreed
        #expect(isAgreed)
    }

    @Test("while the clock is the outlier nothing expires")
    func outlierExpiresNothing() {
        var bench = KernelBench.knowing(2...3)
        let options = WriteOptions(ttlMilliseconds: 3_600_000)
        bench.command(.write([.put(key: "k", value: [1])], options))
        bench.wallOffset = Self.year
        let offset = 0 - Int64(Self.year)
        for _ in 0..<20 { probe(&bench, [2: offset, 3: offset]) }
        #expect(bench.value("k") == [1])
        bench.wallOffset = 0
        for _ in 0..<3 { probe(&bench, [2: 0, 3: 0]) }
        #expect(reports(bench).last == .clockRecovered && bench.value("k") == [1])
    }

    @Test(
        "when the whole fleet was ahead, nobody resets: it goes on behind its stamps and says so",
        arguments: [false, true])
    func fleetAhead(areStoresEqual: Bool) {
        var cluster = KernelCluster(3, configure: collecting)
        for number in 1...3 { cluster.act(on: number) { $0.wallOffset = 3_600_000 } }
        cluster.start()
        cluster.run(.seconds(10))
        for number in 1...3 { cluster.ask(.put(key: "k\(number)", value: [1]), on: number) }
        cluster.run(.seconds(5))
        if !areStoresEqual {
            cluster.cut = [3]
            cluster.ask(.put(key: "late", value: [3]), on: 3)
            cluster.run(.milliseconds(200))
        }
        for number in 1...3 { cluster.act(on: number) { $0.wallOffset = 0 } }
        cluster.run(.milliseconds(200))
        cluster.cut = []
        cluster.run(.seconds(120))
        #expect((1...3).map { cluster.resets($0) } == [[], [], []])
        for number in 1...3 {
            if case .written? = cluster.ask(.put(key: "n\(number)", value: [7]), on: number) { continue }
            Issue.record("n\(number) takes no writes")
        }
        cluster.run(.seconds(20))
        for number in 1...3 {
            for key in ["n1", "n2", "n3"] { #expect(cluster[number].value(key) == [7]) }
            #expect(
                cluster[number].events.contains { if case .quarantined = $0 { true } else { false } }, "it is told")
        }
        let isAgreed = cluster.isAgreed
        #expect(isAgreed)
    }

    @Test("two nodes that were ahead take over the store of the one that was right all along")
    func mostAhead() {
        var cluster = KernelCluster(4, configure: collecting)
        for number in 3...4 { cluster.act(on: number) { $0.wallOffset = 3_600_000 } }
        cluster.start()
        cluster.run(.seconds(1))
        cluster.ask(.put(key: "ahead", value: [3]), on: 3)
        cluster.run(.seconds(20))
        for number in 3...4 { cluster.act(on: number) { $0.wallOffset = 0 } }
        cluster.run(.seconds(120))
        for number in 1...4 { #expect(cluster[number].kernel.store.clock.seen.wall <= cluster[number].clock.wall) }
        #expect((3...4).map { cluster.resets($0).count } == [1, 1])
        let isAgreed = cluster.isAgreed
        #expect(isAgreed)
    }

    @Test("a wall clock that runs back does not make stamps run back, not over a restart either")
    func runsBack() {
        var cluster = KernelCluster.collecting(1)
        cluster.ask(.put(key: "k", value: [1]), on: 1)
        let before = cluster[1].kernel.store.clock.seen
        cluster.crash(1)
        cluster.act(on: 1) { $0.wallOffset = 0 &- 50_000 }
        cluster.recover(1)
        cluster.run(.seconds(1))
        cluster.ask(.put(key: "k", value: [2]), on: 1)
        #expect(cluster[1].kernel.store.clock.seen > before)
        #expect(cluster[1].value("k") == [2])
    }

    @Test("alone behind its own stamps a node goes on, and says so once")
    func aloneBehind() {
        var cluster = KernelCluster.collecting(1)
        cluster.act(on: 1) { $0.wallOffset = Self.year }
        cluster.ask(.put(key: "k", value: [1]), on: 1)
        cluster.act(on: 1) { $0.wallOffset = 0 }
        cluster.run(.seconds(60))
        cluster.ask(.put(key: "k", value: [2]), on: 1)
        cluster.run(.seconds(60))
        #expect(cluster[1].value("k") == [2])
        let told = cluster[1].events.count { if case .quarantined(key: "k", _, _) = $0 { true } else { false } }
        #expect(told == 1)
    }
}
