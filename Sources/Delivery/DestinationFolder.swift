// SPDX-License-Identifier: Apache-2.0
// Owns the folder of a destination: how it is found, and the calls on names in it.

internal import CProcess
import Glibc

/// An open folder. All names are relative to it: whoever moves its path meanwhile diverts nothing.
final class DestinationFolder {
    let path: String
    private let descriptor: CInt

    /// A destination's folder and its name in there; both parts of an absolute path.
    static func split(_ destination: String) throws(DeliveryFailure) -> (folder: String, name: String) {
        guard destination.utf8.first == UInt8(ascii: "/"), let slash = destination.utf8.lastIndex(of: UInt8(ascii: "/"))
        else { throw .file("the destination \(destination) is not an absolute path: begin it with /") }
        let name = String(destination[destination.utf8.index(after: slash)...])
        guard !name.isEmpty, name != ".", name != ".." else {
            throw .file("the destination \(destination) names no file: add its name")
        }
        return (slash == destination.utf8.startIndex ? "/" : String(destination[..<slash]), name)
    }

    init(_ path: String) throws(DeliveryFailure) {
        self.path = path
        let found = try Self.walk(path)
        defer { close(found) }
        // What is only a place in the tree can be neither listed nor synchronised.
        descriptor = openat(found, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if descriptor < 0 { throw Self.failure("open the folder", path, errno) }
    }

    deinit { close(descriptor) }

    func path(of name: String) -> String { path == "/" ? "/" + name : path + "/" + name }

    /// Links per path, as the kernel has it (path_resolution(7)).
    private static let linksMax = 40

    /// Opens `path` step by step. A symbolic link is followed when it belongs to root or to this process's user: another
    /// user's could lead a writer with more rights to where that user may not write.
    private static func walk(_ path: String) throws(DeliveryFailure) -> CInt {
        let place = CInt(gossipd_open_path) | O_CLOEXEC
        var current = Glibc.open("/", place | O_DIRECTORY)
        if current < 0 { throw failure("open the folder", "/", errno) }
        var isFound = false
        defer { if !isFound { close(current) } }
        var rest = Array(path.split(separator: "/").reversed())
        var links = 0
        while let part = rest.popLast() {
            let next = openat(current, String(part), place | O_NOFOLLOW)
            if next < 0 {
                let code = errno
                guard code == ENOENT else { throw failure("open the folder", path, code) }
                throw .file("the folder \(path) does not exist: create it, or install what it belongs to")
            }
            var status = stat()
            guard fstat(next, &status) == 0 else {
                let code = errno
                close(next)
                throw failure("examine the folder", path, code)
            }
            if status.st_mode & S_IFMT == S_IFDIR {
                close(current)
                current = next
                continue
            }
            defer { close(next) }
            guard status.st_mode & S_IFMT == S_IFLNK else { throw failure("open the folder", path, ENOTDIR) }
            guard status.st_uid == 0 || status.st_uid == geteuid() else {
                throw .file(
                    "the way to the folder \(path) leads through the link \(part), which belongs to another user than"
                        + " root: name the folder itself")
            }
            links += 1
            guard links <= linksMax, let target = target(of: next) else {
                throw failure("open the folder", path, ELOOP)
            }
            if target.utf8.first == UInt8(ascii: "/") {
                let root = Glibc.open("/", place | O_DIRECTORY)
                if root < 0 { throw failure("open the folder", "/", errno) }
                close(current)
                current = root
            }
            rest += target.split(separator: "/").reversed()
        }
        isFound = true
        return current
    }

    private static func target(of link: CInt) -> String? {
        var bytes = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = readlinkat(link, "", &bytes, bytes.count)
        return count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : nil
    }

    /// The sentence for a failed call.
    static func failure(_ what: String, _ path: String, _ code: CInt) -> DeliveryFailure {
        let advice =
            switch code {
            case ENOSPC, EDQUOT: "; make room on that disk"
            case EROFS:
                "; mount it for writing, or, when only gossipd-apply sees it so, name it in ReadWritePaths= of a drop-in"
            case EACCES, EPERM:
                "; the user with number \(geteuid()) may not: let the helper gossipd-apply write, or give that user the"
                    + " right"
            case ENOENT: "; create it"
            case ENOTDIR: "; a part of it is no folder: move that away, or correct the destination"
            case ENAMETOOLONG: "; choose a shorter name"
            case ELOOP: "; its links lead in circles: name the folder itself"
            case EBUSY: "; something is mounted there: name another destination"
            case EIO: "; look at the disk: journalctl -k"
            case EMFILE, ENFILE, ENOMEM: "; this host has no more of it to give: see what takes it"
            case _: "; look at what \(path) is: stat and findmnt"
            }
        return .file("cannot \(what) \(path): \(SystemText.of(code))\(advice)")
    }

    // MARK: Names in the folder; each call answers as the system does, -1 and `errno`.

    func open(_ name: String, _ flags: CInt, _ mode: mode_t = 0) -> CInt {
        openat(descriptor, name, flags | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, mode)
    }

    func status(_ name: String, _ status: inout stat) -> CInt {
        fstatat(descriptor, name, &status, AT_SYMLINK_NOFOLLOW)
    }

    @discardableResult
    func remove(_ name: String) -> CInt { unlinkat(descriptor, name, 0) }

    func rename(_ name: String, to other: String) -> CInt { renameat(descriptor, name, descriptor, other) }

    /// Afterwards `name` is what `other` was, and the other way round; nobody ever finds neither.
    func exchange(_ name: String, with other: String) -> CInt {
        let code = renameat2(descriptor, name, descriptor, other, UInt32(gossipd_rename_exchange))
        guard code != 0, errno == EINVAL || errno == ENOSYS else { return code }
        // This file system cannot (NFS): the former file gets a second name first.
        let kept = name + Self.keptSuffix
        guard linkat(descriptor, other, descriptor, kept, 0) == 0 else { return -1 }
        if renameat(descriptor, name, descriptor, other) == 0 { return renameat(descriptor, kept, descriptor, name) }
        let failed = errno
        remove(kept)
        errno = failed
        return -1
    }

    /// Why no file can be created here, as far as that is known before it is tried; nil when nothing is.
    var writeFailure: DeliveryFailure? {
        faccessat(descriptor, ".", W_OK, 0) == 0 ? nil : Self.failure("create a file in", path, errno)
    }

    func synchronise() throws(DeliveryFailure) {
        while fsync(descriptor) != 0 {
            if errno != EINTR { throw Self.failure("synchronise the folder", path, errno) }
        }
    }

    // MARK: Temporary files

    private static let keptSuffix = "~"
    private static let randomLength = 6

    /// Hidden, and with another ending than the destination: includes such as `conf.d/*.conf` pass it by.
    static func temporaryName(for name: String) -> String {
        let letters = Array("abcdefghijklmnopqrstuvwxyz0123456789")
        var generator = SystemRandomNumberGenerator()
        let random = (0..<randomLength).map { _ in
            letters[Int.random(in: 0..<letters.count, using: &generator)]
        }
        return ".\(name).gossipd-" + String(random)
    }

    /// Removes temporary files for `name`, except those of `kept`; as many as went.
    func removeTemporaries(of name: String, except kept: Set<String>) -> Int {
        let copy = openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard copy >= 0 else { return 0 }
        guard let stream = fdopendir(copy) else {
            close(copy)
            return 0
        }
        defer { closedir(stream) }
        let prefix = ".\(name).gossipd-"
        let length = prefix.utf8.count + Self.randomLength
        var found: [String] = []
        while let entry = readdir(stream) {
            let size = Int(entry.pointee.d_reclen)
            let file = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: UInt8.self, capacity: size) { String(cString: $0) }
            }
            let isOurs = file.utf8.count == length || (file.utf8.count == length + 1 && file.hasSuffix(Self.keptSuffix))
            if isOurs, file.hasPrefix(prefix), !kept.contains(file) { found.append(file) }
        }
        return found.count { remove($0) == 0 }
    }
}
