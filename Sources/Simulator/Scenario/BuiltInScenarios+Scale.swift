// SPDX-License-Identifier: Apache-2.0
// Owns the scenarios about size: what a cluster of 100, 1 000 or 10 000 nodes costs, how fast it is and what it survives.

import ClusterTypes

extension BuiltInScenario {
    /// `gossipsim scale` runs them; too long for a sweep.
    package static let scaling: [BuiltInScenario] =
        [scaleIdle, scaleKill, scaleDown, scaleSpread, scaleLarge] + scaleTrouble

    /// What a large cluster has to survive.
    package static let scaleTrouble: [BuiltInScenario] = [
        scaleMass, scaleRolling, scaleLoss, scaleOneway, scaleSick,
    ]

    package var isAboutScale: Bool { name.hasPrefix("scale") }

    private static let scaleIdle = BuiltInScenario(
        name: "scale-idle", summary: "1000 nodes that know each other and have nothing to do",
        text: """
            nodes 1000
            preformed
            at 5s measure 20s
            expect no false failures
            run 26s
            """)

    private static let scaleKill = BuiltInScenario(
        name: "scale-kill", summary: "1000 nodes, kill -9 of five, one after the other",
        text: """
            nodes 1000
            preformed
            at 5s every 7s for 35s kill random
            expect no false failures
            run 50s
            """)

    private static let scaleDown = BuiltInScenario(
        name: "scale-down", summary: "1000 nodes, five hosts vanish, one after the other",
        text: """
            nodes 1000
            preformed
            at 5s every 7s for 35s down random
            expect no false failures
            run 90s
            """)

    private static let scaleSpread = BuiltInScenario(
        name: "scale-spread", summary: "1000 nodes, writes and changes of tags: how fast and how often they arrive",
        text: """
            nodes 1000
            preformed
            at 3s every 2s for 20s put random app/{n} "value {n}"
            at 4s every 2s for 20s tag random role=r{n}
            at 23s put n1 app/last "to all"
            expect value app/last "to all" within 5s
            expect no false failures
            run 30s
            """)

    private static let scaleLarge = BuiltInScenario(
        name: "scale-large", summary: "1000 nodes, larger writes and user events: how fast and how often they arrive",
        text: """
            nodes 1000
            preformed
            at 3s every 2s for 20s put random app/{n} size 400B
            at 4s every 4s for 20s event random deploy "release {n}"
            at 24s expect converged within 5s
            expect no false failures
            run 30s
            """)

    private static let scaleMass = BuiltInScenario(
        name: "scale-mass", summary: "1000 nodes, a third of the hosts vanishes at once, and comes back",
        text: """
            nodes 1000
            preformed
            at 5s down last 33%
            expect failed last 33% within 90s
            at 100s put n1 app/x "to the rest"
            expect value app/x "to the rest" within 5s
            at 110s start last 33%
            expect converged within 60s
            expect no false failures
            run 180s
            """)

    private static let scaleRolling = BuiltInScenario(
        name: "scale-rolling", summary: "1000 nodes, each is killed and is back after 2 s, ten a second",
        text: """
            nodes 1000
            preformed
            at 5s roll all for 2s every 100ms
            at 20s every 5s for 80s put random app/{n} "{n}"
            at 110s expect converged within 40s
            expect no false failures
            run 155s
            """)

    private static let scaleLoss = BuiltInScenario(
        name: "scale-loss", summary: "1000 nodes, three packets in ten are lost; one death and writes",
        text: """
            nodes 1000
            preformed
            loss 30%
            at 10s every 2s for 20s put random app/{n} "{n}"
            at 20s kill n5
            expect failed n5 within 30s
            expect value app/10 "10" within 20s
            expect no false failures
            run 60s
            """)

    private static let scaleOneway = BuiltInScenario(
        name: "scale-oneway", summary: "1000 nodes, what one node in twenty sends does not reach the last half",
        text: """
            nodes 1000
            preformed
            at 5s cut first 5% -> last 50%
            at 20s put n1 app/x "around the cut"
            expect value app/x "around the cut" within 10s
            at 40s heal
            at 45s expect converged within 30s
            expect no false failures
            run 80s
            """)

    private static let scaleSick = BuiltInScenario(
        name: "scale-sick", summary: "1000 nodes, one of them loses most packets and stands still again and again",
        text: """
            nodes 1000
            preformed
            loss 70% n7 -> all
            loss 70% all -> n7
            delay 100ms jitter 400ms n7 -> all
            at 5s every 6s for 60s stall n7 for 3s
            expect no false failures but n7
            run 75s
            """)
}
