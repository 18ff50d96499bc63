// SPDX-License-Identifier: Apache-2.0
// Owns snapshots: when one is made, sent, and taken over (thesis 5).

import ClusterTypes
import RaftCore
import StrictCore

extension StrictNode {
    /// From a copy of the state, which costs next to nothing: entries go on being applied.
    mutating func makeSnapshot() {
        guard !isMakingSnapshot, loading == nil, stoppedBy == nil, let raft else { return }
        do throws(RaftFailure) {
            let metadata = try raft.snapshotMetadata(at: machine.appliedIndex)
            isMakingSnapshot = true
            owesSnapshot = false
            out.append(.makeSnapshot(StrictSnapshotWriter(machine), metadata.position, metadata.membership))
        } catch {
            // Not later than the last one, or not durable yet: asked for again with the next batch.
            owesSnapshot = true
        }
    }

    mutating func onSnapshotMade(_ position: LogPosition, _ bytes: UInt64, _ digest: Hash128) {
        isMakingSnapshot = false
        guard recovering == nil, raft?.term(at: position.index) == position.term else { return }
        do throws(RaftFailure) {
            _ = try raft?.compact(at: position.index, bytes: bytes, digest: digest)
        } catch {
            // A later one was taken over meanwhile: this one is of no use, and is not named below.
        }
        guard let raft else { return }
        out.append(.compact(keepFrom: raft.firstIndex, snapshots: raft.snapshotsInUse))
    }

    mutating func onSnapshotRead(_ order: SnapshotChunkOrder, _ chunk: SnapshotChunk?) {
        guard let group, let raft, raft.isLeader, raft.term == order.term else { return }
        if let chunk {
            let message = RaftMessage(from: id, to: order.to, term: order.term, body: .installSnapshot(chunk))
            out.append(.send(.raft(group: group, message), to: order.to))
        } else {
            self.raft?.onSnapshotUnavailable(to: order.to)
        }
    }

    mutating func onSnapshotLoaded(_ metadata: SnapshotMetadata, _ state: StrictMachine?) {
        guard loading == metadata else { return }
        loading = nil
        let entries = held
        held.removeAll()
        guard let state, state.appliedIndex == metadata.position.index else {
            refetchAll(metadata)
            return
        }
        machine = state
        stoppedBy = nil
        raft?.onApplied(through: machine.appliedIndex)
        apply(entries)
        answerReads()
    }

    /// The disk has bytes that are no snapshot of ours: nothing is left of this node's state. It keeps its term and vote, and
    /// fetches all again before it counts.
    private mutating func refetchAll(_ metadata: SnapshotMetadata) {
        guard let old = raft else { return }
        machine = StrictMachine()
        let zero = SnapshotMetadata(position: .zero, membership: old.membership)
        let hard = HardState(term: old.term, votedFor: old.votedFor)
        startRaft(
            RestoredState(
                hardState: hard, snapshot: zero, mayHaveAcknowledged: max(old.lastPosition.index, metadata.position.index)))
    }

    /// - Parameter state: What the disk holds, or will when the writes before are durable.
    mutating func startRaft(_ state: RestoredState) {
        unstartedRaft = nil
        raftEpoch += 1
        batchesInFlight = 0
        loading = nil
        held.removeAll()
        var state = state
        if machine.appliedIndex != state.applied || state.applied < state.snapshot.position.index {
            // The state is not the one that the log begins behind.
            state = damaged(state)
            machine = StrictMachine()
            state.snapshot = SnapshotMetadata(position: .zero, membership: state.snapshot.membership)
        }
        do throws(RaftFailure) {
            raft = try Raft(configuration: configuration.raft, id: id, restoring: state, now: clock.now, using: &rng)
        } catch {
            raft = nil
            startDamagedRaft(damaged(state))
        }
    }

    private mutating func startDamagedRaft(_ state: RestoredState) {
        do throws(RaftFailure) {
            raft = try Raft(configuration: configuration.raft, id: id, restoring: state, now: clock.now, using: &rng)
        } catch {
            // Not even term and vote can be right: this node takes no part until its disk is looked after.
            raft = nil
            isBroken = true
        }
    }

    /// The same as of a node whose log cannot be trusted: it votes for nobody until it has all again.
    private func damaged(_ state: RestoredState) -> RestoredState {
        var result = state
        result.mayHaveAcknowledged = max(
            state.entries.last?.index ?? 0, state.hardState.commit, state.snapshot.position.index, state.applied,
            state.mayHaveAcknowledged ?? 0)
        result.entries = []
        result.applied = 0
        result.incoming = nil
        return result
    }
}
