// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the strict group's log on a sound disk: what was written is what is read.

import ClusterTypes
import Glibc
import RaftCore
import StrictCore
import StrictGroup
import Synchronization
import Testing

@testable import Persistence

@Suite("Strict log")
struct StrictLogTests {
    @Test("a new folder holds nothing, and nothing is written until there is something")
    func empty() throws {
        try withScratch { scratch in
            for _ in 0..<2 {
                let bench = try StrictBench(scratch)
                #expect(bench.restored.raft == nil)
                #expect(bench.restored.founding == FoundingState())
                #expect(bench.disk.warnings.isEmpty)
                bench.disk.close()
            }
            #expect(!scratch.exists("strict-log"))
        }
    }

    @Test("founding, hard state and entries of each kind come back, and only the owner can read them")
    func roundTrip() throws {
        try withScratch { scratch in
            let bench = try StrictBench(scratch)
            let ballot = FoundingBallot(round: 3, proposer: member(2))
            let group = StrictFounding(group: 77, voters: [member(1), member(2), member(3)])
            var model = StrictModel()
            model.founding = FoundingState(
                promised: ballot, accepted: AcceptedFounding(ballot: ballot, founding: group), founded: group)
            try bench.write(founding: FoundingState(promised: ballot))
            try bench.write(founding: model.founding)
            var raft = Persistence(number: 1)
            raft.hardState = HardState(
                term: 4, votedFor: member(3), commit: 2, refetch: Refetch(through: 9, term: 3))
            raft.entries = [
                LogEntry(term: 4, index: 1, payload: .empty),
                LogEntry(term: 4, index: 2, payload: .command([])),
                LogEntry(term: 4, index: 3, payload: .command([UInt8](repeating: 7, count: 9_000))),
                LogEntry(
                    term: 4, index: 4,
                    payload: .membership(
                        RaftMembership(voters: [member(1)], learners: [member(2)], retired: [member(9), member(8)]))),
            ]
            raft.needsSync = true
            try bench.write(raft)
            model.apply(raft)
            bench.disk.close()

            let again = try StrictBench(scratch)
            model.check(again.restored)
            #expect(again.restored.raft?.snapshot.membership == RaftMembership(voters: group.voters))
            #expect(again.disk.warnings.isEmpty)
            again.disk.close()
            #expect(try scratch.mode(scratch.data + "/strict") == 0o700)
            for name in scratch.names(in: "strict") {
                #expect(try scratch.mode(scratch.data + "/strict/" + name) == 0o600)
            }
            #expect(try scratch.mode(scratch.data + "/strict-log") == 0o600)
        }
    }

