// SPDX-License-Identifier: Apache-2.0
// Owns the scenarios that hold failure detection to its targets: how soon, and never wrongly.

import ClusterTypes

extension BuiltInScenario {
    /// Bounds of time here are targets (Docs/performance.md), not only correctness: 30 nodes, profile `lan`.
    static let detection: [BuiltInScenario] = [
        dead, vanished, stopped, lossy, lossier, third, rolling, oneways, sick, suspended,
    ]

    private static let dead = BuiltInScenario(
        name: "dead", summary: "kill -9, three times: every survivor says so within 0.9 s",
        text: """
            nodes 30
            expect formed within 5s
            at 20s kill n5
            expect failed n5 within 900ms
            at 30s kill n17
            expect failed n17 within 900ms
            at 40s kill n30
            expect failed n30 within 900ms
            expect no false failures
            run 50s
            """)

    private static let vanished = BuiltInScenario(
        name: "vanished", summary: "three hosts vanish, one after the other: told within 3.7 s, mostly within 3 s",
        text: """
            nodes 30
            expect formed within 5s
            at 40s down n5
            expect failed n5 within 3700ms
            at 60s down n17
            expect failed n17 within 3700ms
            at 80s down n30
            expect failed n30 within 3700ms
            expect no false failures
            run 90s
            """)

    private static let stopped = BuiltInScenario(
        name: "stopped",
        summary: "6 of 30 are stopped for 4 s and run for 1 s, for two minutes: nobody is called failed",
        text: """
            nodes 30
            at 10s every 5s for 120s stall n2,n7,n12,n17,n22,n27 for 4s
            at 135s expect converged within 15s
            expect no false failures
            run 155s
            """)

    private static let lossy = BuiltInScenario(
        name: "lossy", summary: "one packet in ten is lost for five minutes; a kill is told within 3 s all the same",
        text: """
            nodes 30
            expect formed within 15s
            at 10s loss 10%
            at 250s kill n5
            expect failed n5 within 3s
            at 310s loss 0%
            at 311s expect converged within 15s
            expect no false failures
            run 330s
            """)

    private static let lossier = BuiltInScenario(
        name: "lossier", summary: "three packets in ten are lost for two minutes: no healthy node is called failed",
        text: """
            nodes 30
            expect formed within 15s
            at 10s loss 30%
            at 130s loss 0%
            at 131s expect converged within 20s
            expect no false failures
            run 155s
            """)

    private static let third = BuiltInScenario(
        name: "third", summary: "a third of the nodes dies at once, later another third of the hosts vanishes",
        text: """
            nodes 30
            expect formed within 5s
            at 20s kill 11-20
            expect failed 11-20 within 3s
            at 40s restart 11-20
            at 41s expect converged within 10s
            at 60s down 21-30
            expect failed 21-30 within 12s
            expect no false failures
            run 90s
            """)

    private static let rolling = BuiltInScenario(
        name: "rolling",
        summary: "a node restarts in order every second, taking 200 ms: nobody is called failed",
        text: """
            nodes 30
            expect formed within 5s
            at 10s bounce n1 for 200ms orderly
            at 12s every 1s for 28s bounce random for 200ms orderly
            at 45s expect converged within 10s
            expect no failures
            run 60s
            """)

    private static let oneways = BuiltInScenario(
        name: "oneways", summary: "cuts in one direction, of datagrams and streams, between many pairs at once",
        text: """
            nodes 30
            expect formed within 5s
            at 10s cut 1-5 -> 6-15
            at 30s cut 20-24 -> 25-30
            at 50s cut n1 -> 16-25
            at 70s heal
            expect converged within 15s
            expect no false failures
            run 90s
            """)

    private static let sick = BuiltInScenario(
        name: "sick",
        summary: "one of 100 hears a third of what is sent to it and stands still now and then; it harms nobody",
        text: """
            nodes 100
            start-over 3s
            expect formed within 15s
            at 20s loss 65% all -> n50
            at 20s every 3s for 60s stall n50 for 1s
            at 90s heal
            at 90s loss 0% all -> n50
            at 91s expect converged within 20s
            expect no failures but n50
            run 115s
            """)

    private static let suspended = BuiltInScenario(
        name: "suspended",
        summary: "a node does nothing for 12 s and comes back: it may be called failed, it calls nobody so",
        text: """
            nodes 30
            expect formed within 5s
            at 20s stall n9 for 12s
            at 40s expect converged within 10s
            expect no failures but n9
            run 55s
            """)
}
