// SPDX-License-Identifier: Apache-2.0
// Owns who the daemon will be: the user as whom it reads its files, also when root checks them before.

import DaemonConfig
import Glibc

/// A user of this host.
struct ServiceUser: Equatable, Sendable {
    var id: uid_t
    var group: gid_t
    /// nil when the host has no name for it.
    var name: String?

    /// The account that the package makes.
    private static let account = "gossipd"

    /// As whom this process runs.
    static var current: ServiceUser {
        ServiceUser(id: geteuid(), group: getegid(), name: ServiceUser(id: geteuid())?.name)
    }

    /// As whom the service will run: for root the owner of the data directory, or the account `gossipd` when there is one;
    /// anybody else would run it as themselves.
    static func ofService(dataDirectory: String) -> ServiceUser {
        guard geteuid() == 0 else { return current }
        var status = stat()
        if stat(dataDirectory, &status) == 0, status.st_uid != 0 {
            return ServiceUser(id: status.st_uid) ?? ServiceUser(id: status.st_uid, group: status.st_gid, name: nil)
        }
        return ServiceUser(name: account) ?? current
    }

    init(id: uid_t, group: gid_t, name: String?) {
        (self.id, self.group, self.name) = (id, group, name)
    }

    private init?(id: uid_t) {
        guard let entry = getpwuid(id) else { return nil }
        self.init(id: id, group: entry.pointee.pw_gid, name: String(cString: entry.pointee.pw_name))
    }

    private init?(name: String) {
        guard let entry = getpwnam(name) else { return nil }
        self.init(id: entry.pointee.pw_uid, group: entry.pointee.pw_gid, name: name)
    }

    /// As chown(1) takes it.
    var word: String { name ?? "\(id)" }

    /// `gossipd (user id 996)`
    var description: String { name.map { "\($0) (user id \(id))" } ?? "user id \(id)" }

    /// Whether this user can open the file, folders above it included. Only root can ask for another user, and only a program
    /// with one thread: for the moment of the question the whole process is that user.
    func canRead(_ path: String) -> Bool {
        guard id != geteuid() else { return Self.opens(path) }
        guard geteuid() == 0 else { return true }
        var groups = [gid_t](repeating: 0, count: 256)
        let count = getgroups(CInt(groups.count), &groups)
        guard count >= 0 else { return true }
        let (formerGroup, former) = (getegid(), geteuid())
        defer {
            _ = seteuid(former)
            _ = setegid(formerGroup)
            setgroups(Int(count), groups)
        }
        if let name { initgroups(name, group) } else { setgroups(1, [group]) }
        guard setegid(group) == 0, seteuid(id) == 0 else { return true }
        return Self.opens(path)
    }

    private static func opens(_ path: String) -> Bool {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return false }
        close(descriptor)
        return true
    }
}
