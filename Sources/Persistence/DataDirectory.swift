// SPDX-License-Identifier: Apache-2.0
// Owns the data directory of a daemon: its lock, its identity, its remembered peers, its key ring.

import ClusterTypes
import Glibc
import Synchronization

/// An open data directory; no other process has it open.
///
///     lock            held while the daemon runs (flock); holds its process id in decimal and a line feed
///     identity        see NodeIdentity
///     peers           see StoredPeer; it is a hint, so a damaged one is set aside as `peers.corrupt`
///     keys            see KeyRingFile; secret, and there only when packets are sealed
///     *.tmp           a replacement under way; what a crash left of it is removed at the next opening
///
/// Writers may call from any thread; calls are carried out one after the other and are durable on return. They
/// block for a disk's time: call them on the storage thread (`DurabilityQueue`), not on the event loop.
package final class DataDirectory: Sendable {
    package let path: String
    /// The identity had to be minted: this is a new node.
    package let isNew: Bool
    /// What the former process remembered, in order of preference.
    package let peers: [StoredPeer]
    /// The encoded key ring as the former process left it; nil when there was none.
    package let keyRing: [UInt8]?
    /// Sentences to log once: what was damaged and what was done about it.
    package let warnings: [String]

    private let handle: DirectoryHandle
    private let lockDescriptor: CInt
    private let current: Mutex<NodeIdentity>

    private init(
        handle: DirectoryHandle, lockDescriptor: CInt, identity: NodeIdentity, isNew: Bool, peers: [StoredPeer],
        keyRing: [UInt8]?, warnings: [String]
    ) {
        path = handle.path
        self.handle = handle
        self.lockDescriptor = lockDescriptor
        current = Mutex(identity)
        self.isNew = isNew
        self.peers = peers
        self.keyRing = keyRing
        self.warnings = warnings
    }

    /// Closes the directory and frees its lock for the next process; so does the end of the process, however it ends.
    deinit {
        handle.close()
        // Said outright: a child between fork and exec has a copy of the descriptor, and the lock lives as long.
        _ = flock(lockDescriptor, LOCK_UN)
        _ = close(lockDescriptor)
    }

    /// The identity of this process: its epoch has not been used before and is durable.
    package var identity: NodeIdentity { current.withLock { $0 } }

    /// Opens the directory at `path`, creating it (mode 0700) when there is none. On return a boot epoch that no
    /// process has used before is durable. `fault` is for tests.
    package static func open(_ path: String, fault: WriteFault? = nil) throws(PersistenceFailure) -> DataDirectory {
        let handle = try DirectoryHandle.open(path, fault: fault)
        var lock: CInt = -1
        do throws(PersistenceFailure) {
            lock = try acquireLock(handle)
            try handle.removeTemporaries(of: [NodeIdentity.fileName, StoredPeer.fileName, KeyRingFile.name])
            // Before an epoch is used up for a start that does not come about.
            let keyRing = try KeyRingFile.read(handle)
            let (identity, isNew) = try beginEpoch(handle)
            let (peers, warnings) = try readPeers(handle)
            return DataDirectory(
                handle: handle, lockDescriptor: lock, identity: identity, isNew: isNew, peers: peers,
                keyRing: keyRing, warnings: warnings)
        } catch {
            if lock >= 0 { _ = close(lock) }
            handle.close()
            throw error
        }
    }

    /// Makes it durable that no incarnation up to `fence` is used again. A lower fence than the present one is
    /// already true and changes nothing.
    package func writeIncarnationFence(_ fence: UInt64) throws(PersistenceFailure) {
        try current.withLock { identity throws(PersistenceFailure) in
            if fence <= identity.incarnationFence { return }
            var next = identity
            next.incarnationFence = fence
            try handle.replace(NodeIdentity.fileName, with: next.encoded())
            identity = next
        }
    }

    /// Makes it durable that this log of the strict group was begun under this id.
    package func writeStrictLog(_ log: UInt64) throws(PersistenceFailure) {
        try current.withLock { identity throws(PersistenceFailure) in
            if identity.strictLog == log { return }
            var next = identity
            next.strictLog = log
            try handle.replace(NodeIdentity.fileName, with: next.encoded())
            identity = next
        }
    }

    /// Replaces the remembered peers, in order of preference; of more than `StoredPeer.countMax` the first are kept.
    package func writePeers(_ peers: [StoredPeer]) throws(PersistenceFailure) {
        let bytes = StoredPeer.encode(peers)
        // Under the lock because two writers of one temporary file would spoil each other's.
        try current.withLock { _ throws(PersistenceFailure) in
            try handle.replace(StoredPeer.fileName, with: bytes)
        }
    }

    /// Replaces the encoded key ring.
    package func writeKeyRing(_ ring: [UInt8]) throws(PersistenceFailure) {
        let bytes = KeyRingFile.encode(ring)
        try current.withLock { _ throws(PersistenceFailure) in
            try handle.replace(KeyRingFile.name, with: bytes)
        }
    }

    /// Group commit: makes several updates durable with at most one write of each file. The highest fence and the
    /// last list of peers and ring win, as if the updates had been written one by one.
    package func commit(_ updates: [DataDirectoryUpdate]) throws(PersistenceFailure) {
        if let fence = updates.compactMap(\.incarnationFence).max() { try writeIncarnationFence(fence) }
        if let peers = updates.last(where: { $0.peers != nil })?.peers { try writePeers(peers) }
        if let ring = updates.last(where: { $0.keyRing != nil })?.keyRing { try writeKeyRing(ring) }
    }

    private static let lockName = "lock"

    private static func acquireLock(_ handle: DirectoryHandle) throws(PersistenceFailure) -> CInt {
        let path = handle.name(lockName)
        let lock = openat(handle.descriptor, lockName, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        if lock < 0 { throw .system(operation: "open", path: path, errno: errno) }
        while flock(lock, LOCK_EX | LOCK_NB) != 0 {
            let code = errno
            if code == EINTR { continue }
            _ = close(lock)
            guard code == EWOULDBLOCK else { throw .system(operation: "flock", path: path, errno: code) }
            throw .locked(path: handle.path, processID: try? holder(handle))
        }
        let text = Array("\(getpid())\n".utf8)
        // The holder's id is for people; the lock itself is what excludes. So no fsync.
        guard ftruncate(lock, 0) == 0, text.withUnsafeBytes({ pwrite(lock, $0.baseAddress, $0.count, 0) }) == text.count
        else {
            let code = errno
            _ = close(lock)
            throw .system(operation: "write", path: path, errno: code)
        }
        return lock
    }

    private struct NoHolder: Error {}

    private static func holder(_ handle: DirectoryHandle) throws -> Int32 {
        guard let bytes = try handle.read(lockName, limit: 32),
            let id = Int32(String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)), id > 0
        else { throw NoHolder() }
        return id
    }

    private static func beginEpoch(
        _ handle: DirectoryHandle
    ) throws(PersistenceFailure) -> (NodeIdentity, isNew: Bool) {
        let file = handle.name(NodeIdentity.fileName)
        let bytes = try handle.read(NodeIdentity.fileName, limit: NodeIdentity.fileBytesMax)
        var identity =
            if let bytes { try NodeIdentity.decode(bytes, file: file) } else { try NodeIdentity.mint() }
        let (epoch, overflow) = identity.bootEpoch.addingReportingOverflow(1)
        if overflow { throw .bootEpochsUsedUp(file: file) }
        identity.bootEpoch = epoch
        try handle.replace(NodeIdentity.fileName, with: identity.encoded())
        return (identity, bytes == nil)
    }

    /// Peers are a hint: whatever is wrong with the file, the daemon starts without it and says so.
    private static func readPeers(
        _ handle: DirectoryHandle
    ) throws(PersistenceFailure) -> (peers: [StoredPeer], warnings: [String]) {
        let file = handle.name(StoredPeer.fileName)
        let problem: String
        do {
            guard let bytes = try handle.read(StoredPeer.fileName, limit: StoredPeer.fileBytesMax) else {
                return ([], [])
            }
            return (try StoredPeer.decode(bytes), [])
        } catch SealedText.Problem.damaged(let reason) {
            problem = reason
        } catch SealedText.Problem.newerVersion(let version) {
            problem = "it has format \(version), which this version cannot read"
        } catch {
            problem = "\(error)"
        }
        try handle.setAside(StoredPeer.fileName, as: StoredPeer.setAsideName)
        let aside = handle.name(StoredPeer.setAsideName)
        return (
            [],
            ["the remembered peers in \(file) cannot be used (\(problem)): moved to \(aside), starting without them"]
        )
    }
}

/// Part of what a kernel asks to make durable; what is nil stays as it is.
package struct DataDirectoryUpdate: Hashable, Sendable {
    package var incarnationFence: UInt64?
    package var peers: [StoredPeer]?
    /// Encoded; secret.
    package var keyRing: [UInt8]?

    package var isEmpty: Bool { incarnationFence == nil && peers == nil && keyRing == nil }

    package init(incarnationFence: UInt64? = nil, peers: [StoredPeer]? = nil, keyRing: [UInt8]? = nil) {
        self.keyRing = keyRing
        self.incarnationFence = incarnationFence
        self.peers = peers
    }
}