    @Test(
        "founders are read as they are written: ascending, none twice, none unknown, one to nine, of a group with an id"
    )
    func founders() {
        func isRead(_ founding: StrictFounding) -> Bool {
            let ballot = FoundingBallot(round: 1, proposer: member(1))
            let states = [
                FoundingState(founded: founding),
                FoundingState(accepted: AcceptedFounding(ballot: ballot, founding: founding)),
            ]
            let read = states.map { state in
                var bytes = LogBytes()
                bytes.put(StrictLogRecord.founding(revision: 3, state))
                let records = LogReader.records(bytes.bytes)
                #expect(records == nil || records == [.founding(revision: 3, state)])
                return records != nil
            }
            #expect(read[0] == read[1])
            return read[0]
        }
        func founded(_ numbers: [UInt64], group: UInt64 = 5) -> StrictFounding {
            StrictFounding(group: group, voters: numbers.map { member($0) })
        }
        #expect(
            isRead(founded([1])) && isRead(founded([1, 2, 3])) && isRead(founded(Array(1...9 as ClosedRange<UInt64>))))
        #expect(!isRead(founded([2, 1])) && !isRead(founded([1, 2, 2])) && !isRead(founded([])))
        #expect(!isRead(founded(Array(1...10 as ClosedRange<UInt64>))) && !isRead(founded([1, 2], group: 0)))
        #expect(!isRead(StrictFounding(group: 5, voters: [.unknown, member(1)])))
    }

    @Test("an entry replaces what is at its index and all behind it, across segments and starts")
    func truncation() throws {
        try withScratch { scratch in
            var model = StrictModel()
            for round in UInt64(1)...12 {
                let bench = try StrictBench(scratch)
                model.check(bench.restored)
                let first = max(model.last.index, 4) - 3
                for index in first...first + 9 {
                    var raft = Persistence(number: 1)
                    raft.hardState = HardState(term: round, votedFor: member(round % 3 + 1))
                    raft.entries = [entry(round, index, String(repeating: "x", count: Int(index * 7 % 300)))]
                    raft.needsSync = true
                    try bench.write(raft)
                    model.apply(raft)
                }
                // Without a `close`, as a process that dies.
            }
            #expect(scratch.names(in: "strict").filter { $0.hasPrefix("log-") }.count > 3)
        }
    }

    @Test("many writes at once are answered in their order, with few syncs, and one that needs none costs none")
    func groupCommit() throws {
        try withScratch { scratch in
            let bench = try StrictBench(scratch, segmentBytes: 1 << 20)
            try bench.write([entry(1, 1)], hard: HardState(term: 1))
            let answers = Monitor<[UInt64]>([])
            for number in UInt64(2)...2_000 {
                var raft = Persistence(number: number)
                raft.entries = [entry(1, number, "value")]
                raft.needsSync = true
                bench.disk.write(StrictWrite(number: number, raft: raft, needsSync: true)) {
                    answers.withLock { $0.append(number) }
                }
            }
            let all = answers.wait(milliseconds: 20_000) { $0.count == 1_999 ? $0 : nil }
            #expect(all == Array(2...2_000))
            let syncs = bench.disk.statistics.syncs
            #expect(syncs < 1_000)
            var raft = Persistence(number: 1)
            raft.hardState = HardState(term: 1, commit: 1_500)
            try bench.write(raft)
            #expect(bench.disk.statistics.syncs == syncs)
            try bench.write([entry(1, 2_001)])
            #expect(bench.disk.statistics.syncs == syncs + 1)
            bench.disk.close()
            let again = try StrictBench(scratch, segmentBytes: 1 << 20)
            #expect(again.restored.raft?.entries.count == 2_001)
            #expect(again.restored.raft?.hardState.commit == 1_500)
        }
    }

    @Test("one entry larger than a segment gets one of its own, and a write larger than a frame is split")
    func large() throws {
        try withScratch { scratch in
            var model = StrictModel()
            let bench = try StrictBench(scratch)
            for (index, size) in [(UInt64(1), 10), (2, 300_000), (3, 10)] {
                var raft = Persistence(number: 1)
                raft.entries = [
                    LogEntry(term: 1, index: index, payload: .command([UInt8](repeating: 5, count: size)))
                ]
                raft.hardState = HardState(term: 1)
                raft.needsSync = true
                try bench.write(raft)
                model.apply(raft)
            }
            var raft = Persistence(number: 1)
            raft.entries = (UInt64(4)...15).map {
                LogEntry(term: 1, index: $0, payload: .command([UInt8](repeating: UInt8($0), count: 1 << 20)))
            }
            raft.needsSync = true
            let syncs = bench.disk.statistics.syncs
            try bench.write(raft)
            #expect(bench.disk.statistics.syncs > syncs + 2)
            model.apply(raft)
            bench.disk.close()
            model.check(try StrictBench(scratch).restored)
        }
    }

    @Test("random histories with snapshots, installations, compactions and starts match a model", arguments: 1...12)
    func random(seed: Int) throws {
        try withScratch { scratch in
            var rng = SeededGenerator(seed: UInt64(seed))
            var model = StrictModel()
            var latest: SnapshotMetadata?
            for _ in 0..<12 {
                let bench = try StrictBench(scratch)
                model.check(bench.restored)
                #expect(bench.disk.warnings.isEmpty)
                for _ in 0..<rng.index(below: 20) {
                    let term = model.hard.term + UInt64(rng.index(below: 2))
                    switch rng.index(below: 10) {
                    case 0:
                        model.founding.promised = FoundingBallot(round: rng.next() % 99, proposer: member(1))
                        try bench.write(founding: model.founding)
                    case 1 where model.last.index > model.base.index:
                        let index = model.base.index + 1 + rng.next() % (model.last.index - model.base.index)
                        let at = try #require(model.entries.first { $0.index == index }).position
                        let made = try bench.make(try machine(index), at, RaftMembership(voters: [member(1)]))
                        try bench.compact(index + 1, [made] + (latest.map { [$0] } ?? []))
                        latest = made
                        model.compact(to: at)
                    case 2:
                        let raft = try Self.installation(beyond: model.last.index, term: max(term, 1), &rng)
                        try bench.write(raft)
                        model.apply(raft)
                        latest = raft.installs
                    case _:
                        let first = model.last.index + 1 - min(rng.next() % 4, model.last.index - model.base.index)
                        var raft = Persistence(number: 1)
                        raft.hardState = HardState(term: max(term, 1), votedFor: member(rng.next() % 3))
                        raft.entries = (first...first + rng.next() % 5).map {
                            entry(max(term, 1), $0, String(repeating: "v", count: rng.index(below: 200)))
                        }
                        raft.needsSync = true
                        try bench.write(raft)
                        model.apply(raft)
                    }
                }
                if rng.chance(0.5) { bench.disk.close() }
            }
        }
    }

    /// All chunks of a snapshot and its taking over, in one write.
    static func installation(
        beyond index: LogIndex, term: Term, _ rng: inout SeededGenerator
    ) throws -> Persistence {
        let position = LogPosition(term: term, index: index + 1 + rng.next() % 5)
        let bytes = try machine(position.index).snapshot
        var hasher = StableHasher()
        hasher.absorb(raw: bytes)
        let metadata = SnapshotMetadata(
            position: position, membership: RaftMembership(voters: [member(1), member(2)]), bytes: UInt64(bytes.count),
            digest: hasher.finalize())
        var raft = Persistence(number: 1)
        raft.snapshotChunks = stride(from: 0, to: bytes.count, by: 100).map { start in
            let part = Array(bytes[start..<min(start + 100, bytes.count)])
            return SnapshotChunk(
                metadata: metadata, offset: UInt64(start), bytes: part, checksum: SnapshotChunk.checksum(of: part))
        }
        raft.installs = metadata
        raft.hardState = HardState(term: term)
        raft.needsSync = true
        return raft
    }
}
