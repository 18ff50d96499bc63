// SPDX-License-Identifier: Apache-2.0
// Owns how many copies of each piece of news the nodes received.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore

/// Copies of gossip that nodes received, for each distinct piece of news: whole rows, user events, member updates.
package struct CopyCount: Sendable {
    /// What one node received of one piece of news; more than one of them is a duplicate.
    package struct Summary: Hashable, Sendable {
        /// Of all other nodes, those that received none included.
        package var mean: Double
        /// Of all nodes that received any, the author included.
        package var median: Int
        package var p99: Int
    }

    private struct UpdateKey: Hashable {
        var subject: NodeID
        var incarnation: UInt64
        var kind: UInt8
        var by: NodeID
    }

    private struct RowKey: Hashable {
        var id: RowID
        var version: Version
    }

    /// Copies of one kind of news.
    private struct Tally<Key: Hashable & Sendable>: Sendable {
        var total = 0
        /// Distinct news, each with its place in `received` or nil.
        var distinct: [Key: Int?] = [:]
        /// For each of the first pieces of news: copies by node.
        var received: [[UInt16]] = []

        /// Distinct news that is told apart; copies of further news are not counted.
        static var distinctMax: Int { 100_000 }
        /// News whose copies are counted node by node.
        static var keptMax: Int { 40 }

        mutating func add(_ key: Key, at node: Int, of nodes: Int) {
            if distinct[key] == nil {
                guard distinct.count < Self.distinctMax else { return }
                let isKept = received.count < Self.keptMax
                distinct[key] = .some(isKept ? received.count : nil)
                if isKept { received.append(Array(repeating: 0, count: nodes)) }
            }
            total += 1
            if case .some(.some(let place)) = distinct[key], received[place][node] < .max {
                received[place][node] += 1
            }
        }

        func summary(among nodes: Int) -> Summary? {
            guard !distinct.isEmpty, nodes > 1 else { return nil }
            let counts = received.flatMap { $0.filter { $0 > 0 } }.sorted()
            guard !counts.isEmpty else { return nil }
            func quantile(_ percent: Int) -> Int { Int(counts[max(0, (counts.count * percent + 99) / 100 - 1)]) }
            return Summary(
                mean: Double(total) / Double(distinct.count) / Double(nodes - 1), median: quantile(50),
                p99: quantile(99))
        }
    }

    private let nodes: Int
    private var updateTally = Tally<UpdateKey>()
    private var rowTally = Tally<RowKey>()
    private var eventTally = Tally<UserEventID>()

    init(nodes: Int) { self.nodes = nodes }

    mutating func received(_ packet: Packet, by node: Int) {
        for message in packet.messages {
            switch message {
            case .update(let update): updateTally.add(Self.key(update), at: node, of: nodes)
            case .row(let row): rowTally.add(RowKey(id: row.id, version: row.version), at: node, of: nodes)
            case .userEvent(let notice): eventTally.add(notice.event.id, at: node, of: nodes)
            case .ping, .ack, .indirectPing, .nack, .digest, .floorMark, .confirmRequest, .confirmed, .collectRequest,
                .collectAnswer, .floor, .memberTable, .storeRequest, .storeBatchEnd, .storeContinue, .storeComplete,
                .rowRequest, .ranges, .coordinate, .viewRequest, .viewAnswer, .padding, .announcement,
                .userEventMarks, .ringMark, .keyRing, .sentinel,
                .strict, .strictMark:
                break
            }
        }
    }

    private static func key(_ update: MemberUpdate) -> UpdateKey {
        let (kind, by): (UInt8, NodeID) =
            switch update.claim {
            case .alive: (0, .unknown)
            case .suspect(let accuser): (1, accuser)
            case .failed(let accuser): (2, accuser)
            case .left: (3, .unknown)
            case .forgotten(let by): (4, by)
            case .evicted(let by): (5, by)
            }
        return UpdateKey(subject: update.subject, incarnation: update.incarnation, kind: kind, by: by)
    }

    /// Copies of whole rows in datagrams; what was pulled came once.
    package func rows(among nodes: Int) -> Summary? { rowTally.summary(among: nodes) }

    package func events(among nodes: Int) -> Summary? { eventTally.summary(among: nodes) }

    package func updates(among nodes: Int) -> Summary? { updateTally.summary(among: nodes) }
}
