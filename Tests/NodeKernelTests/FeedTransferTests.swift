// SPDX-License-Identifier: Apache-2.0
// Owns the tests of exchanges with a host that refuses the strict group's rows, because its own group is another one.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore
import StrictCore
import StrictGroup
import Testing

@Suite("Rows of a strict group that a peer refuses")
struct FeedTransferTests {
    private static let former: UInt64 = 77
    private static let present: UInt64 = 78

    private static func feedRows(_ count: UInt64) throws -> [Row] {
        let changes = try (1...count).map { number in
            let key = try #require(StrictKey("lock/\(number)"))
            return StrictFeedChange(
                number: number, index: number + 9, time: 1_700_000_000_000, key: key,
                value: [UInt8](repeating: 7, count: 1_000))
        }
        return NodeKernel.rows(of: changes, by: .strictFeed(group: present))
    }

    /// A host with the rows of the present group, and one that belongs to the former one.
    private struct Hosts {
        var pair: ExchangePair
        let isBehindLeft: Bool
        /// Marks of the present group come to the one that was left behind.
        var isPresentAlive = true

        var behind: KernelBench {
            get { isBehindLeft ? pair.left : pair.right }
            set { if isBehindLeft { pair.left = newValue } else { pair.right = newValue } }
        }
        var ahead: KernelBench { isBehindLeft ? pair.right : pair.left }

        init(isBehindLeft: Bool, ordinary: [Row], fed: [Row]) {
            self.isBehindLeft = isBehindLeft
            func bench(_ rows: [Row], _ number: Int, peers: [Int]) -> KernelBench {
                .holding(FeedTransferTests.store(rows, number), number: number, peers: peers) {
                    $0.strict = StrictConfiguration(prefixes: ["lock/"], voters: .names(["n9"]), isEligible: false)
                }
            }
            pair = ExchangePair(
                bench(isBehindLeft ? ordinary : ordinary + fed, 1, peers: [2, 3]),
                bench(isBehindLeft ? ordinary + fed : ordinary, 2, peers: [1]))
        }

        private func mark(_ group: UInt64) -> StrictMark {
            StrictMark(
                group: group, term: 1, leader: id(9), changes: 0, wall: behind.clock.wall.milliseconds, voters: [id(9)])
        }

        /// - Returns: How many rows of the feed travelled.
        mutating func exchange() -> Int {
            let peer = isBehindLeft ? 3 : 1
            behind.hear([.strictMark(mark(FeedTransferTests.former))], from: peer)
            for _ in 0..<2 where isPresentAlive {
                pair.run(.milliseconds(20))
                behind.hear([.strictMark(mark(FeedTransferTests.present))], from: peer)
            }
            let before = pair.frames.count
            // Others are equal: no reason for patience.
            pair.left.hear([.digest(pair.left.kernel.digest)], from: 3)
            pair.synchronise()
            pair.run(.seconds(3))
            return pair.frames.dropFirst(before).flatMap(\.packet.messages).count {
                if case .row(let row) = $0 { row.author.isStrictFeed } else { false }
            }
        }
    }

    static func store(_ rows: [Row], _ number: Int) -> Store { NodeKernelTests.store(rows, number: number) }

    @Test(
        "They are sent once, then one of them in each exchange, and all when they are taken",
        arguments: [true, false], [1, 80])
    func refused(isBehindLeft: Bool, actors: Int) throws {
        let fed = try Self.feedRows(300)
        let ordinary = rows(0..<400, actors: actors)
        var hosts = Hosts(isBehindLeft: isBehindLeft, ordinary: ordinary, fed: fed)
        #expect(hosts.exchange() == 300)
        for _ in 0..<8 { #expect(hosts.exchange() == 1) }
        #expect(hosts.behind.value("lock/1") == nil)
        #expect(hosts.behind.kernel.statistics.strictForeignRows == 308)
        let feed = ActorID.strictFeed(group: Self.present)
        #expect(hosts.behind.kernel.store.context.contiguous(of: feed) == 0)
        // The other group is gone, as far as the one that was left behind can tell.
        hosts.isPresentAlive = false
        hosts.pair.run(.seconds(15))
        let taken = (0..<4).map { _ in hosts.exchange() }
        #expect((300...303).contains(taken.reduce(0, +)), "\(taken)")
        #expect(hosts.behind.value("lock/300") != nil && hosts.behind.kernel.store.context.contiguous(of: feed) == 300)
        #expect(hosts.pair.isEqual)
    }

    @Test("A peer that lost them on the way gets them all, one exchange later")
    func interrupted() throws {
        let fed = try Self.feedRows(300)
        var hosts = Hosts(isBehindLeft: true, ordinary: [], fed: fed)
        hosts.isPresentAlive = false
        hosts.pair.synchronise(.milliseconds(3))
        hosts.pair.breakStreams()
        hosts.pair.run(.seconds(3))
        for _ in 0..<3 { _ = hosts.exchange() }
        hosts.pair.run(.seconds(12))
        for _ in 0..<3 { _ = hosts.exchange() }
        #expect(hosts.pair.isEqual)
        #expect(hosts.ahead.kernel.store.root == hosts.behind.kernel.store.root)
    }
}
