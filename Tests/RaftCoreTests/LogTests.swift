// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the log: what followers take, what leaders send, and when an entry is committed.

import ClusterTypes
import RaftCore
import Testing

@Suite("The log")
struct LogTests {
    private func entry(_ term: Term, _ index: LogIndex, _ text: String = "x") -> LogEntry {
        LogEntry(term: term, index: index, payload: .command(Array(text.utf8)))
    }

    private func outcomes(_ bench: Bench) -> [AppendResponse.Outcome] {
        bench.sent.compactMap { if case .appendResponse(let response) = $0.body { response.outcome } else { nil } }
    }

    @Test("an acknowledgement leaves only when the entries are durable (thesis 3.8; NATS 2.12.1)")
    func acknowledgeAfterPersistence() {
        var bench = Bench()
        bench.hear(.heartbeat(commit: 0, round: 1), from: 2, term: 1)
        bench.clear()
        bench.isDiskHeld = true
        bench.append(["x"], from: 2, term: 1)
        #expect(outcomes(bench).isEmpty && bench.raft.persistedIndex == 0)
        // A heartbeat is answered meanwhile: it promises nothing of the entries.
        bench.hear(.heartbeat(commit: 0, round: 2), from: 2)
        #expect(bench.messages(to: 2) == [.heartbeatResponse(round: 2, isRefetching: false)])
        bench.releaseDisk()
        #expect(outcomes(bench) == [.accepted(match: 1)])
    }

