// SPDX-License-Identifier: Apache-2.0
// Owns the tests of collection: who agrees to what, when rows and actors go, and that no delete comes back.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore
import Testing

/// Collection in a minute instead of a day.
func collecting(_ number: Int, _ configuration: inout KernelConfiguration) {
    configuration.collectionGrace = .seconds(60)
    configuration.collectionInterval = .seconds(10)
    configuration.swim.reconnectInterval = .seconds(2)
}

extension KernelCluster {
    static func collecting(_ count: Int) -> KernelCluster {
        var cluster = KernelCluster(count, configure: NodeKernelTests.collecting)
        cluster.start()
        cluster.run(.seconds(10))
        return cluster
    }

    /// The answer that a client got so far.
    @discardableResult
    mutating func ask(_ command: Command, on number: Int) -> Reply? {
        let id = self.command(command, on: number)
        return self[number].answers(to: id).first
    }

    func rows(_ number: Int) -> Int { self[number].kernel.store.rowCount }
    func floor(_ number: Int) -> CollectionFloor { self[number].kernel.store.floor }

    mutating func waitsFor(_ number: Int) -> [String] {
        guard case .diagnosis(let diagnosis)? = ask(.diagnose, on: number) else { return ["no diagnosis"] }
        return diagnosis.collectionWaitsFor
    }

    func collections(_ number: Int) -> [Int] {
        self[number].events.compactMap { if case .collected(let rows, _, _) = $0 { rows } else { nil } }
    }

    func resets(_ number: Int) -> [Int] {
        self[number].events.compactMap { if case .storeReset(_, _, let queued, _) = $0 { queued } else { nil } }
    }

    func checkDisks() {
        for node in nodes where !crashed.contains(node.number) { node.checkDisk() }
    }
}

@Suite("Collection")
struct CollectionTests {
    @Test("what is deleted is forgotten by all once the grace time is over, and not before")
    func collects() {
        var cluster = KernelCluster.collecting(3)
        cluster.ask(.put(key: "k", value: [1]), on: 2)
        cluster.run(.seconds(1))
        cluster.ask(.delete(key: "k"), on: 3)
        cluster.run(.seconds(50))
        #expect((1...3).map { cluster.rows($0) } == [1, 1, 1])
        cluster.run(.seconds(40))
        #expect((1...3).map { cluster.rows($0) } == [0, 0, 0])
        #expect((1...3).map { cluster.collections($0) } == [[1], [1], [1]])
        #expect((1...3).map { cluster.resets($0) } == [[], [], []])
        #expect(cluster.floor(1) != .none && cluster.isAgreed)
        cluster.checkDisks()
    }

    @Test("nothing is forgotten while a member of record is away, and doctor names it")
    func waits() {
        var cluster = KernelCluster.collecting(3)
        cluster.ask(.put(key: "k", value: [1]), on: 2)
        cluster.run(.seconds(1))
        cluster.crash(3)
        cluster.ask(.delete(key: "k"), on: 1)
        cluster.run(.seconds(150))
        #expect([cluster.rows(1), cluster.rows(2)] == [1, 1])
        #expect(cluster.waitsFor(1) == ["n3"])
        guard case .done? = cluster.ask(.forget("n3", isForced: false), on: 2) else {
            return #expect(Bool(false), "not forgotten")
        }
        cluster.run(.seconds(30))
        #expect([cluster.rows(1), cluster.rows(2)] == [0, 0])
        #expect(cluster.waitsFor(1) == [])
    }

    @Test("a member that comes back in time is asked and nobody resets")
    func returns() {
        var cluster = KernelCluster.collecting(3)
        cluster.ask(.put(key: "k", value: [1]), on: 2)
        cluster.run(.seconds(1))
        cluster.crash(3)
        cluster.ask(.delete(key: "k"), on: 1)
        cluster.run(.seconds(90))
        cluster.recover(3)
        cluster.run(.seconds(40))
        #expect((1...3).map { cluster.rows($0) } == [0, 0, 0])
        #expect((1...3).map { cluster.resets($0) } == [[], [], []])
        cluster.checkDisks()
    }

