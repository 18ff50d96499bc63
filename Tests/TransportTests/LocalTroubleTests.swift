// SPDX-License-Identifier: Apache-2.0
// Owns the proofs that a node notices its own trouble: a loop that stood still, datagrams that its socket dropped.

import ClusterTypes
import Glibc
import NIOCore
import NIOPosix
import NodeKernel
import SWIMCore
import Testing

@testable import Transport

@Suite("A host's own trouble", .serialized)
struct LocalTroubleTests {
    /// A node whose loop nobody else uses, so that it can be held up.
    private func withNode(_ body: (TestNode) async throws -> Void) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let node = try TestNode.make("troubled", loop: group.next())
        do {
            try await withNodes([node]) { try await body(node) }
        } catch {
            try await group.shutdownGracefully()
            throw error
        }
        try await group.shutdownGracefully()
    }

    private func troubles(_ node: TestNode, _ trouble: LocalTrouble) async throws -> UInt64 {
        guard case .statistics(let view) = await node.driver.perform(.statistics) else { return 0 }
        return view.membership.localTroubles[trouble.index]
    }

    /// Longer than a period, so that one of its timers is late.
    private func holdUp(_ node: TestNode) async throws {
        _ = try await node.driver.withCore { _ in usleep(1_500_000) }
    }

    @Test("a loop that stood still raises this node's doubt of itself, and the counters tell how long")
    func standstill() async throws {
        try await withNode { node in
            try await eventually("the first turn") { node.driver.progress.timerTurns > 0 }
            #expect(try await troubles(node, .late(.zero)) == 0)
            try await holdUp(node)
            try await eventually("it is told") { try await troubles(node, .late(.zero)) > 0 }
            #expect(node.driver.counters.loopLagMax > .milliseconds(300))
            #expect(try await node.status().awareness > 0)
        }
    }

    @Test("datagrams that our own socket drops are counted and told to the kernel")
    func drops() async throws {
        try await withNode { node in
            let raw = try RawSocket(SOCK_DGRAM)
            let target = node.driver.address
            try await eventually("the first turn") { node.driver.progress.timerTurns > 0 }
            #expect(node.driver.counters.datagramsDropped == 0)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await holdUp(node) }
                group.addTask {
                    // More than any receive buffer holds, in datagrams that mean nothing.
                    try await Task.sleep(for: .milliseconds(300))
                    for _ in 0..<20_000 { raw.send([UInt8](repeating: 0, count: 1_400), to: target) }
                }
                try await group.waitForAll()
            }
            try await eventually("it is told") { try await troubles(node, .datagramsDropped(0)) > 0 }
            #expect(node.driver.counters.datagramsDropped > 0)
        }
    }
}
