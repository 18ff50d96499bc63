// SPDX-License-Identifier: Apache-2.0
// Owns the threads that read the store's file: history, old watches, exports. Neither the event loop nor the storage
// thread ever waits for them.

import AdminModel
import ClusterTypes
import Glibc
import NIOCore
import NIOPosix
import Persistence
import StoreCore

/// Reads of the past, carried out on threads of their own.
final class StorePast: Sendable {
    private let database: StoreDatabase
    /// For reads that end soon.
    private let pool = NIOThreadPool(numberOfThreads: 2)
    /// For exports and backups, whose threads wait for their clients; further ones wait for their turn.
    private let streams = NIOThreadPool(numberOfThreads: 2)

    init(database: StoreDatabase) {
        self.database = database
        pool.start()
        streams.start()
    }

    var storeID: String { database.storeID }
    var statistics: StoreFileStatistics { database.statistics }

    func stop() async {
        try? await pool.shutdownGracefully()
        try? await streams.shutdownGracefully()
    }

    /// Runs `body` with a connection of its own.
    func read<Result: Sendable>(
        _ body: @escaping @Sendable (StoreReader) throws -> Result
    ) async throws(AdminFailure) -> Result {
        try await read(on: pool, body)
    }

    private func read<Result: Sendable>(
        on pool: NIOThreadPool, _ body: @escaping @Sendable (StoreReader) throws -> Result
    ) async throws(AdminFailure) -> Result {
        do {
            return try await pool.runIfActive { [database] in try body(database.openReader()) }
        } catch let failure as StoreReadFailure {
            throw AdminFailure(failure)
        } catch let failure as PersistenceFailure {
            throw AdminFailure(.unavailable, "the store's file cannot be read: \(failure)")
        } catch let failure as AdminFailure {
            throw failure
        } catch {
            throw AdminFailure(.unavailable, "the store's file cannot be read: \(error)")
        }
    }

    /// Runs `body`, which hands out pieces, on a thread; the reader pulls them one by one and may stop at any time.
    func stream<Piece: Sendable>(
        _ body: @escaping @Sendable (StoreReader, PieceHandover<Piece>) throws -> Void
    ) -> PullStream<Piece> {
        let handover = PieceHandover<Piece>()
        Task {
            do throws(AdminFailure) {
                try await read(on: streams) { reader in
                    // The client may have gone while this waited for a thread.
                    try handover.checkCancellation()
                    try body(reader, handover)
                }
                handover.finish(nil)
            } catch {
                handover.finish(error)
            }
        }
        return PullStream(
            next: { () async throws(AdminFailure) -> Piece? in try await handover.take() },
            close: { handover.cancel() })
    }
}

extension AdminFailure {
    init(_ failure: StoreReadFailure) {
        switch failure {
        case .historyGone(let since):
            self.init(
                .historyGone,
                "history before revision \(since) is not kept here: see store.history_max_age and "
                    + "store.history_max_per_key, or ask another node")
        case .notYet(let newest):
            self.init(.badRequest, "this node has not come so far: its newest revision is \(newest)")
        case .evicted:
            self.init(.unavailable, "the read took so long that it was cut off: try again, or ask for less")
        case .storage(let failure):
            self.init(.unavailable, "the store's file cannot be read: \(failure)")
        }
    }
}
