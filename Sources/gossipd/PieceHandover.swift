// SPDX-License-Identifier: Apache-2.0
// Owns the handing over of pieces from a thread that reads the disk to a task that writes to a client.

import AdminModel
import Glibc
import Synchronization

/// Holds one piece at most: whoever reads the disk waits until the client has taken the last one.
final class PieceHandover<Piece: Sendable>: Sendable {
    /// The client has gone; ends the reading.
    struct Cancelled: Error {}

    private struct State {
        var piece: Piece?
        var isFinished = false
        var failure: AdminFailure?
        var isCancelled = false
        var taker: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())
    private let room = BlockingSignal()

    /// Waits until the last piece is taken. Throws `Cancelled` when nobody will take any more.
    func give(_ piece: Piece) throws {
        while true {
            let (done, taker) = try state.withLock { state in
                if state.isCancelled { throw Cancelled() }
                guard state.piece == nil else { return (false, nil as CheckedContinuation<Void, Never>?) }
                state.piece = piece
                defer { state.taker = nil }
                return (true, state.taker)
            }
            taker?.resume()
            if done { return }
            room.wait()
        }
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

    func cancel() {
        let taker = state.withLock { state in
            state.isCancelled = true
            state.piece = nil
            defer { state.taker = nil }
            return state.taker
        }
        taker?.resume()
        room.signal()
    }

    /// The next piece; nil when there is none any more.
    func take() async throws(AdminFailure) -> Piece? {
        while true {
            let (piece, isOver, failure) = state.withLock { state -> (Piece?, Bool, AdminFailure?) in
                if let piece = state.piece {
                    state.piece = nil
                    return (piece, false, nil)
                }
                return (nil, state.isFinished || state.isCancelled, state.failure)
            }
            if let piece {
                room.signal()
                return piece
            }
            if let failure { throw failure }
            if isOver { return nil }
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
}

/// Wakes one waiting thread; a signal without a waiter is kept.
///
/// `@unchecked Sendable`: a POSIX semaphore is made for use by several threads; its memory lives as long as this.
private final class BlockingSignal: @unchecked Sendable {
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    init() { sem_init(semaphore, 0, 0) }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    func wait() {
        while sem_wait(semaphore) != 0 && errno == EINTR {}
    }

    func signal() { sem_post(semaphore) }
}
