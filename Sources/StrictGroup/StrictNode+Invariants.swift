// SPDX-License-Identifier: Apache-2.0
// Owns the checks that tests and the simulator run after each step.

import ClusterTypes
import RaftCore
import StrictCore

extension StrictNode {
    /// Linear in the log and in what waits.
    package func checkInvariants() {
        raft?.checkInvariants()
        pool.checkInvariants()
        precondition(raft == nil || founding.founded != nil, "a log of no group")
        precondition(out.isEmpty, "\(out.count) actions were kept")
        precondition(calls.count <= configuration.callsMax + 1, "\(calls.count) calls")
        precondition(orders.count <= Self.ordersMax + 1, "\(orders.count) orders")
        precondition(batchesInFlight >= 0 && batchesInFlight <= writes.count, "\(batchesInFlight) batches in flight")
        precondition(ledTerm != nil || proposals.isEmpty, "\(proposals.count) proposals of no leader")
        if let raft, loading == nil, stoppedBy == nil {
            precondition(
                raft.appliedIndex == machine.appliedIndex,
                "Raft applied \(raft.appliedIndex), the state is of \(machine.appliedIndex)")
        }
        for (serial, call) in calls {
            precondition(serial < nextSerial)
            guard let at = callsCheckAt else { preconditionFailure("nobody looks after \(calls.count) calls") }
            precondition(at <= call.dueAt, "call \(serial) is looked after too late")
            if call.mayBeDone, call.isChange, call.id != nil { precondition(call.stamp != nil, "\(call)") }
        }
        precondition(raft == nil || !isRemoved || !writes.isEmpty, "a log of a member that was removed")
        if founding.founded == nil { precondition(raft == nil && recovering == nil) }
    }
}
