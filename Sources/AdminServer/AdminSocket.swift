// SPDX-License-Identifier: Apache-2.0
// Owns the listening Unix socket: its path, mode and group, what is left of an earlier one, and its removal.

import AdminModel
import DaemonConfig
import Glibc

/// Why the admin server did not start.
package enum AdminServerStartError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Another process answers on the path.
    case inUse(path: String, processID: Int32?)
    /// The directory or the socket's group does not let this user in.
    case denied(path: String, reason: String)
    /// The path cannot be a socket, or the settings name what is not there.
    case badSettings(String)
    /// The operating system refused; `code` is errno.
    case system(operation: String, code: Int32)

    package var description: String {
        switch self {
        case .inUse(let path, let processID):
            let owner = processID.map { "process \($0)" } ?? "another process"
            return "\(owner) already answers on \(path): stop it or choose another socket"
        case .denied(let path, let reason):
            return "cannot make the socket \(path): \(reason): check the owner of its directory"
        case .badSettings(let message): return message
        case .system(let operation, let code): return "\(operation): \(String(cString: strerror(code)))"
        }
    }
}

/// A listening socket of this process. When it made the file it also removes it, unless another took its place.
struct AdminSocket: Sendable {
    let descriptor: Int32
    /// The file this process made; nil for an adopted socket, whose file belongs to its giver.
    private let file: (path: String, device: UInt64, inode: UInt64)?

    /// How many connections may wait to be accepted. Above it a client is told EAGAIN, which says nothing; below it and
    /// above the limit of connections it is told why.
    private static let backlog: Int32 = 1_024

    /// Takes over a socket that listens already, as from systemd.
    static func adopt(_ descriptor: Int32) throws(AdminServerStartError) -> AdminSocket {
        var value: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &value, &length) == 0, value == AF_UNIX else {
            throw .badSettings("descriptor \(descriptor) is not a Unix socket: set ListenStream= to a path")
        }
        guard getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &value, &length) == 0, value != 0 else {
            throw .badSettings("descriptor \(descriptor) does not listen: use a stream socket with Accept=no")
        }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        return AdminSocket(descriptor: descriptor, file: nil)
    }

    /// Makes the socket at the settings' path. A file that nobody answers on is replaced.
    static func make(_ settings: AdminServerSettings) throws(AdminServerStartError) -> AdminSocket {
        let path = settings.socketPath
        guard UnixAddress.isValid(path) else {
            throw .badSettings("the socket path \(path.quoted) must have 1 to \(UnixAddress.pathBytesMax) bytes")
        }
        var group: UInt32?
        if let name = settings.socketGroup {
            guard let number = AccountNames.group(name) else {
                throw .badSettings("the socket's group \(name.quoted) does not exist: create it or name another")
            }
            group = number
        }
        try removeStale(path)
        let descriptor = try UnixAddress.open()
        do throws(AdminServerStartError) {
            // Linux gives the file the mode of the socket: nobody gets in before the final mode is set.
            try check(fchmod(descriptor, 0o600), path)
            try check(UnixAddress.with(path) { bind(descriptor, $0, $1) }, path)
            if let group { try check(chown(path, uid_t.max, group), path) }
            try check(chmod(path, mode_t(settings.socketMode)), path)
            try check(listen(descriptor, backlog), path)
        } catch {
            close(descriptor)
            throw error
        }
        return AdminSocket(descriptor: descriptor, file: UnixAddress.identity(path).map { (path, $0.0, $0.1) })
    }

    /// Removes the file when it is still the one made here.
    func removeFile() {
        guard let file, let now = UnixAddress.identity(file.path), now == (file.device, file.inode) else { return }
        unlink(file.path)
    }

    private static func removeStale(_ path: String) throws(AdminServerStartError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw .badSettings("\(path) exists and is not a socket: remove it or choose another path")
        }
        let descriptor = try UnixAddress.open()
        defer { close(descriptor) }
        if UnixAddress.with(path, { connect(descriptor, $0, $1) }) == 0 || errno == EAGAIN {
            throw .inUse(path: path, processID: PeerCredentials.read(descriptor).map(\.processID))
        }
        guard errno == ECONNREFUSED else { throw .denied(path: path, reason: String(cString: strerror(errno))) }
        try check(unlink(path), path)
    }

    private static func check(_ status: Int32, _ path: String) throws(AdminServerStartError) {
        guard status != 0 else { return }
        switch errno {
        case ENOENT, ENOTDIR:
            throw .badSettings(
                "the folder of the socket \(path) does not exist: create it, or name another path with --socket")
        case EACCES, EPERM, EROFS:
            throw .denied(path: path, reason: String(cString: strerror(errno)))
        case EADDRINUSE: throw .inUse(path: path, processID: nil)
        default: throw .system(operation: "socket \(path)", code: errno)
        }
    }
}

/// sockaddr_un, from and for C.
private enum UnixAddress {
    /// sun_path has 108 bytes, the last one for the terminating zero.
    static let pathBytesMax = 107

    static func isValid(_ path: String) -> Bool {
        (1...pathBytesMax).contains(path.utf8.count) && !path.utf8.contains(0)
    }

    static func open() throws(AdminServerStartError) -> Int32 {
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let descriptor = socket(AF_UNIX, kind, 0)
        guard descriptor >= 0 else { throw .system(operation: "socket", code: errno) }
        return descriptor
    }

    /// Calls `body` with the address of `path`, which must be valid.
    static func with(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix(pathBytesMax)) }
        return withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    static func identity(_ path: String) -> (UInt64, UInt64)? {
        var status = stat()
        guard lstat(path, &status) == 0 else { return nil }
        return (UInt64(status.st_dev), UInt64(status.st_ino))
    }
}
