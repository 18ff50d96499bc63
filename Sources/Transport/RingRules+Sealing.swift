// SPDX-License-Identifier: Apache-2.0
// Owns what the kernel is told of key rings: how two of them are joined, without I/O.

import ClusterTypes
import NodeKernel
import Sealing

extension RingRules {
    /// Rings as `Sealing` knows them; a retired key is dropped when `grace` is over.
    package static func sealing(grace: Interval = KeyRing.graceDefault) -> RingRules {
        RingRules { ours, theirs, wall in
            var ring = KeyRing()
            for bytes in [ours, theirs].compactMap({ $0 }) {
                guard let other = try? KeyRing(encoded: bytes.secretBytes) else { return nil }
                ring.merge(other)
            }
            _ = ring.expire(at: wall, grace: grace)
            return Ring(ring)
        }
    }
}

extension Ring {
    package init(_ ring: KeyRing) {
        self.init(bytes: RingBytes(ring.encoded()), fingerprint: ring.fingerprint)
    }
}
