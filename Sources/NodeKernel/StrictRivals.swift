// SPDX-License-Identifier: Apache-2.0
// Owns what is known of strict groups that are not this node's: whether each is alive, and who leads it.

import ClusterTypes
import StrictGroup

/// Groups beside the node's own. There should be none but for groups whose majority was lost, of which marks and rows are left.
struct StrictRivals: Sendable {
    struct Rival: Sendable {
        var group: UInt64
        var mark: StrictMark?
        /// When it was heard of first, or its mark last said something new: only a leader with a majority makes new ones.
        var aliveAt: Instant
        /// Its mark was seen to go on.
        var hasMoved = false
    }

    /// Ascending by group; at most `knownMax`.
    private(set) var known: [Rival] = []
    /// Counts what was told of rivals, so that each has its turn.
    private var turn = 0

    private static let knownMax = 16
    /// A group that says nothing new for so long is gone, or cut off.
    static let patience = StrictNode.groupPatience

    /// - Returns: Whether it shows that the group is alive.
    mutating func hear(_ mark: StrictMark, now: Instant) -> Bool {
        let place = place(of: mark.group, now: now)
        guard let last = known[place].mark else {
            known[place].mark = mark
            return false
        }
        guard StrictMarks.precedes(last, mark) else { return false }
        known[place].mark = mark
        known[place].aliveAt = now
        known[place].hasMoved = true
        return true
    }

    /// A group of which nothing was heard may have just come: it counts as alive until it had the time to say something.
    mutating func isAlive(_ group: UInt64, now: Instant) -> Bool { now < end(of: group, now: now) }

    /// From when on the group is gone if it says nothing new.
    mutating func end(of group: UInt64, now: Instant) -> Instant {
        known[place(of: group, now: now)].aliveAt + Self.patience
    }

    /// Groups that are seen to live beside the node's own.
    func living(now: Instant) -> [StrictMark] {
        known.compactMap { $0.hasMoved && now - $0.aliveAt < Self.patience ? $0.mark : nil }
    }

    mutating func remove(_ group: UInt64) { known.removeAll { $0.group == group } }

    /// The mark of one that lives, in turns; nil: none does.
    mutating func next(now: Instant) -> StrictMark? {
        let living = living(now: now)
        guard !living.isEmpty else { return nil }
        turn = (turn + 1) % living.count
        return living[turn]
    }

    private mutating func place(of group: UInt64, now: Instant) -> Int {
        if let place = known.firstIndex(where: { $0.group == group }) { return place }
        if known.count >= Self.knownMax, let oldest = known.min(by: { $0.aliveAt < $1.aliveAt })?.group {
            remove(oldest)
        }
        let place = known.firstIndex { $0.group > group } ?? known.count
        known.insert(Rival(group: group, aliveAt: now), at: place)
        return place
    }
}
