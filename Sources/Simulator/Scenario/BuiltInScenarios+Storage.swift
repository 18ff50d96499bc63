// SPDX-License-Identifier: Apache-2.0
// Owns the built-in scenarios about what lasts: crashes, disks that fail, collection, clocks, copies of disks.

extension BuiltInScenario {
    static let storage: [BuiltInScenario] = [
        crashes, diskFull, diskStall, diskError, away, stranded, interrupted, yearAhead, restored, cloned, wiped,
        actors,
        imports, expiry,
    ]

    private static let crashes = BuiltInScenario(
        name: "crashes",
        summary: "kill -9 again and again under writes; disks keep some of what they had not confirmed",
        text: """
            nodes 5
            start-over 300ms
            disk 2ms jitter 6ms
            at 2s every 50ms for 12s put random app/{n} "{node} {n}"
            at 2s every 90ms for 12s put random app/hot "{n}"
            at 2s every 120ms for 12s increment random app/count
            at 2s every 200ms for 12s add random app/set "{n}"
            at 2s every 1s for 12s import random batch/{n} 8 "{n}"
            at 3s every 400ms for 10s delete random app/hot
            at 3s every 900ms for 10s remove random app/set "{n}"
            at 3s every 700ms for 11s bounce random for 600ms
            at 15s expect converged within 5s
            run 20s
            """)

    private static let diskFull = BuiltInScenario(
        name: "disk-full", summary: "a disk without room for eight seconds, under writes; then there is room",
        text: """
            nodes 5
            at 3s put n1 app/before "x"
            at 5s disk full n2 for 8s
            at 6s every 500ms for 6s put n2 full/{n} "{n}"
            at 6s every 500ms for 6s put n1 app/{n} "{n}"
            at 6s put n1 app/meanwhile "x"
            at 11s expect value app/before "x"
            at 14s expect value app/meanwhile "x" within 5s
            at 20s put n2 app/after "there is room"
            expect value app/after "there is room" within 3s
            expect value app/12 "12"
            expect converged
            expect no false failures
            run 30s
            """)

    private static let diskStall = BuiltInScenario(
        name: "disk-stall", summary: "a disk that stands still for six seconds, under writes",
        text: """
            nodes 5
            at 5s disk stall n2 for 6s
            at 6s every 200ms for 4s put random app/{n} "{n}"
            at 7s put n2 app/late "late"
            at 12s expect value app/late "late" within 3s
            expect converged
            expect no false failures
            run 25s
            """)

    private static let diskError = BuiltInScenario(
        name: "disk-error", summary: "disks fail for good, one after the other: exit 74, and back after two seconds",
        text: """
            nodes 5
            disk 2ms jitter 6ms
            at 4s every 50ms for 14s put random app/{n} "{n}"
            at 5s every 3s for 12s disk error random for 2s
            at 20s expect converged within 10s
            run 32s
            """)

    private static let away = BuiltInScenario(
        name: "away", summary: "a node is away beyond the grace, and what it wrote unseen goes to its import queue",
        text: """
            nodes 5
            grace 4s
            collect-every 1s
            failed-retention 10s
            at 4s put n1 app/gone "x"
            at 4s put n1 app/kept "x"
            at 4s add n1 app/set "removed"
            at 4s add n1 app/set "stays"
            at 6s partition 1-4 | 5
            at 7s put n5 app/unseen "by n5"
            at 8s kill n5
            at 9s delete n1 app/gone
            at 9s remove n2 app/set "removed"
            at 75s heal
            at 76s start n5
            expect converged within 20s
            expect no key app/gone
            expect no key app/unseen
            expect no element app/set "removed"
            expect element app/set "stays"
            expect value app/kept "x"
            expect queued n5 1
            at 100s put n5 app/again "and on it goes"
            expect value app/again "and on it goes" within 5s
            run 110s
            """)

    private static let stranded = BuiltInScenario(
        name: "stranded",
        summary: "a node runs alone until both sides have dropped each other; then all find each other and agree",
        text: """
            nodes 5
            grace 4s
            collect-every 1s
            failed-retention 10s
            at 4s put n1 app/gone "x"
            at 4s put n1 app/kept "x"
            at 4s put n5 app/alone "x"
            at 4s put n5 app/both "x"
            at 6s partition 1-4 | 5
            at 8s delete n1 app/gone
            at 8s delete n5 app/alone
            at 8s delete n1 app/both
            at 8s delete n5 app/both
            at 135s heal
            at 135s expect converged within 30s
            at 170s put n5 app/again "and on it goes"
            expect value app/again "and on it goes" within 5s
            expect no key app/gone
            expect no key app/both
            expect value app/kept "x"
            expect value app/alone "x"
            # Its deletes, that of what others have deleted too among them.
            expect queued n5 2
            run 180s
            """)

