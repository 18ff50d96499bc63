// SPDX-License-Identifier: Apache-2.0
// Owns the translation between the admin API and the store's file: history, export, backup, restore.

import AdminModel
import AdminServer
import BackupFormat
import ClusterTypes
import NodeKernel
import Persistence
import StoreCore
import Transport

extension KernelNode {
    /// Keys of one page of an export.
    private static let exportKeysMax = 256

    func past(_ key: ConfigurationKey, at point: PastPoint) async throws(AdminFailure) -> KeyDocument {
        let place = HistoryPoint(point)
        guard let view = try await past.read({ try $0.view(of: key.description, at: place) }) else {
            throw AdminFailure(.notFound, "key \(key.description.quoted) did not exist at \(point)")
        }
        return keyDocument(view, key: key)
    }

    func history(
        _ key: ConfigurationKey, before: UInt64?, limit: Int
    ) async throws(AdminFailure) -> HistoryDocument {
        let found = try await past.read { try $0.history(of: key.description, before: before, limit: limit) }
        let entries = found.entries.compactMap { entry in document(entry, key: key) }
        return HistoryDocument(
            key: key, entries: entries, next: found.hasMore ? found.entries.last?.revision : nil)
    }

    /// The reason told for a value whose time was over.
    static let expired = "expired"

    private func document(_ entry: Persistence.HistoryEntry, key: ConfigurationKey) -> AdminModel.HistoryEntry {
        let (event, element): (String, [UInt8]?) =
            switch entry.kind {
            case .put: ("put", nil)
            case .delete: ("delete", nil)
            case .add(let bytes): ("add", bytes)
            case .remove(let bytes): ("remove", bytes)
            case .increment: ("increment", nil)
            case .typeConflict: ("type_conflict", nil)
            }
        var document = AdminModel.HistoryEntry(
            revision: entry.revision, key: key, event: event, type: entry.type.document,
            appliedAt: Timestamp(entry.appliedAt), writtenAt: Timestamp(entry.version.stamp.wall),
            version: entry.details.index > 0 ? String(entry.details.index) : entry.version.description,
            author: hub.identity(entry.author.node))
        document.user = entry.user.isEmpty ? nil : entry.user
        document.reason = entry.reason.isEmpty ? nil : entry.reason
        let expiry = entry.details.expiresAt
        document.expiresAt = expiry == 0 ? nil : Timestamp(WallTime(milliseconds: expiry))
        if event == "delete", expiry > 0 {
            // Nobody deleted it: its time was over.
            document.writtenAt = Timestamp(WallTime(milliseconds: expiry))
            document.user = nil
            document.reason = Self.expired
        }
        document.old = entry.old.map(KeyContent.init)
        document.new = entry.new.map(KeyContent.init)
        document.element = element
        return document
    }

    func difference(
        _ prefix: KeyPrefix, from: PastPoint, to: PastPoint?, after: ConfigurationKey?, limit: Int
    ) async throws(AdminFailure) -> DiffDocument {
        let (start, end) = (HistoryPoint(from), to.map(HistoryPoint.init))
        let (page, range) = try await past.read { reader in
            let page = try reader.diff(
                prefix: prefix.description, from: start, to: end, after: after?.description, limit: limit)
            return (page, (try reader.revision(at: start), try reader.revision(at: end)))
        }
        if let gone = page.entries.first(where: { $0.isOldGone && prefix.shows($0.key) }) {
            throw AdminFailure(
                .historyGone, "the history of \(gone.key.quoted) does not reach back to \(from): choose a later point")
        }
        var entries: [DiffEntry] = []
        for difference in page.entries where prefix.shows(difference.key) {
            let key = try ConfigurationKey(difference.key)
            let old = difference.old.map { KeyContent($0.content) }
            if let entry = DiffEntry(key: key, old: old, new: difference.new.map { KeyContent($0.content) }) {
                entries.append(entry)
            }
        }
        var next: ConfigurationKey?
        if let key = page.next { next = try ConfigurationKey(key) }
        return DiffDocument(fromRevision: range.0, toRevision: range.1, entries: entries, next: next)
    }

    func export(_ prefix: KeyPrefix) async throws(AdminFailure) -> PullStream<[KeyDocument]> {
        let (hub, now) = (hub, SystemClock.now().wall)
        return past.stream { reader, handover in
            var page: [KeyDocument] = []
            var bytes = 0
            try reader.forEachKey(prefix: prefix.description, wall: now) { view in
                guard prefix.shows(view.key) else { return }
                let author = view.author.node
                let identity = hub.identity(author)
                let document = Self.keyDocument(
                    view, author: AuthorView(id: author, name: identity.name), key: try ConfigurationKey(view.key))
                page.append(document)
                bytes += view.estimatedBytes
                guard page.count >= Self.exportKeysMax || bytes >= 1 << 20 else { return }
                try handover.give(page)
                page = []
                bytes = 0
            }
            if !page.isEmpty { try handover.give(page) }
        }
    }

    func backup() async throws(AdminFailure) -> PullStream<[UInt8]> {
        let now = SystemClock.now().wall
        let name = try await status().node.name
        let strictPoint = await strict.point()
        return past.stream { reader, handover in
            try reader.writeBackup(node: name, createdAt: now, strict: strictPoint) { try handover.give($0) }
        }
    }

    private func keyDocument(_ view: KeyView, key: ConfigurationKey) -> KeyDocument {
        let author = view.author.node
        return Self.keyDocument(view, author: AuthorView(id: author, name: hub.identity(author).name), key: key)
    }
}

extension HistoryPoint {
    init(_ point: PastPoint) {
        switch point {
        case .revision(let revision): self = .revision(revision)
        case .time(let time): self = .time(UInt64(clamping: time.milliseconds))
        }
    }
}
