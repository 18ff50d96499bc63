// SPDX-License-Identifier: Apache-2.0
// Owns the tests of announced rows: gathered, pulled once from the nearest holder, passed on.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore
import Testing

@Suite("Pulling")
struct PullTests {
    private func dot(_ counter: UInt64, by number: Int = 2) -> Dot {
        Dot(actor: ActorID(node: id(number), epoch: 1), counter: counter)
    }

    private func large(_ counter: UInt64) -> Row {
        .register("large/\(counter)", [UInt8](repeating: 7, count: 5_000), by: 2, counter: counter)
    }

    /// Answers what waits on the bench's stream `index` with these rows.
    private func serve(_ bench: inout KernelBench, _ index: Int, _ rows: [Row], from number: Int) {
        bench.handle(.streamOpened(bench.opened[index].id))
        bench.hear(rows.map { .row($0) } + [.storeBatchEnd], on: bench.opened[index].id, from: number)
    }

    /// The member's round trips as the bench has measured them.
    private func measure(_ bench: inout KernelBench, _ number: Int, _ trip: Interval) {
        bench.clear()
        bench.command(.ping("n\(number)"))
        let pings = bench.sent.filter { $0.to == address(number) }.flatMap(\.packet.messages)
        bench.pass(trip)
        for case .ping(let ping) in pings { bench.hear([.ack(Ack(sequence: ping.sequence))], from: number) }
    }

    @Test("an announced row is pulled once, alone, and then announced on")
    func once() {
        var bench = KernelBench.knowing(2...5)
        bench.hear([.announcement([dot(1)])], from: 3)
        #expect(bench.opened.isEmpty, "announcers are gathered first")
        bench.hear([.announcement([dot(1)])], from: 4)
        bench.pass(.milliseconds(20))
        #expect(bench.opened.map(\.to) == [address(3)])
        // Under way: further announcements change nothing.
        bench.hear([.announcement([dot(1)])], from: 5)
        bench.pass(.milliseconds(20))
        bench.handle(.streamOpened(bench.opened[0].id))
        #expect(bench.frames(on: bench.opened[0].id) == [.rowRequest([dot(1)])])
        bench.sent.removeAll()
        bench.hear([.row(large(1)), .storeBatchEnd], on: bench.opened[0].id, from: 3)
        #expect(bench.value("large/1")?.count == 5_000)
        #expect(bench.closed == [bench.opened[0].id])
        bench.pass(.milliseconds(5))
        #expect(bench.sent.flatMap(\.packet.messages).contains(.announcement([dot(1)])))
        bench.hear([.announcement([dot(1)])], from: 2)
        bench.passAnswering(.seconds(1))
        #expect(bench.opened.count == 1)
    }

    @Test("the nearest of the holders is asked", arguments: [(3, 4), (4, 3)])
    func nearest(near: Int, far: Int) {
        var bench = KernelBench.knowing(2...5)
        measure(&bench, far, .milliseconds(40))
        measure(&bench, near, .milliseconds(2))
        bench.clear()
        for holder in [5, 3, 4] { bench.hear([.announcement([dot(1)])], from: holder) }
        bench.pass(.milliseconds(20))
        #expect(bench.opened.map(\.to) == [address(near)])
    }

    @Test("when a holder fails, the next one is asked, and in the end nobody")
    func nextHolder() {
        var bench = KernelBench.knowing(2...5)
        for holder in [2, 3, 4] { bench.hear([.announcement([dot(7, by: 9)])], from: holder) }
        bench.pass(.milliseconds(20))
        #expect(bench.opened.map(\.to) == [address(2)])
        bench.handle(.streamClosed(bench.opened[0].id, .refused))
        bench.pass(.zero)
        #expect(bench.opened.map(\.to) == [address(2), address(3)])
        // This one does not have it after all.
        serve(&bench, 1, [], from: 3)
        bench.pass(.zero)
        #expect(bench.opened.map(\.to) == [address(2), address(3), address(4)])
        bench.handle(.streamClosed(bench.opened[2].id, .timedOut))
        bench.passAnswering(.seconds(3))
        #expect(bench.opened.count == 3)
        #expect(bench.waiting { if case .sync = $0 { true } else { false } } == 0)
    }

