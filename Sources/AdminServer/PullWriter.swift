// SPDX-License-Identifier: Apache-2.0
// Owns long answers: pieces are taken from the node only as fast as the client takes them.

import AdminModel
import HummingbirdCore
import NIOCore
import Synchronization

/// One of the few places for long bodies and answers, given back exactly once.
final class TransferPlace: Sendable {
    private let state: ServerState
    private let isHeld = Mutex(true)

    /// Fails with `busy` when all places are taken.
    init(_ state: ServerState, max: Int) throws(AdminFailure) {
        guard state.openTransfer(max: max) else {
            throw AdminFailure(
                .busy, "\(max) imports, exports, backups or restores are under way already: try again later")
        }
        self.state = state
    }

    func giveBack() {
        let wasHeld = isHeld.withLock { held in
            defer { held = false }
            return held
        }
        if wasHeld { state.closeTransfer() }
    }

    deinit { giveBack() }
}

/// Writes a pull stream as a body. When the node fails in the middle, the connection is cut, so that nobody takes half
/// an answer for a whole one.
struct PullWriter<Piece: Sendable>: Sendable {
    let stream: PullStream<Piece>
    let encode: @Sendable (Piece) throws -> ByteBuffer

    func write(to body: inout any ResponseBodyWriter) async throws {
        while let piece = try await stream.next() { try await body.write(try encode(piece)) }
        try await body.finish(nil)
    }

    /// One JSON object a line.
    static func lines(_ pages: PullStream<[KeyDocument]>) -> PullWriter<[KeyDocument]> {
        PullWriter<[KeyDocument]>(stream: pages) { page in
            var buffer = ByteBuffer()
            for document in page {
                buffer.writeBytes(try AdminJSON.encode(document))
                buffer.writeInteger(UInt8(ascii: "\n"))
            }
            return buffer
        }
    }

    static func octets(_ pieces: PullStream<[UInt8]>) -> PullWriter<[UInt8]> {
        PullWriter<[UInt8]>(stream: pieces) { ByteBuffer(bytes: $0) }
    }
}
