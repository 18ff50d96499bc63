// SPDX-License-Identifier: Apache-2.0
// Owns a file system for SQLite whose operations fail when a test says so; production never registers it.

import CSQLite
import Glibc
import Synchronization

/// A VFS that passes everything to the usual one after asking a hook. SQLite's methods are C functions without a
/// context, so what they need lies in `table`, by the address of SQLite's file.
enum FaultyFileSystem {
    private struct OpenFile: @unchecked Sendable {
        // `@unchecked Sendable`: the pointers are SQLite's own, valid while the file is open.
        var name: String
        var hook: StorageFault
        var methods: UnsafePointer<sqlite3_io_methods>
    }

    private struct Table: Sendable {
        /// Hooks by directory.
        var hooks: [String: StorageFault] = [:]
        /// By the address of the `sqlite3_file`.
        var files: [UInt: OpenFile] = [:]
        var isRegistered = false
    }

    private static let table = Mutex(Table())
    static let name = "gossipd-faulty"

    /// Files below `directory` ask `hook` from now on; returns the name to open them with.
    static func install(_ hook: @escaping StorageFault, directory: String) -> String {
        table.withLock { table in
            table.hooks[directory] = hook
            if !table.isRegistered {
                table.isRegistered = true
                register()
            }
        }
        return name
    }

    private static func register() {
        guard let usual = sqlite3_vfs_find(nil) else { return }
        let copy = UnsafeMutablePointer<sqlite3_vfs>.allocate(capacity: 1)
        copy.initialize(to: usual.pointee)
        let title = Array(name.utf8CString)
        let stored = UnsafeMutablePointer<CChar>.allocate(capacity: title.count)
        stored.initialize(from: title, count: title.count)
        copy.pointee.zName = UnsafePointer(stored)
        copy.pointee.xOpen = { _, path, file, flags, outFlags in
            FaultyFileSystem.open(path, file, flags, outFlags)
        }
        _ = sqlite3_vfs_register(copy, 0)
    }

    private static func open(
        _ path: UnsafePointer<CChar>?, _ file: UnsafeMutablePointer<sqlite3_file>?, _ flags: CInt,
        _ outFlags: UnsafeMutablePointer<CInt>?
    ) -> CInt {
        guard let usual = sqlite3_vfs_find(nil), let open = usual.pointee.xOpen, let file else { return SQLITE_ERROR }
        let code = open(usual, path, file, flags, outFlags)
        guard code == SQLITE_OK, let path, let methods = file.pointee.pMethods else { return code }
        let parts = String(cString: path).split(separator: "/", omittingEmptySubsequences: false)
        let directory = parts.dropLast().joined(separator: "/")
        table.withLock { table in
            guard let hook = table.hooks[directory] else { return }
            table.files[UInt(bitPattern: file)] = OpenFile(
                name: String(parts.last ?? ""), hook: hook, methods: methods)
            file.pointee.pMethods = UnsafePointer(patched(methods))
        }
        return code
    }

    /// Leaks one table of methods for each opened file, which only tests do.
    private static func patched(
        _ methods: UnsafePointer<sqlite3_io_methods>
    ) -> UnsafeMutablePointer<sqlite3_io_methods> {
        let copy = UnsafeMutablePointer<sqlite3_io_methods>.allocate(capacity: 1)
        copy.initialize(to: methods.pointee)
        copy.pointee.xWrite = { file, data, count, offset in
            FaultyFileSystem.ask(.write, file, SQLITE_IOERR | (3 << 8)) { $0.xWrite?(file, data, count, offset) }
        }
        copy.pointee.xRead = { file, data, count, offset in
            FaultyFileSystem.ask(.read, file, SQLITE_IOERR | (1 << 8)) { $0.xRead?(file, data, count, offset) }
        }
        copy.pointee.xSync = { file, flags in
            FaultyFileSystem.ask(.synchronise, file, SQLITE_IOERR | (4 << 8)) { $0.xSync?(file, flags) }
        }
        copy.pointee.xTruncate = { file, size in
            FaultyFileSystem.ask(.truncate, file, SQLITE_IOERR | (6 << 8)) { $0.xTruncate?(file, size) }
        }
        copy.pointee.xClose = { file in
            guard let file else { return SQLITE_ERROR }
            let entry = FaultyFileSystem.table.withLock { $0.files.removeValue(forKey: UInt(bitPattern: file)) }
            return entry?.methods.pointee.xClose?(file) ?? SQLITE_ERROR
        }
        return copy
    }

    private static func ask(
        _ operation: StorageOperation, _ file: UnsafeMutablePointer<sqlite3_file>?, _ failure: CInt,
        _ call: (sqlite3_io_methods) -> CInt?
    ) -> CInt {
        let entry = table.withLock { $0.files[UInt(bitPattern: file)] }
        guard let entry else { return SQLITE_ERROR }
        if let code = entry.hook(operation, entry.name) {
            errno = code
            // As SQLite's own does.
            return operation == .write && code == ENOSPC ? SQLITE_FULL : failure
        }
        return call(entry.methods.pointee) ?? SQLITE_ERROR
    }
}
