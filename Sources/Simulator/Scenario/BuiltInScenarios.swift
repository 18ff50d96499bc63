// SPDX-License-Identifier: Apache-2.0
// Owns the scenarios that come with the program.

import ClusterTypes

/// A scenario by name, with a line about it for `gossipsim list`.
///
/// The bounds of expectations are those of correctness: a probe round is random, so a rare death waits for its first
/// probe through several periods. How fast it usually goes is told by the figures.
package struct BuiltInScenario: Sendable {
    package var name: String
    package var summary: String
    package var text: String

    /// The scenario with its own size and length, or with others.
    package func scenario(nodes: Int? = nil, duration: Interval? = nil) throws(ScenarioFailure) -> Scenario {
        try ScenarioParser.parse(text, file: name, name: name, nodes: nodes, duration: duration)
    }

    package static func named(_ name: String) -> BuiltInScenario? { all.first { $0.name == name } }

    /// In the order in which they are listed.
    package static let all: [BuiltInScenario] =
        [
            steady, kill, hostDown, loss, split, flapping, oneway, voiceless, stalls, churn, leave, writes, disturbed,
            skew,
            quarantine,
        ] + detection + userEvents + storage + strictKeys + [scale] + scaling

    private static let steady = BuiltInScenario(
        name: "steady", summary: "nothing goes wrong: formation and idle traffic",
        text: """
            nodes 30
            expect formed within 5s
            at 20s measure 30s
            expect converged
            expect no false failures
            run 60s
            """)

    private static let kill = BuiltInScenario(
        name: "kill", summary: "kill -9 of one node, and its return",
        text: """
            nodes 30
            at 10s kill n5
            expect failed n5 within 8s
            at 20s put n1 app/greeting "hello"
            at 30s restart n5
            expect converged within 10s
            expect value app/greeting "hello"
            expect no false failures
            run 45s
            """)

    private static let hostDown = BuiltInScenario(
        name: "host-down", summary: "a host vanishes without a word, and comes back",
        text: """
            nodes 30
            at 10s down n5
            expect failed n5 within 15s
            at 40s start n5
            expect converged within 15s
            expect no false failures
            run 60s
            """)

    private static let loss = BuiltInScenario(
        name: "loss", summary: "50 nodes, one packet in ten is lost, with writes",
        text: """
            nodes 50
            loss 10%
            expect formed within 15s
            at 15s every 1s for 20s put random app/{n} "value {n}"
            at 25s kill n9
            expect failed n9 within 20s
            at 45s restart n9
            expect converged within 30s
            expect no false failures
            run 80s
            """)

    private static let split = BuiltInScenario(
        name: "split", summary: "half against half for a minute, writes on both sides, then one root",
        text: """
            nodes 50
            expect formed within 5s
            at 8s add n1 app/hosts "base"
            at 10s partition first 50% | last 50%
            at 12s put n1 app/side "left"
            at 13s put n50 app/side "right"
            at 14s every 2s for 40s put random split/{n} "by {node}"
            at 14s every 3s for 40s add random app/hosts "{node}"
            at 15s every 5s for 40s increment random app/count
            at 30s remove n1 app/hosts "base"
            at 40s delete n2 split/1
            at 70s heal
            expect converged within 30s
            expect value app/side "right"
            expect counter app/count 8
            expect no element app/hosts "base"
            run 105s
            """)

    private static let flapping = BuiltInScenario(
        name: "flapping", summary: "one node is cut off for two seconds out of four, again and again",
        text: """
            nodes 20
            at 10s every 4s for 40s isolate n5 for 2s
            at 12s every 4s for 32s put n5 app/flap "{n}"
            at 50s expect converged within 20s
            expect value app/flap "8"
            run 75s
            """)

    private static let oneway = BuiltInScenario(
        name: "oneway",
        summary: "what n1 sends to n2 never arrives; later what n2 sends to the last half does not either",
        text: """
            nodes 20
            at 5s cut n1 -> n2
            at 20s put n1 app/x "around the cut"
            expect value app/x "around the cut" within 5s
            at 30s cut n2 -> last 50%
            at 40s put n2 app/x "around both"
            expect value app/x "around both" within 5s
            at 55s heal
            expect converged within 15s
            expect no false failures
            run 75s
            """)

    private static let voiceless = BuiltInScenario(
        name: "voiceless", summary: "nothing that n3 sends arrives anywhere; what it came to believe must harm nobody",
        text: """
            nodes 20
            at 10s cut n3 -> 1-2,4-20
            expect failed n3 within 30s
            at 50s expect no false failures
            at 50s heal
            expect converged within 30s
            expect no false failures
            run 90s
            """)

    private static let stalls = BuiltInScenario(
        name: "stalls", summary: "one node in five does nothing for four seconds, again and again",
        text: """
            nodes 30
            at 10s every 12s for 60s stall random 20% for 4s
            at 75s expect converged within 15s
            expect no false failures
            run 95s
            """)

    private static let churn = BuiltInScenario(
        name: "churn", summary: "nodes die and return all the time, under writes",
        text: """
            nodes 30
            at 10s every 2s for 60s bounce random for 6s
            at 10s every 500ms for 60s put random churn/{n} "{node}"
            at 12s every 700ms for 58s add random churn/set "{n}"
            at 14s every 3s for 56s delete random churn/{n}
            at 90s expect converged within 30s
            run 125s
            """)

    private static let leave = BuiltInScenario(
        name: "leave", summary: "nodes leave in order, one is forgotten, tags change",
        text: """
            nodes 20
            at 10s tag n4 role=web
            at 15s leave n20
            expect left n20 within 5s
            at 20s leave 18-19
            expect left 18-19 within 5s
            at 25s kill n17
            expect failed n17 within 8s
            at 42s forget n17 by n1
            at 50s restart n20
            at 60s expect converged within 10s
            expect members 17
            expect no false failures
            run 75s
            """)

    private static let writes = BuiltInScenario(
        name: "writes", summary: "registers, sets, counters, deletes and large values on a healthy cluster",
        text: """
            nodes 30
            at 10s every 100ms for 10s put random app/{n} "{node} {n}"
            at 10s every 200ms for 10s increment random app/count
            at 10s every 250ms for 10s add random app/set "{n}"
            at 15s put n3 app/big size 200KB
            at 16s add n4 app/roles "db"
            at 18s remove n5 app/roles "db"
            at 19s put n6 app/gone "x"
            at 20s delete n7 app/gone
            at 20s expect converged within 10s
            expect counter app/count 50
            expect element app/set "40"
            expect no element app/roles "db"
            expect no key app/gone
            expect no false failures
            run 40s
            """)

    private static let disturbed = BuiltInScenario(
        name: "disturbed", summary: "loss, duplicates, reordering, damage, slow disks and mute hosts at once",
        text: """
            nodes 20
            delay 5ms jitter 10ms
            loss 3%
            duplicate 5%
            reorder 10% by 100ms
            corrupt 1%
            disk 5ms jitter 20ms
            at 15s every 1s for 30s put random app/{n} "{n}"
            at 20s every 5s for 30s mute random for 2s
            at 25s every 3s for 20s delete random app/{n}
            at 50s expect converged within 30s
            run 85s
            """)

    private static let skew = BuiltInScenario(
        name: "skew", summary: "wall clocks that are wrong, jump and drift",
        text: """
            nodes 10
            clock n2 +20s
            clock n3 -20s
            drift n4 200ppm
            at 10s put n2 app/x "by the fast clock"
            at 12s put n3 app/x "by the slow clock"
            at 14s expect value app/x "by the slow clock" within 5s
            at 20s clock n5 +30s
            at 21s put n5 app/y "1"
            at 22s clock n5 -50s
            at 23s put n5 app/y "2"
            at 25s delete n1 app/x
            at 25s expect value app/y "2" within 5s
            at 30s expect no key app/x within 5s
            at 40s expect converged within 10s
            expect no false failures
            run 60s
            """)

    private static let quarantine = BuiltInScenario(
        name: "quarantine", summary: "a clock 90 s ahead: its writes wait until the others' clocks come near",
        text: """
            nodes 10
            # Before the others' clocks tell it that it is the outlier.
            at 10s clock n2 +90s
            at 10s put n2 app/future "later"
            at 10s put n1 app/now "at once"
            at 11s expect value app/now "at once" within 3s
            at 20s put n3 app/now "again"
            at 21s expect value app/now "again" within 3s
            at 42s expect value app/future "later" within 20s
            at 45s expect converged within 20s
            expect no false failures
            run 80s
            """)

    private static let scale = BuiltInScenario(
        name: "scale", summary: "1000 nodes for a minute of cluster time: formation, one death, idle traffic",
        text: """
            nodes 1000
            start-over 10s
            expect formed within 20s
            at 30s put n1 app/x "to all"
            at 31s kill n5
            expect failed n5 within 8s
            at 46s measure 14s
            expect converged
            expect no false failures
            run 60s
            """)
}
