// SPDX-License-Identifier: Apache-2.0
// Owns the daemon's metrics: which number is shown under which name. Docs/operations.md lists them.

import AdminModel
import AdminServer
import ClusterTypes
import Delivery
import Glibc
import Handlers
import NodeKernel
import Persistence
import SWIMCore
import Sealing
import StrictGroup
import Transport
import WireProtocol

/// Gathers the samples of `/metrics` from the kernel, the network and the process. The admin server adds its own.
struct Metrics: Sendable {
    private let driver: KernelDriver
    private let past: StorePast
    private let delivery: DeliveryEngine
    private let handlers: HandlerInbox
    private let strict: StrictAccess
    private let strictDisk: StrictDisk?
    private let hub: EventHub

    init(
        driver: KernelDriver, past: StorePast, delivery: DeliveryEngine, hub: EventHub, strict: StrictAccess,
        strictDisk: StrictDisk?
    ) {
        self.strictDisk = strictDisk
        handlers = hub.handlers
        self.hub = hub
        self.strict = strict
        self.driver = driver
        self.past = past
        self.delivery = delivery
    }

    @Sendable func samples() async -> [MetricSample] {
        var samples: [MetricSample] = []
        if case .status(let view) = await driver.perform(.status) { Self.add(view, to: &samples) }
        if case .statistics(let view) = await driver.perform(.statistics) {
            Self.add(view.membership, to: &samples)
            Self.add(view, to: &samples)
            Self.addStore(view.kernel, to: &samples)
            Self.addUserEvents(view.userEvents, to: &samples)
            if strict.isOn { Self.addStrict(view.kernel, to: &samples) }
        }
        if case .diagnosis(let store) = await driver.perform(.diagnose) { Self.addStore(store, to: &samples) }
        Self.addStore(past.statistics, to: &samples)
        Self.addRender(await delivery.status(), await delivery.statistics(), to: &samples)
        Self.addHandlers(handlers.status(), to: &samples)
        if strict.isOn, let status = try? await strict.status() {
            Self.addStrict(status, age: await strict.age(), name: { hub.identity($0).name }, to: &samples)
        }
        if let strictDisk { Self.addStrict(strictDisk.statistics, to: &samples) }
        Self.add(driver.counters, lag: driver.progress.loopLag, to: &samples)
        Self.addProcess(to: &samples)
        return samples
    }

    private static func add(_ view: StatusView, to samples: inout [MetricSample]) {
        for (state, count) in [
            ("alive", view.alive), ("suspect", view.suspect), ("failed", view.failed), ("left", view.left),
        ] {
            samples.gauge("gossipd_members", "Members by state.", count, ("state", state))
        }
        samples.gauge("gossipd_awareness_score", "Local health: 0 is healthy.", view.awareness)
        samples.gauge("gossipd_incarnation", "This node's incarnation.", Int(clamping: view.incarnation))
        samples.gauge("gossipd_store_keys", "Live keys.", view.keys)
        samples.gauge("gossipd_store_bytes", "Bytes of keys and values, estimated.", view.bytes)
    }

    private static func add(_ swim: SWIMStatistics, to samples: inout [MetricSample]) {
        samples.counter("gossipd_probes_total", "Probes started.", swim.probes)
        let rescued = swim.probesAcknowledgedByRelay + swim.probesAcknowledgedByStream
        for (outcome, count) in [
            ("direct", swim.probesAcknowledged - min(rescued, swim.probesAcknowledged)),
            ("relay", swim.probesAcknowledgedByRelay), ("stream", swim.probesAcknowledgedByStream),
            ("failed", swim.probesFailed - min(swim.probesNotSent, swim.probesFailed)),
            ("not_sent", swim.probesNotSent),
        ] {
            samples.counter(
                "gossipd_probe_outcomes_total", "Probes that are over: answered by which way, or not.", count,
                ("outcome", outcome))
        }
        for (path, count) in [
            ("relay", swim.probesAcknowledgedByRelay), ("stream", swim.probesAcknowledgedByStream),
        ] {
            samples.counter(
                "gossipd_probes_rescued_total", "Probes answered only by another way.", count, ("path", path))
        }
        samples.counter("gossipd_probes_acknowledged_total", "Probes answered by any way.", swim.probesAcknowledged)
        samples.counter("gossipd_probes_failed_total", "Probes without any answer.", swim.probesFailed)
        samples.counter("gossipd_indirect_pings_sent_total", "Relays asked.", swim.indirectPingsSent)
        samples.counter("gossipd_indirect_pings_relayed_total", "Pings for others.", swim.indirectPingsRelayed)
        samples.counter("gossipd_nacks_sent_total", "Nacks sent to requesters.", swim.nacksSent)
        samples.counter("gossipd_nacks_received_total", "Nacks received from relays.", swim.nacksReceived)
        samples.counter("gossipd_refutations_total", "Claims about this node refuted.", swim.refutations)
        samples.counter("gossipd_claims_refused_total", "Claims that break a bound.", swim.claimsRefused)
        samples.counter(
            "gossipd_claims_forged_total", "Statements in a member's name that it did not sign.", swim.claimsForged)
        samples.counter(
            "gossipd_stalls_total", "Verdicts on peers put off because their timer fired late.", swim.stalls)
        for (reason, count) in [("hint", swim.hintedProbes), ("second_look", swim.secondLooks)] {
            samples.counter(
                "gossipd_probes_early_total", "Probes before their turn.", count, ("reason", reason))
        }
        for (kind, count) in zip(["late", "datagrams_dropped", "suspended"], swim.localTroubles) {
            samples.counter("gossipd_local_trouble_total", "This host's own trouble noticed.", count, ("kind", kind))
        }
        samples.counter("gossipd_pings_wrong_target_total", "Pings meant for another node.", swim.wrongTarget)
    }

