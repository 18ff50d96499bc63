// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the ring of ids against a sorted array, and of what its copies share.

import ClusterTypes
import SWIMCore
import Testing

@Suite("Member ring")
struct MemberRingTests {
    @Test("Thousands of random changes leave the ring equal to a sorted array", arguments: [1, 2, 3] as [UInt64])
    func model(seed: UInt64) {
        var rng = SeededGenerator(seed: seed)
        var ring = MemberRing()
        var model: Set<NodeID> = []
        for step in 0..<6_000 {
            // It grows to several chunks, shrinks to nothing, and grows again.
            let grows = step % 3_000 < 1_500
            let id = NodeID(high: UInt64(rng.index(below: 800)), low: 7)
            if rng.chance(grows ? 0.9 : 0.1) {
                let isNew = ring.insert(id)
                let isNewToo = model.insert(id).inserted
                #expect(isNew == isNewToo)
            } else {
                let wasThere = ring.remove(id)
                let wasThereToo = model.remove(id) != nil
                #expect(wasThere == wasThereToo)
            }
            if step % 50 == 0 || model.count < 3 {
                let sorted = model.sorted()
                #expect(ring.ids == sorted && ring.count == sorted.count)
                #expect((0..<ring.count).map { ring[$0] } == sorted)
                #expect(sorted.indices.allSatisfy { ring.place(of: sorted[$0]) == $0 })
                #expect(ring.place(of: NodeID(high: 900, low: 0)) == nil)
                ring.checkInvariants()
            }
        }
    }

    @Test("A copy that loses one of ten thousand ids shares all others but those beside it")
    func sharing() {
        var ring = MemberRing()
        for number in 0..<10_000 { _ = ring.insert(NodeID(high: UInt64(number), low: 0)) }
        var copy = ring
        let isGone = copy.remove(NodeID(high: 5_000, low: 0))
        #expect(isGone)
        let own = ring.ids.count { !copy.sharesChunk(with: ring, of: $0) }
        #expect((1...128).contains(own), "\(own) ids are the copy's own")
        #expect(ring.count == 10_000 && copy.count == 9_999)
    }
}
