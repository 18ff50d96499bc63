// SPDX-License-Identifier: Apache-2.0
// Owns the documents of import, backup and restore, and how long answers travel piece by piece.

/// A long answer or body, piece by piece: its reader asks for the next piece when it has room for it.
package struct PullStream<Piece: Sendable>: Sendable {
    /// The next piece; nil at the end. One reader, one call at a time.
    package var next: @Sendable () async throws(AdminFailure) -> Piece?
    /// Frees what the stream holds; called once, at the end or before it.
    package var close: @Sendable () -> Void

    package init(
        next: @escaping @Sendable () async throws(AdminFailure) -> Piece?, close: @escaping @Sendable () -> Void = {}
    ) {
        self.next = next
        self.close = close
    }
}

/// One line of an import: a line of `kv export`, or less of it. A key is to have this content.
package struct ImportEntry: Hashable, Sendable {
    package var key: ConfigurationKey
    package var content: KeyContent
    /// Only for registers.
    package var expiresAt: Timestamp?

    package init(key: ConfigurationKey, content: KeyContent, expiresAt: Timestamp? = nil) {
        self.key = key
        self.content = content
        self.expiresAt = expiresAt
    }

    private static let subject = "it is not as kv export writes it"

    private struct Fields: Decodable {
        var key: String
        var expires_at: Timestamp?
    }

    /// From one line of JSON: `key`, `type` and the content's field; other fields are ignored. Fails with
    /// `bad_request` and the line's number, and with `too_large` when a value is.
    package init(line: some Sequence<UInt8>, number: Int) throws(AdminFailure) {
        let bytes = Array(line)
        do throws(AdminFailure) {
            let fields = try AdminJSON.decodeRequest(Fields.self, from: bytes, subject: Self.subject)
            key = try ConfigurationKey(fields.key)
            content =
                try AdminJSON.decodeRequest(ContentDocument.self, from: bytes, subject: Self.subject).content
            expiresAt = fields.expires_at
            try checkBounds()
        } catch {
            throw AdminFailure(error.code, "line \(number): \(error.message)")
        }
    }

    private func checkBounds() throws(AdminFailure) {
        switch content {
        case .register(let value):
            guard value.count <= AdminLimits.valueBytesMax else {
                throw AdminFailure(
                    .tooLarge,
                    "the value of \(key.description.quoted) has \(value.count) bytes: at most \(AdminLimits.valueBytesMax) are allowed"
                )
            }
        case .set(let elements):
            for element in elements where element.count > AdminLimits.elementBytesMax {
                throw AdminFailure(
                    .tooLarge,
                    "an element of \(key.description.quoted) has \(element.count) bytes: at most \(AdminLimits.elementBytesMax) are allowed"
                )
            }
        case .counter: break
        }
    }
}

/// `POST /v1/import`
package struct ImportResult: Codable, Hashable, Sendable {
    package var dryRun: Bool
    package var added: Int
    package var changed: Int
    package var removed: Int
    /// Keys of the file that already have their content: they are not written.
    package var unchanged: Int
    /// The version of the transaction's first write; nil when nothing was written.
    package var version: String?
    /// The differences, only with `dry_run`; contents are left out beyond 32 MiB.
    package var entries: [DiffEntry]

    package init(dryRun: Bool, unchanged: Int, entries: [DiffEntry], version: String? = nil) {
        self.dryRun = dryRun
        self.unchanged = unchanged
        self.version = version
        added = entries.count { $0.change == .added }
        changed = entries.count { $0.change == .changed }
        removed = entries.count { $0.change == .removed }
        self.entries = dryRun ? entries : []
    }

    private enum CodingKeys: String, CodingKey {
        case added, changed, removed, unchanged, version, entries
        case dryRun = "dry_run"
    }
}

/// `POST /v1/restore`
package struct RestoreResult: Codable, Hashable, Sendable {
    /// Keys that the store holds now.
    package var keys: Int
    /// This node's revision after the restore.
    package var revision: UInt64
    /// Strict keys that were written through the log; nil when the backup has none, or they were left out.
    package var strictRestored: Int?
    /// Strict keys that were there by then, and stayed as they were.
    package var strictKept: Int?

    package init(keys: Int, revision: UInt64) {
        self.keys = keys
        self.revision = revision
    }

    private enum CodingKeys: String, CodingKey {
        case keys, revision
        case strictRestored = "strict_restored"
        case strictKept = "strict_kept"
    }
}

/// What a restore does with strict keys, which go through the log.
package enum StrictRestore: String, CaseIterable, Sendable {
    /// Them and all else.
    case with
    /// All else.
    case skip
    /// Them alone: the store need not be empty.
    case only
}