    private static func add(_ view: StatisticsView, to samples: inout [MetricSample]) {
        let kernel = view.kernel
        addQueues(view.queues, to: &samples)
        samples += [MetricSample].histogram(
            "gossipd_probe_rtt_seconds", "Round trips of this node's own direct probes.", kernel.roundTrips)
        samples.gauge("gossipd_store_rows", "Rows of the store, tombstones included.", view.rows)
        samples.counter("gossipd_writes_total", "Writes of local clients.", kernel.localWrites)
        for (outcome, count) in [
            ("applied", kernel.rowsApplied), ("known", kernel.rowsKnown), ("quarantined", kernel.rowsQuarantined),
            ("refused", kernel.rowsRefused), ("deferred", kernel.rowsDeferred),
        ] {
            samples.counter("gossipd_rows_received_total", "Rows from peers.", count, ("outcome", outcome))
        }
        samples.counter("gossipd_gossip_rounds_total", "Rounds of gossip.", kernel.gossipRounds)
        for (kind, role, count) in [
            ("members", "started", kernel.memberSyncsStarted), ("members", "served", kernel.memberSyncsServed),
            ("store", "started", kernel.storeSyncsStarted), ("store", "served", kernel.storeSyncsServed),
        ] {
            samples.counter(
                "gossipd_syncs_total", "Synchronisations.", count, ("kind", kind), ("role", role))
        }
        samples.counter("gossipd_sync_rows_sent_total", "Rows sent in synchronisations.", kernel.storeSyncRowsSent)
        samples.counter(
            "gossipd_sync_rows_received_total", "Rows received in synchronisations.", kernel.storeSyncRowsReceived)
        for (outcome, count) in [("held", kernel.sentinelsHeld), ("broken", kernel.sentinelsBroken)] {
            samples.counter(
                "gossipd_sentinels_total", "Streams that watch their other end.", count, ("outcome", outcome))
        }
        samples.counter(
            "gossipd_streams_ended_early_total", "Streams that broke before their end.", kernel.streamsEndedEarly)
        samples.counter(
            "gossipd_local_send_failures_total", "Sends that failed on this host, as the kernel heard of them.",
            kernel.sendFailures)
        for reason in IgnoredPacket.allCases {
            samples.counter(
                "gossipd_packets_ignored_total", "Well-formed packets of no use.", kernel.ignored(reason),
                ("reason", reason.word))
        }
    }

    private static func addQueues(_ queues: QueueLengths, to samples: inout [MetricSample]) {
        for (queue, count) in [
            ("member_updates", queues.memberUpdates), ("user_events", queues.userEvents),
            ("store_changes", queues.storeChanges), ("writes", queues.writes),
            ("probes", queues.probes), ("relayed_pings", queues.relayedPings), ("suspicions", queues.suspicions),
            ("streams", queues.streams), ("pulls", queues.pulls), ("transactions", queues.transactions),
            ("confirmations", queues.confirmations), ("joins", queues.joins), ("timeline", queues.timeline),
            ("places", queues.places),
        ] {
            samples.gauge("gossipd_queue_length", "What waits, is under way or remembered.", count, ("queue", queue))
        }
    }