    @Test("more than 64 rows of one holder are fetched by a synchronisation", arguments: [64, 65])
    func many(count: UInt64) {
        var bench = KernelBench.knowing(2...5)
        bench.hear([.announcement((1...count).map { dot($0) })], from: 2)
        bench.pass(.milliseconds(20))
        #expect(bench.opened.count == 1)
        bench.handle(.streamOpened(bench.opened[0].id))
        let first = bench.frames(on: bench.opened[0].id).first
        if count > 64 {
            guard case .storeRequest? = first else {
                Issue.record("\(String(describing: first))")
                return
            }
        } else {
            #expect(first == .rowRequest((1...count).map { dot($0) }))
        }
    }

    @Test("many announcements share a message, up to the datagram's size")
    func merged() {
        var bench = KernelBench.knowing(2...4)
        bench.persistsAtOnce = false
        for number in 0..<60 { bench.command(.put(key: "k\(number)", value: [UInt8](repeating: 1, count: 3_000))) }
        bench.persistAll()
        bench.pass(.milliseconds(50))
        let announcements = bench.sent.flatMap(\.packet.messages).filter(\.isAnnouncement).map(\.announced)
        #expect(Set(announcements.flatMap { $0 }).count == 60)
        #expect((announcements.map(\.count).max() ?? 0) > 30)
        #expect(bench.sent.allSatisfy { datagram in datagram.packet.messages.count { $0.isAnnouncement } <= 1 })
        let sizes = bench.sent.map { $0.packet.messages.reduce(FakeSizes.header) { $0 + FakeSizes.size(of: $1) } }
        #expect((sizes.max() ?? 0) <= 1_400)
    }

    @Test("rows that are not durable yet are not handed out; then they are, with their transaction")
    func served() {
        let transaction = EventDetails.Transaction(first: 1, count: 3)
        let rows = (1...3).map { counter in
            var row = Row.register("t/\(counter)", [1], by: 9, counter: UInt64(counter))
            row.details.transaction = transaction
            return row
        }
        var bench = KernelBench.holding(store(rows + [.register("other", [2], by: 9, counter: 4)]))
        bench.persistsAtOnce = false
        bench.command(.put(key: "mine", value: [3]))
        let stream = bench.accept(from: 2)
        bench.hear([.rowRequest([dot(3, by: 9), dot(99, by: 9)])], on: stream, from: 2)
        #expect(bench.frames(on: stream).isEmpty)
        bench.persistAll()
        bench.pass(.milliseconds(120))
        let keys = bench.frames(on: stream).compactMap { if case .row(let row) = $0 { row.id.key } else { nil } }
        #expect(keys.sorted() == ["t/1", "t/2", "t/3"])
        #expect(bench.frames(on: stream).last == .storeBatchEnd)
        // Nothing more is there.
        bench.hear([.storeContinue], on: stream, from: 2)
        #expect(bench.closed == [stream])
    }

    @Test("a transaction of many rows is announced by its last event alone", arguments: [64, 65])
    func transactions(count: UInt32) {
        var bench = KernelBench.knowing(2...4)
        let transaction = EventDetails.Transaction(first: 1, count: count)
        let rows = (1...UInt64(count)).map { counter in
            var row = Row.register("t/\(counter)", [1], by: 9, counter: counter)
            row.details.transaction = transaction
            return row
        }
        bench.hear(rows.map { .row($0) }, from: 2)
        bench.pass(.milliseconds(200))
        let messages = bench.sent.flatMap(\.packet.messages)
        let sent = Set(messages.compactMap { if case .row(let row) = $0 { row.id.key } else { nil } })
        let announced = Set(messages.flatMap(\.announced))
        #expect(sent.count == (count > 64 ? 0 : 64))
        #expect(announced == (count > 64 ? [dot(65, by: 9)] : []))
    }

    @Test("large values reach everybody over streams")
    func cluster() {
        var cluster = KernelCluster(5)
        cluster.start()
        cluster.run(.seconds(5))
        let before = cluster.connects
        _ = cluster.command(.put(key: "big", value: [UInt8](repeating: 9, count: 300_000)), on: 1)
        cluster.run(.milliseconds(500))
        #expect(cluster.nodes.allSatisfy { $0.value("big")?.count == 300_000 })
        #expect(cluster.connects - before == 4, "each node pulls once")
    }
}

extension Message {
    fileprivate var announced: [Dot] { if case .announcement(let dots) = self { dots } else { [] } }
    fileprivate var isAnnouncement: Bool { if case .announcement = self { true } else { false } }
}
