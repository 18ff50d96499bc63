// SPDX-License-Identifier: Apache-2.0
// Owns the walk over the keys of the store's file, for exports: what each key shows, all as of one moment.

import ClusterTypes
import Persistence
import StoreCore

extension StoreReader {
    /// The live keys below a prefix in the order of their bytes, all as of one moment.
    func forEachKey(prefix: String, wall: WallTime, _ body: (KeyView) throws -> Void) throws {
        var rows: [Row] = []
        func flush() throws {
            guard let key = rows.first?.id.key else { return }
            // A store of this key alone knows what it shows.
            var store = Store(actor: ActorID(node: .unknown, epoch: 1), configuration: StoreConfiguration())
            for row in rows { _ = store.load(row) }
            _ = store.expire(through: wall)
            if let view = store.read(key) { try body(view) }
            rows.removeAll(keepingCapacity: true)
        }
        try exportSnapshot(begin: { _ in }) { row in
            guard row.id.key.utf8.starts(with: prefix.utf8) else { return }
            if let key = rows.first?.id.key, !key.utf8.elementsEqual(row.id.key.utf8) { try flush() }
            rows.append(row)
        }
        try flush()
    }
}
