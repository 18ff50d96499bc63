// SPDX-License-Identifier: Apache-2.0
// Owns the system calls on one file of the strict group, and on its folder.

import Glibc

/// An open file; closed with its last reference.
final class LogFile: Sendable {
    let descriptor: CInt
    /// For what is told; the file may have been renamed since.
    let path: String
    private let fault: StorageFault?
    private let faultName: String

    private init(descriptor: CInt, path: String, name: String, fault: StorageFault?) {
        self.descriptor = descriptor
        self.path = path
        self.fault = fault
        faultName = name
    }

    deinit { _ = close(descriptor) }

    /// nil: there is none.
    static func open(
        _ name: String, in folder: StrictFolder, writable: Bool
    ) throws(PersistenceFailure) -> LogFile? {
        try make(name, in: folder, flags: writable ? O_RDWR : O_RDONLY)
    }

    /// A new and empty one, in place of what had the name.
    static func create(_ name: String, in folder: StrictFolder) throws(PersistenceFailure) -> LogFile {
        guard let file = try make(name, in: folder, flags: O_RDWR | O_CREAT | O_TRUNC) else {
            throw .system(operation: "create", path: folder.name(name), errno: ENOENT)
        }
        return file
    }

    private static func make(
        _ name: String, in folder: StrictFolder, flags: CInt
    ) throws(PersistenceFailure) -> LogFile? {
        let path = folder.name(name)
        let descriptor = openat(folder.descriptor, name, flags | O_CLOEXEC | O_NOFOLLOW, 0o600)
        if descriptor < 0 {
            let code = errno
            if code == ENOENT { return nil }
            throw failure("open", path, code)
        }
        return LogFile(descriptor: descriptor, path: path, name: name, fault: folder.fault)
    }

    static func failure(_ operation: String, _ path: String, _ code: CInt) -> PersistenceFailure {
        code == ENOSPC || code == EDQUOT
            ? .diskFull(file: path) : .system(operation: operation, path: path, errno: code)
    }

    /// All bytes at `offset`, in one call unless the system takes fewer.
    func write(_ bytes: [UInt8], at offset: Int) throws(PersistenceFailure) {
        if let code = fault?(.write, faultName) { throw Self.failure("write", path, code) }
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { buffer in
                pwrite(descriptor, buffer.baseAddress.map { $0 + written }, buffer.count - written, offset + written)
            }
            if count < 0 {
                let code = errno
                if code == EINTR { continue }
                throw Self.failure("write", path, code)
            }
            written += count
        }
    }

    /// The data, and of the metadata what is needed to read it.
    func synchronise() throws(PersistenceFailure) {
        if let code = fault?(.synchronise, faultName) {
            throw .system(operation: "fdatasync", path: path, errno: code)
        }
        while fdatasync(descriptor) != 0 {
            let code = errno
            if code == EINTR { continue }
            // Whatever the reason, room or not: what is on the disk is not known any more.
            throw .system(operation: "fdatasync", path: path, errno: code)
        }
    }

    /// Up to `count` bytes from `offset`; fewer at the end of the file.
    func read(_ count: Int, at offset: Int) throws(PersistenceFailure) -> [UInt8] {
        if let code = fault?(.read, faultName) { throw .system(operation: "read", path: path, errno: code) }
        var failed: CInt?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, got in
            got = 0
            while got < count {
                let step = pread(descriptor, buffer.baseAddress.map { $0 + got }, count - got, offset + got)
                if step == 0 { break }
                if step < 0 {
                    let code = errno
                    if code == EINTR { continue }
                    failed = code
                    break
                }
                got += step
            }
        }
        if let failed { throw .system(operation: "read", path: path, errno: failed) }
        return bytes
    }

    var size: Int {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? Int(status.st_size) : 0
    }

    /// Room for `count` bytes: where the file system can, in one piece.
    func reserve(_ count: Int) throws(PersistenceFailure) {
        if let code = fault?(.write, faultName) { throw Self.failure("fallocate", path, code) }
        let code = posix_fallocate(descriptor, 0, count)
        if code == ENOSPC || code == EDQUOT { throw Self.failure("fallocate", path, code) }
    }
}

/// The folder `strict`: files come, go and are renamed by name.
struct StrictFolder: Sendable {
    private let open: Handles
    /// Tests make operations fail; nil in production.
    var fault: StorageFault?

    /// Closed with their last reference: threads may outlive who started them.
    private final class Handles: Sendable {
        let strict: DirectoryHandle
        let parent: DirectoryHandle

        init(strict: DirectoryHandle, parent: DirectoryHandle) {
            self.strict = strict
            self.parent = parent
        }

        deinit {
            strict.close()
            parent.close()
        }
    }

    init(directory: String, fault: StorageFault?) throws(PersistenceFailure) {
        let parent = try DirectoryHandle.open(directory, fault: nil)
        do throws(PersistenceFailure) {
            open = Handles(strict: try DirectoryHandle.open(parent.name("strict"), fault: nil), parent: parent)
        } catch {
            parent.close()
            throw error
        }
        self.fault = fault
    }

    var handle: DirectoryHandle { open.strict }
    /// The data directory above it.
    var parent: DirectoryHandle { open.parent }
    var descriptor: CInt { handle.descriptor }
    func name(_ file: String) -> String { handle.name(file) }

    /// All names but those of folders above, in no order.
    func names() throws(PersistenceFailure) -> [String] {
        let copy = openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard copy >= 0, let stream = fdopendir(copy) else {
            let code = errno
            if copy >= 0 { _ = close(copy) }
            throw .system(operation: "readdir", path: handle.path, errno: code)
        }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    func exists(_ file: String) -> Bool { faccessat(descriptor, file, F_OK, 0) == 0 }

    func rename(_ file: String, to other: String) throws(PersistenceFailure) {
        if renameat(descriptor, file, descriptor, other) != 0 { throw LogFile.failure("rename", name(file), errno) }
    }

    /// One that is not there is removed already.
    func remove(_ file: String) throws(PersistenceFailure) {
        if unlinkat(descriptor, file, 0) != 0, errno != ENOENT {
            throw .system(operation: "unlink", path: name(file), errno: errno)
        }
    }

    /// Renames, creations and removals so far last.
    func synchronise() throws(PersistenceFailure) {
        if let code = fault?(.synchronise, "") {
            throw .system(operation: "fsync", path: handle.path, errno: code)
        }
        while fsync(descriptor) != 0 {
            let code = errno
            if code == EINTR { continue }
            throw .system(operation: "fsync", path: handle.path, errno: code)
        }
    }
}
