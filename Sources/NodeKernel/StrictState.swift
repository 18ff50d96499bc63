// SPDX-License-Identifier: Apache-2.0
// Owns what the kernel keeps for the strict group: the node's part in it, its links, the marks that were heard.

import ClusterTypes
import StrictCore
import StrictGroup

/// The node's part in the strict group, and what stands between it and the other nodes.
struct StrictState: Sendable {
    /// nil: this node has no strict prefixes, or does not take part yet.
    var node: StrictNode?
    /// What the disk held, until the node takes part.
    var restored: StrictRestored?
    /// Scratch for the node's actions, kept for its capacity.
    var actions: [StrictAction] = []
    /// The earliest timer that is set.
    var timerAt: Instant?
    var generation: UInt64 = 0
    /// What the node was last told of its peers, and the fingerprint of the member table then.
    var view: [StrictPeer] = []
    var viewedFingerprint: UInt64?
    var links: [NodeID: StrictLink] = [:]
    /// Peers for whom messages wait until the end of the turn, in the order of the first one.
    var unsent: [NodeID] = []
    /// When the first link with messages that wait out a failure may be tried again.
    var nextRetry: Instant?
    /// Commands without an answer.
    /// With the key of a read whose answer tells when it was written.
    var calls: [CommandID: StrictKey?] = [:]
    /// Of the node's own group, where it knows one.
    var marks = StrictMarks()
    var feed = StrictFeedQueue()
    var rivals = StrictRivals()
    var copies = StrictCopies()
    /// Marks told, own and others'.
    var marksTold = 0
}

/// The way to one peer: a stream of our own, and what waits for it.
struct StrictLink: Sendable {
    /// Ours.
    var stream: StreamID?
    var isOpen = false
    /// The peer's, if it has one to us: answers to its calls go there when we have none of our own.
    var inbound: StreamID?
    var waiting: [StrictMessage] = []
    /// Attempts in a row that failed.
    var failures = 0
    /// Not tried before; nil: at once.
    var retryAt: Instant?
    var usedAt: Instant

    /// Messages that wait for a stream; further ones are lost, as Raft allows.
    static let waitingMax = 1_024
    /// Clients' questions and answers of at least so many bytes let others go ahead.
    static let offeredBytesMin = 16 * 1024
    /// After a failed attempt, doubled for each further one.
    static let retryMin = Interval.milliseconds(100)
    static let retryMax = Interval.seconds(2)
    /// A stream of ours without a message for so long is closed: clients of the group need theirs now and then only.
    static let idleMax = Interval.seconds(60)
    /// Links kept at most, of those without streams the ones that were used last.
    static let linksMax = 512

    init(usedAt: Instant) { self.usedAt = usedAt }
}

/// The marks of the group's leader that this node has heard of.
struct StrictMarks: Sendable {
    /// Ascending; at most `keptMax`. All of one group.
    private(set) var kept: [StrictMark] = []

    private static let keptMax = 64

    var newest: StrictMark? { kept.last }

    /// False: it is no news.
    mutating func insert(_ mark: StrictMark) -> Bool {
        if let newest {
            if newest.group != mark.group {
                // Of two groups, which there should not be, the one that was heard of later.
                guard newest.wall < mark.wall else { return false }
                kept.removeAll()
            } else if !Self.precedes(newest, mark) {
                return false
            }
        }
        if kept.count >= Self.keptMax { kept.removeFirst() }
        kept.append(mark)
        return true
    }

    /// The newest one of which a store with these changes has everything; older ones are of no use any more.
    mutating func covered(by changes: UInt64) -> StrictMark? {
        guard let index = kept.lastIndex(where: { $0.changes <= changes }) else { return nil }
        kept.removeFirst(index)
        return kept[0]
    }

    static func precedes(_ a: StrictMark, _ b: StrictMark) -> Bool {
        if a.term != b.term { return a.term < b.term }
        return a.changes != b.changes ? a.changes < b.changes : a.wall < b.wall
    }
}
