// SPDX-License-Identifier: Apache-2.0
// Owns a file that appears under its name only when it is whole and on disk.

import AdminModel
import Glibc

final class NewFile: Sendable {
    private let path: String
    private let folder: String
    private let temporary: String
    private let descriptor: Int32
    private let replaces: Bool
    private let hint: String

    /// Makes a temporary file beside `path`; fails when something is at `path` that it may not replace.
    ///
    /// - Parameter option: what makes the command replace it; nil when nothing does.
    init(path: String, replaces: Bool, option: String? = nil) throws(AdminFailure) {
        self.path = path
        self.replaces = replaces
        hint = option.map { ", or give \($0)" } ?? ""
        let slash = path.utf8.lastIndex(of: UInt8(ascii: "/"))
        folder = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        if !replaces, access(path, F_OK) == 0 { throw Self.exists(path, hint) }
        var template = Array((path + ".part-XXXXXX").utf8CString)
        // Readable for the owner only: a backup holds every secret of the store.
        descriptor = mkstemp(&template)
        let failure = errno
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        temporary = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
        guard descriptor >= 0 else { throw Self.failure("write beside \(path.quoted)", failure) }
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    func write(_ bytes: [UInt8]) throws(AdminFailure) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if errno != EINTR {
                throw Self.failure("write \(path.quoted)", errno)
            }
        }
    }

    /// Puts the file on disk, then under its name, then the name on disk.
    func finish() throws(AdminFailure) {
        guard fsync(descriptor) == 0 else { throw Self.failure("write \(path.quoted)", errno) }
        if replaces {
            guard rename(temporary, path) == 0 else { throw Self.failure("replace \(path.quoted)", errno) }
        } else {
            // Unlike rename, link never replaces what somebody else has put there meanwhile.
            guard link(temporary, path) == 0 else {
                throw errno == EEXIST ? Self.exists(path, hint) : Self.failure("name \(path.quoted)", errno)
            }
            unlink(temporary)
        }
        let directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw Self.failure("open \(folder.quoted)", errno) }
        defer { close(directory) }
        guard fsync(directory) == 0 else { throw Self.failure("write \(folder.quoted)", errno) }
    }

    /// Takes the temporary file away.
    func discard() { unlink(temporary) }

    private static func exists(_ path: String, _ hint: String) -> AdminFailure {
        AdminFailure(.badRequest, "\(path.quoted) is already there: name another file\(hint)")
    }

    private static func failure(_ what: String, _ code: Int32) -> AdminFailure {
        AdminFailure(.internalError, "cannot \(what): \(String(cString: strerror(code)))")
    }
}
