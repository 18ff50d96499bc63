// SPDX-License-Identifier: Apache-2.0
// Owns the tests of places in the kernel: when they are told, what they are fed with, what is asked of them.

import ClusterTypes
import NetworkCoordinates
import NodeKernel
import SWIMCore
import StoreCore
import Testing

@Suite("Places in the space of round trips")
struct CoordinateTests {
    private func place(_ milliseconds: Double, error: UInt8 = 17) -> WireCoordinate {
        WireCoordinate(x: Int16(milliseconds * 10), y: 0, z: 0, height: 0, adjustment: 0, error: error)
    }

    /// What the kernel answers `peer`'s ping with.
    private func answer(_ bench: inout KernelBench, to peer: Int) -> [Message] {
        bench.sent.removeAll()
        bench.hear([.ping(Ping(sequence: 7, target: id(1)))], from: peer)
        return bench.messages(to: peer)
    }

    private func coordinates(_ messages: [Message]) -> [WireCoordinate] {
        messages.compactMap { if case .coordinate(let place) = $0 { place } else { nil } }
    }

    /// Peers that answer each probe after `trip` from the place that `places` gives them.
    private func probe(_ bench: inout KernelBench, for periods: Int, trip: Interval, from place: WireCoordinate?) {
        for _ in 0..<periods {
            bench.sent.removeAll()
            while !bench.sent.contains(where: {
                $0.packet.messages.contains { if case .ping = $0 { true } else { false } }
            }) { bench.pass(.milliseconds(1)) }
            let datagrams = bench.sent
            bench.pass(trip)
            for (packet, to) in datagrams {
                for case .ping(let ping) in packet.messages {
                    guard let peer = (2...9).first(where: { address($0) == to }) else { continue }
                    bench.hear((place.map { [.coordinate($0)] } ?? []) + [bench.ack(ping.sequence)], from: peer)
                }
            }
        }
    }

    private func estimate(_ bench: inout KernelBench, from: String?, to: String) -> Interval? {
        let id = bench.command(.roundTrips(from: from, to: to))
        guard case .roundTrips(_, let trips)? = bench.answers(to: id).first else { return nil }
        return trips.first?.estimate?.expected
    }

