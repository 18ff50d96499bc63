// SPDX-License-Identifier: Apache-2.0
// Owns reading and writing small files, temporary folders, and waiting for conditions.

import Glibc

enum FileText {
    /// The whole file; empty when there is none.
    static func read(_ path: String) -> String { String(decoding: bytes(path), as: UTF8.self) }

    static func bytes(_ path: String) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count <= 0 { return bytes }
            bytes += chunk[..<count]
        }
    }

    static func write(_ text: String, to path: String, mode: mode_t = 0o644) throws {
        try write(Array(text.utf8), to: path, mode: mode)
    }

    static func write(_ bytes: [UInt8], to path: String, mode: mode_t = 0o644) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw Trouble.system("cannot write \(path)") }
        defer { close(descriptor) }
        var offset = 0
        while offset < bytes.count {
            let count = bytes[offset...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { throw Trouble.system("cannot write \(path)") }
            offset += count
        }
        // Past the umask.
        guard fchmod(descriptor, mode) == 0 else { throw Trouble.system("cannot change the mode of \(path)") }
    }
}

enum Folder {
    /// Makes a folder of its own; short, because the path of a socket has 107 bytes at most.
    static func make() throws -> String {
        let base = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        return try make(in: base.utf8.count <= 40 ? base : "/tmp")
    }

    /// The same where files are memory, if this host has such a place: for what is timed and not about the disk, whose
    /// fsync stalls for seconds when a build has just been written.
    static func makeInMemory() throws -> String {
        let base = "/dev/shm"
        return access(base, W_OK) == 0 ? try make(in: base) : try make()
    }

    private static func make(in base: String) throws -> String {
        var template = Array((base + "/gossipd-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else { throw Trouble.system("cannot make a temporary folder") }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// The names in a folder, sorted.
    static func names(_ path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Removes a folder and what is in it; symbolic links are not followed.
    static func remove(_ path: String) {
        for name in names(path) {
            var status = stat()
            let inner = path + "/" + name
            guard lstat(inner, &status) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFDIR { remove(inner) } else { unlink(inner) }
        }
        rmdir(path)
    }
}

/// Asks until `condition` gives a value, at most `limit`; an error of the condition counts as "not yet" and is told
/// when time is up.
@discardableResult
func eventually<Value>(
    _ what: String, within limit: Duration = .seconds(15), every pause: Duration = .milliseconds(10),
    isolation: isolated (any Actor)? = #isolation, _ condition: () async throws -> Value?
) async throws -> Value {
    let end = ContinuousClock.now + limit
    while true {
        var reason = ""
        do {
            if let value = try await condition() { return value }
        } catch {
            reason = ": \(error)"
        }
        guard ContinuousClock.now < end else { throw Trouble("not within \(limit): \(what)\(reason)") }
        try await Task.sleep(for: pause)
    }
}

extension Bool {
    /// For `eventually`.
    var orNil: Void? { self ? () : nil }
}

extension Duration {
    /// `0.123 s`
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }

    var figure: String {
        let milliseconds = Int((seconds * 1_000).rounded())
        let rest = String(milliseconds % 1_000)
        return "\(milliseconds / 1_000).\(String(repeating: "0", count: 3 - rest.utf8.count))\(rest) s"
    }
}
