// SPDX-License-Identifier: Apache-2.0
// Owns the disk's condition and what depends on it, and the expiry of values.

import ClusterTypes
import SWIMCore
import StoreCore

/// When the kernel looks again for what time alone changes.
struct ExpirySchedule: Sendable {
    /// The earliest timer that is set.
    var timerAt: Instant?

    /// The wall clock may jump forward while a timer waits: it is looked at again after this at the latest.
    static let checkInterval = Interval.seconds(60)
    /// While the disk is full nothing expires; until it is looked at again.
    static let fullDiskInterval = Interval.seconds(1)
}

extension NodeKernel {
    mutating func onStorage(_ condition: StorageCondition, _ turn: inout Turn) {
        storage = condition
        turn.actions.append(.event(.storage(condition)))
        if condition == .full { failWaitingWrites(&turn) }
        scheduleExpiry(&turn)
    }

    /// There is no room: clients need not wait until there is. Their rows stay, and count when they become durable.
    mutating func failWaitingWrites(_ turn: inout Turn) {
        for token in pendingWrites.keys.sorted() {
            if case .collection(.dequeued(let id?, let count))? = pendingWrites[token] {
                pendingWrites[token] = .collection(.dequeued(nil, count: count))
                reply(id, .failure(.storageFull), &turn)
            }
            guard case .rows(let rows, let changes, let waiting?)? = pendingWrites[token] else { continue }
            pendingWrites[token] = .rows(rows, changes: changes, reply: nil)
            reply(waiting.id, .failure(.storageFull), &turn)
        }
        for id in requests.takeWaiting() { reply(id, .failure(.storageFull), &turn) }
    }

    mutating func onExpiry(_ turn: inout Turn) {
        // A timer that was set before an earlier one; the earlier one has done its work or will.
        if let at = expiry.timerAt, turn.now < at { return }
        expiry.timerAt = nil
        dropAgedTransactions(&turn)
        expireValues(&turn)
        scheduleExpiry(&turn)
    }

    private mutating func expireValues(_ turn: inout Turn) {
        let wall = turn.clock.wall
        // During a reset the store belongs to the past, and an outlier does not know what time it is.
        guard storage != .full, !reset.isUnderWay, clocks.outlierOffset == nil, let due = store.nextExpiry,
            due <= wall.milliseconds
        else { return }
        let changes = store.expire(through: wall)
        guard !changes.isEmpty else { return }
        statistics.valuesExpired += UInt64(changes.count)
        persistRows([], changes: changes, reply: nil, beside: [.expiredThrough(wall.milliseconds)], &turn)
    }

    /// Our wall clock was ahead and was set back: what it took for over shows again.
    mutating func setExpiryBack(_ turn: inout Turn) {
        let wall = turn.clock.wall
        let skew = store.configuration.clockSkewMaxMilliseconds
        guard storage != .full, !reset.isUnderWay, clocks.outlierOffset == nil, !membership.isLeaving,
            store.expiredTooEarly(beyond: skew, of: wall)
        else { return }
        let changes = store.setExpiryBack(to: wall)
        persistRows([], changes: changes, reply: nil, beside: [.expiredThrough(store.expiredThrough)], &turn)
        scheduleExpiry(&turn)
    }

    /// Sets the timer for what time alone changes, unless one is set that comes early enough.
    mutating func scheduleExpiry(_ turn: inout Turn) {
        var wait: Interval?
        if let due = store.nextExpiry {
            let wall = turn.clock.wall.milliseconds
            let shortest: Interval =
                storage == .full || reset.isUnderWay || clocks.outlierOffset != nil
                ? ExpirySchedule.fullDiskInterval : .milliseconds(1)
            let longest = UInt64(ExpirySchedule.checkInterval.milliseconds)
            wait = max(shortest, .milliseconds(Int(due > wall ? min(due - wall, longest) : 0)))
        }
        if let since = transactions.oldestSince {
            let left = max(since + TransactionStash.ageMax - turn.now, ExpirySchedule.fullDiskInterval)
            wait = min(wait ?? left, left)
        }
        guard let wait else { return }
        let at = turn.now + wait
        if let set = expiry.timerAt, set <= at { return }
        expiry.timerAt = at
        turn.actions.append(.setTimer(.expiry, at: at))
    }
}
