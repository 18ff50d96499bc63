// SPDX-License-Identifier: Apache-2.0
// Owns the checks that tests and the simulator run after each step.

import ClusterTypes

extension Raft {
    /// Linear in the log.
    package func checkInvariants() {
        log.checkInvariants()
        precondition(commitIndex <= log.lastIndex, "commit \(commitIndex) beyond \(log.last)")
        precondition(commitIndex >= log.base.index, "commit \(commitIndex) before \(log.base)")
        precondition(appliedIndex <= handedToApply, "applied \(appliedIndex), handed over \(handedToApply)")
        precondition(handedToApply <= commitIndex, "handed over \(handedToApply), commit \(commitIndex)")
        precondition(persistedIndex <= log.lastIndex, "durable \(persistedIndex), log \(log.last)")
        precondition(persistedIndex <= handedToDisk, "durable \(persistedIndex), handed over \(handedToDisk)")
        precondition(handedToDisk <= log.lastIndex, "handed over \(handedToDisk), log \(log.last)")
        precondition(log.last.term <= term, "entry \(log.last) in term \(term)")
        precondition(log.base.index <= snapshot.position.index, "log from \(log.base), snapshot \(snapshot.position)")
        precondition(isLeader == (leader == id), "\(role), leader \(String(describing: leader))")
        precondition(batches.batches.count <= RaftBounds.batchesInFlightMax)
        precondition(reads.count <= RaftBounds.pendingReadsMax)
        precondition(reads.rounds.isEmpty || isLeader, "\(reads.rounds.count) rounds of reads as \(role)")
        precondition(isLeader || mayLead == (role != .learner), "\(role), may lead: \(mayLead)")
        guard isLeader else { return }
        precondition(votedFor == id && !isRefetching, "leads, voted for \(String(describing: votedFor))")
        precondition(
            leadership.uncommittedBytes == log.bytes(after: commitIndex),
            "\(leadership.uncommittedBytes) bytes are \(log.bytes(after: commitIndex))")
        for peer in leadership.peers {
            precondition(peer.match < peer.next && peer.match <= log.lastIndex, "\(peer)")
            precondition(peer.next <= log.lastIndex + 1, "\(peer)")
            precondition(peer.ackedRound <= leadership.round, "\(peer)")
        }
    }
}
