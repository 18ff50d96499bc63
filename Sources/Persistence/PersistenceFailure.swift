// SPDX-License-Identifier: Apache-2.0
// Owns the ways in which storage can fail, and the sentence that tells the operator what to do about each.

import Glibc

/// Why the data directory could not be opened, read or written. Unless a case says otherwise nothing changed on disk.
package enum PersistenceFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// The path names something that is not a directory.
    case notADirectory(path: String)
    /// Another process holds the directory; its id is nil when its lock file does not say.
    case locked(path: String, processID: Int32?)
    /// The identity file exists and does not read as one. It is left as it is: a new identity is never minted over it.
    case corruptIdentity(file: String, reason: String)
    /// The file of the key ring exists and does not read as one. It is left as it is.
    case corruptKeys(file: String, reason: String)
    /// Others than its owner may use the file of the key ring.
    case exposedKeys(file: String, mode: UInt32)
    /// The file was written by a later version of this program.
    case newerFormat(file: String, version: String)
    /// The identity has been opened 2^32 - 1 times; another start would use an epoch twice.
    case bootEpochsUsedUp(file: String)
    /// A system call failed. After a failed `fsync`, `rename` or `write` either the old or the new file is in place,
    /// whole; which of them survives a power cut is not known, so the process must not go on as if it had been saved.
    case system(operation: String, path: String, errno: CInt)
    /// There is no room on the disk (or no quota left) for `file`. The call had no effect and may be repeated.
    case diskFull(file: String)
    /// Another program holds a lock on the database `file`. The call had no effect and may be repeated.
    case busy(file: String)
    /// The store's database contradicts itself. The next opening moves it aside.
    case corrupt(file: String, reason: String)
    /// The strict group's log contradicts itself where it says what this node promised: going on could break a promise.
    case corruptStrictLog(file: String, reason: String)
    /// This node wrote a log of the strict group under its identity, and there is none: what it promised cannot be told.
    case missingStrictLog(directory: String)
    /// The bytes that a peer sent as a snapshot of the strict group are others than it said. They were dropped.
    case corruptSnapshot(file: String)
    /// The store's database was written by a later version of this program. It is left as it is.
    case newerSchema(file: String, version: Int, supported: Int)
    /// SQLite failed otherwise; `code` is its extended result code. What is on disk is not known.
    case database(operation: String, file: String, code: CInt, message: String)
    /// More batches wait than the queue may hold.
    case queueFull(limit: Int)
    /// The queue has been stopped; it takes nothing more.
    case stopped

    /// The call had no effect and may be repeated as it was.
    package var isTemporary: Bool {
        switch self {
        case .diskFull, .busy: true
        case .notADirectory, .locked, .corruptIdentity, .corruptKeys, .exposedKeys, .newerFormat, .bootEpochsUsedUp,
            .system, .corrupt, .corruptStrictLog, .missingStrictLog, .corruptSnapshot, .newerSchema, .database,
            .queueFull, .stopped:
            false
        }
    }

    package var description: String {
        switch self {
        case .notADirectory(let path):
            "\(path) is not a directory: name another one with --data-dir or data_dir, or move the file away"
        case .locked(let path, let processID):
            if let processID {
                "the data directory \(path) is in use by process \(processID): stop that daemon or name another"
                    + " directory with --data-dir"
            } else {
                "the data directory \(path) is in use by another process: stop that daemon or name another directory"
                    + " with --data-dir"
            }
        case .corruptIdentity(let file, let reason):
            "the identity in \(file) is damaged (\(reason)): restore the file from a backup, or move it away to start"
                + " as a new node"
        case .corruptKeys(let file, let reason):
            "the key ring in \(file) is damaged (\(reason)): move it away; the node then begins with the keys of its"
                + " configuration and gets the others from its peers"
        case .exposedKeys(let file, let mode):
            "others than its owner may use the key ring \(file) (mode \(String(mode, radix: 8))): chmod 600 it, and replace"
                + " the keys if somebody may have read them (gossipctl key generate)"
        case .newerFormat(let file, let version):
            "\(file) has format \(version), which this version cannot read: install the newer version again"
        case .bootEpochsUsedUp(let file):
            "the identity in \(file) has no boot epoch left: move the file away to start as a new node"
        case .system(let operation, let path, let code):
            "\(operation) failed for \(path): \(Self.text(of: code))\(Self.advice(for: code))"
        case .diskFull(let file):
            "no room on the disk for \(file): make room on that disk"
        case .busy(let file):
            "another program holds a lock on the database \(file): end whatever works on it (fuser \(file))"
        case .corrupt(let file, let reason):
            "the database \(file) is damaged (\(reason)): start the daemon again, it moves the file aside and fetches"
                + " the configuration from a peer"
        case .corruptStrictLog(let file, let reason):
            "the log of the strict group is damaged (\(file): \(reason)), and what this node promised to the group cannot"
                + " be told: move the folder `strict` and the files `strict-log` and `identity` away to come back as a new"
                + " node, and take the old one out of the group (gossipctl strict remove)"
        case .missingStrictLog(let directory):
            "this node has voted in the strict group under its identity, and its log is gone from \(directory): put the folder"
                + " `strict` and the file `strict-log` back as they were; or else empty \(directory) (`identity` too), so that the"
                + " node comes back under a new id, and say gossipctl strict add for it and gossipctl strict remove for the old id"
        case .corruptSnapshot(let file):
            "the snapshot of the strict group that arrived in \(file) is not the one that was announced: start the daemon"
                + " again, it fetches the snapshot anew"
        case .newerSchema(let file, let version, let supported):
            "the database \(file) has schema \(version), and this version knows schemas up to \(supported): install"
                + " the newer version again, or move the file away to fetch the configuration from a peer"
        case .database(let operation, let file, let code, let message):
            "\(operation) failed for the database \(file): \(message) (SQLite code \(code))"
        case .queueFull(let limit):
            "storage does not keep up: \(limit) batches are waiting; check the disk under the data directory"
        case .stopped:
            "storage has been stopped"
        }
    }

    /// What to do about the usual ones.
    private static func advice(for code: CInt) -> String {
        switch code {
        case EACCES, EPERM: "; give the directory to the user that the daemon runs as"
        case ENOSPC, EDQUOT: "; make room on that disk"
        case EROFS: "; mount that disk for writing, or name another directory with --data-dir"
        case ENOENT, ENOTDIR: "; create the folder above it, or name another directory with --data-dir"
        case _: ""
        }
    }

    private static func text(of code: CInt) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
            guard let base = buffer.baseAddress, strerror_r(code, base, buffer.count) == 0 else {
                return "error \(code)"
            }
            return String(cString: base)
        }
    }
}
