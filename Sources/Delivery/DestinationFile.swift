// SPDX-License-Identifier: Apache-2.0
// Owns one destination: what is there, and a new file beside it that can take its place.

import DaemonConfig
import Glibc

/// What is at a destination.
struct PresentFile {
    var content: [UInt8]
    var version: String
    var mode: mode_t
    var owner: uid_t
    var group: gid_t
}

/// A new file beside its destination, whole, on disk and with its rights, which nobody uses yet.
struct StagedFile {
    var folder: DestinationFolder
    var name: String
    var temporary: String

    func discard() { folder.remove(temporary) }
}

/// Who a file shall belong to; nil is left to the system.
struct FileRights {
    var owner: uid_t?
    var group: gid_t?
    var mode: mode_t

    /// - Throws: `.file` when this host does not know the user or the group.
    init(_ spec: RenderSpec) throws(DeliveryFailure) {
        mode = mode_t(spec.mode)
        if let name = spec.owner {
            guard let number = AccountNames.user(name) else {
                throw .file(
                    "the user \(name) does not exist on this host: create it, or correct owner in \(spec.name).toml")
            }
            owner = number
        }
        if let name = spec.group {
            guard let number = AccountNames.group(name) else {
                throw .file(
                    "the group \(name) does not exist on this host: create it, or correct group in \(spec.name).toml")
            }
            group = number
        }
    }

    /// What is other about a file than it shall be; nil when nothing is.
    func difference(from file: PresentFile) -> String? {
        var parts: [String] = []
        if file.mode != mode { parts.append("its mode is \(Self.octal(file.mode)), not \(Self.octal(mode))") }
        if let owner, file.owner != owner { parts.append("it belongs to user \(file.owner), not \(owner)") }
        if let group, file.group != group { parts.append("it belongs to group \(file.group), not \(group)") }
        return parts.isEmpty ? nil : parts.joined(separator: ", ")
    }

    private static func octal(_ mode: mode_t) -> String {
        let digits = String(mode, radix: 8)
        return String(repeating: "0", count: max(0, 4 - digits.utf8.count)) + digits
    }
}

/// A destination in its open folder.
struct DestinationFile {
    /// A larger file is not one that is made of keys.
    static let presentBytesMax = 16 << 20

    let path: String
    let folder: DestinationFolder
    let name: String

    init(_ destination: String) throws(DeliveryFailure) {
        path = destination
        let parts = try DestinationFolder.split(destination)
        name = parts.name
        folder = try DestinationFolder(parts.folder)
    }

    /// What is there; nil when nothing is.
    ///
    /// A link is refused, neither followed nor replaced: the one would write where no description says, the other would
    /// end what somebody arranged with it.
    func present() throws(DeliveryFailure) -> PresentFile? {
        var status = stat()
        guard folder.status(name, &status) == 0 else {
            if errno == ENOENT { return nil }
            throw DestinationFolder.failure("examine", path, errno)
        }
        if status.st_mode & S_IFMT == S_IFLNK {
            throw .file("\(path) is a symbolic link: name the file it leads to as the destination, or remove the link")
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw .file("\(path) is not a regular file: name another destination, or move it away")
        }
        let descriptor = folder.open(name, O_RDONLY | O_NONBLOCK)
        guard descriptor >= 0 else { throw DestinationFolder.failure("read", path, errno) }
        defer { close(descriptor) }
        guard fstat(descriptor, &status) == 0 else { throw DestinationFolder.failure("examine", path, errno) }
        guard status.st_mode & S_IFMT == S_IFREG, status.st_size <= Self.presentBytesMax else {
            throw .file(
                "\(path) has \(status.st_size) bytes, more than a rendered file ever has"
                    + " (\(Self.presentBytesMax)): name another destination, or move it away")
        }
        let content = try read(descriptor)
        return PresentFile(
            content: content, version: ContentVersion.of(content), mode: status.st_mode & 0o7777,
            owner: status.st_uid, group: status.st_gid)
    }

    private func read(_ descriptor: CInt) throws(DeliveryFailure) -> [UInt8] {
        var content: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count == 0 { return content }
            if count < 0 {
                if errno == EINTR { continue }
                throw DestinationFolder.failure("read", path, errno)
            }
            content += chunk[..<count]
            guard content.count <= Self.presentBytesMax else {
                throw .file("\(path) grows while it is read: stop what writes it, or name another destination")
            }
        }
    }

    /// Writes `content` to a temporary file in the destination's folder: whole, synchronised, with its rights.
    func stage(_ content: [UInt8], _ rights: FileRights) throws(DeliveryFailure) -> StagedFile {
        let temporary = DestinationFolder.temporaryName(for: name)
        let descriptor = folder.open(temporary, O_WRONLY | O_CREAT | O_EXCL, 0o600)
        guard descriptor >= 0 else { throw DestinationFolder.failure("create a file in", folder.path, errno) }
        defer { close(descriptor) }
        do throws(DeliveryFailure) {
            try write(content, descriptor)
            if rights.owner != nil || rights.group != nil {
                guard fchown(descriptor, rights.owner ?? uid_t.max, rights.group ?? gid_t.max) == 0 else {
                    throw DestinationFolder.failure("set owner and group of", path, errno)
                }
            }
            // After the owner: a change of owner takes special bits away.
            guard fchmod(descriptor, rights.mode) == 0 else {
                throw DestinationFolder.failure("set the mode of", path, errno)
            }
            while fsync(descriptor) != 0 {
                if errno != EINTR { throw DestinationFolder.failure("synchronise", path, errno) }
            }
        } catch {
            folder.remove(temporary)
            throw error
        }
        return StagedFile(folder: folder, name: name, temporary: temporary)
    }

    private func write(_ content: [UInt8], _ descriptor: CInt) throws(DeliveryFailure) {
        var written = 0
        while written < content.count {
            let count = content[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                throw DestinationFolder.failure("write", path, errno)
            }
            written += count
        }
    }
}
