// SPDX-License-Identifier: Apache-2.0
// Owns how this node moves through the space of round trips: Vivaldi's spring, outliers, the pull to the origin.

import ClusterTypes

/// One node's own place, moved by each round trip to a peer whose place is known (Vivaldi, Dabek et al., SIGCOMM 2004,
/// section 3, algorithm of figure 3).
package struct CoordinateClient: Hashable, Sendable {
    package private(set) var coordinate = Coordinate.origin
    /// Samples that were taken, refused as out of bounds, held back as outliers.
    package private(set) var samples: UInt64 = 0
    package private(set) var refused: UInt64 = 0
    package private(set) var outliers: UInt64 = 0

    private var recent: [NodeID: Recent] = [:]
    /// What is remembered of one peer; small, because there is one for each of thousands.
    private struct Recent: Hashable, Sendable {
        /// The latest three round trips in seconds, the newest first: the smallest counts, because lateness has many causes
        /// and no packet comes too early (the moving percentile filter of Ledlie et al., NSDI 2007, section 4.1).
        var trips: (Float, Float, Float) = (.infinity, .infinity, .infinity)
        /// How many in a row were held back as outliers.
        var heldBack: UInt8 = 0

        mutating func add(_ trip: Float) { trips = (trip, trips.0, trips.1) }

        var smallest: Double { Double(min(trips.0, trips.1, trips.2)) }

        static func == (a: Recent, b: Recent) -> Bool { a.trips == b.trips && a.heldBack == b.heldBack }

        func hash(into hasher: inout Hasher) {
            hasher.combine(trips.0)
            hasher.combine(trips.1)
            hasher.combine(trips.2)
            hasher.combine(heldBack)
        }
    }

    /// What the latest round trips had beyond the raw distances.
    private var residues: [Double] = []
    private var nextResidue = 0

    /// Vivaldi's c_e and c_c: how fast error and place follow a sample.
    static let errorGain = 0.25
    static let placeGain = 0.25
    /// Residues that the adjustment is the mean of.
    static let residueWindow = 20
    /// The pull to the origin is (distance / gravityRadius)^2 a sample: the whole cloud of nodes does not drift away.
    static let gravityRadius = 0.15
    /// Longer round trips are a stalled process, not a network.
    static let roundTripMax = 10.0
    /// Peers whose round trips are remembered at most.
    static let peersMax = 4_096
    /// A round trip this many times the expected one is held back, at most `heldBackMax` times in a row for one peer: then
    /// the network itself has changed.
    static let outlierFactor = 4.0
    static let heldBackMax: UInt8 = 3
    /// A place of so many samples and at most this error knows what to expect.
    static let settledSamples = 10
    static let settledError = 0.6
    /// Below this many seconds nothing is an outlier: a process that wakes up late takes as long.
    static let outlierMin = 0.005

    package init() {}

    /// Takes in one round trip to `peer`, which says that it is at `place`. Returns whether the own place has moved.
    package mutating func add(
        _ roundTrip: Interval, to peer: NodeID, at place: Coordinate, using rng: inout SeededGenerator
    ) -> Bool {
        let sample = roundTrip.seconds
        guard place.isWithinBounds, sample > 0, sample <= Self.roundTripMax else {
            refused += 1
            return false
        }
        let filtered = smallest(adding: sample, of: peer)
        if isOutlier(filtered, of: peer, at: place) {
            outliers += 1
            return false
        }
        samples += 1
        move(towards: place, roundTrip: filtered, using: &rng)
        adjust(place, roundTrip: filtered)
        pullToOrigin()
        if !coordinate.isWithinBounds { coordinate = .origin }
        return true
    }

    /// A peer is gone: its round trips are of no use any more.
    package mutating func forget(_ peer: NodeID) { recent[peer] = nil }

    private mutating func smallest(adding sample: Double, of peer: NodeID) -> Double {
        if recent[peer] == nil, recent.count >= Self.peersMax { recent.removeAll(keepingCapacity: true) }
        recent[peer, default: Recent()].add(Float(sample))
        return recent[peer]?.smallest ?? sample
    }

    private mutating func isOutlier(_ sample: Double, of peer: NodeID, at place: Coordinate) -> Bool {
        let expected = coordinate.distance(to: place).seconds
        let isSettled = samples >= Self.settledSamples && coordinate.error <= Self.settledError
        let heldBack = recent[peer]?.heldBack ?? 0
        guard isSettled, place.error <= Self.settledError, sample > Self.outlierMin,
            sample > expected * Self.outlierFactor, heldBack < Self.heldBackMax
        else {
            recent[peer]?.heldBack = 0
            return false
        }
        recent[peer]?.heldBack = heldBack + 1
        return true
    }

    private mutating func move(towards place: Coordinate, roundTrip: Double, using rng: inout SeededGenerator) {
        let distance = coordinate.rawDistance(to: place)
        let roundTrip = max(roundTrip, Coordinate.heightMin)
        // Vivaldi divides by the round trip. Beside round trips of half a millisecond, as within one site, the jitter of
        // longer ones is then an error of 100 % and more, and places that are good distrust themselves for ever. Divided by
        // the larger of both it is at most 1, whichever is too long.
        let wrong = abs(distance - roundTrip) / max(distance, roundTrip)
        let errors = max(coordinate.error + place.error, 1e-6)
        let weight = coordinate.error / errors
        let gain = Self.errorGain * weight
        coordinate.error = min(Coordinate.errorMax, max(0, wrong * gain + coordinate.error * (1 - gain)))
        push(from: place, by: Self.placeGain * weight * (roundTrip - distance), using: &rng)
    }

    /// Moves this place away from `other` by `force` seconds; towards it when negative.
    private mutating func push(from other: Coordinate, by force: Double, using rng: inout SeededGenerator) {
        var (dx, dy, dz) = (coordinate.x - other.x, coordinate.y - other.y, coordinate.z - other.z)
        var length = (dx * dx + dy * dy + dz * dz).squareRoot()
        let apart = length > 1e-6
        while length <= 1e-6 {
            // At one spot any direction will do.
            (dx, dy, dz) = (rng.fraction() - 0.5, rng.fraction() - 0.5, rng.fraction() - 0.5)
            length = (dx * dx + dy * dy + dz * dz).squareRoot()
        }
        coordinate.x += dx / length * force
        coordinate.y += dy / length * force
        coordinate.z += dz / length * force
        if apart {
            let shared = coordinate.height + other.height
            coordinate.height = max(Coordinate.heightMin, coordinate.height + shared * force / length)
            coordinate.height = min(coordinate.height, Coordinate.extentMax)
        }
    }

    private mutating func adjust(_ place: Coordinate, roundTrip: Double) {
        let residue = roundTrip - coordinate.rawDistance(to: place)
        if residues.count < Self.residueWindow {
            residues.append(residue)
        } else {
            residues[nextResidue] = residue
        }
        nextResidue = (nextResidue + 1) % Self.residueWindow
        // Half of it is the peer's to make up for.
        let mean = residues.reduce(0, +) / Double(residues.count) / 2
        coordinate.adjustment = min(max(mean, -Coordinate.extentMax), Coordinate.extentMax)
    }

    private mutating func pullToOrigin() {
        let (x, y, z) = (coordinate.x, coordinate.y, coordinate.z)
        let length = (x * x + y * y + z * z).squareRoot()
        guard length > 1e-6 else { return }
        let share = length / Self.gravityRadius
        let pull = min(share * share * 1e-3, 0.1 * length) / length
        coordinate.x -= x * pull
        coordinate.y -= y * pull
        coordinate.z -= z * pull
    }
}
