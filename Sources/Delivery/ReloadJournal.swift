// SPDX-License-Identifier: Apache-2.0
// Owns the one note on disk for all batches that are under way, each of which writes and strikes out its own part.

import Synchronization

/// What must be reloaded, of every batch under way: kept in memory, and on disk as one `PendingReloads`. Safe from any
/// thread; one process at a time per state folder.
final class ReloadJournal: Sendable {
    /// One batch's part of the note.
    struct Entry: Hashable, Sendable {
        fileprivate let number: UInt64
        let pending: PendingReloads
    }

    private struct State {
        var isOpen = false
        /// In the order in which they were written.
        var entries: [Entry] = []
        var last: UInt64 = 0

        mutating func add(_ pending: PendingReloads) -> Entry {
            last += 1
            let entry = Entry(number: last, pending: pending)
            entries.append(entry)
            return entry
        }
    }

    private let folder: StateFolder
    private let state = Mutex(State())

    init(_ folder: StateFolder) { self.folder = folder }

    /// Reads what an earlier process has left, each reload an entry of its own, and hands it to `prepare`; nobody else
    /// writes a note before that has returned. Nil when it was read before.
    ///
    /// The sentence says that the note could not be read; when it is still there, the next call tries again.
    func open<Result>(_ prepare: ([Entry], _ problem: String?) -> Result) -> Result? {
        state.withLock { state in
            guard !state.isOpen else { return nil }
            var problem: String?
            do throws(DeliveryFailure) {
                for part in try folder.read()?.parts ?? [] { _ = state.add(part) }
            } catch { problem = error.sentence }
            // A note that stays where it is may be readable the next time.
            state.isOpen = problem == nil || !folder.hasNote
            return prepare(state.entries, problem)
        }
    }

    /// Notes what a batch is going to have reloaded; durable on return.
    func begin(_ pending: PendingReloads) throws(DeliveryFailure) -> Entry {
        try state.withLock { state throws(DeliveryFailure) in
            let entry = state.add(pending)
            do throws(DeliveryFailure) {
                try write(state)
            } catch {
                state.entries.removeLast()
                throw error
            }
            return entry
        }
    }

    /// Strikes an entry out; durable on return. When it throws, the part may still be on disk, until the next note.
    func end(_ entry: Entry) throws(DeliveryFailure) {
        try state.withLock { state throws(DeliveryFailure) in
            state.entries.removeAll { $0.number == entry.number }
            try write(state)
        }
    }

    private func write(_ state: State) throws(DeliveryFailure) {
        guard !state.entries.isEmpty else { return try folder.clear() }
        try folder.write(PendingReloads(joining: state.entries.map(\.pending)))
    }
}
