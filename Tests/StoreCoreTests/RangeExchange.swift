// SPDX-License-Identifier: Apache-2.0
// Owns driving two sides of range-based reconciliation against each other in memory, and counting what it costs.

import ClusterTypes
import StoreCore

/// Messages and rows go both ways in order, as on a stream; `left` begins.
struct RangeExchange {
    enum Parcel {
        case message(RangeMessage)
        case row(Row)
    }

    /// Messages that an exchange may take before it counts as endless.
    static let messagesMax = 20_000

    var left: Store
    var right: Store
    var purpose = RangeReconciliation.Purpose.repair
    var limit = RangeLimit()
    let wall: WallTime
    /// Encoded range messages, both ways together.
    private(set) var bytes = 0
    private(set) var messages = 0
    private(set) var largest = 0
    private(set) var rows = 0
    /// What went wrong, in words.
    private(set) var problems: [String] = []
    private(set) var differing: [DifferingKeys] = []

    init(_ left: Store, _ right: Store, wall: WallTime) {
        self.left = left
        self.right = right
        self.wall = wall
    }

    /// A message and its answer make one.
    var roundTrips: Int { (messages + 1) / 2 }

    /// Goes on until nothing is under way. `between` is called before each parcel from the left arrives.
    mutating func run(between: (inout RangeExchange) -> Void = { _ in }) {
        var asking = RangeReconciliation(purpose: purpose)
        var answering = RangeReconciliation()
        var toRight: [Parcel] = [.message(asking.begin(left))]
        var toLeft: [Parcel] = []
        count(toRight)
        var isLeftFinished = false
        var isRightFinished = false
        while !toRight.isEmpty || !toLeft.isEmpty, messages < Self.messagesMax, problems.isEmpty {
            for parcel in toRight {
                between(&self)
                toLeft += Self.take(
                    parcel, into: &right, &answering, limit, wall, &problems, finished: &isRightFinished)
            }
            toRight = []
            count(toLeft)
            for parcel in toLeft {
                toRight += Self.take(parcel, into: &left, &asking, limit, wall, &problems, finished: &isLeftFinished)
            }
            toLeft = []
            count(toRight)
        }
        if !isLeftFinished || !isRightFinished { problems.append("a side does not know that the exchange is over") }
        differing = asking.differing
    }

    private mutating func count(_ parcels: [Parcel]) {
        for parcel in parcels {
            switch parcel {
            case .row: rows += 1
            case .message(let message):
                messages += 1
                bytes += message.encodedBytes
                largest = max(largest, message.encodedBytes)
            }
        }
    }

    private static func take(
        _ parcel: Parcel, into store: inout Store, _ machine: inout RangeReconciliation, _ limit: RangeLimit,
        _ wall: WallTime, _ problems: inout [String], finished: inout Bool
    ) -> [Parcel] {
        switch parcel {
        case .row(let row):
            switch store.merge(row, wall: wall) {
            case .applied, .known: return []
            case let outcome:
                problems.append("\(row) came back as \(outcome)")
                return []
            }
        case .message(let message):
            do {
                if finished, !message.isSettled { problems.append("\(message) after the end") }
                let step = try machine.answer(message, store: store, limit: limit)
                finished = step.isFinished
                if Set(step.rowsToSend).count < step.rowsToSend.count { problems.append("a row is sent twice") }
                if step.rowsToSend.count > limit.rowsMax { problems.append("\(step.rowsToSend.count) rows in a step") }
                let rows = step.rowsToSend.compactMap { store.row($0) }
                if rows.count < step.rowsToSend.count { problems.append("a row to be sent does not exist") }
                return (step.reply.map { [.message($0)] } ?? []) + rows.map { .row($0) }
            } catch {
                problems.append("refused: \(error)")
                return []
            }
        }
    }
}