    @Test("a node that restarts alone forgets nothing: it waits for the peers that it remembers")
    func restartsAlone() {
        var cluster = KernelCluster.collecting(3)
        cluster.ask(.put(key: "k", value: [1]), on: 2)
        cluster.run(.seconds(1))
        cluster.ask(.delete(key: "k"), on: 1)
        cluster.run(.seconds(2))
        cluster.crash(1)
        cluster.cut = [1]
        cluster.recover(1)
        cluster.run(.seconds(300))
        #expect(cluster.floor(1) == .none && cluster.rows(1) == 1)
        #expect(cluster.waitsFor(1) == ["n2", "n3"])
        cluster.cut = []
        cluster.run(.seconds(60))
        #expect((1...3).map { cluster.rows($0) } == [0, 0, 0])
    }

    @Test("a node that is alone collects nothing when the others are dropped from its table in the middle of a round")
    func alone() {
        var cluster = KernelCluster(3) {
            collecting($0, &$1)
            $1.swim.failedRetention = .seconds(30)
        }
        cluster.start()
        cluster.run(.seconds(10))
        cluster.ask(.put(key: "k", value: [1]), on: 1)
        cluster.run(.seconds(1))
        cluster.cut = [1]
        cluster.ask(.delete(key: "k"), on: 1)
        cluster.run(.seconds(300))
        #expect(cluster[1].kernel.membership.table.count == 1, "the others are dropped")
        #expect(cluster.floor(1) == .none && cluster.rows(1) == 1)
        #expect(cluster.waitsFor(1).count == 2)
        // Both sides have dropped each other, there are no seeds, and they find each other all the same.
        cluster.cut = []
        cluster.run(.seconds(240))
        let isAgreed = cluster.isAgreed
        #expect(isAgreed)
        #expect((1...3).map { cluster[$0].kernel.membership.table.count(of: .alive) } == [3, 3, 3])
    }

    @Test("an actor that a living node has left behind is folded, the one it writes under never")
    func leftBehind() {
        var cluster = KernelCluster.collecting(3)
        for _ in 1...2 {
            cluster.ask(.increment(key: "c", by: 5), on: 2)
            cluster.ask(.put(key: "k", value: [1]), on: 2)
            cluster.run(.seconds(1))
            cluster.crash(2)
            cluster.recover(2)
            cluster.run(.seconds(2))
        }
        cluster.ask(.put(key: "k", value: [2]), on: 2)
        cluster.ask(.put(key: "gone", value: [2]), on: 1)
        cluster.ask(.delete(key: "gone"), on: 1)
        cluster.run(.seconds(150))
        for number in 1...3 {
            let store = cluster[number].kernel.store
            #expect(store.floor.folded.map(\.actor.node) == [id(2), id(2)])
            #expect(!store.floor.folded.contains { $0.actor == cluster[2].kernel.store.actor })
            #expect(store.read("c")?.content == .counter(10))
        }
        #expect((1...3).map { cluster.resets($0) } == [[], [], []])
    }

    @Test("actors of hosts that are forgotten are folded: their counts and elements stay, their dots go")
    func folds() {
        var cluster = KernelCluster.collecting(4)
        for number in 1...4 {
            cluster.ask(.increment(key: "c", by: Int64(number)), on: number)
            cluster.ask(.addElement([UInt8(number)], key: "s"), on: number)
        }
        cluster.run(.seconds(2))
        cluster.crash(3)
        cluster.run(.seconds(20))
        cluster.ask(.forget("n3", isForced: false), on: 1)
        cluster.run(.seconds(30))
        cluster.crash(4)
        cluster.run(.seconds(20))
        cluster.ask(.forget("n4", isForced: false), on: 2)
        cluster.run(.seconds(60))
        for number in 1...2 {
            let store = cluster[number].kernel.store
            #expect(store.floor.folded.count == 2)
            #expect(store.context.entries.allSatisfy { $0.actor.node != id(3) && $0.actor.node != id(4) })
            #expect(store.read("c")?.content == .counter(10))
            #expect(store.read("s")?.content == .set([[1], [2], [3], [4]]))
        }
        let isAgreed = cluster.isAgreed
        #expect(isAgreed)
        cluster.checkDisks()
    }