    private static let interrupted = BuiltInScenario(
        name: "interrupted",
        summary: "a reset is interrupted again and again, beside a third node that must hear of nothing old",
        text: """
            nodes 5
            grace 4s
            collect-every 1s
            failed-retention 10s
            disk 5ms jitter 20ms
            at 3s every 10ms for 3s put n1 app/{n} size 2KB
            at 5s every 100ms for 2s put n1 gone/{n} "x"
            at 8s partition 1-4 | 5
            at 8500ms put n5 app/unseen "by n5"
            at 9s kill n5
            at 10s every 100ms for 2s delete n2 gone/{n}
            at 75s heal
            at 76s start n5
            at 76200ms every 350ms for 4s bounce n5 for 100ms
            at 78s cut n5 -> n1
            at 78s cut n1 -> n5
            at 82s heal
            expect converged within 20s
            expect no key gone/1
            expect no key gone/20
            expect no key app/unseen
            expect queued n5 1
            run 115s
            """)

    private static let yearAhead = BuiltInScenario(
        name: "year-ahead", summary: "one clock jumps a year ahead, another a year back; both are set right again",
        text: """
            nodes 5
            at 4s put n1 app/x "before"
            at 6s clock n2 +365d
            at 6100ms put n2 app/x "poison"
            at 7s put n1 app/x "right"
            at 15s put n2 app/refused "by the outlier"
            at 16s put n3 app/y "goes on"
            at 17s expect value app/y "goes on" within 5s
            at 20s clock n2 right
            at 30s put n2 app/z "again"
            expect value app/z "again" within 10s
            at 40s clock n3 -365d
            at 41s put n1 app/x "last"
            at 50s clock n3 right
            at 60s put n3 app/w "again"
            expect value app/w "again" within 10s
            expect value app/x "last"
            expect converged
            run 80s
            """)

    private static let restored = BuiltInScenario(
        name: "restored", summary: "a node goes on from an old copy of its disk, three times",
        text: """
            nodes 5
            at 3s every 200ms for 30s increment n2 app/count
            at 3s every 300ms for 30s put n2 app/{n} "{n}"
            at 5s disk save n2
            at 12s kill n2
            at 12s disk restore n2
            at 13s start n2
            at 18s kill n2
            at 18s disk restore n2
            at 19s start n2
            at 25s kill n2
            at 25s disk restore n2
            at 26s start n2
            at 40s expect converged within 10s
            expect value app/20 "20"
            run 55s
            """)

    private static let cloned = BuiltInScenario(
        name: "cloned",
        summary: "copies of a disk run beside the original: once with its identity, once with their own",
        text: """
            nodes 6
            hold 5-6
            at 3s every 200ms for 20s increment n2 app/count
            at 3s every 200ms for 20s put n2 app/{n} "{n}"
            at 6s disk clone n2 -> n5
            at 7s start n5
            at 8s every 500ms for 10s increment n5 app/count
            at 9s disk clone n2 -> n6 same-id
            at 10s start n6
            at 11s every 500ms for 5s increment n6 app/clones
            at 17s kill n6
            at 40s expect converged within 20s
            expect value app/100 "100"
            expect counter app/count 120
            run 65s
            """)

    private static let wiped = BuiltInScenario(
        name: "wiped", summary: "a disk is lost: the node comes back as another one and fetches everything",
        text: """
            nodes 5
            failed-retention 20s
            at 3s every 50ms for 5s put random app/{n} "{n}"
            at 9s kill n3
            at 9s disk wipe n3
            at 18s start n3
            expect value app/100 "100" within 5s
            at 20s put n3 app/new "x"
            at 45s expect converged within 15s
            run 65s
            """)

    private static let actors = BuiltInScenario(
        name: "actors", summary: "200 actors come and go; contexts and rows stay small",
        text: """
            nodes 5
            grace 3s
            collect-every 500ms
            failed-retention 5s
            at 3s every 500ms for 100s bounce random for 200ms
            at 3s every 130ms for 100s increment random app/count
            at 3s every 170ms for 100s add random app/set "one"
            at 3s every 190ms for 100s put random app/{n} "{node}"
            at 3s every 190ms for 100s delete random app/{n}
            at 110s expect actors at most 40 within 40s
            at 110s expect versions at most 20 within 40s
            expect converged
            expect element app/set "one"
            run 160s
            """)

    private static let imports = BuiltInScenario(
        name: "import", summary: "large transactions under loss, beside single writes to their keys",
        text: """
            nodes 5
            loss 10%
            duplicate 5%
            reorder 10% by 50ms
            at 4s every 2s for 10s import random big 600 "of {n}"
            at 4s every 40ms for 12s put random big/{n} "alone {n}"
            at 5s every 3s for 9s bounce random for 1s
            at 7s every 2s for 8s isolate random for 1s
            at 20s expect converged within 20s
            run 45s
            """)

    private static let expiry = BuiltInScenario(
        name: "ttl", summary: "values that expire, on nodes with different clocks, over restarts",
        text: """
            nodes 5
            grace 5s
            collect-every 1s
            clock n2 +3s
            clock n3 -3s
            at 4s put n1 app/short "x" ttl 8s
            at 4s put n2 app/again "x" ttl 8s
            at 4s every 100ms for 4s put random ttl/{n} "x" ttl 6s
            at 5s expect value app/short "x" within 2s
            at 9s put n3 app/again "for good"
            at 10s kill n4
            at 20s start n4
            at 25s expect no key app/short within 5s
            expect value app/again "for good"
            expect no key ttl/1
            expect converged
            at 30s expect rows at most 1 within 20s
            run 60s
            """)
}
