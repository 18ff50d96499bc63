// SPDX-License-Identifier: Apache-2.0
// Owns the test of what a voter that is left of a group does to others: nothing.

import ClusterTypes
import RaftCore
import StrictCore
import StrictGroup
import Testing

@Suite("A voter that is left of a group")
struct StrayVoteTests {
    private static let clock = Clock(now: Instant(nanoseconds: 1_000_000_000), wall: WallTime(milliseconds: 1))

    /// A host that was told of the group and holds nothing of it.
    private static func told(using rng: inout SeededGenerator) -> StrictNode {
        let founded = StrictFounding(group: 5, voters: [node(1), node(2), node(3)])
        var told = StrictNode(
            configuration: StrictConfiguration(prefixes: ["s/"]), id: node(9),
            restoring: StrictRestored(founding: FoundingState(founded: founded)), clock: clock, using: &rng)
        var actions: [StrictAction] = []
        told.handle(.start, clock: clock, using: &rng, into: &actions)
        return told
    }

    @Test("Only a leader makes a host a member: one that asks for votes would hold it in a group that is gone")
    func asksInVain() {
        var rng = SeededGenerator(seed: 1)
        for (body, isMember) in [
            (RaftMessage.Body.preVote(last: LogPosition(term: 2, index: 7)), false),
            (.vote(last: LogPosition(term: 2, index: 7), isTransfer: false), false), (.timeoutNow(answered: 0), false),
            (.heartbeat(commit: 0, round: 1), true),
        ] {
            var host = Self.told(using: &rng)
            var actions: [StrictAction] = []
            let message = RaftMessage(from: node(1), to: node(9), term: 3, body: body)
            host.handle(
                .message(.raft(group: 5, message), from: node(1)), clock: Self.clock, using: &rng, into: &actions)
            #expect((host.raft != nil) == isMember, "\(body)")
        }
    }
}
