// SPDX-License-Identifier: Apache-2.0
// Owns the throw-away directories of these tests and raw access to the files in them.

import CSQLite
import Glibc

/// A directory under the system's temporary folder, removed with everything in it at the end of `body`.
func withScratch<Result>(_ body: (Scratch) throws -> Result) throws -> Result {
    let scratch = try Scratch()
    defer { scratch.remove() }
    return try body(scratch)
}

struct Scratch {
    struct Failure: Error { var operation: String }

    let path: String
    /// The data directory under test; not created.
    var data: String { path + "/data" }

    init() throws {
        var template = Array("/tmp/gossipd-persistence-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Failure(operation: "mkdtemp") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    func remove() { Self.remove(path) }

    private static func remove(_ path: String) {
        if let directory = opendir(path) {
            while let entry = readdir(directory) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                    pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                if name != ".", name != ".." { remove(path + "/" + name) }
            }
            closedir(directory)
            rmdir(path)
        } else {
            unlink(path)
        }
    }

    func read(_ name: String) throws -> [UInt8] {
        let file = open(data + "/" + name, O_RDONLY)
        guard file >= 0 else { throw Failure(operation: "open \(name)") }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = Glibc.read(file, &bytes, bytes.count)
        guard count >= 0 else { throw Failure(operation: "read \(name)") }
        return Array(bytes.prefix(count))
    }

    func text(_ name: String) throws -> String { String(decoding: try read(name), as: UTF8.self) }

    func write(_ name: String, _ bytes: some Sequence<UInt8>) throws {
        let bytes = Array(bytes)
        let file = open(data + "/" + name, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        guard file >= 0 else { throw Failure(operation: "open \(name)") }
        defer { close(file) }
        guard Glibc.write(file, bytes, bytes.count) == bytes.count else { throw Failure(operation: "write \(name)") }
    }

    func exists(_ name: String) -> Bool { access(data + "/" + name, F_OK) == 0 }

    func mode(_ path: String) throws -> mode_t {
        var status = stat()
        guard stat(path, &status) == 0 else { throw Failure(operation: "stat") }
        return status.st_mode & 0o7777
    }
}

extension Scratch {
    /// Runs SQL beside the daemon, as an operator could; gives the last row's first column.
    @discardableResult
    func sql(_ text: String) throws -> String? {
        var handle: OpaquePointer?
        guard sqlite3_open(data + "/store.db", &handle) == SQLITE_OK else { throw Failure(operation: "sqlite3_open") }
        defer { sqlite3_close(handle) }
        var found: String?
        let code = withUnsafeMutablePointer(to: &found) { pointer in
            sqlite3_exec(
                handle, text,
                { context, _, values, _ in
                    let value = values?.pointee.map { String(cString: $0) }
                    context?.assumingMemoryBound(to: String?.self).pointee = value
                    return SQLITE_OK
                }, pointer, nil)
        }
        guard code == SQLITE_OK else { throw Failure(operation: "\(text): \(String(cString: sqlite3_errmsg(handle)))") }
        return found
    }

    /// As `sql` for a tool that has begun to write and does not go on.
    func withLockHeld(_ body: () throws -> Void) throws {
        var handle: OpaquePointer?
        guard sqlite3_open(data + "/store.db", &handle) == SQLITE_OK else { throw Failure(operation: "sqlite3_open") }
        defer { sqlite3_close(handle) }
        guard sqlite3_exec(handle, "BEGIN IMMEDIATE", nil, nil, nil) == SQLITE_OK else {
            throw Failure(operation: "BEGIN IMMEDIATE")
        }
        try body()
    }

    func names(in folder: String? = nil) -> [String] {
        var names: [String] = []
        guard let directory = opendir(folder.map { data + "/" + $0 } ?? data) else { return [] }
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }
}

extension Scratch {
    /// A file of any size.
    func whole(_ name: String) throws -> [UInt8] {
        let file = Glibc.open(data + "/" + name, O_RDONLY)
        guard file >= 0 else { throw Failure(operation: "open \(name)") }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: Int(lseek(file, 0, SEEK_END)))
        guard pread(file, &bytes, bytes.count, 0) == bytes.count else { throw Failure(operation: "read \(name)") }
        return bytes
    }
}
