// SPDX-License-Identifier: Apache-2.0
// Owns the metrics of user events.

import AdminServer
import NodeKernel

extension Metrics {
    static func addUserEvents(_ events: UserEventStatistics, to samples: inout [MetricSample]) {
        for (outcome, count) in [("sent", events.sent), ("refused", events.sendsRefused)] {
            samples.counter(
                "gossipd_user_events_sent_total", "User events of local clients.", count, ("outcome", outcome))
        }
        for (outcome, count) in [
            ("delivered", events.delivered), ("repeated", events.repeated), ("before_start", events.beforeStart),
            ("late", events.late), ("missed", events.missed), ("refused", events.refused),
        ] {
            samples.counter(
                "gossipd_user_events_total", "User events, by what came of them.", count, ("outcome", outcome))
        }
        for (step, count) in [("asked", events.asked), ("answered", events.answered)] {
            samples.counter(
                "gossipd_user_events_repair_total", "Requests for missing user events, and events sent for such.",
                count,
                ("step", step))
        }
        samples.gauge("gossipd_user_events_held", "User events kept for neighbours.", Int(clamping: events.held))
    }
}
