// SPDX-License-Identifier: Apache-2.0
// Owns how far this node is in finding, and as the leader in correcting, copies of keys that another strict group wrote.

import ClusterTypes
import StrictCore

/// The rows below the strict prefixes that are not of the node's own group: they hold what a lost majority wrote, or an earlier
/// group. While there are any, nobody knows how old local reads are. The leader tells the group's state of those keys anew,
/// which comes to all nodes as any change does.
struct StrictCopies: Sendable {
    /// A place among the rows: behind a key below one of the prefixes.
    struct Cursor: Hashable, Sendable {
        /// Of `StrictConfiguration.prefixes`; their number: the end.
        var prefix = 0
        var after: String?
    }

    /// What a look at all rows has found.
    struct Survey: Hashable, Sendable {
        /// Ascending.
        var groups: [UInt64] = []
        /// The highest version that they gave.
        var version: UInt64 = 0
        var count = 0

        mutating func note(_ group: UInt64) {
            let place = groups.firstIndex { $0 >= group } ?? groups.count
            if place == groups.count || groups[place] != group { groups.insert(group, at: place) }
        }
    }

    enum Stage: Hashable, Sendable {
        /// All rows were looked at.
        case rest
        /// Not the leader: for the first row of another group.
        case looking(Cursor)
        /// Not the leader: the row at this key is another group's, until the leader has corrected it.
        case held(String, Cursor)
        /// As the leader: at all rows.
        case surveying(Cursor, Survey)
        /// For the groups that wrote such rows to be gone.
        case waiting(Survey)
        case correcting(Cursor, Survey)
        /// The state's own keys behind this one, of which the store may never have had the rows: nobody has them under this
        /// group's name when it goes on after a lost majority. `through`: the number of changes when this look began.
        case completing(after: StrictKey?, missing: Int, through: UInt64)
    }

    var stage = Stage.rest
    /// Whose rows were looked for, and whether as the leader.
    var group: UInt64?
    var leads = false
    /// A row of another group was taken since the look began.
    var isStale = false
    var beganAt: Instant?
    /// Not before this.
    var nextAt: Instant?
    /// Keys told anew since the last report.
    var corrected = 0
    /// Rows of other groups are left that cannot be corrected.
    var leftOver = 0
    /// The state's keys were told anew so often, and there was still one missing.
    var completions = 0
    /// This process gave its group a new name.
    var wasRecovered = false

    /// All rows are of the node's own group, as far as was looked.
    var isClean: Bool { stage == .rest && !isStale && leftOver == 0 }

    /// Rows looked at in one turn.
    static let looksMax = 2_048
    /// Between the turns of one look.
    static let pause = Interval.milliseconds(5)
    /// Between the beginnings of two looks for rows that came meanwhile.
    static let interval = Interval.seconds(1)
    /// Values that one entry of the log tells anew, in bytes; the first may be larger.
    static let batchBytesMax = 1 << 20
    static let completionsMax = 3
}
