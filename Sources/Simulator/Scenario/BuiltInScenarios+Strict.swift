// SPDX-License-Identifier: Apache-2.0
// Owns the built-in scenarios about strict keys: clients on any node, and everything that may go wrong meanwhile.

extension BuiltInScenario {
    static let strictKeys: [BuiltInScenario] = [
        strict, strictBunches, strictCrashes, strictPartitions, strictClocks, strictMembers, strictDisks,
        strictRecovery, strictMeeting,
    ]

    private static let strict = BuiltInScenario(
        name: "strict",
        summary: "three of five nodes keep strict keys, clients on all of them; the leader is killed once",
        text: """
            nodes 5
            strict lock/ voters 3
            start-over 300ms
            at 4s expect strict settled within 5s
            at 5s every 20ms for 10s call random keys 40
            at 9s bounce n1 for 2s
            at 17s expect strict settled within 5s
            at 18s expect strict agreed within 5s
            expect converged
            run 25s
            """)

    private static let strictBunches = BuiltInScenario(
        name: "strict-bunches",
        summary: "clients that send many calls at a time, to leaders that die, stand still and are cut off",
        text: """
            nodes 5
            strict lock/ voters 3
            start-over 300ms
            disk 1ms jitter 3ms
            at 4s every 60ms for 18s call random keys 60 together 5
            at 6s every 2s for 12s bounce random for 500ms
            at 9s stall random for 800ms
            at 12s isolate random for 1s
            at 15s every 1s for 3s stall random for 300ms
            at 25s expect strict settled within 10s
            at 26s expect strict agreed within 10s
            expect converged
            run 38s
            """)

    private static let strictCrashes = BuiltInScenario(
        name: "strict-crashes",
        summary: "kill -9 again and again, of several at once too; disks keep some of what they had not confirmed",
        text: """
            nodes 5
            strict lock/ voters 3
            start-over 300ms
            disk 2ms jitter 6ms
            at 4s every 15ms for 20s call random keys 40
            at 5s every 700ms for 18s bounce random for 600ms
            at 9s bounce 1-5 for 1s
            at 15s every 2s for 6s bounce random for 2s
            at 28s expect strict settled within 10s
            at 29s expect strict agreed within 10s
            expect converged
            run 42s
            """)

    private static let strictPartitions = BuiltInScenario(
        name: "strict-partitions",
        summary: "majorities and minorities, links that work one way, a bridge between two halves, lost packets",
        text: """
            nodes 5
            strict lock/ voters 5
            start-over 300ms
            at 4s every 20ms for 36s call random keys 60
            at 6s partition 1-2 | 3-5
            at 10s heal
            at 12s cut 1 -> 2-5
            at 16s heal
            at 17s cut 2-5 -> 3
            at 20s heal
            # 3 reaches both halves, they do not reach each other.
            at 22s cut 1-2 -> 4-5
            at 22s cut 4-5 -> 1-2
            at 27s heal
            at 28s loss 20%
            at 33s loss 0%
            at 34s isolate random for 3s
            at 44s expect strict settled within 15s
            at 45s expect strict agreed within 20s
            expect converged
            run 75s
            """)

    private static let strictClocks = BuiltInScenario(
        name: "strict-clocks", summary: "wall clocks that jump hours both ways and drift, processes that stand still",
        text: """
            nodes 5
            strict lock/ voters 3
            start-over 300ms
            at 4s every 20ms for 20s call random keys 40
            at 6s clock random +2h
            at 8s clock random -2h
            at 9s drift random 400ppm
            at 10s every 1500ms for 10s stall random for 700ms
            at 12s clock random +30m
            at 14s clock random -30m
            at 20s clock 1-5 right
            at 28s expect strict settled within 10s
            at 29s expect strict agreed within 15s
            run 45s
            """)

    private static let strictMembers = BuiltInScenario(
        name: "strict-members",
        summary: "voters come and go through the log under load, the leader hands over, nodes crash",
        text: """
            nodes 6
            strict lock/ voters 3
            start-over 300ms
            disk 1ms jitter 2ms
            at 5s every 20ms for 30s call random keys 40
            at 7s add-voter 4 by 1
            at 9s add-voter 5 by 2
            at 11s remove-voter 1 by 2
            at 13s transfer by 3
            at 15s bounce random for 1s
            at 17s add-voter 6 by 4
            at 19s remove-voter 2 by 5
            at 21s bounce random for 1s
            at 24s transfer by 6
            at 26s remove-voter 3 by 6
            at 40s expect strict settled within 10s
            at 41s expect strict agreed within 10s
            run 55s
            """)

    private static let strictRecovery = BuiltInScenario(
        name: "strict-recovery",
        summary: "two of three voters are lost with writes that only they and copies had; the third goes on alone",
        text: """
            nodes 6
            strict lock/ voters 3 groups 2
            start-over 300ms
            hold 4-6
            at 3s start 4-6
            at 6s every 20ms for 10s call random keys 40
            at 10s kill 3
            at 14s kill 1-2
            at 18s start 3
            at 22s recover by 3
            at 24s add-voter 4 by 3
            at 26s add-voter 5 by 3
            at 30s every 50ms for 20s call random keys 40
            at 52s expect strict settled within 10s
            at 52s expect strict corrected within 20s
            at 53s expect strict agreed within 20s
            expect converged
            run 80s
            """)

    private static let strictMeeting = BuiltInScenario(
        name: "strict-meeting",
        summary: "two clusters with groups of their own are joined: each keeps its state; then one is given up",
        text: """
            nodes 8
            seeds 8
            strict lock/ voters 3 groups 2
            start-over 100ms
            at 0s partition 1-3,7 | 4-6,8
            at 5s every 20ms for 8s call random keys 40
            at 14s heal
            at 15s every 50ms for 30s call random keys 40
            # Neither corrects what the other writes, and no copy holds it.
            at 44s expect strict uncorrected within 1s
            # Nodes of the other group pass nothing on: whoever gossip missed waits for anti-entropy.
            at 50s expect strict agreed within 12s
            # What is left of the second group is one node: its client, or a voter, which stays what it is until it is wiped.
            at 64s kill 4-6
            at 83s expect strict corrected within 30s
            at 83s expect strict agreed within 40s
            at 124s disk wipe 4-6
            at 125s start 4-6
            at 133s expect strict agreed within 20s
            at 140s kill 8
            at 140s disk wipe 8
            at 141s start 8
            at 150s expect strict agreed within 20s
            expect converged
            run 178s
            """)

    private static let strictDisks = BuiltInScenario(
        name: "strict-disks", summary: "disks that stand still, fill up, and logs that rot in the middle",
        text: """
            nodes 5
            strict lock/ voters 3 log 4KB
            start-over 300ms
            disk 1ms jitter 4ms
            at 4s every 20ms for 24s call random keys 40
            at 6s disk stall random for 2s
            at 9s disk full random for 2s
            at 12s kill n1
            at 13s disk damage n1
            at 14s start n1
            at 18s kill n2
            at 19s disk damage n2
            at 20s start n2
            at 24s kill n3
            at 25s disk damage n3
            at 26s start n3
            at 34s expect strict settled within 10s
            at 35s expect strict agreed within 10s
            run 50s
            """)
}
