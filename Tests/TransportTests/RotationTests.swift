// SPDX-License-Identifier: Apache-2.0
// Owns the proofs that keys change without anybody being cut off: rotations, partitions, crashes, over many seeds.

import ClusterTypes
import NodeKernel
import SWIMCore
import Sealing
import Testing

@testable import Transport

@Suite("Keys that change while nodes gossip")
struct RotationTests {
    private let old = sealKey(1)

    private func formed(_ count: Int, seed: UInt64, grace: Interval = KeyRing.graceDefault) -> SealedCluster {
        let cluster = SealedCluster(Array(repeating: [old], count: count), seed: seed, grace: grace)
        #expect(cluster.settle(within: .seconds(60)) == nil, "seed \(seed)")
        return cluster
    }

    private func rotate(_ cluster: SealedCluster, on number: Int, to key: ClusterKey, retiring: KeyID? = nil) {
        let refusal = cluster.change(number) { ring, now throws(KeyRingRefusal) in
            try ring.install(key, at: now)
            try ring.use(key.id, at: now)
            if let retiring { try ring.retire(retiring, at: now) }
        }
        #expect(refusal == nil)
    }

    @Test(
        "installed, used and retired in one breath on one node, a key reaches all, and nobody is called failed",
        arguments: 1...12)
    func rotation(seed: Int) {
        let cluster = formed(6, seed: UInt64(seed))
        cluster.lossPerMille = 20 * (seed % 3)
        let new = sealKey(UInt64(seed) + 100)
        rotate(cluster, on: 1 + seed % 6, to: new, retiring: old.id)
        #expect(cluster.settle(within: .seconds(30)) == nil)
        cluster.run(.seconds(30))
        #expect(cluster.disagreement == nil)
        for node in cluster.nodes {
            #expect(node.seal.settings.keys.map(\.id) == [new.id, old.id])
            #expect(node.failed == [], "n\(node.number) called somebody failed")
        }
    }

    @Test(
        "two halves that have moved on to keys of their own find each other by the key that both still take",
        arguments: 1...8, [false, true])
    func halves(seed: Int, restarted: Bool) {
        let cluster = formed(6, seed: UInt64(seed))
        cluster.cut = [1, 2, 3]
        cluster.run(.seconds(30))
        let (left, right) = (sealKey(UInt64(seed) + 200), sealKey(UInt64(seed) + 300))
        rotate(cluster, on: 1, to: left, retiring: seed.isMultiple(of: 2) ? old.id : nil)
        cluster.run(.seconds(10))
        rotate(cluster, on: 6, to: right)
        cluster.run(.seconds(20))
        #expect(Set((1...3).map { cluster[$0].seal.settings.keys.first?.id }) == [left.id])
        #expect(Set((4...6).map { cluster[$0].seal.settings.keys.first?.id }) == [right.id])
        if restarted {
            // No process remembers under which key any other one spoke.
            for number in 1...6 {
                cluster.crash(number)
                cluster.run(.milliseconds(100))
                cluster.restart(number, file: [old])
            }
            cluster.run(.seconds(10))
        }
        cluster.cut = []
        #expect(cluster.settle(within: .seconds(180)) == nil)
        // The later decision.
        #expect(cluster[1].seal.settings.keys.first?.id == right.id)
    }

    @Test("after partitions, crashes and changes on any node all end with one ring and one key", arguments: 1...24)
    func storm(seed: Int) {
        var rng = SeededGenerator(seed: UInt64(seed) + 1_000)
        func chance(_ percent: UInt64) -> Bool { rng.next() % 100 < percent }
        func pick() -> Int { 1 + Int(rng.next() % 5) }
        let cluster = formed(5, seed: UInt64(seed))
        cluster.lossPerMille = Int(rng.next() % 60)
        var made = 0
        for _ in 0..<12 {
            if chance(30) { cluster.cut = chance(50) ? [] : Set([pick(), pick()]) }
            let number = pick()
            if chance(25) {
                if cluster[number].isUp { cluster.crash(number) } else { cluster.restart(number, file: [old]) }
            }
            let one = pick()
            if cluster[one].isUp {
                let wish = rng.next() % 4
                // An operator picks among the keys that this node lists, and is refused now and then.
                let ids = cluster[one].keyRing.entries.map(\.id)
                let id = ids[Int(rng.next() % UInt64(ids.count))]
                made += 1
                let key = sealKey(UInt64(seed * 100 + made) + 5_000)
                cluster.change(one) { ring, now throws(KeyRingRefusal) in
                    switch wish {
                    case 0: try ring.install(key, at: now)
                    case 1: try ring.use(id, at: now)
                    case 2: try ring.retire(id, at: now)
                    case _:
                        try ring.install(key, at: now)
                        try ring.use(key.id, at: now)
                    }
                }
            }
            cluster.run(.milliseconds(Int(rng.next() % 15_000)))
        }
        cluster.cut = []
        for number in 1...5 where !cluster[number].isUp { cluster.restart(number, file: [old]) }
        #expect(cluster.settle(within: .seconds(240)) == nil)
    }

    @Test("a node that was down during a rotation comes back under the retired key within its grace, and not after")
    func away() {
        let cluster = formed(4, seed: 7, grace: .seconds(1_800))
        let new = sealKey(70)
        cluster.crash(4)
        cluster.run(.seconds(5))
        rotate(cluster, on: 2, to: new, retiring: old.id)
        cluster.run(.seconds(600))
        cluster.restart(4, file: [old])
        #expect(cluster.settle(within: .seconds(60)) == nil)
        #expect(cluster[4].seal.settings.keys.first?.id == new.id)

        // Another one, whose disk is gone too, comes when the time is over.
        cluster.crash(3)
        cluster.run(.seconds(2_000))
        for number in [1, 2, 4] { #expect(cluster[number].seal.settings.keys.map(\.id) == [new.id]) }
        cluster[3].ring = nil
        cluster.restart(3, file: [old])
        cluster.run(.seconds(60))
        #expect(cluster[3].kernel.membership.table.activePeers.isEmpty)
        #expect(cluster[1].seal.settings.keys.map(\.id) == [new.id])
        // With the new key in its file it is one of them again, and the old one does not come back by it.
        cluster.crash(3)
        cluster[3].ring = nil
        cluster.restart(3, file: [old, new])
        #expect(cluster.settle(within: .seconds(60)) == nil)
        for node in cluster.nodes { #expect(node.seal.settings.keys.map(\.id) == [new.id], "n\(node.number)") }
    }

    @Test("a node with another key alone learns nothing and is not heard")
    func stranger() {
        let cluster = SealedCluster([[old], [old], [sealKey(9)]], seed: 3)
        cluster.run(.seconds(60))
        #expect(cluster[3].kernel.membership.table.activePeers.isEmpty)
        #expect(cluster[3].keyRing.entries.count == 1 && cluster[1].keyRing.entries.count == 1)
        #expect(cluster[1].kernel.membership.table.activePeers.count == 1)
    }
}
