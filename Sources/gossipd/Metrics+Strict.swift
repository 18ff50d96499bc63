// SPDX-License-Identifier: Apache-2.0
// Owns the metrics of the strict group.

import AdminServer
import ClusterTypes
import NodeKernel
import Persistence
import RaftCore
import StrictGroup

extension Metrics {
    static func addStrict(
        _ status: StrictStatus, age: UInt64?, name: (NodeID) -> String, to samples: inout [MetricSample]
    ) {
        let role = KernelNode.word(status.role)
        for other in RaftRole.allCases.map(\.rawValue) + ["client"] {
            samples.gauge(
                "gossipd_strict_role", "1 for the role of this node in the strict group.", other == role ? 1 : 0,
                ("role", other))
        }
        samples.gauge("gossipd_strict_formed", "1 when the strict group has formed.", status.group == nil ? 0 : 1)
        samples.gauge("gossipd_strict_has_leader", "1 while a leader is known.", status.reachedLeader == nil ? 0 : 1)
        samples.gauge("gossipd_strict_term", "The term.", Int(clamping: status.term))
        // A client holds no log.
        let log =
            status.role == nil ? [] : [("commit", status.commit), ("applied", status.applied), ("last", status.last)]
        for (place, index) in log {
            samples.gauge(
                "gossipd_strict_index", "Entries of the strict log: committed, in the state, in the log.",
                Int(clamping: index), ("place", place))
        }
        samples.gauge(
            "gossipd_strict_apply_lag", "Committed entries that are not in this node's state.",
            Int(clamping: status.commit - min(status.applied, status.commit)))
        samples.gauge("gossipd_strict_voters", "Voters of the strict group.", status.voters.count)
        samples.gauge(
            "gossipd_strict_voters_reachable", "Voters that this node reaches, itself included.",
            status.voters.count { status.reachable.contains($0) })
        samples.gauge("gossipd_strict_learners", "Learners of the strict group.", status.learners.count)
        samples.gauge(
            "gossipd_strict_quorum_reachable", "1 while this node reaches a majority of the voters.",
            !status.voters.isEmpty && status.voters.count { status.reachable.contains($0) } >= status.quorum ? 1 : 0)
        samples.gauge(
            "gossipd_strict_foreign_groups", "Other strict groups that are alive beside this node's: should be 0.",
            status.foreign.count)
        samples.counter("gossipd_strict_elections_total", "Elections that this node has begun.", status.elections)
        for follower in status.followers {
            let label = ("member", name(follower.id))
            samples.gauge(
                "gossipd_strict_follower_lag", "On the leader: entries that another member lacks.",
                Int(clamping: status.last - min(follower.match, status.last)), label)
            samples.append(
                MetricSample(
                    "gossipd_strict_follower_silence_seconds", help: "On the leader: since it heard of another member.",
                    kind: .gauge, labels: [.init(label.0, label.1)], value: follower.silentFor.seconds))
        }
        for (kind, count) in [
            ("keys", status.keys), ("leases", status.leases), ("locks", status.locks), ("sessions", status.sessions),
        ] {
            samples.gauge("gossipd_strict_objects", "What the strict state holds.", count, ("kind", kind))
        }
        samples.gauge(
            "gossipd_strict_refetching", "1 while a damaged strict log is being fetched again.",
            status.isRefetching ? 1 : 0)
        if let age {
            samples.append(
                MetricSample(
                    "gossipd_strict_staleness_seconds", help: "How old local reads of strict keys are at most.",
                    kind: .gauge, value: Double(age) / 1_000))
        }
    }

    static func addStrict(_ disk: StrictDiskStatistics, to samples: inout [MetricSample]) {
        samples.counter("gossipd_strict_log_syncs_total", "Syncs of the strict log.", disk.syncs)
        samples.counter("gossipd_strict_log_bytes_total", "Bytes written to the strict log.", disk.bytes)
        samples += [MetricSample].histogram(
            "gossipd_strict_log_sync_seconds", "Rounds of writing to the strict log, until they were synced.",
            disk.rounds)
    }

    static func addStrict(_ kernel: KernelStatistics, to samples: inout [MetricSample]) {
        samples.counter(
            "gossipd_strict_rows_refused_total", "Rows of peers that would have changed strict keys past the group.",
            kernel.strictRowsRefused)
        samples.counter(
            "gossipd_strict_foreign_rows_refused_total", "Rows of strict keys by another strict group that is alive.",
            kernel.strictForeignRows)
        samples.counter(
            "gossipd_strict_messages_lost_total", "Messages of the strict group that no stream took.",
            kernel.strictMessagesLost)
    }
}