    @Test("a rejection names the conflicting term and its first index, or the log's end (thesis 3.5)")
    func rejection() {
        var bench = Bench()
        bench.append(["a", "b"], from: 2, term: 1)
        bench.append(["c", "d", "e"], from: 3, term: 2)
        bench.clear()
        bench.hear(
            .append(AppendRequest(previous: LogPosition(term: 3, index: 5), commit: 0, entries: [])), from: 2, term: 4)
        bench.hear(
            .append(AppendRequest(previous: LogPosition(term: 4, index: 9), commit: 0, entries: [])), from: 2, term: 4)
        #expect(
            outcomes(bench) == [
                .rejected(previous: 5, conflict: LogPosition(term: 2, index: 3)),
                .rejected(previous: 9, conflict: LogPosition(term: 0, index: 6)),
            ])
    }

    @Test("a late append removes nothing that agrees with it (thesis 3.5)")
    func lateAppend() {
        var bench = Bench()
        bench.append(["a", "b", "c"], from: 2, term: 1)
        bench.hear(
            .append(AppendRequest(previous: .zero, commit: 0, entries: [entry(1, 1, "a")])), from: 2, term: 1)
        #expect(bench.raft.lastPosition == LogPosition(term: 1, index: 3))
    }

    @Test("a conflict replaces the rest of the log, while the disk still writes what it replaces")
    func conflictDuringWrite() {
        var bench = Bench()
        bench.hear(.heartbeat(commit: 0, round: 1), from: 2, term: 1)
        bench.isDiskHeld = true
        bench.append(["a", "b", "c"], from: 2, term: 1)
        bench.hear(
            .append(
                AppendRequest(
                    previous: LogPosition(term: 1, index: 1), commit: 0, entries: [entry(2, 2, "other")])),
            from: 3, term: 2)
        #expect(bench.held.count == 2)
        // The first batch is durable: of it, only the entry that is still there counts.
        let number = bench.held[0].persistence?.number ?? 0
        bench.raft.onPersisted(number, now: bench.now, using: &bench.rng)
        #expect(bench.raft.persistedIndex == 1)
        bench.releaseDisk()
        #expect(bench.raft.persistedIndex == 2 && bench.raft.lastPosition == LogPosition(term: 2, index: 2))
    }

    @Test("an append against what is committed is refused, and nothing changes")
    func againstCommitted() {
        var bench = Bench()
        bench.append(["a", "b"], from: 2, term: 1, commit: 2)
        #expect(bench.raft.commitIndex == 2)
        let entries = [entry(2, 3, "c")]
        bench.hear(
            .append(AppendRequest(previous: LogPosition(term: 2, index: 2), commit: 9, entries: entries)), from: 3,
            term: 2)
        #expect(bench.raft.lastPosition == LogPosition(term: 1, index: 2))
    }

    @Test("only entries of the own term are committed by counting (thesis 3.6.2)")
    func oldTerms() {
        var bench = Bench(voters: 5)
        bench.append(["a", "b"], from: 2, term: 1)
        bench.hear(.timeoutNow(answered: 0), from: 2)
        bench.hear(.voteResponse(isGranted: true), from: 2)
        bench.hear(.voteResponse(isGranted: true), from: 3)
        #expect(bench.raft.lastPosition == LogPosition(term: 2, index: 3))
        for peer in 2...5 { bench.acknowledge(from: peer, match: 2) }
        #expect(bench.raft.commitIndex == 0)
        for peer in 2...3 { bench.acknowledge(from: peer, match: 3) }
        #expect(bench.raft.commitIndex == 3)
    }

    @Test("the log in flight is bounded in messages and bytes, and goes on as it is acknowledged (thesis 10.2.1)")
    func window() {
        var bench = Bench {
            $0.appendBytesMax = 40
            $0.inflightMessagesMax = 3
        }
        bench.lead()
        for count in 0..<10 { bench.propose("c\(count)") }
        let first = bench.appends.filter { $0.to == id(2) }
        #expect(first.count == 3 && first.allSatisfy { $0.request.entries.count == 1 })
        bench.clear()
        bench.acknowledge(from: 2, match: 3)
        #expect(bench.appends.filter { $0.to == id(2) && !$0.request.entries.isEmpty }.count == 2)
    }

    @Test("what comes between two batches travels together")
    func batching() throws {
        var bench = Bench()
        bench.lead()
        for count in 0..<100 { _ = try bench.raft.propose(Array("\(count)".utf8), now: bench.now) }
        bench.settle()
        #expect(bench.appends.filter { $0.to == id(2) }.map(\.request.entries.count) == [100])
        #expect(bench.persisted.count == 1)
    }

    @Test("back-up goes by terms, not by entries")
    func fastBackup() {
        var bench = Bench(voters: 3)
        bench.append((0..<50).map { "a\($0)" }, from: 2, term: 1)
        bench.append((0..<50).map { "b\($0)" }, from: 2, term: 5)
        bench.hear(.timeoutNow(answered: 0), from: 2)
        bench.hear(.voteResponse(isGranted: true), from: 2)
        bench.clear()
        // The follower has term 3 from 21 on, which the leader does not have at all.
        let conflict = LogPosition(term: 3, index: 21)
        bench.hear(
            .appendResponse(AppendResponse(outcome: .rejected(previous: 100, conflict: conflict))), from: 3)
        #expect(bench.appends.last?.request.previous == LogPosition(term: 1, index: 20))
    }

    @Test("a leader with too much uncommitted refuses more, and takes it again when some is committed")
    func boundedUncommitted() {
        var bench = Bench { $0.uncommittedBytesMax = 100 }
        bench.lead()
        #expect(bench.propose(String(repeating: "x", count: 60)) == nil)
        #expect(bench.propose("y") == .tooMuchUncommitted(bytes: 92))
        bench.acknowledge(from: 2)
        #expect(bench.propose("y") == nil)
        #expect(bench.propose(String(repeating: "x", count: 2 << 20)) == .commandTooLarge(bytes: 2 << 20))
    }

    @Test("etcd #13766: after a restart exactly what the state lacks is applied again")
    func appliedWithState() {
        let entries = (1...5).map { entry(1, $0, "e\($0)") }
        var bench = Bench(
            restoring: RestoredState(
                hardState: HardState(term: 1, commit: 2),
                snapshot: SnapshotMetadata(position: .zero, membership: RaftMembership(voters: [id(1), id(2), id(3)])),
                entries: entries, applied: 4))
        // The state knows better than the hard state.
        #expect(bench.raft.commitIndex == 4 && bench.committed.isEmpty)
        bench.hear(.heartbeat(commit: 5, round: 1), from: 2, term: 1)
        #expect(bench.committed == [entries[4]])
    }

    @Test(
        "a disk that this machine did not write is refused",
        arguments: [
            (HardState(term: 1, commit: 0), [LogIndex(1), 3], LogIndex(0), StateDefect.gapInLog),
            (HardState(term: 0), [LogIndex(1)], LogIndex(0), StateDefect.termBeforeLog),
            (HardState(term: 1, commit: 5), [LogIndex(1)], LogIndex(0), StateDefect.commitBeyondLog),
            (HardState(term: 1), [LogIndex(1)], LogIndex(4), StateDefect.appliedBeyondLog),
            (HardState(term: .max), [LogIndex](), LogIndex(0), StateDefect.numberTooLarge),
        ])
    func invalidState(hard: HardState, indexes: [LogIndex], applied: LogIndex, defect: StateDefect) {
        let snapshot = SnapshotMetadata(position: .zero, membership: RaftMembership(voters: [id(1)]))
        let state = RestoredState(
            hardState: hard, snapshot: snapshot, entries: indexes.map { entry(1, $0) }, applied: applied)
        var rng = SeededGenerator(seed: 1)
        #expect(throws: RaftFailure.invalidState(defect)) {
            try Raft(
                configuration: RaftConfiguration(), id: id(1), restoring: state, now: .origin, using: &rng)
        }
    }
}
