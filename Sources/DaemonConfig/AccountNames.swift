// SPDX-License-Identifier: Apache-2.0
// Owns the names and numbers of this host's users and groups.

import Glibc

/// Looks accounts up as the host does (nsswitch.conf(5)); each call may take as long as that takes.
package enum AccountNames {
    /// A user's number from its name or its number in text; nil when there is no such user.
    package static func user(_ name: String) -> uid_t? {
        if let number = uid_t(name) { return number }
        var entry = passwd()
        return lookUp { buffer, size in
            var found: UnsafeMutablePointer<passwd>?
            let status = getpwnam_r(name, &entry, buffer, size, &found)
            return (status, found?.pointee.pw_uid)
        }
    }

    /// A group's number from its name or its number in text; nil when there is no such group.
    package static func group(_ name: String) -> gid_t? {
        if let number = gid_t(name) { return number }
        var entry = Glibc.group()
        return lookUp { buffer, size in
            var found: UnsafeMutablePointer<Glibc.group>?
            let status = getgrnam_r(name, &entry, buffer, size, &found)
            return (status, found?.pointee.gr_gid)
        }
    }

    /// The name of a user, as the host has it; nil when the host knows none.
    package static func userName(_ user: uid_t) -> String? {
        var entry = passwd()
        return lookUp { buffer, size in
            var found: UnsafeMutablePointer<passwd>?
            let status = getpwuid_r(user, &entry, buffer, size, &found)
            return (status, found?.pointee.pw_name.map { String(cString: $0) })
        }
    }

    /// Calls a `..._r` function with growing room; 1 MiB holds the largest group of a sane host.
    private static func lookUp<Found>(
        _ call: (UnsafeMutablePointer<CChar>, Int) -> (status: CInt, found: Found?)
    ) -> Found? {
        var size = 4_096
        while size <= 1 << 20 {
            let result = withUnsafeTemporaryAllocation(of: CChar.self, capacity: size) { room in
                room.baseAddress.map { call($0, size) } ?? (ENOMEM, nil)
            }
            guard result.0 == ERANGE else { return result.1 }
            size *= 4
        }
        return nil
    }
}
