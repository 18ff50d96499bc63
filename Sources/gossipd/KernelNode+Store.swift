// SPDX-License-Identifier: Apache-2.0
// Owns the translation between the admin API and the kernel: reading keys, sets and counters.

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

    func get(_ key: ConfigurationKey) async throws(AdminFailure) -> KeyDocument {
        let (view, author) = try await read(key)
        return Self.keyDocument(view, author: author, key: key)
    }

    func list(_ prefix: KeyPrefix) async throws(AdminFailure) -> KeyListDocument {
        var entries: [KeyDocument] = []
        var bytes = 0
        var after: String?
        repeat {
            let command = Command.list(prefix: prefix.description, after: after, limit: Self.pageKeysMax)
            guard case .keys(let page, let next) = try await ask(command) else { throw .unexpectedReply }
            for (view, author) in page where prefix.shows(view.key) {
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

    func listSet(_ key: ConfigurationKey) async throws(AdminFailure) -> SetDocument {
        let (view, _) = try await read(key)
        guard case .set(let elements) = view.content else { throw Self.mismatch(key, view.type, wanted: .set) }
        return SetDocument(key: key, elements: elements)
    }

    func counter(_ key: ConfigurationKey) async throws(AdminFailure) -> CounterDocument {
        let (view, _) = try await read(key)
        guard case .counter(let value) = view.content else {
            throw Self.mismatch(key, view.type, wanted: .counter)
        }
        return CounterDocument(key: key, value: value)
    }

    func read(_ key: ConfigurationKey) async throws(AdminFailure) -> (KeyView, AuthorView) {
        guard case .key(let view, let author) = try await ask(.read(key: key.description)) else {
            throw .unexpectedReply
        }
        return (view, author)
    }

    private static func mismatch(
        _ key: ConfigurationKey, _ existing: StoreCore.KeyType, wanted: StoreCore.KeyType
    ) -> AdminFailure {
        AdminFailure(.typeConflict(key: key.description, existing: existing, requested: wanted))
    }

    static func keyDocument(_ view: KeyView, author: AuthorView, key: ConfigurationKey) -> KeyDocument {
        KeyDocument(
            key: key, content: KeyContent(view.content), version: view.shownVersion,
            writtenAt: Timestamp(view.stamp.wall), author: MemberIdentity(author),
            expiresAt: view.expiresAt == 0 ? nil : Timestamp(WallTime(milliseconds: view.expiresAt)))
    }
}

extension MemberIdentity {
    init(_ author: AuthorView) {
        self.init(id: author.id.description, name: author.name.isEmpty ? author.id.short : author.name)
    }
}

extension KeyContent {
    init(_ content: KeyView.Content) {
        switch content {
        case .register(let value): self = .register(value)
        case .set(let elements): self = .set(elements)
        case .counter(let value): self = .counter(value)
        }
    }
}
