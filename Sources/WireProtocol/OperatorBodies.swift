// SPDX-License-Identifier: Apache-2.0
// Owns the bodies of the messages that serve the operator's view: places in the space of round trips, views, padding.

import NetworkCoordinates
import NodeKernel
import SWIMCore

extension ByteSink {
    mutating func put(_ place: WireCoordinate) {
        put(UInt16(bitPattern: place.x))
        put(UInt16(bitPattern: place.y))
        put(UInt16(bitPattern: place.z))
        put(place.height)
        put(UInt16(bitPattern: place.adjustment))
        put(place.error)
    }

    mutating func put(_ answer: ViewAnswer) {
        put(answer.id)
        put(answer.state?.rawValue ?? WireLayout.stateUnknown)
        put(answer.streamOnlyProbes)
        put(answer.awareness)
        put(answer.roundTripMicroseconds)
        let wall = min(answer.wall, WireLayout.ackWallMax)
        put(UInt16(truncatingIfNeeded: wall >> 32))
        put(UInt32(truncatingIfNeeded: wall))
    }

    mutating func put(padding count: Int) {
        put(UInt16(clamping: count))
        for _ in 0..<count { put(UInt8(0)) }
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

    /// What it holds means nothing.
    mutating func padding() throws(DecodeFailure) -> Int {
        let count = Int(try uint16())
        guard remaining >= count else { throw .truncated }
        return count
    }

    /// nil: a state that this version does not know.
    mutating func viewAnswer() throws(DecodeFailure) -> ViewAnswer? {
        let id = try uint32()
        let code = try uint8()
        let streamOnly = try uint8()
        let awareness = try uint8()
        let trip = try uint32()
        let high = UInt64(try uint16())
        let wall = high << 32 | UInt64(try uint32())
        let state = MemberState(rawValue: code)
        guard state != nil || code == WireLayout.stateUnknown else { return nil }
        return ViewAnswer(
            id: id, state: state, streamOnlyProbes: streamOnly, awareness: awareness, roundTripMicroseconds: trip,
            wall: wall)
    }
}