    @Test("a node that was away beyond the floor does not bring a delete back, nor does a third one that met it")
    func staleNodes() {
        var cluster = KernelCluster.collecting(5)
        cluster.ask(.put(key: "gone", value: [1]), on: 4)
        cluster.run(.seconds(2))
        cluster.cut = [4, 5]
        cluster.run(.seconds(20))
        cluster.ask(.put(key: "mine", value: [4]), on: 4)
        cluster.ask(.delete(key: "gone"), on: 1)
        for name in ["n4", "n5"] { cluster.ask(.forget(name, isForced: false), on: 1) }
        cluster.run(.seconds(100))
        #expect(cluster.rows(1) == 0 && cluster.floor(1) != .none)
        #expect(cluster[5].value("mine") == [4] && cluster[5].value("gone") == [1])
        let actor = cluster[4].kernel.store.actor
        let revision = cluster[4].kernel.revision
        cluster.cut = []
        cluster.run(.seconds(60))
        let isAgreed = cluster.isAgreed
        #expect(isAgreed)
        for number in 1...5 { #expect(cluster[number].kernel.store.read("gone") == nil) }
        #expect(cluster.resets(4) == [1] && cluster.resets(5) == [0])
        #expect((1...3).map { cluster.resets($0) } == [[], [], []])
        #expect(cluster[4].disk.queue.map(\.row.id.key) == ["mine"])
        #expect(cluster[4].disk.queue.map(\.cause) == [.beforeFloor])
        #expect(cluster[4].kernel.store.actor != actor && cluster[4].kernel.revision > revision)
        cluster.ask(.put(key: "new", value: [9]), on: 4)
        cluster.run(.seconds(5))
        for number in 1...5 { #expect(cluster[number].value("new") == [9]) }
        cluster.checkDisks()
    }

    @Test("a fresh node joins a cluster that has forgotten things, and gets what is live, however old")
    func freshNode() {
        var cluster = KernelCluster(4, configure: collecting)
        cluster.crash(4)
        for number in 1...3 { cluster.act(on: number) { $0.handle(.start) } }
        cluster.run(.seconds(5))
        cluster.ask(.put(key: "old", value: [1]), on: 1)
        cluster.ask(.put(key: "k", value: [1]), on: 1)
        cluster.ask(.delete(key: "k"), on: 1)
        cluster.run(.seconds(100))
        #expect(cluster.rows(1) == 1 && cluster.floor(1) != .none)
        cluster.recover(4)
        cluster.run(.seconds(15))
        #expect(cluster[4].value("old") == [1])
        #expect(cluster.isAgreed && cluster.resets(4) == [0])
        cluster.checkDisks()
    }

    @Test("a write that lay on one node alone for longer than the grace time is not lost")
    func oldUnsentWrite() {
        var cluster = KernelCluster.collecting(3)
        cluster.ask(.put(key: "k", value: [1]), on: 1)
        cluster.ask(.delete(key: "k"), on: 1)
        cluster.run(.seconds(2))
        cluster.cut = [3]
        cluster.run(.seconds(5))
        cluster.ask(.put(key: "mine", value: [3]), on: 3)
        cluster.run(.seconds(90))
        cluster.cut = []
        cluster.run(.seconds(60))
        #expect(cluster.floor(1) != .none)
        for number in 1...3 { #expect(cluster[number].value("mine") == [3]) }
        #expect((1...3).map { cluster.resets($0) } == [[], [], []])
        let isAgreed = cluster.isAgreed
        #expect(isAgreed)
    }
}
