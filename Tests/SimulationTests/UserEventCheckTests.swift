// SPDX-License-Identifier: Apache-2.0
// Owns the tests that the check of user events sees what it is for.

import ClusterTypes
import NodeKernel
import Simulator
import Testing

@Suite("The check of user events")
struct UserEventCheckTests {
    private static let origin = NodeID(high: 1, low: 1)
    private static let other = NodeID(high: 1, low: 2)

    private static func event(_ sequence: UInt64, epoch: UInt64 = 1, payload: UInt8 = 0) -> UserEvent {
        UserEvent(
            id: UserEventID(origin: origin, epoch: epoch, sequence: sequence), name: "x", payload: [payload])
    }

    /// Node 0 has sent events 1 and 2 in its process 1; `told` are what node 1 handed on.
    private static func check(_ told: [UserEvent], originProcess: Int32 = 1, started: Instant = .origin) -> [String] {
        var check = UserEventCheck(nodes: 2)
        let at = Instant.origin + .seconds(6)
        for sequence in 1...2 as ClosedRange<UInt64> {
            check.told(event(sequence), node: 0, id: origin, process: 1, at: at)
        }
        for event in told { check.told(event, node: 1, id: other, process: 1, at: at) }
        check.finish(
            at: at + UserEventCheck.grace, processes: [(originProcess, Instant.origin), (1, started)])
        return check.violations.first
    }

    @Test("Each once and in order is right")
    func right() { #expect(Self.check([Self.event(1), Self.event(2)]).isEmpty) }

    @Test(
        "Each thing that is wrong is seen",
        arguments: [
            ([event(1), event(2), event(2)], "twice"), ([event(2), event(1)], "after number 2"),
            ([event(1)], "never had event 'x' number 2"), ([event(1), event(2, payload: 9)], "nobody sent so"),
            ([event(1), event(2), event(3)], "nobody sent so"),
        ])
    func wrong(told: [UserEvent], finding: String) {
        #expect(Self.check(told).contains { $0.contains(finding) })
    }

    @Test("What is lost with its sender's process, or was sent before a node began, is not missing")
    func excused() {
        #expect(Self.check([], originProcess: 2).isEmpty)
        #expect(Self.check([], started: .origin + .seconds(1)).isEmpty)
        #expect(!Self.check([], started: .origin + .milliseconds(999)).isEmpty)
    }
}
