// SPDX-License-Identifier: Apache-2.0
// Owns the benchmarks of the member table and of the queue that gossip is taken from.

import ClusterTypes
import NodeKernel
import SWIMCore
import WireProtocol

enum MembershipBenchmarks {
    static var all: [Benchmark] {
        [
            merge(
                "membership/merge-new", known: false,
                "Take in a table of 1000 members never heard of, as a node does that joins; one operation is the table."
            ),
            merge(
                "membership/merge-known", known: true,
                "Take in a table of 1000 members of which nothing is news; one operation is the table."),
            Benchmark(
                name: "dissemination/take", unit: .nanosecondsPerOperation,
                meaning:
                    "Fill one datagram (1300 bytes) from a queue of 1000 member updates, fewest transmissions first."
            ) {
                var queue = DisseminationQueue<NodeID, MemberUpdate>()
                return { try takeRound(&queue) }
            },
        ]
    }

    private static let tables = 20

    private static func merge(_ name: String, known: Bool, _ meaning: String) -> Benchmark {
        Benchmark(name: name, unit: .nanosecondsPerOperation, meaning: meaning) {
            let entries = Fixture.entries(1, 1_000)
            let (fresh, rng) = try Fixture.membership { PacketCodec.size(of: .update($0)) }
            var base = fresh
            if known { _ = merge(entries, into: &base, rng) }
            return {
                var machines = [Membership](repeating: base, count: tables)
                var events = 0
                let sample = Measure.nanoseconds(tables) {
                    for index in machines.indices { events += merge(entries, into: &machines[index], rng) }
                }
                try WrongResult.unless(
                    machines.allSatisfy { $0.table.count == 1_001 } && events == (known ? 0 : 1_000 * tables),
                    "\(events) members joined")
                return sample
            }
        }
    }

    /// The number of members that joined.
    private static func merge(
        _ entries: [MemberTableEntry], into machine: inout Membership, _ rng: SeededGenerator
    ) -> Int {
        var rng = rng
        var actions: [SWIMAction] = []
        machine.merge(
            entries, from: Fixture.id(1), clock: Fixture.clock(milliseconds: 10), using: &rng, into: &actions)
        var events = 0
        for case .event in actions { events += 1 }
        return events
    }

    private static let takes = 500

    private static func takeRound(_ queue: inout DisseminationQueue<NodeID, MemberUpdate>) throws -> Double {
        queue.removeAll()
        for number in 1...1_000 {
            let update = MemberUpdate(
                subject: Fixture.id(number), incarnation: 1, claim: .alive(Fixture.info(number)))
            queue.enqueue(update, for: update.subject, bytes: PacketCodec.size(of: .update(update)))
        }
        var taken: [MemberUpdate] = []
        var count = 0
        let sample = Measure.nanoseconds(takes) {
            for _ in 0..<takes {
                taken.removeAll(keepingCapacity: true)
                // At 1000 members an update is sent 16 times, more often than this round can.
                _ = queue.take(budget: 1_300, limit: 16, into: &taken)
                count += taken.count
            }
        }
        try WrongResult.unless(count > takes && queue.count > 0, "\(count) updates in \(takes) datagrams")
        return sample
    }
}
