// SPDX-License-Identifier: Apache-2.0
// Owns the bodies of the messages that serve the operator's view: places in the space of round trips.

import NetworkCoordinates
import NodeKernel

extension ByteSink {
    mutating func put(_ place: WireCoordinate) {
        put(UInt16(bitPattern: place.x))
        put(UInt16(bitPattern: place.y))
        put(UInt16(bitPattern: place.z))
        put(place.height)
        put(UInt16(bitPattern: place.adjustment))
        put(place.error)
    }
}

extension ByteReader {
    mutating func coordinate() throws(DecodeFailure) -> WireCoordinate {
        let x = Int16(bitPattern: try uint16())
        let y = Int16(bitPattern: try uint16())
        let z = Int16(bitPattern: try uint16())
        let height = try uint16()
        let adjustment = Int16(bitPattern: try uint16())
        let place = WireCoordinate(x: x, y: y, z: z, height: height, adjustment: adjustment, error: try uint8())
        guard Coordinate(wire: place) != nil else { throw .bounds }
        return place
    }
}
