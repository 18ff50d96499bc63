// SPDX-License-Identifier: Apache-2.0
// Owns what must hold at each step of each run (thesis figure 3.2): the properties that make Raft safe.

import ClusterTypes
import RaftCore

/// Knows all that was ever led, written and committed by anybody, and says what contradicts it.
struct Checker {
    private var leaders: [Term: NodeID] = [:]
    /// Every entry that a node wrote, with the term of the one before it.
    private var written: [LogPosition: (entry: LogEntry, before: Term)] = [:]
    /// Index minus 1 is the place.
    private(set) var committed: [LogEntry?] = []
    /// The state that results from all commands up to an index.
    private var states: [LogIndex: Hash128] = [0: .zero]
    private(set) var violations: [String] = []
    private(set) var elections = 0

    var committedTop: LogIndex { LogIndex(committed.count) }

    private mutating func violate(_ text: String) { if violations.count < 8 { violations.append(text) } }

    /// Election safety, and leader completeness.
    mutating func noteLeader(_ raft: Raft) {
        elections += 1
        if let other = leaders[raft.term], other != raft.id {
            violate("election safety: \(name(raft.id)) and \(name(other)) lead in term \(raft.term)")
        }
        leaders[raft.term] = raft.id
        for index in raft.firstIndex..<(max(committedTop, raft.firstIndex - 1) + 1) {
            guard let entry = committed[Int(index) - 1], entry.term < raft.term else { continue }
            if raft.entry(at: index) != entry {
                violate("leader completeness: \(name(raft.id)) leads in term \(raft.term) without \(entry.position)")
                return
            }
        }
    }

    /// Log matching: one position is one entry after one entry, everywhere.
    mutating func noteWritten(_ entries: [LogEntry], before first: Term, by id: NodeID) {
        var before = first
        for entry in entries {
            if let known = written[entry.position], known.entry != entry || known.before != before {
                violate("log matching: \(name(id)) has another \(entry.position)")
            }
            written[entry.position] = (entry, before)
            before = entry.term
        }
    }

    /// State-machine safety, at the moment when a node takes an entry for committed.
    mutating func noteCommitted(_ raft: Raft, from: LogIndex) {
        guard from < raft.commitIndex else { return }
        for index in max(from + 1, raft.firstIndex)...max(raft.commitIndex, raft.firstIndex) {
            guard let entry = raft.entry(at: index) else { continue }
            while committedTop < index { committed.append(nil) }
            if let known = committed[Int(index) - 1], known != entry {
                violate("state-machine safety: \(name(raft.id)) commits \(entry.position), not \(known.position)")
            }
            committed[Int(index) - 1] = entry
        }
    }

    mutating func noteState(_ state: TestState, of id: NodeID) {
        if let known = states[state.applied], known != state.chain {
            violate("state-machine safety: \(name(id)) has another state at \(state.applied)")
        }
        states[state.applied] = state.chain
    }

    /// A read must see all that was committed anywhere when it was asked for.
    mutating func noteRead(index: LogIndex, askedAt top: LogIndex, by id: NodeID) {
        if index < top { violate("stale read: \(name(id)) reads at \(index), \(top) was committed") }
    }
}

func id(_ number: Int) -> NodeID { NodeID(high: 0, low: UInt64(number)) }

/// `a` for 1, `b` for 2...
func name(_ id: NodeID) -> String {
    id.low > 0 && id.low <= 26 ? String(UnicodeScalar(UInt8(96 + id.low))) : id.short
}

func names(_ ids: [NodeID]) -> String { ids.map(name).joined(separator: " ") }
