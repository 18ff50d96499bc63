// SPDX-License-Identifier: Apache-2.0
// Owns the handing over of pieces from a thread that reads the disk to a task that writes to a client.

import AdminModel
import Persistence

/// Holds one piece at most: whoever reads the disk waits until the client has taken the last one, but not for ever.
final class PieceHandover<Piece: Sendable>: Sendable {
    /// The client has gone; ends the reading.
    struct Cancelled: Error {}

    /// How long a client may take over one piece. One that takes longer would keep a thread, and the log of changes
    /// from being folded, for as long as it likes.
    private let patienceMilliseconds: Int

    private struct State {
        var piece: Piece?
        var isFinished = false
        var failure: AdminFailure?
        var isCancelled = false
        var taker: CheckedContinuation<Void, Never>?
    }

    private let state = Monitor(State())

    init(patienceMilliseconds: Int = 60_000) { self.patienceMilliseconds = patienceMilliseconds }

    /// Waits until the last piece is taken. Throws `Cancelled` when nobody will take any more, and `unavailable` when
    /// the client takes too long.
    func give(_ piece: Piece) throws {
        typealias Placed = (isCancelled: Bool, taker: CheckedContinuation<Void, Never>?)
        let placed = state.wait(milliseconds: patienceMilliseconds) { state -> Placed? in
            if state.isCancelled { return (true, nil) }
            guard state.piece == nil else { return nil }
            state.piece = piece
            defer { state.taker = nil }
            return (false, state.taker)
        }
        guard let placed else {
            throw AdminFailure(
                .unavailable, "the client took nothing for \(patienceMilliseconds / 1_000) s: the answer was cut off")
        }
        if placed.isCancelled { throw Cancelled() }
        placed.taker?.resume()
    }

    /// Throws `Cancelled` when nobody will take anything any more.
    func checkCancellation() throws {
        if state.withLock({ $0.isCancelled }) { throw Cancelled() }
    }

    func finish(_ failure: AdminFailure?) {
        let taker = state.withLock { state in
            state.isFinished = true
            state.failure = failure
            defer { state.taker = nil }
            return state.taker
        }
        taker?.resume()
    }

    /// Ends a `give` and a `take` that wait.
    func cancel() {
        let taker = state.withLock { state in
            state.isCancelled = true
            state.piece = nil
            defer { state.taker = nil }
            return state.taker
        }
        taker?.resume()
    }

    /// The next piece; nil when there is none any more. A cancelled task cancels the handover.
    func take() async throws(AdminFailure) -> Piece? {
        while true {
            let (piece, isOver, failure) = state.withLock { state -> (Piece?, Bool, AdminFailure?) in
                if let piece = state.piece {
                    state.piece = nil
                    return (piece, false, nil)
                }
                return (nil, state.isFinished || state.isCancelled, state.failure)
            }
            if let piece { return piece }
            if let failure { throw failure }
            if isOver { return nil }
            await withTaskCancellationHandler {
                await waitForNews()
            } onCancel: {
                cancel()
            }
        }
    }

    private func waitForNews() async {
        await withCheckedContinuation { continuation in
            let isReady = state.withLock { state in
                if state.piece != nil || state.isFinished || state.isCancelled { return true }
                state.taker = continuation
                return false
            }
            if isReady { continuation.resume() }
        }
    }
}
