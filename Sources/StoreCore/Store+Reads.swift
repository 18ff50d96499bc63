// SPDX-License-Identifier: Apache-2.0
// Owns reading: one key, or a page of keys under a prefix.

import ClusterTypes

extension Store {
    /// Keys that one call of `list` looks at, live or not: bounds the time it takes.
    package static let listedKeysMax = 65_536

    /// The visible content of `key`; nil when nothing is live.
    package func read(_ key: String) -> KeyView? { keys.find(key).flatMap(view) }

    /// The version of the newest write to `key`, deletes included; nil when it was never written.
    package func version(of key: String) -> Version? { keys.find(key).map { keys.visible($0, actors: actors).version } }

    /// Live keys whose bytes begin with those of `prefix`, in the order of their bytes, beginning behind `after`.
    /// A page ends after `limit` keys, after `bytesMax` bytes of keys and content (but not before the first key), or
    /// after `listedKeysMax` keys were looked at. Costs a search and the page, not the number of keys.
    package func list(
        prefix: String = "", after: String? = nil, limit: Int = 1_000, bytesMax: Int = 1024 * 1024
    ) -> KeyPage {
        var entries: [KeyView] = []
        var bytes = 0
        var examined = 0
        var last: String?
        var position = position(of: prefix, handle: nil, part: nil)
        if let after, !ConfigurationKey.precedes(after, prefix) { position = self.position(behind: after) }
        while let row = order.element(at: position) {
            let handle = rows[Int(row)].key
            let key = keys.key(handle)
            guard ConfigurationKey.hasPrefix(key, prefix) else { break }
            if entries.count >= limit || examined >= Self.listedKeysMax || (bytes >= bytesMax && !entries.isEmpty) {
                return KeyPage(entries: entries, next: last ?? after)
            }
            if let view = view(handle) {
                entries.append(view)
                bytes += view.estimatedBytes
            }
            examined += 1
            last = key
            position = self.position(behindKeyOf: position)
        }
        return KeyPage(entries: entries, next: nil)
    }

    /// The first row behind all rows of `key`.
    private func position(behind key: String) -> RowOrder.Position {
        order.partitionPoint { !ConfigurationKey.precedes(key, keys.key(rows[Int($0)].key)) }
    }

    /// The first row of the next key.
    private func position(behindKeyOf position: RowOrder.Position) -> RowOrder.Position {
        guard let row = order.element(at: position) else { return position }
        let key = rows[Int(row)].key
        var next = position
        // Most keys have one row; large ones are worth a search.
        for _ in 0..<8 {
            next = order.position(after: next)
            guard let row = order.element(at: next), rows[Int(row)].key == key else { return next }
        }
        return self.position(behind: keys.key(key))
    }

    func view(_ key: UInt32) -> KeyView? {
        guard keys.isLive(key) else { return nil }
        let visible = keys.visible(key, actors: actors)
        let content: KeyView.Content
        var expiresAt: UInt64 = 0
        var index: UInt64 = 0
        switch visible.type {
        case .register:
            let row = rows[Int(keys.register(key))]
            guard case .value(let value) = row.content else { return nil }
            content = .register(value)
            expiresAt = row.details.expiresAt
            index = row.details.index
        case .set:
            content = .set(liveElements(key))
        case .counter:
            content = .counter(Int64(clamping: counterValue(key)))
        }
        return KeyView(
            key: keys.key(key), content: content, version: visible.version, aside: hiddenTypes(key),
            expiresAt: expiresAt, index: index)
    }

    /// The set's live elements, whichever type is visible; sorted.
    private func liveElements(_ key: UInt32) -> [[UInt8]] {
        var elements: [[UInt8]] = []
        forEachRow(of: key) { row in
            switch rows[Int(row)].content {
            case .tombstone, .value: return true
            case .counter: return false
            case .element(let bytes, _):
                if rows[Int(row)].isShown { elements.append(bytes) }
                return true
            }
        }
        return elements
    }
}

extension KeyView {
    /// The bytes of the key and its content, and 8 for each element.
    package var estimatedBytes: Int {
        let held =
            switch content {
            case .register(let value): value.count
            case .set(let elements): elements.reduce(0) { $0 + $1.count + 8 }
            case .counter: 8
            }
        return key.utf8.count + held
    }
}
