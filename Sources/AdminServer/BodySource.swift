// SPDX-License-Identifier: Apache-2.0
// Owns a request's body as it comes in, piece by piece, within a bound and a patience.

import AdminModel
import HummingbirdCore
import NIOCore
import Synchronization

/// A body that is not collected. It is whole only when `next` has returned nil.
///
/// `@unchecked Sendable`: the iterator is used by `next` alone, whose calls follow one another (`PullStream` says so, and
/// a handler awaits each); the other fields are constant or behind the lock.
final class BodySource: @unchecked Sendable {
    private var iterator: RequestBody.AsyncIterator
    private let announced: Int?
    private let bytesMax: Int
    private let integrity: Integrity
    private let progressed: @Sendable () -> Void
    private let state = Mutex((bytes: 0, isOver: false))

    /// `progressed` is called for each piece, so that a deadline may move.
    init(
        _ body: RequestBody, announced: Int?, bytesMax: Int, integrity: Integrity,
        progressed: @escaping @Sendable () -> Void
    ) {
        iterator = body.makeAsyncIterator()
        self.announced = announced
        self.bytesMax = bytesMax
        self.integrity = integrity
        self.progressed = progressed
    }

    /// Whether all of it was read.
    var isOver: Bool { state.withLock { $0.isOver } }

    /// The next piece; nil at the end. Fails with `too_large` above the bound, and with `bad_request` when the body
    /// broke off.
    func next() async throws(AdminFailure) -> [UInt8]? {
        guard !isOver else { return nil }
        let part: ByteBuffer?
        do { part = try await iterator.next() } catch { throw brokenOff }
        guard let part else {
            let bytes = state.withLock { $0.bytes }
            // Hummingbird ends a body quietly when its connection ends in the middle of it.
            guard announced == nil || announced == bytes, !integrity.isBroken else { throw brokenOff }
            state.withLock { $0.isOver = true }
            return nil
        }
        progressed()
        let total = state.withLock { state in
            state.bytes += part.readableBytes
            return state.bytes
        }
        guard total <= bytesMax else { throw Self.tooLarge(bytesMax) }
        return Array(part.readableBytesView)
    }

    var stream: PullStream<[UInt8]> { PullStream { () async throws(AdminFailure) in try await self.next() } }

    static func tooLarge(_ max: Int) -> AdminFailure {
        AdminFailure(.tooLarge, "the body is too large: at most \(max) bytes are allowed")
    }

    private var brokenOff: AdminFailure {
        AdminFailure(.badRequest, "the body broke off before its end: send it whole")
    }
}
