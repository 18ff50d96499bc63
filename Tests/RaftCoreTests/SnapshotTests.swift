// SPDX-License-Identifier: Apache-2.0
// Owns the tests of compaction and of snapshots on their way, on one machine.

import ClusterTypes
import RaftCore
import Testing

@Suite("Snapshots")
struct SnapshotTests {
    /// Leads with 20 commands that node 2 has as well.
    private func leader(_ configure: (inout RaftConfiguration) -> Void = { _ in }) -> Bench {
        var bench = Bench(configure: configure)
        bench.lead()
        for count in 0..<20 { bench.propose("\(count)") }
        bench.acknowledge(from: 2)
        return bench
    }

    private func compact(_ bench: inout Bench, at index: LogIndex, bytes: UInt64 = 25) -> RaftFailure? {
        do throws(RaftFailure) {
            _ = try bench.raft.compact(at: index, bytes: bytes, digest: Hash128(high: 0, low: index))
            return nil
        } catch {
            return error
        }
    }

    @Test("a snapshot is asked for once the log behind the last one is long, and once only (thesis 5.1.3)")
    func wanted() {
        var bench = leader { $0.snapshotLogBytes = 500 }
        #expect(bench.wantsSnapshot)
        bench.wantsSnapshot = false
        bench.propose("more")
        bench.acknowledge(from: 2)
        #expect(!bench.wantsSnapshot)
        #expect(compact(&bench, at: 22) == nil)
        for _ in 0..<20 { bench.propose("more") }
        bench.acknowledge(from: 2)
        #expect(bench.wantsSnapshot)
    }

    @Test("only what is applied is compacted, and never twice; entries are kept for those that are a little late")
    func bounds() {
        var bench = leader { $0.entriesKept = 5 }
        #expect(compact(&bench, at: 22) == .outOfRange(first: 1, last: 21))
        #expect(compact(&bench, at: 15) == nil)
        #expect(bench.raft.firstIndex == 11 && bench.raft.latestSnapshot.position.index == 15)
        #expect(compact(&bench, at: 15) == .outOfRange(first: 16, last: 21))
    }

    @Test("the offer goes first; the receiver says from where on; a doubled answer starts no second chain")
    func chunks() {
        var bench = leader {
            $0.entriesKept = 0
            $0.snapshotChunkBytesMax = 10
        }
        #expect(compact(&bench, at: 21) == nil)
        bench.clear()
        bench.hear(.heartbeatResponse(round: 0, isRefetching: false), from: 3)
        #expect(bench.chunks.map(\.bytesMax) == [0])
        let metadata = bench.raft.latestSnapshot
        func answer(_ missing: UInt64?) -> RaftMessage.Body {
            .installSnapshotResponse(
                SnapshotResponse(position: metadata.position, digest: metadata.digest, missingFrom: missing))
        }
        bench.hear(answer(10), from: 3)
        bench.hear(answer(10), from: 3)
        bench.hear(answer(20), from: 3)
        #expect(bench.chunks.map(\.offset) == [0, 10, 20] && bench.chunks.map(\.bytesMax) == [0, 10, 5])
        // The log waits behind a snapshot on its way, whose bytes are still needed.
        for _ in 0..<10 { bench.propose("later") }
        bench.acknowledge(from: 2)
        #expect(compact(&bench, at: 31) == nil)
        #expect(bench.raft.firstIndex == 22 && bench.raft.snapshotsInUse.count == 2)
        bench.clear()
        bench.hear(answer(nil), from: 3)
        #expect(bench.appends.first?.request.previous.index == 21)
        #expect(bench.raft.snapshotsInUse.count == 1)
    }

    @Test("a chunk that does not follow is not written, and one of another snapshot begins anew")
    func receive() {
        var bench = Bench()
        let members = bench.raft.membership
        func chunk(_ digest: UInt64, _ offset: UInt64, _ count: Int) -> RaftMessage.Body {
            let metadata = SnapshotMetadata(
                position: LogPosition(term: 1, index: 9), membership: members, bytes: 8,
                digest: Hash128(high: 0, low: digest))
            let bytes = [UInt8](repeating: 1, count: count)
            return .installSnapshot(SnapshotChunk(metadata: metadata, offset: offset, bytes: bytes, checksum: 0))
        }
        func missing() -> UInt64? {
            guard case .installSnapshotResponse(let response)? = bench.sent.last?.body else { return .max }
            return response.missingFrom
        }
        bench.hear(chunk(1, 0, 4), from: 2, term: 1)
        #expect(missing() == 4)
        bench.hear(chunk(1, 0, 4), from: 2)
        bench.hear(chunk(1, 6, 2), from: 2)
        #expect(missing() == 4)
        bench.hear(chunk(2, 4, 4), from: 2)
        #expect(missing() == 0)
        bench.hear(chunk(2, 0, 4), from: 2)
        bench.hear(chunk(2, 4, 4), from: 2)
        #expect(missing() == nil && bench.raft.commitIndex == 9 && bench.raft.persistedIndex == 9)
        #expect(bench.persisted.compactMap(\.installs).map(\.digest.low) == [2])
        #expect(bench.committed.isEmpty, "the snapshot has them")
    }
}
