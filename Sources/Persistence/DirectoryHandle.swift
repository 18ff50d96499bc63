// SPDX-License-Identifier: Apache-2.0
// Owns the system calls on one directory: bounded reads, and writes that are whole and durable or did not happen.

import Glibc

/// An open directory. All names are relative to it, so that a renamed parent does not divert a write.
struct DirectoryHandle: Sendable {
    let path: String
    let descriptor: CInt
    /// Tests make a step of `replace` fail or stop there; nil in production.
    var fault: WriteFault?

    /// Opens `path`, creating it (mode 0700) and its missing parents (mode 0755) first.
    static func open(_ path: String, fault: WriteFault?) throws(PersistenceFailure) -> DirectoryHandle {
        try create(path, mode: 0o700)
        let descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if descriptor < 0 {
            let code = errno
            if code == ENOTDIR { throw .notADirectory(path: path) }
            throw .system(operation: "open", path: path, errno: code)
        }
        return DirectoryHandle(path: path, descriptor: descriptor, fault: fault)
    }

    func close() { _ = Glibc.close(descriptor) }

    func name(_ file: String) -> String { path.hasSuffix("/") ? path + file : path + "/" + file }

    /// The contents of `file`; nil when there is none. A file larger than `limit` bytes is an error (EFBIG).
    func read(_ file: String, limit: Int) throws(PersistenceFailure) -> [UInt8]? {
        let source = openat(descriptor, file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        if source < 0 {
            let code = errno
            if code == ENOENT { return nil }
            throw .system(operation: "open", path: name(file), errno: code)
        }
        defer { _ = Glibc.close(source) }
        var bytes = [UInt8](repeating: 0, count: limit + 1)
        var count = 0
        while count < bytes.count {
            let got = bytes.withUnsafeMutableBytes { buffer in
                Glibc.read(source, buffer.baseAddress.map { $0 + count }, buffer.count - count)
            }
            if got == 0 { break }
            if got < 0 {
                let code = errno
                if code == EINTR { continue }
                throw .system(operation: "read", path: name(file), errno: code)
            }
            count += got
        }
        if count > limit { throw .system(operation: "read", path: name(file), errno: EFBIG) }
        bytes.removeLast(bytes.count - count)
        return bytes
    }

    /// Replaces `file` by `contents`; durable on return. Whenever the process dies, the old or the new file is there,
    /// whole: the bytes go to `FILE.tmp`, which is synchronised before it is renamed, and the directory after it.
    func replace(_ file: String, with contents: [UInt8]) throws(PersistenceFailure) {
        let temporary = file + Self.temporarySuffix
        do throws(PersistenceFailure) {
            try write(contents, to: temporary, for: file)
            try step(.rename, file) { renameat(descriptor, temporary, descriptor, file) }
        } catch {
            if !isCrash(error) { _ = unlinkat(descriptor, temporary, 0) }
            throw Self.fullness(error)
        }
        do throws(PersistenceFailure) {
            try step(.synchroniseDirectory, file) { fsync(descriptor) }
        } catch {
            throw Self.fullness(error)
        }
    }

    /// A replacement that finds no room is begun anew from its first byte, so that it may be repeated.
    private static func fullness(_ failure: PersistenceFailure) -> PersistenceFailure {
        if case .system(_, let path, let code) = failure, code == ENOSPC || code == EDQUOT {
            return .diskFull(file: path)
        }
        return failure
    }

    /// Moves `file` out of the way, replacing what has the new name; durable on return.
    func setAside(_ file: String, as other: String) throws(PersistenceFailure) {
        try step(.rename, file) { renameat(descriptor, file, descriptor, other) }
        try step(.synchroniseDirectory, file) { fsync(descriptor) }
    }

    /// Removes what an interrupted `replace` of these files left behind.
    func removeTemporaries(of files: [String]) throws(PersistenceFailure) {
        for file in files where unlinkat(descriptor, file + Self.temporarySuffix, 0) != 0 {
            let code = errno
            if code != ENOENT {
                throw .system(operation: "unlink", path: name(file + Self.temporarySuffix), errno: code)
            }
        }
    }

    private static let temporarySuffix = ".tmp"

    private func write(_ contents: [UInt8], to temporary: String, for file: String) throws(PersistenceFailure) {
        let target = openat(descriptor, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        if target < 0 { throw .system(operation: "create", path: name(temporary), errno: errno) }
        defer { _ = Glibc.close(target) }
        if case .crash = fault?(.write, file) {
            // As a dying machine leaves it: a part of the bytes.
            _ = contents.withUnsafeBytes { Glibc.write(target, $0.baseAddress, $0.count / 2) }
            throw Self.crash(file)
        }
        var written = 0
        while written < contents.count {
            let count = contents.withUnsafeBytes { buffer in
                Glibc.write(target, buffer.baseAddress.map { $0 + written }, buffer.count - written)
            }
            if count < 0 {
                let code = errno
                if code == EINTR { continue }
                throw .system(operation: "write", path: name(temporary), errno: code)
            }
            written += count
        }
        try step(.synchronise, file) { fsync(target) }
    }

    private func step(_ step: WriteStep, _ file: String, _ call: () -> CInt) throws(PersistenceFailure) {
        switch fault?(step, file) {
        case .crash: throw Self.crash(file)
        case .fail(let code): throw .system(operation: step.operation, path: name(file), errno: code)
        case nil: break
        }
        while call() != 0 {
            let code = errno
            // An interrupted rename or fsync has done nothing that a second one does not repeat.
            if code == EINTR { continue }
            throw .system(operation: step.operation, path: name(file), errno: code)
        }
    }

    private static func crash(_ file: String) -> PersistenceFailure {
        .system(operation: "crash", path: file, errno: 0)
    }

    private func isCrash(_ failure: PersistenceFailure) -> Bool {
        if case .system("crash", _, 0) = failure { true } else { false }
    }

    /// Makes `path` with `mode`, and its missing parents with mode 0755; one that is there already stays as it is.
    private static func create(_ path: String, mode: mode_t) throws(PersistenceFailure) {
        if mkdir(path, mode) == 0 { return try synchroniseParent(of: path) }
        let code = errno
        if code == EEXIST { return }
        guard code == ENOENT, let parent = parent(of: path) else {
            throw .system(operation: "mkdir", path: path, errno: code)
        }
        try create(parent, mode: 0o755)
        if mkdir(path, mode) != 0, errno != EEXIST {
            throw .system(operation: "mkdir", path: path, errno: errno)
        }
        try synchroniseParent(of: path)
    }

    /// The path less its last component; nil when there is only one.
    private static func parent(of path: String) -> String? {
        var bytes = Array(path.utf8)
        while bytes.last == UInt8(ascii: "/") { bytes.removeLast() }
        while let last = bytes.last, last != UInt8(ascii: "/") { bytes.removeLast() }
        while bytes.count > 1, bytes.last == UInt8(ascii: "/") { bytes.removeLast() }
        return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
    }

    private static func synchroniseParent(of path: String) throws(PersistenceFailure) {
        let parent = parent(of: path) ?? "."
        let descriptor = Glibc.open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        // A parent we may search but not read cannot be synchronised; its owner made it, and so answers for it.
        if descriptor < 0 { return }
        defer { _ = Glibc.close(descriptor) }
        if fsync(descriptor) != 0 { throw .system(operation: "fsync", path: parent, errno: errno) }
    }
}

/// The steps of a durable replacement, in order.
package enum WriteStep: Hashable, Sendable, CaseIterable {
    case write
    case synchronise
    case rename
    case synchroniseDirectory

    var operation: String {
        switch self {
        case .write: "write"
        case .synchronise, .synchroniseDirectory: "fsync"
        case .rename: "rename"
        }
    }
}

/// What a test makes of a step: nil lets it happen.
package enum FaultKind: Sendable {
    /// The call answers with this errno.
    case fail(CInt)
    /// The process dies before the step: nothing after it happens, nothing is cleaned up.
    case crash
}

/// Called before each step with the file that is replaced.
package typealias WriteFault = @Sendable (WriteStep, _ file: String) -> FaultKind?
