// SPDX-License-Identifier: Apache-2.0
// Owns the members, clocks and machines that the benchmarks work on.

import ClusterTypes
import SWIMCore

enum Fixture {
    /// 2024-01-01T00:00:00Z.
    static let wall = WallTime(milliseconds: 1_704_067_200_000)

    static func clock(milliseconds: Int) -> Clock {
        Clock(
            now: .origin + .milliseconds(1_000 + milliseconds),
            wall: WallTime(milliseconds: wall.milliseconds + UInt64(milliseconds)))
    }

    /// Random as real ids are, and the same in every run.
    static func id(_ number: Int) -> NodeID {
        var rng = SeededGenerator(seed: UInt64(number))
        return NodeID(using: &rng)
    }

    static func address(_ number: Int) -> Address { Address(ipv4: 0x0a00_0000 + UInt32(number), port: 7946) }

    static func info(_ number: Int) -> MemberInfo {
        MemberInfo(
            name: "web-\(number)", address: address(number), tags: [Tag(name: "role", value: "web")],
            protocolVersion: 1)
    }

    /// A table as a peer sends it, of members `first...last`, all alive.
    static func entries(_ first: Int, _ last: Int) -> [MemberTableEntry] {
        (first...last).map {
            MemberTableEntry(id: id($0), incarnation: 1, state: .alive, ageSeconds: 60, info: info($0))
        }
    }

    /// A membership machine that has started and knows nobody.
    static func membership(
        updateBytes: @escaping @Sendable (MemberUpdate) -> Int
    ) throws -> (machine: Membership, rng: SeededGenerator) {
        var rng = SeededGenerator(seed: 1)
        var machine = Membership(
            configuration: SWIMConfiguration(), id: id(0), info: info(0), incarnationFence: 0,
            clock: clock(milliseconds: 0), updateBytes: updateBytes)
        var actions: [SWIMAction] = []
        machine.start(into: &actions)
        var fence: UInt64?
        for case .persistFence(let wanted) in actions { fence = wanted }
        guard let fence else { throw WrongResult(description: "the machine asked for no fence") }
        machine.onFencePersisted(fence, clock: clock(milliseconds: 0), using: &rng, into: &actions)
        try WrongResult.unless(machine.isStarted, "the machine did not start")
        return (machine, rng)
    }
}
