// SPDX-License-Identifier: Apache-2.0
// Owns the laws of collection and folding over random histories, driven as decision 0007 says.

import ClusterTypes
import StoreCore
import Testing

/// A fleet that collects: floors are agreed on by all, and taken over by each at its own time.
struct CollectingFleet {
    var fleet: Fleet
    let folds: Bool
    /// The floor that all have promised, and who has not raised theirs to it yet.
    var agreed: CollectionFloor?
    var waiting: [Int] = []
    var removed = 0
    var folded = 0
    var changedContent: String?
    private var epoch: UInt32 = 1

    init(seed: UInt64, folds: Bool) {
        fleet = Fleet(replicas: 4, seed: seed)
        fleet.keepsGroups = true
        self.folds = folds
        // A folded share stands under the newest stamp of all that went into it, which matters between types alone.
        if folds { fleet.keys.removeAll { $0 == "any" } }
    }

    mutating func step(_ number: Int) {
        fleet.step()
        if folds, fleet.rng.chance(0.03) {
            // A process begins anew.
            epoch += 1
            let replica = fleet.rng.index(below: 4)
            fleet.stores[replica].renewActor(to: actor(replica + 1, epoch: epoch))
        }
        if !waiting.isEmpty, fleet.rng.chance(0.3) { raise(waiting.removeFirst()) }
        if number % 20 == 0 { repairAll() }
        if number % 20 < 3 { agree() }
    }

    mutating func repairAll() {
        for _ in 0..<2 {
            for replica in 0..<4 { fleet.repair(replica, from: (replica + 1) % 4) }
        }
        for replica in 0..<4 { fleet.repair(replica, from: (replica + 2) % 4) }
    }

    /// Every member compares its dead rows with those of the first one, and its events of the actors to fold.
    mutating func agree() {
        guard waiting.isEmpty, fleet.time > 5 else { return }
        let floor = fleet.stores[0].floor
        let cutoff = max(floor.cutoff, HybridTimestamp(wall: wall(fleet.time - 5)))
        let candidates = folds ? fleet.stores[0].foldCandidates(isGone: { _ in false }, limit: 3) : []
        let hash = fleet.stores[0].deadRows(at: cutoff, folds: candidates).hash
        for store in fleet.stores where store.deadRows(at: cutoff, folds: candidates).hash != hash { return }
        let isHeldByAll = fleet.stores.allSatisfy { store in candidates.allSatisfy { store.holdsExactly($0) } }
        let named = isHeldByAll ? candidates.sorted() : []
        for replica in 0..<4 { fleet.stores[replica].noteClock(cutoff) }
        agreed = floor.joined(
            with: CollectionFloor(cutoff: cutoff, folded: named.map { .init($0, cutoff: cutoff) }))
        waiting = [0, 1, 2, 3].shuffled(using: &fleet.rng)
    }

    mutating func raise(_ replica: Int) {
        guard let agreed else { return }
        let before = fleet.keys.map { fleet.stores[replica].read($0)?.content }
        let change = fleet.stores[replica].raise(to: agreed)
        removed += change.removed.count
        folded += change.folded
        let after = fleet.keys.map { fleet.stores[replica].read($0)?.content }
        if before != after { changedContent = "\(before) became \(after) on \(replica)" }
    }

    mutating func finish() {
        while !waiting.isEmpty { raise(waiting.removeFirst()) }
        repairAll()
    }
}

@Suite struct CollectionFleetTests {
    @Test("No delete comes back, no value changes, and all end alike", arguments: 1...8, [false, true])
    func converges(seed: UInt64, folds: Bool) {
        var collecting = CollectingFleet(seed: seed, folds: folds)
        for step in 0..<400 {
            collecting.step(step)
            for replica in 0..<4 {
                collecting.fleet.stores[replica].checkInvariantsQuickly()
                if step % 25 == 0 { collecting.fleet.stores[replica].checkInvariants() }
                let difference = collecting.fleet.difference(replica)
                #expect(difference == nil, "seed \(seed), step \(step)")
                if difference != nil { return }
            }
            #expect(collecting.changedContent == nil, "seed \(seed), step \(step)")
        }
        collecting.finish()
        let stores = collecting.fleet.stores
        for replica in 0..<4 {
            stores[replica].checkInvariants()
            #expect(collecting.fleet.difference(replica) == nil, "seed \(seed)")
            #expect(stores[replica].root == stores[0].root, "seed \(seed)")
            #expect(stores[replica].context == stores[0].context && stores[replica].floor == stores[0].floor)
        }
        #expect(collecting.removed > 20, "too little was collected to say anything, seed \(seed)")
        if folds { #expect(collecting.folded > 8, "too little was folded to say anything, seed \(seed)") }
        #expect(collecting.fleet.doubleDots.isEmpty)
    }

    @Test("A store built from another's rows, in order, is the same store", arguments: 1...6 as ClosedRange<UInt64>)
    func loaded(seed: UInt64) {
        var collecting = CollectingFleet(seed: seed, folds: true)
        for step in 0..<300 { collecting.step(step) }
        collecting.finish()
        let original = collecting.fleet.stores[0]
        var copy = Store(
            actor: actor(99), configuration: StoreConfiguration(), floor: original.floor, context: original.context,
            expiredThrough: original.expiredThrough)
        var rows: [Row] = []
        original.forEachRow { rows.append($0) }
        copy.loadAll(rows)
        copy.checkInvariants()
        #expect(copy.root == original.root && copy.bytes == original.bytes && copy.deadCount == original.deadCount)
        #expect(copy.context == original.context && copy.list() == original.list())
        #expect(copy.rowsMissing(from: original.context).rows.isEmpty)
        var shuffled = Store(
            actor: actor(98), configuration: StoreConfiguration(), floor: original.floor, context: CausalContext(),
            expiredThrough: 0)
        shuffled.loadAll(rows.shuffled(using: &collecting.fleet.rng))
        shuffled.checkInvariants()
        #expect(shuffled.root == original.root && shuffled.list() == original.list())
        let isTakenTwice = shuffled.load(rows[0])
        #expect(!isTakenTwice)
        let root = shuffled.root
        var wrong = rows[0]
        wrong.id.key = ""
        let isWrongTaken = shuffled.load(wrong)
        #expect(!isWrongTaken)
        #expect(shuffled.root == root)
    }
}