    @Test("the place goes in front of an ack, to each peer once, and again only when it has moved")
    func toldOnce() {
        var bench = KernelBench.knowing(2...4)
        let first = answer(&bench, to: 2)
        #expect(coordinates(first).count == 1)
        guard case .coordinate? = first.first else {
            Issue.record("\(first)")
            return
        }
        for _ in 0..<20 { #expect(coordinates(answer(&bench, to: 2)).isEmpty) }
        #expect(coordinates(answer(&bench, to: 3)).count == 1)
        probe(&bench, for: 40, trip: .milliseconds(20), from: place(20))
        #expect(coordinates(answer(&bench, to: 2)).count == 1, "it has moved")
        #expect(coordinates(answer(&bench, to: 2)).isEmpty)
        // Not a member: nobody is told.
        #expect(coordinates(answer(&bench, to: 9)).isEmpty)
    }

    @Test("however many must be told, no more than every fourth ack tells in the long run")
    func seldom() {
        var bench = KernelBench.knowing(2...900)
        var told: [Int] = []
        for peer in 2...900 where !coordinates(answer(&bench, to: peer)).isEmpty { told.append(peer) }
        // What a start has in hand: 128, and what they earn.
        #expect(told.prefix(170) == Array(2...171)[...])
        #expect(told.count <= 128 + 899 / 4 + 1)
        // Then a quarter.
        #expect((180...184).contains(told.count { $0 > 171 }), "\(told.count { $0 > 171 })")
    }

    @Test("a peer's place that was told a minute ago moves us when it was good, and not at all when it knew little")
    func lasting() {
        for (error, isUsed) in [(255, false), (60, false), (50, true)] as [(UInt8, Bool)] {
            var bench = KernelBench.knowing(2...4)
            for peer in 2...4 { bench.hear([.coordinate(place(20, error: error))], from: peer) }
            bench.passAnswering(.seconds(61))
            #expect(coordinates(answer(&bench, to: 2)).count == 1)
            probe(&bench, for: 30, trip: .milliseconds(80), from: nil)
            let told = coordinates(answer(&bench, to: 2))
            #expect(told.isEmpty != isUsed, "error \(error)/170: \(told)")
        }
    }

    @Test(
        "a peer that does not move and so tells no more is measured against for a minute: places in one site become good"
    )
    func settled() {
        var bench = KernelBench.knowing(2...4)
        for peer in 2...4 { bench.hear([.coordinate(place(0.3, error: 200))], from: peer) }
        probe(&bench, for: 50, trip: .microseconds(300), from: nil)
        let told = coordinates(answer(&bench, to: 2))
        #expect(told.first.map { $0.error < 128 } == true, "\(told)")
    }

    @Test("own direct probes move the place, and round trips to it are estimated then")
    func fed() throws {
        var bench = KernelBench.knowing(2...4)
        #expect(estimate(&bench, from: nil, to: "n2") == nil)
        probe(&bench, for: 60, trip: .milliseconds(30), from: place(30))
        let own = try #require(estimate(&bench, from: nil, to: "n2"))
        #expect(abs(own.milliseconds - 30) < 6, "\(own.milliseconds)")
        // Two others, who are at one place: nobody pinged anybody.
        let between = try #require(estimate(&bench, from: "n2", to: "n3"))
        #expect(between.milliseconds < 1)
        #expect(bench.kernel.statistics.roundTrips.count >= 60)
    }

    @Test("whoever never said where it is has no estimate, a place that knows nothing neither")
    func unknown() {
        var bench = KernelBench.knowing(2...4)
        probe(&bench, for: 20, trip: .milliseconds(30), from: nil)
        #expect(estimate(&bench, from: nil, to: "n2") == nil)
        bench.hear([.coordinate(place(5, error: 255))], from: 2)
        bench.hear([.coordinate(place(5))], from: 3)
        #expect(estimate(&bench, from: "n2", to: "n3") == nil)
    }

    @Test("the place of a member that left or was never one is not kept")
    func forgotten() {
        var bench = KernelBench.knowing(2...4)
        for peer in [2, 3, 9] { bench.hear([.coordinate(place(Double(peer)))], from: peer) }
        #expect(estimate(&bench, from: "n2", to: "n3") != nil)
        bench.hear([.update(MemberUpdate(subject: id(2), incarnation: 1, claim: .left(nil)))], from: 3)
        bench.hear([alive(2, 5), alive(9)], from: 3)
        #expect(estimate(&bench, from: "n2", to: "n3") == nil)
        #expect(estimate(&bench, from: "n9", to: "n3") == nil)
    }

    @Test("without a target all that take part are listed, measured or estimated, the nearest first")
    func listed() {
        var bench = KernelBench.knowing(2...4)
        bench.hear(
            [.coordinate(place(5)), .update(MemberUpdate(subject: id(4), incarnation: 1, claim: .left(nil)))], from: 2)
        let id = bench.command(.roundTrips(from: "n3", to: nil))
        guard case .roundTrips(let from, let trips)? = bench.answers(to: id).first else {
            Issue.record("no answer")
            return
        }
        #expect(from.member.info.name == "n3")
        #expect(trips.map(\.member.member.info.name) == ["n1", "n2"])
        let missing = bench.command(.roundTrips(from: nil, to: "nobody"))
        guard case .failure(.noSuchMember("nobody"))? = bench.answers(to: missing).first else {
            Issue.record("\(bench.answers(to: missing))")
            return
        }
    }

    @Test("rows are pulled from anybody who is about as near as the nearest", arguments: 1...6 as ClosedRange<UInt64>)
    func nearby(seed: UInt64) {
        var bench = KernelBench.knowing(2...6)
        bench.rng = SeededGenerator(seed: seed)
        probe(&bench, for: 60, trip: .milliseconds(20), from: place(20))
        // Never measured: what it says of its place decides.
        bench.hear([alive(9)], from: 2)
        bench.hear([.coordinate(place(300))], from: 9)
        bench.clear()
        let dot = Dot(actor: ActorID(node: id(8), epoch: 1), counter: seed)
        for holder in [9, 2, 3] { bench.hear([.announcement([dot])], from: holder) }
        bench.pass(.milliseconds(20))
        let asked = bench.opened.map(\.to)
        #expect(asked == [address(2)] || asked == [address(3)])
    }
}
