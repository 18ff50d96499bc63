// SPDX-License-Identifier: Apache-2.0
// Owns the metrics of user events, and of the commands that run on events.

import AdminModel
import AdminServer
import NodeKernel

extension Metrics {
    static func addHandlers(_ handlers: [HandlerStatus], to samples: inout [MetricSample]) {
        for handler in handlers {
            let label = ("handler", handler.name)
            let succeeded = handler.runs - handler.failed - handler.timedOut
            for (outcome, count) in [
                ("done", succeeded), ("failed", handler.failed), ("timed_out", handler.timedOut),
            ] {
                samples.counter(
                    "gossipd_handler_runs_total", "Runs of handlers, by how they ended.", count, label,
                    ("outcome", outcome))
            }
            samples.counter("gossipd_handler_events_total", "Events for handlers.", handler.events, label)
            samples.counter(
                "gossipd_handler_dropped_total", "Events dropped because a handler's queue was full.", handler.dropped,
                label)
            samples.gauge("gossipd_handler_queue_length", "Events that wait for a handler.", handler.queued, label)
            samples.gauge("gossipd_handler_running", "Runs under way.", handler.running, label)
        }
    }

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
