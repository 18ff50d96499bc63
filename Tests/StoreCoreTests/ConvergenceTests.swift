// SPDX-License-Identifier: Apache-2.0
// Owns the laws of the replicated types, checked over random histories.

import ClusterTypes
import StoreCore
import Testing

@Suite struct ConvergenceTests {
    static let seeds: [UInt64] = Array(1...12)

    @Test("Every store shows what the events that it has seen add up to", arguments: seeds)
    func model(seed: UInt64) {
        var fleet = Fleet(replicas: 4, seed: seed)
        for step in 0..<400 {
            fleet.step()
            for replica in fleet.stores.indices {
                fleet.stores[replica].checkInvariantsQuickly()
                if step % 20 == 0 { fleet.stores[replica].checkInvariants() }
                let difference = fleet.difference(replica)
                #expect(difference == nil, "seed \(seed), step \(step)")
                if difference != nil { return }
            }
        }
        #expect(fleet.doubleDots.isEmpty, "a dot was issued twice, seed \(seed)")
        #expect(fleet.dots.count > 100, "the history is too thin to say anything, seed \(seed)")
    }

    @Test("Joining rows is commutative, associative and idempotent", arguments: seeds)
    func rowLaws(seed: UInt64) {
        var fleet = Fleet(replicas: 4, seed: seed)
        for _ in 0..<400 { fleet.step() }
        // States that were never sent as deltas take part too.
        let rows = fleet.deltas.map(\.row) + fleet.stores.flatMap(\.allRows)
        var triples = 0
        for (_, rows) in Dictionary(grouping: rows, by: \.id) {
            for _ in 0..<60 {
                let a = rows[fleet.rng.index(below: rows.count)]
                let b = rows[fleet.rng.index(below: rows.count)]
                let c = rows[fleet.rng.index(below: rows.count)]
                #expect(Row.joined(a, a) == a, "seed \(seed)")
                #expect(Row.joined(a, b) == Row.joined(b, a), "seed \(seed)")
                #expect(
                    Row.joined(Row.joined(a, b), c) == Row.joined(a, Row.joined(b, c)), "seed \(seed)")
                #expect(Row.joined(a, b).defect == nil, "seed \(seed)")
                triples += 1
            }
        }
        #expect(triples >= 600)
    }

    @Test("Deltas in any order and repeated lead to the same rows and root", arguments: seeds)
    func anyOrder(seed: UInt64) {
        var fleet = Fleet(replicas: 4, seed: seed)
        for _ in 0..<400 { fleet.step() }
        var orders: [Store] = []
        for number in 0..<4 {
            var replica = store(20 + number)
            var deltas = fleet.deltas.map(\.row)
            deltas += deltas.prefix(50)
            deltas.shuffle(using: &fleet.rng)
            replica.mergeAll(deltas, wall: wall(fleet.time))
            replica.checkInvariants()
            orders.append(replica)
        }
        for replica in orders {
            #expect(replica.root == orders[0].root, "seed \(seed)")
            #expect(Set(replica.allRows) == Set(orders[0].allRows), "seed \(seed)")
            #expect(replica.list().entries == orders[0].list().entries, "seed \(seed)")
            #expect(replica.bytes == orders[0].bytes && replica.liveKeyCount == orders[0].liveKeyCount)
        }
        // Whole stores merge alike in any grouping.
        var leftFirst = store(30)
        for index in [0, 1, 2, 3] { leftFirst.mergeAll(fleet.stores[index].allRows, wall: wall(fleet.time)) }
        var rightFirst = store(31)
        for index in [3, 2, 1, 0, 3, 0] { rightFirst.mergeAll(fleet.stores[index].allRows, wall: wall(fleet.time)) }
        #expect(leftFirst.root == rightFirst.root, "seed \(seed)")
        #expect(leftFirst.root == orders[0].root, "seed \(seed)")
    }

    @Test("Deltas that never arrive are made up for by repair", arguments: seeds)
    func repaired(seed: UInt64) {
        var fleet = Fleet(replicas: 5, seed: seed)
        for step in 0..<500 {
            fleet.step()
            if step % 50 == 49 {
                let replica = fleet.rng.index(below: 5)
                fleet.repair(replica, from: (replica + 1) % 5)
            }
            // What is under way is lost.
            if step % 30 == 29 { fleet.deltas.removeAll() }
        }
        for _ in 0..<2 {
            for replica in 0..<5 { fleet.repair(replica, from: (replica + 1) % 5) }
        }
        for replica in 0..<5 { fleet.repair(replica, from: (replica + 2) % 5) }
        for replica in fleet.stores.indices {
            fleet.stores[replica].checkInvariants()
            #expect(fleet.difference(replica) == nil, "seed \(seed)")
            #expect(fleet.stores[replica].root == fleet.stores[0].root, "seed \(seed)")
            #expect(!fleet.stores[replica].context.hasGaps, "seed \(seed)")
            #expect(fleet.stores[replica].context == fleet.stores[0].context, "seed \(seed)")
        }
        for replica in 0..<5 {
            let batch = fleet.stores[replica].rowsMissing(from: fleet.stores[(replica + 1) % 5].context)
            #expect(batch.rows.isEmpty && batch.next == nil, "equal stores have nothing to send, seed \(seed)")
        }
    }

    @Test("Watchers who apply each change see what a read shows", arguments: seeds)
    func watchers(seed: UInt64) {
        var fleet = Fleet(replicas: 3, seed: seed)
        for _ in 0..<300 { fleet.step() }
        var replica = store(20)
        var shown: [String: KeyView.Content] = [:]
        for delta in fleet.deltas.map(\.row).shuffled(using: &fleet.rng) {
            let before = replica.read(delta.id.key)
            guard case .applied(let changes) = replica.merge(delta, wall: wall(fleet.time)) else { continue }
            for change in changes { Self.follow(change, &shown) }
            let after = replica.read(delta.id.key)
            #expect(shown[delta.id.key] == after?.content, "seed \(seed), \(changes)")
            if before?.content != after?.content { #expect(!changes.isEmpty, "seed \(seed)") }
            for change in changes { #expect(change.key == delta.id.key) }
        }
        #expect(!shown.isEmpty)
    }

    /// A watcher's own copy of what keys show.
    static func follow(_ change: Change, _ shown: inout [String: KeyView.Content]) {
        let key = change.key
        if let type = shown[key]?.type, type != change.type { shown[key] = nil }
        switch change.kind {
        case .put(let value): shown[key] = .register(value)
        case .delete: shown[key] = nil
        case .increment(let value, let delta):
            var before: Int64 = 0
            if case .counter(let value) = shown[key] { before = value }
            #expect(before + delta == value, "\(change)")
            shown[key] = .counter(value)
        case .add(let element), .remove(let element):
            var elements: [[UInt8]] = []
            if case .set(let known) = shown[key] { elements = known }
            let isThere = elements.contains(element)
            if case .add = change.kind {
                #expect(!isThere, "\(change)")
                elements.append(element)
            } else {
                #expect(isThere, "\(change)")
                elements.removeAll { $0 == element }
            }
            elements.sort { $0.lexicographicallyPrecedes($1) }
            shown[key] = elements.isEmpty ? nil : .set(elements)
        case .typeConflict(let kept, let aside):
            #expect(kept != aside && change.type == kept)
            if shown[key]?.type != kept { shown[key] = nil }
        }
    }
}
