// SPDX-License-Identifier: Apache-2.0
// Owns the body of the message that carries a key ring: bytes that mean nothing here.

import NodeKernel

extension ByteSink {
    mutating func put(_ ring: RingBytes) {
        // No ring is as large; a larger one would be refused there.
        if ring.secretBytes.count > WireLayout.keyRingBytesMax { refuse() }
        put(counted: ring.secretBytes)
    }
}

extension ByteReader {
    mutating func keyRing() throws(DecodeFailure) -> RingBytes {
        RingBytes(try bytes(max: WireLayout.keyRingBytesMax))
    }
}
