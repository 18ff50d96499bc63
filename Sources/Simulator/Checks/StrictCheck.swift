// SPDX-License-Identifier: Apache-2.0
// Owns the checks of the strict group: Raft's safety at each step, and at the end what its clients saw.

import ClusterTypes
import Linearizability
import NodeKernel
import RaftCore
import StrictCore
import StrictGroup

/// Watches every node's part in the group after each of its steps, and every call of a client.
///
/// The properties are those of the thesis, figure 3.2: election safety, log matching (what is committed under one index is one
/// entry), leader completeness, state machine safety (one digest for each applied index). And each history of calls must be
/// linearizable.
package struct StrictCheck: Sendable {
    /// A call of a client that has no answer yet.
    private struct Pending: Sendable {
        var node: Int
        var invoked: Instant
        var operation: HistoryOperation
        var isRead: Bool
    }

    /// What a node's process was seen to have.
    private struct Seen: Sendable {
        var term: Term = 0
        var isLeader = false
        var commit: LogIndex = 0
        var looks = 0
    }

    private var groups: Set<UInt64> = []
    private var leaders: [Term: Int] = [:]
    /// Of every committed entry: its term and a hash of what it holds.
    private var committed: [LogIndex: (term: Term, hash: Hash128)] = [:]
    private var committedThrough: LogIndex = 0
    private var digests: [LogIndex: Hash128] = [:]
    private var seen: [Seen]

    private var pending: [CommandID: Pending] = [:]
    package private(set) var history: [HistoryCall] = []
    package private(set) var callsAnswered = 0
    package private(set) var callsFailed = 0
    package private(set) var callsUnknown = 0
    package private(set) var violations = Violations()

    /// Digests cost time in proportion to the state.
    private static let digestStride = 64

    package init(nodes: Int) { seen = Array(repeating: Seen(), count: nodes) }

    package var leadersSeen: Int { leaders.count }
    package var entriesCommitted: LogIndex { committedThrough }

    // MARK: Steps

    package mutating func look(at part: StrictNode, node: Int) {
        if let group = part.founding.founded?.group, groups.insert(group).inserted, groups.count > 1 {
            violations.add("n\(node + 1) belongs to another strict group than those before it: two were founded")
        }
        guard let raft = part.raft else { return }
        if raft.isLeader, !(seen[node].isLeader && seen[node].term == raft.term) { lead(raft, node: node) }
        seen[node].isLeader = raft.isLeader
        seen[node].term = raft.term
        if raft.commitIndex > seen[node].commit { commit(raft, node: node) }
        seen[node].looks += 1
        if seen[node].looks % Self.digestStride == 0 { lookAtState(of: part, node: node) }
    }

    private mutating func lead(_ raft: Raft, node: Int) {
        if let other = leaders[raft.term], other != node {
            violations.add("n\(node + 1) and n\(other + 1) both lead in term \(raft.term)")
        }
        leaders[raft.term] = node
        // Leader completeness: what was committed in earlier terms is here.
        var index = committedThrough
        while index >= raft.firstIndex, index > 0 {
            if let entry = committed[index], entry.term < raft.term, raft.term(at: index) != entry.term {
                violations.add(
                    "n\(node + 1) leads in term \(raft.term) without the committed entry \(entry.term)/\(index)")
                return
            }
            index -= 1
            // Log matching makes the newest one enough; a few more cost little.
            if committedThrough - index > 32 { return }
        }
    }

    private mutating func commit(_ raft: Raft, node: Int) {
        var index = max(seen[node].commit + 1, raft.firstIndex)
        while index <= raft.commitIndex {
            guard let entry = raft.entry(at: index) else { break }
            let hash = Self.hash(of: entry)
            if let known = committed[index] {
                if known != (entry.term, hash) {
                    violations.add(
                        "n\(node + 1) has committed \(entry.term)/\(index), and another entry of term \(known.term) was"
                    )
                }
            } else {
                committed[index] = (entry.term, hash)
                committedThrough = max(committedThrough, index)
            }
            index += 1
        }
        seen[node].commit = raft.commitIndex
    }

    private mutating func lookAtState(of part: StrictNode, node: Int) {
        let index = part.machine.appliedIndex
        let digest = part.machine.digest
        if let known = digests[index], known != digest {
            violations.add("n\(node + 1) has another state at index \(index) than another node had")
        }
        digests[index] = digest
        part.machine.checkInvariants()
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
            for id in membership.voters + membership.learners { hasher.absorb(id) }
            hasher.absorb(UInt64(membership.voters.count))
        }
        return hasher.finalize()
    }

    /// The process is gone; its clients hear nothing more.
    package mutating func ended(node: Int) {
        seen[node] = Seen()
        for (id, call) in pending.sorted(by: { $0.key < $1.key }) where call.node == node {
            pending[id] = nil
            if !call.isRead { abandon(call, client: Int(id.rawValue)) }
        }
    }

    // MARK: Calls

    package mutating func issued(
        _ id: CommandID, _ operation: HistoryOperation, isRead: Bool, node: Int, at now: Instant
    ) {
        pending[id] = Pending(node: node, invoked: now, operation: operation, isRead: isRead)
    }

    package mutating func answered(_ id: CommandID, _ reply: StrictReply, at now: Instant) {
        guard let call = pending.removeValue(forKey: id) else { return }
        switch reply {
        case .failed(let failure):
            callsFailed += 1
            // What is known to have had no effect is left out.
            if case .unavailable(_, isOutcomeUnknown: true) = failure, !call.isRead {
                abandon(call, client: Int(id.rawValue))
            }
        case .answer(.refused): callsFailed += 1
        case .answer(let answer): finish(call, id, Self.observation(of: answer), at: now)
        case .found(let found, _): finish(call, id, Self.observation(of: found), at: now)
        case .done, .status: break
        }
    }

    private mutating func finish(_ call: Pending, _ id: CommandID, _ seen: HistoryObservation, at now: Instant) {
        callsAnswered += 1
        history.append(
            HistoryCall(
                client: Int(id.rawValue), invoked: call.invoked.nanoseconds, returned: now.nanoseconds, call.operation,
                seen))
    }

    private mutating func abandon(_ call: Pending, client: Int) {
        callsUnknown += 1
        history.append(
            HistoryCall(client: client, invoked: call.invoked.nanoseconds, returned: nil, call.operation))
    }

    private static func observation(of answer: StrictAnswer) -> HistoryObservation {
        switch answer {
        case .put(let version, modified: _): .written(version: version)
        case .deleted(let wasThere): .existed(wasThere)
        case .transaction(let succeeded, let results):
            .branch(
                succeeded: succeeded,
                results.map {
                    switch $0 {
                    case .put(let version): .written(version: version)
                    case .deleted(let wasThere): .existed(wasThere)
                    case .got(let entry): found(entry)
                    }
                })
        case .session, .sessionsEnded, .lease, .leaseEnded, .locked, .waiting, .busy, .released, .refused: .nothing
        }
    }

    private static func observation(of found: StrictFound) -> HistoryObservation {
        if case .entry(let entry) = found { self.found(entry) } else { .nothing }
    }

    private static func found(_ entry: StrictEntry?) -> HistoryObservation {
        .found(entry.map { String(decoding: $0.value, as: UTF8.self) }, version: entry?.version)
    }

    /// The simulation ends: what was seen must be explained.
    package mutating func finish() {
        for (id, call) in pending.sorted(by: { $0.key < $1.key }) where !call.isRead {
            abandon(call, client: Int(id.rawValue))
        }
        pending = [:]
        let verdict = HistoryChecker().check(history)
        if !verdict.isLinearizable {
            violations.add("what clients of strict keys saw is not linearizable: \(verdict)")
        }
    }
}
