// SPDX-License-Identifier: Apache-2.0
// Owns a place in the space of round trips: its distance to another place, its bounds, its form on the wire.

import ClusterTypes

/// A place such that the distance of two places is the round trip between their nodes.
///
/// Three dimensions and a height (Dabek, Cox, Kaashoek and Morris, "Vivaldi", SIGCOMM 2004, section 5.4: the access link
/// that every path of a node shares), and an adjustment (Ledlie, Gardner and Seltzer, NSDI 2007) that makes up for what no
/// place can express, such as a round trip that is dominated by a slow process. All in seconds.
package struct Coordinate: Hashable, Sendable {
    package var x: Double
    package var y: Double
    package var z: Double
    /// At least `heightMin`.
    package var height: Double
    package var adjustment: Double
    /// How far this place is to be trusted, as the mean error of its distances relative to the longer of distance and round
    /// trip: 0 (exact) ... 1, and `errorMax` as long as nothing was measured.
    package var error: Double

    package static let heightMin = 10e-6
    package static let errorMax = 1.5
    /// No node on Earth is further away; also what the form on the wire can hold.
    package static let extentMax = 3.2
    /// On the wire lengths are whole multiples of this: 100 microseconds.
    package static let wireUnit = 100e-6

    /// The place of a node that has measured nothing yet.
    package static let origin = Coordinate(x: 0, y: 0, z: 0, height: heightMin, adjustment: 0, error: errorMax)

    package init(x: Double, y: Double, z: Double, height: Double, adjustment: Double, error: Double) {
        self.x = x
        self.y = y
        self.z = z
        self.height = height
        self.adjustment = adjustment
        self.error = error
    }

    /// Whether a peer may claim it.
    package var isWithinBounds: Bool {
        [x, y, z, adjustment].allSatisfy { $0.isFinite && abs($0) <= Self.extentMax }
            && (0...2 * Self.extentMax).contains(height) && (0...Self.errorMax).contains(error)
    }

    /// The distance without adjustments, in seconds.
    package func rawDistance(to other: Coordinate) -> Double {
        let (dx, dy, dz) = (x - other.x, y - other.y, z - other.z)
        return (dx * dx + dy * dy + dz * dz).squareRoot() + height + other.height
    }

    /// The round trip to expect between the two nodes.
    package func distance(to other: Coordinate) -> Interval {
        let raw = rawDistance(to: other)
        let adjusted = raw + adjustment + other.adjustment
        return .seconds(adjusted > 0 ? adjusted : raw)
    }

    /// What `init(wire:)` reads. What does not fit is cut to the bound.
    package var wire: WireCoordinate {
        func short(_ length: Double) -> Int16 {
            Int16(min(max((length / Self.wireUnit).rounded(), -32_000), 32_000))
        }
        return WireCoordinate(
            x: short(x), y: short(y), z: short(z),
            height: UInt16(min(max((height / Self.wireUnit).rounded(), 0), 64_000)), adjustment: short(adjustment),
            error: UInt8(min(max((error * WireCoordinate.errorUnits).rounded(), 0), 255)))
    }

    /// Nil when a length is beyond the bound.
    package init?(wire: WireCoordinate) {
        func length(_ units: Int16) -> Double { Double(units) * Self.wireUnit }
        self.init(
            x: length(wire.x), y: length(wire.y), z: length(wire.z), height: Double(wire.height) * Self.wireUnit,
            adjustment: length(wire.adjustment), error: Double(wire.error) / WireCoordinate.errorUnits)
        if !isWithinBounds { return nil }
    }
}

/// A place as messages carry it and as tables of peers hold it: 11 bytes on the wire, 12 in memory.
///
/// Lengths are whole multiples of `Coordinate.wireUnit`, the height unsigned; the error is in 1/170.
package struct WireCoordinate: Hashable, Sendable {
    package var x: Int16
    package var y: Int16
    package var z: Int16
    package var height: UInt16
    package var adjustment: Int16
    package var error: UInt8

    static let errorUnits = 170.0

    package init(x: Int16, y: Int16, z: Int16, height: UInt16, adjustment: Int16, error: UInt8) {
        self.x = x
        self.y = y
        self.z = z
        self.height = height
        self.adjustment = adjustment
        self.error = error
    }

    /// How far the distances from one place may differ from those from the other, at most; in seconds.
    package func shift(to other: WireCoordinate) -> Double {
        let (dx, dy, dz) = (Double(x) - Double(other.x), Double(y) - Double(other.y), Double(z) - Double(other.z))
        let units =
            (dx * dx + dy * dy + dz * dz).squareRoot() + (Double(height) - Double(other.height)).magnitude
            + (Double(adjustment) - Double(other.adjustment)).magnitude
        return units * Coordinate.wireUnit
    }
}
