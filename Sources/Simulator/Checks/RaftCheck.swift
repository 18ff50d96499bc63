// SPDX-License-Identifier: Apache-2.0
// Owns the check of what makes Raft safe, at each step of each node (thesis, figure 3.2).

import ClusterTypes
import RaftCore

/// Knows all that was ever led, written and committed by anybody, and says what contradicts it.
///
/// Logs are looked at whenever they end elsewhere than before, and whole when a process begins: so what a disk brings back is
/// judged as well.
package struct RaftCheck: Sendable {
    /// What a node's process was seen to have.
    private struct Seen: Sendable {
        var term: Term = 0
        var isLeader = false
        var commit: LogIndex = 0
        var last = LogPosition.zero
    }

    /// A leader's log at its election: the terms of the entries from `first` on.
    private struct Leader: Sendable {
        var node: Int
        var first: LogIndex
        var terms: [Term]
    }

    /// An entry as it was written first.
    private struct Written: Sendable {
        var hash: Hash128
        /// The term of the entry before; nil: that is in a snapshot.
        var before: Term?
        var at: Instant
    }

    private var seen: [Seen]
    private var leaders: [Term: Leader] = [:]
    private var written: [LogPosition: Written] = [:]
    /// Of every committed entry: its term.
    private var committed: [LogIndex: Term] = [:]
    package private(set) var committedThrough: LogIndex = 0
    package private(set) var violations = Violations()
    package private(set) var looks = 0

    package init(nodes: Int) { seen = Array(repeating: Seen(), count: nodes) }

    package var leadersSeen: Int { leaders.count }

    /// When somebody's log was first seen to have this entry; nil: nobody's was.
    func writtenAt(_ position: LogPosition) -> Instant? { written[position]?.at }

    /// - Returns: The entries that are committed from this step on, ascending.
    package mutating func look(at raft: Raft, node: Int, now: Instant) -> [LogEntry] {
        looks += 1
        write(raft, node: node, now: now)
        let news = raft.commitIndex > seen[node].commit ? commit(raft, node: node) : []
        if raft.isLeader, !(seen[node].isLeader && seen[node].term == raft.term) { lead(raft, node: node) }
        seen[node].isLeader = raft.isLeader
        seen[node].term = raft.term
        return news
    }

    /// The process is gone; what the next one has is looked at whole.
    package mutating func ended(node: Int) { seen[node] = Seen() }

    // MARK: Election safety, leader completeness

    private mutating func lead(_ raft: Raft, node: Int) {
        if let other = leaders[raft.term] {
            if other.node != node {
                violations.add("election safety: n\(node + 1) and n\(other.node + 1) both lead in term \(raft.term)")
            }
            return
        }
        var terms: [Term] = []
        var index = raft.firstIndex
        while index <= raft.lastPosition.index, let term = raft.term(at: index) {
            terms.append(term)
            index += 1
        }
        let leader = Leader(node: node, first: raft.firstIndex, terms: terms)
        leaders[raft.term] = leader
        guard committedThrough >= leader.first else { return }
        for index in leader.first...committedThrough {
            guard let term = committed[index], term < raft.term else { continue }
            if !Self.has(leader, LogPosition(term: term, index: index)) {
                tellIncomplete(leader, in: raft.term, LogPosition(term: term, index: index))
                return
            }
        }
    }

    private static func has(_ leader: Leader, _ position: LogPosition) -> Bool {
        // What is before was compacted, and is in the state that is compared by itself.
        guard position.index >= leader.first else { return true }
        let place = Int(position.index - leader.first)
        return place < leader.terms.count && leader.terms[place] == position.term
    }

    private mutating func tellIncomplete(_ leader: Leader, in term: Term, _ position: LogPosition) {
        violations.add(
            "leader completeness: n\(leader.node + 1) leads in term \(term) without the committed entry "
                + "\(position.term)/\(position.index)")
    }

    // MARK: Log matching

    private mutating func write(_ raft: Raft, node: Int, now: Instant) {
        let last = raft.lastPosition
        guard last != seen[node].last else { return }
        // One that goes on where it ended has the former entries; else all that may have been replaced is looked at.
        let before = seen[node].last
        let goesOn = last.index > before.index && before.index > 0 && raft.term(at: before.index) == before.term
        let known = goesOn ? before.index : seen[node].commit
        seen[node].last = last
        var index = max(known + 1, raft.firstIndex)
        while index <= last.index, let entry = raft.entry(at: index) {
            note(entry, before: raft.term(at: index - 1), node: node, now: now)
            index += 1
        }
    }

    private mutating func note(_ entry: LogEntry, before: Term?, node: Int, now: Instant) {
        let hash = Self.hash(of: entry)
        guard let known = written[entry.position] else {
            written[entry.position] = Written(hash: hash, before: before, at: now)
            return
        }
        let follows = before == nil || known.before == nil || before == known.before
        if known.hash != hash || !follows {
            violations.add(
                "log matching: n\(node + 1) has another entry \(entry.term)/\(entry.index), or another before it, "
                    + "than was written first")
        }
        if known.before == nil { written[entry.position]?.before = before }
    }

    private static func hash(of entry: LogEntry) -> Hash128 {
        var hasher = StableHasher()
        switch entry.payload {
        case .empty: hasher.absorb(0 as UInt8)
        case .command(let bytes):
            hasher.absorb(1 as UInt8)
            hasher.absorb(counted: bytes)
        case .membership(let membership):
            hasher.absorb(2 as UInt8)
            for ids in [membership.voters, membership.learners, membership.retired] {
                hasher.absorb(UInt64(ids.count))
                for id in ids { hasher.absorb(id) }
            }
        }
        return hasher.finalize()
    }

    // MARK: State machine safety

    private mutating func commit(_ raft: Raft, node: Int) -> [LogEntry] {
        var news: [LogEntry] = []
        var index = max(seen[node].commit + 1, raft.firstIndex)
        while index <= raft.commitIndex, let entry = raft.entry(at: index) {
            if let term = committed[index] {
                // The same position is the same entry: `note` has looked.
                if term != entry.term {
                    violations.add(
                        "state machine safety: n\(node + 1) has committed \(entry.term)/\(index), and another entry of "
                            + "term \(term) was")
                }
            } else {
                committed[index] = entry.term
                committedThrough = max(committedThrough, index)
                news.append(entry)
                // Leaders of later terms that are in office already must have it too.
                for (term, leader) in leaders.sorted(by: { $0.key < $1.key })
                where term > raft.term && !Self.has(leader, entry.position) {
                    tellIncomplete(leader, in: term, entry.position)
                }
            }
            index += 1
        }
        seen[node].commit = raft.commitIndex
        return news
    }
}
