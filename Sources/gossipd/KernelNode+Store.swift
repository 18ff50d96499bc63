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
    static let entryBytes = 200

    func get(_ key: ConfigurationKey, _ options: ReadOptions) async throws(AdminFailure) -> KeyDocument {
        if strict.covers(key.description) { return try await strictGet(key, options) }
        guard options.consistency != .linearizable else { throw strict.notStrict(key.description) }
        let (view, author) = try await read(key)
        return keyDocument(view, author: author, key: key)
    }

    func list(_ prefix: KeyPrefix, _ options: ReadOptions) async throws(AdminFailure) -> KeyListDocument {
        // Only a prefix that is strict as a whole is read from the leader.
        let isStrict = strict.covers(prefix.description)
        if isStrict, options.consistency != .local { return try await strictList(prefix, options) }
        guard options.consistency != .linearizable else {
            throw AdminFailure(
                .notStrict,
                "not all keys below \(prefix.description.quoted) are strict: name a strict prefix, or read with consistency local"
            )
        }
        let age = strict.isOn ? await strict.age() : nil
        var entries: [KeyDocument] = []
        var bytes = 0
        var after: String?
        repeat {
            let command = Command.list(prefix: prefix.description, after: after, limit: Self.pageKeysMax)
            guard case .keys(let page, let next) = try await ask(command) else { throw .unexpectedReply }
            for (view, author) in page where prefix.shows(view.key) {
                var document = keyDocument(view, author: author, key: try ConfigurationKey(view.key))
                if document.keyClass == .strict { document.stalenessMilliseconds = age }
                bytes += document.key.utf8.count + document.content.rawBytes.count + Self.entryBytes
                entries.append(document)
            }
            try Self.checkListing(bytes, prefix)
            after = next
        } while after != nil
        return KeyListDocument(entries: entries)
    }

    static func checkListing(_ bytes: Int, _ prefix: KeyPrefix) throws(AdminFailure) {
        guard bytes <= listBytesMax else {
            throw AdminFailure(
                .tooLarge,
                "the keys below \(prefix.description.quoted) take more than \(listBytesMax >> 20) MiB: name a longer prefix"
            )
        }
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

    func keyDocument(_ view: KeyView, author: AuthorView, key: ConfigurationKey) -> KeyDocument {
        Self.keyDocument(view, author: author, key: key)
    }

    /// Keys that the strict log has written carry its index as their version.
    static func keyDocument(_ view: KeyView, author: AuthorView, key: ConfigurationKey) -> KeyDocument {
        let index = view.strictIndex
        return KeyDocument(
            key: key, content: KeyContent(view.content), keyClass: index == nil ? .eventual : .strict,
            version: view.shownVersion, writtenAt: Timestamp(view.stamp.wall),
            author: index == nil ? MemberIdentity(author) : .strictGroup,
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
