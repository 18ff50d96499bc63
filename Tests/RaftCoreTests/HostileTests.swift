// SPDX-License-Identifier: Apache-2.0
// Owns the tests of what no honest peer sends: nothing of it may stop the process or break an invariant.

import ClusterTypes
import RaftCore
import Testing

@Suite("Hostile messages")
struct HostileTests {
    @Test("any numbers in any message trap nothing, in any role", arguments: 1...3)
    func anything(seed: Int) {
        var rng = SeededGenerator(seed: UInt64(seed))
        for round in 0..<400 {
            var bench = Bench()
            switch round % 4 {
            case 1: bench.lead()
            case 2: bench.append(["a", "b", "c"], from: 2, term: 3, commit: 2)
            case 3: bench.pass(.milliseconds(700))
            case _: break
            }
            for _ in 0..<20 {
                let message = RaftMessage(
                    from: id(rng.index(below: 5)), to: id(rng.chance(0.95) ? 1 : 2),
                    term: rng.chance(0.6) ? bench.raft.term : number(&rng), body: body(&rng))
                bench.raft.onMessage(message, now: bench.now, using: &bench.rng)
                bench.settle()
                if rng.chance(0.2) { bench.pass(.milliseconds(rng.index(below: 400))) }
                if rng.chance(0.2) { bench.propose("x") }
                if rng.chance(0.1) { bench.read(1) }
            }
        }
    }

    private func number(_ rng: inout SeededGenerator) -> UInt64 {
        switch rng.index(below: 6) {
        case 0: .max
        case 1: RaftBounds.numberMax - UInt64(rng.index(below: 3))
        case 2: rng.next()
        case _: UInt64(rng.index(below: 6))
        }
    }

    private func position(_ rng: inout SeededGenerator) -> LogPosition {
        LogPosition(term: number(&rng), index: number(&rng))
    }

    private func body(_ rng: inout SeededGenerator) -> RaftMessage.Body {
        let (flag, other) = (rng.chance(0.5), rng.chance(0.2))
        switch rng.index(below: 13) {
        case 0: return .preVote(last: position(&rng))
        case 1: return .preVoteResponse(isGranted: flag)
        case 2: return .vote(last: position(&rng), isTransfer: other)
        case 3: return .voteResponse(isGranted: flag)
        case 4: return .append(request(&rng))
        case 5:
            return .appendResponse(AppendResponse(outcome: .accepted(match: number(&rng)), isRefetching: other))
        case 6:
            let outcome = AppendResponse.Outcome.rejected(previous: number(&rng), conflict: position(&rng))
            return .appendResponse(AppendResponse(outcome: outcome, isRefetching: other))
        case 7: return .heartbeat(commit: number(&rng), round: number(&rng))
        case 8: return .heartbeatResponse(round: number(&rng), isRefetching: other)
        case 9:
            let metadata = SnapshotMetadata(
                position: position(&rng), membership: membership(&rng), bytes: number(&rng))
            let bytes = [UInt8](repeating: 0, count: rng.index(below: 5))
            return .installSnapshot(SnapshotChunk(metadata: metadata, offset: number(&rng), bytes: bytes, checksum: 0))
        case 10:
            return .installSnapshotResponse(
                SnapshotResponse(position: position(&rng), digest: .zero, missingFrom: flag ? number(&rng) : nil))
        case 11: return .timeoutNow(answered: 0)
        case _:
            let read = ReadID(term: number(&rng), process: number(&rng), sequence: number(&rng))
            return flag ? .readIndex(read) : .readIndexResponse(read, number(&rng))
        }
    }

    private func request(_ rng: inout SeededGenerator) -> AppendRequest {
        let previous = position(&rng)
        var entries: [LogEntry] = []
        for offset in 0..<UInt64(rng.index(below: 4)) {
            let index = rng.chance(0.9) ? previous.index &+ 1 &+ offset : number(&rng)
            let payload = rng.chance(0.8) ? LogEntry.Payload.empty : .membership(membership(&rng))
            entries.append(
                LogEntry(term: rng.chance(0.7) ? previous.term : number(&rng), index: index, payload: payload))
        }
        return AppendRequest(previous: previous, commit: number(&rng), entries: entries)
    }

    private func membership(_ rng: inout SeededGenerator) -> RaftMembership {
        RaftMembership(
            voters: (0..<rng.index(below: 4)).map { _ in id(rng.index(below: 5)) },
            learners: (0..<rng.index(below: 3)).map { _ in id(rng.index(below: 5)) })
    }
}
