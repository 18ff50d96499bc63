// SPDX-License-Identifier: Apache-2.0
// Owns the tests of network coordinates: places come to express round trips, and no peer can throw them off.

import ClusterTypes
import NetworkCoordinates
import Testing

@Suite("Network coordinates")
struct CoordinateClientTests {
    /// Nodes of three sites: a few milliseconds within one, tens between them, each with an access link of its own.
    struct World {
        var clients: [CoordinateClient]
        let sites: [Int]
        let access: [Double]
        var rng: SeededGenerator

        static let between: [[Double]] = [[0.000_5, 0.030, 0.090], [0.030, 0.000_5, 0.070], [0.090, 0.070, 0.000_5]]

        init(nodes: Int, seed: UInt64) {
            var rng = SeededGenerator(seed: seed)
            sites = (0..<nodes).map { $0 % 3 }
            access = (0..<nodes).map { _ in 0.000_1 + 0.002 * rng.fraction() }
            clients = Array(repeating: CoordinateClient(), count: nodes)
            self.rng = rng
        }

        func roundTrip(_ a: Int, _ b: Int) -> Double {
            Self.between[sites[a]][sites[b]] + access[a] + access[b]
        }

        mutating func round(noise: (inout SeededGenerator) -> Double) {
            for node in clients.indices {
                let peer = rng.index(below: clients.count)
                guard peer != node else { continue }
                let sample = roundTrip(node, peer) * noise(&rng)
                _ = clients[node].add(
                    .seconds(sample), to: NodeID(high: 1, low: UInt64(peer)), at: clients[peer].coordinate, using: &rng)
            }
        }

        /// The median over all pairs of |expected - real| / real.
        func medianError() -> Double {
            var errors: [Double] = []
            for a in clients.indices {
                for b in clients.indices where a < b {
                    let expected = clients[a].coordinate.distance(to: clients[b].coordinate).seconds
                    errors.append(abs(expected - roundTrip(a, b)) / roundTrip(a, b))
                }
            }
            return errors.sorted()[errors.count / 2]
        }
    }

    @Test("after two hundred round trips of each node half of all pairs are within 15 percent", arguments: 1...8)
    func converges(seed: Int) {
        var world = World(nodes: 24, seed: UInt64(seed))
        for _ in 0..<200 { world.round { 1 + 0.1 * $0.fraction() } }
        #expect(world.medianError() < 0.15)
    }

    @Test("after eighty round trips of each node half of all pairs are within 25 percent", arguments: 1...8)
    func convergesSoon(seed: Int) {
        var world = World(nodes: 24, seed: UInt64(seed))
        for _ in 0..<80 { world.round { 1 + 0.1 * $0.fraction() } }
        #expect(world.medianError() < 0.25)
    }

    @Test("places that are good say so, although round trips within a site are shorter than the jitter of others")
    func trusted() {
        var world = World(nodes: 6, seed: 3)
        var doubts = 0
        for round in 0..<1_000 {
            world.round { 1 + 0.1 * $0.fraction() }
            if round >= 200 { doubts += world.clients.count { $0.coordinate.error > 0.6 } }
        }
        // Of 4 800 looks.
        #expect(doubts < 48, "\(doubts)")
        #expect(world.medianError() < 0.15)
    }

    @Test("one answer in twenty that is a hundred times too late moves nobody far", arguments: 1...4)
    func outliers(seed: Int) {
        var world = World(nodes: 24, seed: UInt64(seed))
        for _ in 0..<300 { world.round { $0.chance(0.05) ? 100 : 1 + 0.1 * $0.fraction() } }
        #expect(world.medianError() < 0.15)
    }

    @Test("what a peer cannot be, or a round trip cannot take, is refused and moves nothing")
    func refusals() {
        var client = CoordinateClient()
        var rng = SeededGenerator(seed: 1)
        let peer = NodeID(high: 0, low: 1)
        var place = Coordinate.origin
        place.x = .nan
        #expect(!client.add(.milliseconds(10), to: peer, at: place, using: &rng))
        place = .origin
        place.height = -1
        #expect(!client.add(.milliseconds(10), to: peer, at: place, using: &rng))
        #expect(!client.add(.seconds(11), to: peer, at: .origin, using: &rng))
        #expect(!client.add(.zero, to: peer, at: .origin, using: &rng))
        #expect(client.coordinate == .origin)
        #expect(client.refused == 4)
    }

    @Test("a peer that lies about its place cannot move this node out of bounds")
    func liar() {
        var client = CoordinateClient()
        var rng = SeededGenerator(seed: 2)
        let far = Coordinate(x: 3.1, y: -3.1, z: 3.1, height: 6, adjustment: 3, error: 0)
        for number in 0..<500 {
            _ = client.add(.seconds(9), to: NodeID(high: 0, low: UInt64(number)), at: far, using: &rng)
            #expect(client.coordinate.isWithinBounds)
        }
    }

    @Test("the form on the wire is exact to half its unit, and cut to the bounds")
    func wire() throws {
        let place = Coordinate(x: 0.0123, y: -0.3, z: 1.5, height: 0.000_42, adjustment: -0.001, error: 0.4)
        let read = try #require(Coordinate(wire: place.wire))
        #expect(abs(read.x - place.x) <= Coordinate.wireUnit / 2)
        #expect(abs(read.height - place.height) <= Coordinate.wireUnit / 2)
        #expect(abs(read.error - place.error) < 0.01)
        let beyond = Coordinate(x: 1e9, y: -1e9, z: 0, height: 1e9, adjustment: 0, error: 9)
        #expect(Coordinate(wire: beyond.wire)?.isWithinBounds == true)
        #expect(
            Coordinate(
                wire: WireCoordinate(x: .max, y: 0, z: 0, height: 0, adjustment: 0, error: 0)) == nil)
    }
}
