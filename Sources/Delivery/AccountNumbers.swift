// SPDX-License-Identifier: Apache-2.0
// Owns the numbers of this host's users and groups, by name.

import Glibc

enum AccountNumbers {
    /// A user's number from its name or its number in text; nil when there is no such user.
    static func user(_ name: String) -> uid_t? {
        if let number = uid_t(name) { return number }
        var entry = passwd()
        return lookUp { buffer, size in
            var found: UnsafeMutablePointer<passwd>?
            let status = getpwnam_r(name, &entry, buffer, size, &found)
            return (status, found?.pointee.pw_uid)
        }
    }

    /// A group's number from its name or its number in text; nil when there is no such group.
    static func group(_ name: String) -> gid_t? {
        if let number = gid_t(name) { return number }
        var entry = Glibc.group()
        return lookUp { buffer, size in
            var found: UnsafeMutablePointer<Glibc.group>?
            let status = getgrnam_r(name, &entry, buffer, size, &found)
            return (status, found?.pointee.gr_gid)
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
