// SPDX-License-Identifier: Apache-2.0
// Owns the marks outside of the strict group's folder: that this node has a log, and which.

import ClusterTypes

/// The file `strict-log` in the data directory: the log's id in 16 hexadecimal digits and a line feed. Without it, a node whose
/// folder `strict` was removed would begin anew under its old id and vote a second time. It is written again where it is missing.
enum LogMark {
    static let name = "strict-log"

    static func write(_ log: UInt64, beside folder: StrictFolder) throws(PersistenceFailure) {
        try folder.parent.replace(name, with: Array((Hex.string(log) + "\n").utf8))
    }

    /// nil: there is none.
    static func read(beside folder: StrictFolder) throws(PersistenceFailure) -> UInt64? {
        guard let bytes = try folder.parent.read(name, limit: 64) else { return nil }
        let text = String(decoding: bytes, as: UTF8.self)
        guard text.utf8.count == 17, text.hasSuffix("\n"), let log = UInt64(text.dropLast(), radix: 16) else {
            throw .corruptStrictLog(file: folder.parent.name(name), reason: "it holds no log's id")
        }
        return log
    }
}

/// The same beside the node's id, in the file `identity`: whoever keeps the id keeps this, also when folder and mark are removed.
package struct StrictLogKeeper: Sendable {
    /// As it was recorded before; nil: no log was begun under this id, as far as is known.
    package var known: UInt64?
    /// Makes it durable.
    package var record: @Sendable (UInt64) throws(PersistenceFailure) -> Void

    package init(known: UInt64?, record: @escaping @Sendable (UInt64) throws(PersistenceFailure) -> Void) {
        self.known = known
        self.record = record
    }

    /// Of a data directory.
    package init(_ directory: DataDirectory) {
        self.init(known: directory.identity.strictLog) { log throws(PersistenceFailure) in
            try directory.writeStrictLog(log)
        }
    }

    /// For tests of the log alone.
    package static let none = StrictLogKeeper(known: nil) { _ in }
}
