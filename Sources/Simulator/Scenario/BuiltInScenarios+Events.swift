// SPDX-License-Identifier: Apache-2.0
// Owns the scenarios about user events; the check of them runs in every scenario.

import ClusterTypes

extension BuiltInScenario {
    static let userEvents = [
        BuiltInScenario(
            name: "events", summary: "user events under loss, duplicates, reordering, a partition, stalls and restarts",
            text: """
                nodes 20
                delay 5ms jitter 10ms
                loss 20%
                duplicate 10%
                reorder 20% by 100ms
                at 15s every 100ms for 40s event random deploy "{node} {n}"
                at 20s every 50ms for 5s event n3 burst "{n}"
                at 25s partition first 50% | last 50%
                at 30s every 200ms for 10s event n1 left "{n}"
                at 30s every 200ms for 10s event n20 right "{n}"
                at 50s heal
                at 52s every 5s for 20s stall random for 3s
                at 60s every 4s for 20s bounce 11-15 for 2s
                at 60s every 250ms for 25s event 16-18 after "{n}"
                at 80s start 11-15
                loss 20%
                at 200s expect converged within 30s
                run 235s
                """),
        BuiltInScenario(
            name: "event-burst", summary: "a thousand user events of one node at once, one packet in ten lost",
            text: """
                nodes 10
                loss 10%
                at 10s every 1ms for 999ms event n4 burst "{n}"
                at 120s expect converged within 20s
                run 150s
                """),
    ]
}
