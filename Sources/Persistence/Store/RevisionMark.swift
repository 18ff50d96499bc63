// SPDX-License-Identifier: Apache-2.0
// Owns the file `revision`: how far the database had come, told outside it, so that an older copy is noticed.

import ClusterTypes
import Glibc

/// SQLite opens a log with a damaged frame as if the log ended there, and an older copy of the database as it is:
/// revisions would be given out twice, and a watch that goes on from one of them would miss changes.
///
/// The file is sealed text (`SealedText`) of one line, `STORE_ID REVISION`. It is replaced whole but not synchronised: a
/// mark that is lost or too low only notices less, and it is never above what was durable before it was written.
struct RevisionMark: Hashable {
    static let fileName = "revision"
    private static let kind = "revision"
    private static let version = 1
    private static let fileBytesMax = 256
    /// Between two writings, in milliseconds.
    static let intervalMilliseconds: UInt64 = 5_000
    /// How far behind the mark revisions go on: more than are given out between two writings.
    static let margin: UInt64 = 1_000_000

    var storeID: String
    var revision: UInt64

    /// Nil when there is none that can be read: it is a help, not a condition.
    static func read(in directory: DirectoryHandle) -> RevisionMark? {
        guard let bytes = try? directory.read(fileName, limit: fileBytesMax),
            let lines = try? SealedText.open(bytes, kind: kind, version: version), lines.count == 1
        else { return nil }
        let parts = lines[0].split(separator: " ")
        guard parts.count == 2, let revision = UInt64(parts[1]) else { return nil }
        return RevisionMark(storeID: String(parts[0]), revision: revision)
    }

    /// As well as it goes. False: it was not written.
    func write(in directory: DirectoryHandle) -> Bool {
        let bytes = SealedText.seal(kind: Self.kind, version: Self.version, lines: ["\(storeID) \(revision)"])
        let temporary = Self.fileName + ".tmp"
        let descriptor = openat(
            directory.descriptor, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        if descriptor < 0 { return false }
        let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        _ = close(descriptor)
        guard count == bytes.count else {
            _ = unlinkat(directory.descriptor, temporary, 0)
            return false
        }
        return renameat(directory.descriptor, temporary, directory.descriptor, Self.fileName) == 0
    }
}

extension StoredMeta {
    /// The database is older than the mark says: what it gave out since then is not in it. It gets a new store id, so
    /// that every cursor begins anew, and revisions that were never given out.
    mutating func goOn(behind mark: RevisionMark) throws(PersistenceFailure) {
        storeID = try StoredMeta.mint().storeID
        revision = mark.revision + RevisionMark.margin
        historySince = revision
    }
}
