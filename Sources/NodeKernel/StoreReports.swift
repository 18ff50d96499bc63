// SPDX-License-Identifier: Apache-2.0
// Owns what the kernel tells of the store's health: confirmations, comparisons, the findings for `doctor`.

import ClusterTypes
import StoreCore

/// How many nodes hold a write durably.
package struct Confirmation: Hashable, Sendable {
    /// This node included.
    package var holding: Int
    /// Members that have not left, failed ones too, this node included.
    package var total: Int
    /// Names of those members that have not confirmed; at most 16.
    package var missing: [String]

    package init(holding: Int, total: Int, missing: [String]) {
        self.holding = holding
        self.total = total
        self.missing = missing
    }
}

/// The stores of the fleet compared with this one.
package struct Verification: Hashable, Sendable {
    package struct Peer: Hashable, Sendable {
        package enum Result: Hashable, Sendable {
            case equal
            /// Keys from `first` to before `end` (nil: to the last) that differ; at most 64.
            case different([KeyRange])
            /// It did not answer, or its store kept changing.
            case unknown(String)
        }

        package var id: NodeID
        package var name: String
        package var result: Result

        package init(id: NodeID, name: String, result: Result) {
            self.id = id
            self.name = name
            self.result = result
        }
    }

    package struct KeyRange: Hashable, Sendable {
        package var first: String
        package var end: String?

        package init(first: String, end: String?) {
            self.first = first
            self.end = end
        }
    }

    package var root: Hash128
    package var rows: Int
    package var peers: [Peer]

    package init(root: Hash128, rows: Int, peers: [Peer]) {
        self.root = root
        self.rows = rows
        self.peers = peers
    }
}

/// What an operator should know of the store.
package struct StoreDiagnosis: Sendable {
    package struct Quarantine: Hashable, Sendable {
        package var key: String
        package var author: AuthorView
        package var ahead: Interval

        package init(key: String, author: AuthorView, ahead: Interval) {
            self.key = key
            self.author = author
            self.ahead = ahead
        }
    }

    package var storage = StorageCondition.ok
    package var writesWaiting = 0
    /// At most 64, the latest of each author.
    package var quarantined: [Quarantine] = []
    /// Milliseconds by which this host's clock is ahead of most others; nil while too few are known.
    package var clockOffsetMilliseconds: Int64?
    package var isClockOutlier = false
    package var floor = CollectionFloor.none
    /// Rows that are dead and not collected.
    package var deadRows = 0
    /// Members without whose consent nothing is collected: names; at most 16.
    package var collectionWaitsFor: [String] = []
    package var isResetting = false
    package var queuedWrites = 0
    /// Rows received of an exchange under way, and how many its peer holds; nil when there is none.
    package var catchUp: (received: Int, total: Int)?
    /// Keys that hold content of two types; at most 16.
    package var typeConflicts: [String] = []
    /// Keys that were written before their prefix became strict; at most 16, among the first rows of each prefix.
    package var ordinaryStrictKeys: [String] = []
    package var revision: UInt64 = 0
    package var actors = 0

    package init() {}
}
