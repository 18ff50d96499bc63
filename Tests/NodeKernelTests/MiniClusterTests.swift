// SPDX-License-Identifier: Apache-2.0
// Owns the tests of a mini-cluster: five kernels over a perfect network in virtual time.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore
import Testing

@Suite("Five kernels over a perfect network")
struct MiniClusterTests {
    private func formed() -> KernelCluster {
        var cluster = KernelCluster(5)
        cluster.start()
        cluster.run(.seconds(1))
        return cluster
    }

    @Test("they find each other within a second", arguments: 1...20)
    func form(seed: Int) {
        var cluster = KernelCluster(5, seed: UInt64(seed))
        cluster.start()
        cluster.run(.seconds(1))
        for node in cluster.nodes {
            #expect(node.kernel.membership.table.count(of: .alive) == 5, "node \(node.number)")
        }
        #expect(cluster.isAgreed)
    }

    @Test("a write is everywhere within ten milliseconds, and only then nowhere waiting")
    func write() throws {
        var cluster = formed()
        let id = cluster.command(.put(key: "web/port", value: [80]), on: 3)
        guard case .written(let report)? = cluster[3].answers(to: id).first else {
            Issue.record("the write was not answered")
            return
        }
        #expect(report.nodesHolding == 1 && report.nodesTotal == 5)
        cluster.run(.milliseconds(10))
        for number in 1...5 { #expect(cluster[number].value("web/port") == [80]) }
        cluster.run(.seconds(5))
        #expect(cluster.isAgreed)
        for node in cluster.nodes { #expect(node.kernel.membership.queue.isEmpty) }
    }

    @Test("a large value is announced and fetched by everyone")
    func largeValue() {
        var cluster = formed()
        let value = [UInt8](repeating: 7, count: 200_000)
        _ = cluster.command(.put(key: "big", value: value), on: 2)
        cluster.run(.milliseconds(500))
        for number in 1...5 { #expect(cluster[number].value("big") == value, "node \(number)") }
        #expect(cluster.isAgreed)
    }

    @Test("concurrent writes everywhere end in one root")
    func concurrentWrites() {
        var cluster = formed()
        for round in 0..<20 {
            for number in 1...5 {
                _ = cluster.command(.increment(key: "hits", by: Int64(number)), on: number)
                _ = cluster.command(.addElement([UInt8(round), UInt8(number)], key: "set"), on: number)
                _ = cluster.command(.put(key: "last/\(round % 3)", value: [UInt8(number)]), on: number)
            }
            cluster.run(.milliseconds(3))
        }
        cluster.run(.seconds(10))
        #expect(cluster.isAgreed)
        for node in cluster.nodes {
            #expect(node.kernel.store.read("hits")?.content == .counter(300))
            if case .set(let elements)? = node.kernel.store.read("set")?.content { #expect(elements.count == 100) }
            #expect(!node.kernel.store.context.hasGaps)
        }
    }

    @Test("a crashed node is failed by all within five seconds, and welcome back")
    func crash() {
        var cluster = formed()
        cluster.crash(4)
        cluster.run(.seconds(5))
        for number in [1, 2, 3, 5] { #expect(cluster[number].state(4) == .failed, "node \(number)") }
        _ = cluster.command(.put(key: "while/away", value: [1]), on: 1)
        cluster.run(.seconds(1))
        cluster.restart(4)
        cluster.run(.seconds(2))
        for number in 1...5 { #expect(cluster[number].kernel.membership.table.count(of: .alive) == 5) }
        #expect(cluster[4].value("while/away") == [1])
        #expect(cluster[1].kernel.membership.table[id(4)]?.incarnation ?? 0 > 1, "a new life has a new incarnation")
        cluster.run(.seconds(10))
        #expect(cluster.isAgreed)
    }

    @Test("a leaving node is acknowledged and stays away")
    func leave() {
        var cluster = formed()
        let command = cluster.command(.leave(deadline: .seconds(5)), on: 5)
        cluster.run(.milliseconds(100))
        guard case .left(let outcome)? = cluster[5].answers(to: command).first else {
            Issue.record("the leave was not answered")
            return
        }
        #expect(outcome.isQuorum && outcome.asked == 4)
        #expect(cluster[5].stopped.count == 1)
        cluster.run(.seconds(20))
        for number in 1...4 { #expect(cluster[number].state(5) == .left) }
        #expect(cluster[1].events.contains { if case .member(let event) = $0 { event.kind == .left } else { false } })
    }

    @Test("at rest nothing piles up: a minute costs two datagrams a second for each node and no stream")
    func rest() {
        var cluster = formed()
        cluster.run(.seconds(60))
        let before = (cluster.datagrams, cluster.connects)
        let timers = cluster.nodes.map(\.timers.count)
        cluster.run(.seconds(60))
        // A ping and an ack for each node and second.
        #expect((500...700).contains(cluster.datagrams - before.0), "\(cluster.datagrams - before.0) datagrams")
        #expect(cluster.connects == before.1)
        for (node, former) in zip(cluster.nodes, timers) {
            #expect(
                node.timers.count <= former + 2, "node \(node.number) has \(node.timers.count) timers, had \(former)")
            #expect(node.timers.count < 16)
            #expect(node.kernel.membership.awareness.score == 0)
        }
    }

    @Test("equal inputs give equal histories")
    func deterministic() {
        func history() -> [String] {
            var cluster = formed()
            cluster.crash(2)
            _ = cluster.command(.put(key: "a", value: [1]), on: 1)
            cluster.run(.seconds(8))
            return cluster.nodes.map { "\($0.events)" } + ["\(cluster.datagrams)"]
        }
        #expect(history() == history())
    }

    @Test("stores that grew apart are repaired by digests alone")
    func repair() {
        var cluster = formed()
        cluster.act(on: 2) { node in
            node.mergeUnheard((1...500).map { .register("k/\($0)", [1], by: 9, counter: $0) })
        }
        #expect(!cluster.isAgreed)
        cluster.run(.seconds(8))
        #expect(cluster.isAgreed)
        #expect(cluster[5].kernel.store.liveKeyCount == 500)
    }
}
