// SPDX-License-Identifier: Apache-2.0
// Owns the translation between the admin API and the kernel: keys, sets, counters, watches.

import AdminModel
import AdminServer
import ClusterTypes
import NodeKernel
import StoreCore

extension KernelNode {
    /// Keys fetched from the kernel at a time, so that a long listing does not hold up the event loop.
    private static let pageKeysMax = 1_000
    /// Keys and values of one listing at most, so that no reader can make the daemon hold the store twice.
    private static let listBytesMax = 64 << 20
    /// What an entry takes beside its key and value, about.
    private static let entryBytes = 200

    func watch(_ prefix: KeyPrefix, since cursor: String?) async throws(AdminFailure) -> Subscription<WatchEvent> {
        try hub.watches.subscribe(
            since: cursor, follow: true, accepts: { event in event.key.map(prefix.matches) ?? true },
            resync: WatchEvent.resync)
    }

    func get(_ key: ConfigurationKey) async throws(AdminFailure) -> KeyDocument {
        let (view, author) = try await read(key)
        return Self.keyDocument(view, author: author, key: key)
    }

    func put(_ key: ConfigurationKey, value: [UInt8]) async throws(AdminFailure) -> WriteResult {
        try await write(key, .put(key: key.description, value: value))
    }

    func delete(_ key: ConfigurationKey) async throws(AdminFailure) -> WriteResult {
        try await write(key, .delete(key: key.description))
    }

    func list(_ prefix: KeyPrefix) async throws(AdminFailure) -> KeyListDocument {
        var entries: [KeyDocument] = []
        var bytes = 0
        var after: String?
        repeat {
            let command = Command.list(prefix: prefix.description, after: after, limit: Self.pageKeysMax)
            guard case .keys(let page, let next) = try await ask(command) else { throw .unexpectedReply }
            for (view, author) in page {
                let document = Self.keyDocument(view, author: author, key: try ConfigurationKey(view.key))
                bytes += document.key.utf8.count + document.content.rawBytes.count + Self.entryBytes
                entries.append(document)
            }
            guard bytes <= Self.listBytesMax else {
                throw AdminFailure(
                    .tooLarge,
                    "the keys below \(prefix.description.quoted) take more than \(Self.listBytesMax >> 20) MiB: name a longer prefix"
                )
            }
            after = next
        } while after != nil
        return KeyListDocument(entries: entries)
    }

    func addToSet(_ key: ConfigurationKey, elements: [[UInt8]]) async throws(AdminFailure) -> WriteResult {
        var result: WriteResult?
        for element in elements {
            result = try await write(key, .addElement(element, key: key.description))
        }
        guard let result else { throw AdminFailure(.badRequest, "name at least one element") }
        return result
    }

    func removeFromSet(_ key: ConfigurationKey, elements: [[UInt8]]) async throws(AdminFailure) -> WriteResult {
        var result: WriteResult?
        for element in elements {
            do throws(AdminFailure) {
                result = try await write(key, .removeElement(element, key: key.description))
            } catch {
                guard error.code == .notFound else { throw error }
            }
        }
        guard let result else { throw AdminFailure(.notFound, "none of the elements is in set \(key)") }
        return result
    }

    func listSet(_ key: ConfigurationKey) async throws(AdminFailure) -> SetDocument {
        let (view, _) = try await read(key)
        guard case .set(let elements) = view.content else { throw Self.mismatch(key, view.type, wanted: .set) }
        return SetDocument(key: key, elements: elements)
    }

    func addToCounter(_ key: ConfigurationKey, increment: Int64) async throws(AdminFailure) -> WriteResult {
        var result = try await write(key, .increment(key: key.description, by: increment))
        result.value = try await counter(key).value
        return result
    }

    func counter(_ key: ConfigurationKey) async throws(AdminFailure) -> CounterDocument {
        let (view, _) = try await read(key)
        guard case .counter(let value) = view.content else {
            throw Self.mismatch(key, view.type, wanted: .counter)
        }
        return CounterDocument(key: key, value: value)
    }

    private func read(_ key: ConfigurationKey) async throws(AdminFailure) -> (KeyView, AuthorView) {
        guard case .key(let view, let author) = try await ask(.read(key: key.description)) else {
            throw .unexpectedReply
        }
        return (view, author)
    }

    private func write(_ key: ConfigurationKey, _ command: Command) async throws(AdminFailure) -> WriteResult {
        guard case .written(let report) = try await ask(command) else { throw .unexpectedReply }
        return WriteResult(
            key: key, version: report.version, nodesHolding: report.nodesHolding, nodesTotal: report.nodesTotal)
    }

    private static func mismatch(
        _ key: ConfigurationKey, _ existing: StoreCore.KeyType, wanted: StoreCore.KeyType
    ) -> AdminFailure {
        AdminFailure(.typeConflict(key: key.description, existing: existing, requested: wanted))
    }

    private static func keyDocument(_ view: KeyView, author: AuthorView, key: ConfigurationKey) -> KeyDocument {
        let content: KeyContent =
            switch view.content {
            case .register(let value): .register(value)
            case .set(let elements): .set(elements)
            case .counter(let value): .counter(value)
            }
        return KeyDocument(
            key: key, content: content, version: view.version.description, writtenAt: Timestamp(view.stamp.wall),
            author: MemberIdentity(
                id: author.id.description, name: author.name.isEmpty ? author.id.short : author.name))
    }
}
