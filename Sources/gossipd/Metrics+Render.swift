// SPDX-License-Identifier: Apache-2.0
// Owns the metrics of delivery: files by state, tries by outcome, reloads.

import AdminModel
import AdminServer
import Delivery

extension Metrics {
    static func addRender(
        _ document: RenderStatusDocument, _ counters: DeliveryCounters, to samples: inout [MetricSample]
    ) {
        for state in RenderFileStatus.State.allCases where state != .unknown {
            samples.gauge(
                "gossipd_render_files", "Files made of keys, by state.", document.files.count { $0.state == state },
                ("state", state.rawValue))
        }
        for (outcome, count) in [
            ("unchanged", counters.unchanged), ("applied", counters.applied), ("failed", counters.failed),
            ("refused", counters.refused), ("rolled_back", counters.rolledBack),
        ] {
            samples.counter(
                "gossipd_render_files_total", "Files rendered, by what came of it.", count, ("outcome", outcome))
        }
        for (outcome, count) in [("done", counters.reloads), ("failed", counters.reloadsFailed)] {
            samples.counter(
                "gossipd_render_reloads_total", "Reloads that files asked for.", count, ("outcome", outcome))
        }
        samples.counter(
            "gossipd_render_reports_total", "Times this host told the fleet of its files.", counters.reports)
    }
}
