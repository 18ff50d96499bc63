// SPDX-License-Identifier: Apache-2.0
// Owns how one piece of news arrived, node by node, and how many copies of news were received.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore

/// The way of one write or member update to the other nodes.
package struct SpreadCurve: Sendable {
    package enum Kind: Sendable {
        case write
        case update
    }

    package var kind: Kind
    package var at: Interval
    /// From then until each node had it, in the order of arrival.
    package var arrivals = Samples()

    /// Curves of each kind that are kept; later news is counted in the figures alone.
    package static let keptMax = 40
}

/// Copies of gossip that nodes received, for each distinct piece of news.
package struct CopyCount: Sendable {
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

    private var updates: Set<UpdateKey> = []
    private var rows: Set<RowKey> = []
    private(set) var updateCopies = 0
    private(set) var rowCopies = 0
    private(set) var announcements = 0
    /// Distinct news that is told apart; copies of further news are not counted.
    private static let distinctMax = 100_000

    mutating func received(_ packet: Packet) {
        for message in packet.messages {
            switch message {
            case .update(let update):
                let key = Self.key(update)
                if updates.contains(key) || updates.count < Self.distinctMax {
                    updates.insert(key)
                    updateCopies += 1
                }
            case .row(let row):
                let key = RowKey(id: row.id, version: row.version)
                if rows.contains(key) || rows.count < Self.distinctMax {
                    rows.insert(key)
                    rowCopies += 1
                }
            case .announcement(let dots): announcements += dots.count
            case .ping, .ack, .indirectPing, .nack, .digest, .floorMark, .confirmRequest, .confirmed, .collectRequest,
                .collectAnswer, .floor, .memberTable, .storeRequest, .storeBatchEnd, .storeContinue, .storeComplete,
                .rowRequest, .ranges, .coordinate, .viewRequest, .viewAnswer, .padding, .userEvent, .userEventMarks,
                .ringMark, .keyRing, .sentinel:
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

    /// Copies that one of `nodes` receives of one row, and of one member update, on average; nil when there was none.
    /// More than one of them is a duplicate.
    package func perNode(_ nodes: Int) -> (rows: Double?, updates: Double?) {
        func mean(_ copies: Int, _ distinct: Int) -> Double? {
            distinct > 0 && nodes > 1 ? Double(copies) / Double(distinct) / Double(nodes - 1) : nil
        }
        return (mean(rowCopies, rows.count), mean(updateCopies, updates.count))
    }
}
