// SPDX-License-Identifier: Apache-2.0
// Owns the tests of handing pieces from a reading thread to a client's task.

import AdminModel
import NIOPosix
import Testing

@testable import gossipd

@Suite("Handing over pieces")
struct PieceHandoverTests {
    /// Runs a reader on a thread of its own: it blocks.
    private func onThread<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async throws -> Result {
        let pool = NIOThreadPool(numberOfThreads: 1)
        pool.start()
        let result = try await pool.runIfActive(body)
        try await pool.shutdownGracefully()
        return result
    }

    @Test("pieces arrive in order, and then the end")
    func order() async throws {
        let handover = PieceHandover<Int>()
        async let reader: Void = onThread {
            for piece in 1...100 { try? handover.give(piece) }
            handover.finish(nil)
        }
        var pieces: [Int] = []
        while let piece = try await handover.take() { pieces.append(piece) }
        try await reader
        #expect(pieces == Array(1...100))
    }

    @Test("a client that takes nothing ends the reading, and is told that this is not the whole")
    func patience() async throws {
        let handover = PieceHandover<Int>(patienceMilliseconds: 1)
        let failure = try await onThread { () -> AdminFailure? in
            do {
                try handover.give(1)
                try handover.give(2)
                return nil
            } catch {
                return error as? AdminFailure
            }
        }
        #expect(failure?.code == .unavailable)
        handover.finish(failure)
        #expect(try await handover.take() == 1)
        await #expect(throws: AdminFailure.self) { try await handover.take() }
    }

    @Test(
        "closing ends a take that waits for a first piece, and the reading that comes later", arguments: [false, true])
    func gone(byTask: Bool) async throws {
        let handover = PieceHandover<Int>()
        let taker = Task { try await handover.take() }
        if byTask { taker.cancel() } else { handover.cancel() }
        #expect(try await taker.value == nil)
        #expect(throws: PieceHandover<Int>.Cancelled.self) { try handover.checkCancellation() }
        #expect(throws: PieceHandover<Int>.Cancelled.self) { try handover.give(1) }
    }
}