    private static func add(_ counters: TransportCounters, lag: Interval, to samples: inout [MetricSample]) {
        for (direction, count, bytes) in [
            ("received", counters.datagramsReceived, counters.datagramBytesReceived),
            ("sent", counters.datagramsSent, counters.datagramBytesSent),
        ] {
            samples.counter("gossipd_datagrams_total", "UDP datagrams.", count, ("direction", direction))
            samples.counter("gossipd_datagram_bytes_total", "UDP payload bytes.", bytes, ("direction", direction))
        }
        for failure in DecodeFailure.allCases {
            samples.counter(
                "gossipd_packets_rejected_total", "Packets that do not decode.",
                counters.decodeFailures[failure] ?? 0, ("reason", failure.name))
        }
        samples.counter(
            "gossipd_datagrams_opened_total", "Datagrams that came sealed and were opened.", counters.datagramsOpened)
        for refusal in SealRefusal.allCases {
            samples.counter(
                "gossipd_seal_refused_total", "Datagrams and streams refused for their seal.",
                counters.sealRefusals[refusal] ?? 0, ("reason", refusal.rawValue))
        }
        samples.counter("gossipd_packets_malformed_total", "Packets that do not decode.", counters.decodeFailuresTotal)
        samples.counter("gossipd_messages_skipped_total", "Messages of an unknown kind.", counters.messagesSkipped)
        for reason in SendFailure.allCases {
            samples.counter(
                "gossipd_send_errors_total", "Datagrams this host failed to send.", counters.sendFailures[reason] ?? 0,
                ("reason", reason.rawValue))
        }
        for reason in PathError.allCases {
            samples.counter(
                "gossipd_path_errors_total", "What ICMP said of our datagrams.", counters.pathErrors[reason] ?? 0,
                ("reason", reason.rawValue))
        }
        samples.counter(
            "gossipd_datagrams_dropped_total", "Datagrams dropped at our own socket.", counters.datagramsDropped)
        for (reason, count) in [
            ("truncated", counters.datagramsTruncated), ("receive_error", counters.datagramReceiveErrors),
            ("other_cluster", counters.otherClusterPackets), ("too_large_to_send", counters.encodeFailures),
            ("stream_limit", counters.streamsEndedAtLimit), ("stream_full", counters.framesGivenUp),
            ("accept_error", counters.streamAcceptErrors),
            ("stream_key", counters.streamsEndedByKeys), ("command_limit", counters.commandsRefused),
            ("name_unresolved", counters.resolutionFailures),
        ] {
            samples.counter(
                "gossipd_transport_drops_total", "What the network layer gave up, by reason.", count, ("reason", reason)
            )
        }
        samples.counter("gossipd_sockets_reopened_total", "Times a socket was opened again.", counters.socketsReopened)
        addStreams(counters, to: &samples)
        samples.append(
            MetricSample(
                "gossipd_loop_lag_seconds", help: "How late the kernel's last timer fired.", kind: .gauge,
                value: lag.seconds))
        samples += [MetricSample].histogram(
            "gossipd_timer_lag_seconds", "How long after their time the kernel's timers fired.", counters.loopLag)
        samples.append(
            MetricSample(
                "gossipd_loop_lag_max_seconds", help: "The latest that a timer of the kernel ever fired.",
                kind: .gauge, value: counters.loopLagMax.seconds))
    }

    private static func addStreams(_ counters: TransportCounters, to samples: inout [MetricSample]) {
        samples.counter("gossipd_streams_opened_total", "Streams opened to peers.", counters.streamsOpened)
        samples.counter("gossipd_streams_accepted_total", "Streams accepted.", counters.streamsAccepted)
        samples.counter(
            "gossipd_streams_refused_total", "Streams beyond the bound.", counters.streamsRefusedAtLimit)
        samples.counter(
            "gossipd_streams_displaced_total", "Streams that had shown no key, closed to make room for others.",
            counters.streamsDisplaced)
        samples.counter(
            "gossipd_stream_connects_failed_total", "Connects that failed.", counters.streamConnectFailures)
        samples.counter("gossipd_streams_timed_out_total", "Streams that stood still.", counters.streamsTimedOut)
        for (direction, frames) in [("received", counters.framesReceived), ("sent", counters.framesSent)] {
            samples.counter("gossipd_stream_frames_total", "Packets on streams.", frames, ("direction", direction))
        }
        for (direction, bytes) in [
            ("received", counters.streamBytesReceived), ("sent", counters.streamBytesSent),
        ] {
            samples.counter("gossipd_stream_bytes_total", "Bytes of streams.", bytes, ("direction", direction))
        }
    }

    /// Names as every Prometheus client library has them.
    private static func addProcess(to samples: inout [MetricSample]) {
        var usage = rusage()
        guard getrusage(RUSAGE_SELF.rawValue, &usage) == 0 else { return }
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        samples.append(
            MetricSample(
                "process_cpu_seconds_total", help: "CPU time of this process.", kind: .counter,
                value: seconds(usage.ru_utime) + seconds(usage.ru_stime)))
        samples.append(
            MetricSample(
                "process_max_resident_memory_bytes", help: "The most memory this process ever had.", kind: .gauge,
                value: Double(usage.ru_maxrss) * 1_024))
    }
}

extension [MetricSample] {
    mutating func gauge(_ name: String, _ help: String, _ value: Int, _ labels: (String, String)...) {
        append(
            MetricSample(
                name, help: help, kind: .gauge, labels: labels.map { .init($0.0, $0.1) }, value: Double(value)))
    }

    mutating func counter(_ name: String, _ help: String, _ value: UInt64, _ labels: (String, String)...) {
        append(
            MetricSample(
                name, help: help, kind: .counter, labels: labels.map { .init($0.0, $0.1) }, value: Double(value)))
    }

    static func histogram(_ name: String, _ help: String, _ histogram: DurationHistogram) -> [MetricSample] {
        MetricSample.histogram(
            name, help: help, bounds: DurationHistogram.bounds.map(\.seconds), counts: histogram.counts,
            sum: histogram.sum.seconds)
    }
}
