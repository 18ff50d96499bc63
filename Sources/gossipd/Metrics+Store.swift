// SPDX-License-Identifier: Apache-2.0
// Owns the metrics of the durable store: disk, history, collection, clock, conditional writes.

import AdminServer
import NodeKernel
import Persistence
import StoreCore

extension Metrics {
    static func addStore(_ store: StoreDiagnosis, to samples: inout [MetricSample]) {
        samples.gauge("gossipd_store_revision", "The last revision of this node.", Int(clamping: store.revision))
        samples.gauge("gossipd_store_dead_rows", "Deleted rows that are not collected yet.", store.deadRows)
        samples.gauge("gossipd_store_actors", "Authors that the causal context names.", store.actors)
        samples.gauge("gossipd_store_queued_writes", "Writes in the import queue.", store.queuedWrites)
        samples.gauge(
            "gossipd_store_type_conflicts", "Keys with content of two types, at most 16.", store.typeConflicts.count)
        samples.gauge("gossipd_store_quarantined", "Authors with changes from the future.", store.quarantined.count)
        samples.gauge(
            "gossipd_collection_waits_for", "Members that hold collection up.", store.collectionWaitsFor.count)
        samples.gauge(
            "gossipd_store_resetting", "1 while the store is being replaced by a peer's.", store.isResetting ? 1 : 0)
        samples.append(
            MetricSample(
                "gossipd_clock_offset_seconds", help: "How far this host's clock is ahead of most others.",
                kind: .gauge,
                value: Double(store.clockOffsetMilliseconds ?? 0) / 1_000))
        samples.gauge(
            "gossipd_clock_outlier", "1 while writes are refused because of the clock.", store.isClockOutlier ? 1 : 0)
        for (condition, isSo) in [("full", store.storage == .full), ("slow", store.storage == .slow)] {
            samples.gauge("gossipd_disk_trouble", "1 while the disk is so.", isSo ? 1 : 0, ("condition", condition))
        }
    }

    static func addStore(_ kernel: KernelStatistics, to samples: inout [MetricSample]) {
        samples.counter(
            "gossipd_requests_repeated_total", "Writes answered from an earlier answer.", kernel.requestsRepeated)
        samples.counter("gossipd_values_expired_total", "Values whose time was over.", kernel.valuesExpired)
        for (outcome, count) in [("stashed", kernel.transactionsStashed), ("dropped", kernel.transactionsDropped)] {
            samples.counter(
                "gossipd_transactions_total", "Transactions of peers that had to wait.", count, ("outcome", outcome))
        }
        for (step, count) in [
            ("asked", kernel.confirmationsAsked), ("received", kernel.confirmationsReceived),
            ("given", kernel.confirmationsGiven),
        ] {
            samples.counter("gossipd_confirmations_total", "Questions whether a write is held.", count, ("step", step))
        }
    }

    static func addStore(_ file: StoreFileStatistics, to samples: inout [MetricSample]) {
        for (part, bytes) in [("database", file.databaseBytes), ("wal", file.walBytes)] {
            samples.gauge(
                "gossipd_store_file_bytes", "Bytes of the store on disk.", Int(clamping: bytes), ("part", part))
        }
        samples.counter("gossipd_store_commits_total", "Durable commits.", file.commits)
        samples.counter("gossipd_store_records_total", "Records made durable.", file.records)
    }
}
