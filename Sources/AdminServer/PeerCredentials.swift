// SPDX-License-Identifier: Apache-2.0
// Owns reading who is at the other end of a Unix socket, as the kernel vouches for it.

import AdminModel
import DaemonConfig
import Glibc

/// The user and groups of the process that connected, taken by the kernel when it did.
package struct PeerCredentials: Hashable, Sendable {
    package var processID: Int32
    package var user: UInt32
    /// The primary group and the supplementary ones.
    package var groups: Set<UInt32>

    package init(processID: Int32, user: UInt32, groups: Set<UInt32>) {
        self.processID = processID
        self.user = user
        self.groups = groups
    }

    /// Reads SO_PEERCRED and SO_PEERGROUPS of a connected Unix socket; nil when the kernel does not say.
    static func read(_ descriptor: Int32) -> PeerCredentials? {
        // struct ucred { pid_t pid; uid_t uid; gid_t gid; }: three 32-bit words (unix(7)).
        var words: (Int32, UInt32, UInt32) = (0, 0, 0)
        var length = socklen_t(MemoryLayout.size(ofValue: words))
        guard getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &words, &length) == 0,
            Int(length) == MemoryLayout.size(ofValue: words)
        else { return nil }
        return PeerCredentials(
            processID: words.0, user: words.1, groups: supplementaryGroups(descriptor).union([words.2]))
    }

    /// NGROUPS_MAX of Linux: no process has more groups.
    private static let groupsMax = 65_536

    private static func supplementaryGroups(_ descriptor: Int32) -> Set<UInt32> {
        var capacity = 64
        while capacity <= groupsMax {
            var groups = [UInt32](repeating: 0, count: capacity)
            var length = socklen_t(capacity * MemoryLayout<UInt32>.size)
            if getsockopt(descriptor, SOL_SOCKET, SO_PEERGROUPS, &groups, &length) == 0 {
                return Set(groups.prefix(Int(length) / MemoryLayout<UInt32>.size))
            }
            guard errno == ERANGE else { return [] }
            capacity *= 32
        }
        return []
    }
}

extension AccountNames {
    /// The name of a user for people: without what would garble a table and at most `AdminLimits.userBytesMax` bytes;
    /// `uid N` when the host knows none.
    static func shownName(_ user: UInt32) -> String {
        var shown = ""
        for scalar in (userName(user) ?? "").unicodeScalars where !scalar.isUnsafeToShow {
            guard shown.utf8.count + scalar.utf8.count <= AdminLimits.userBytesMax else { break }
            shown.unicodeScalars.append(scalar)
        }
        return shown.isEmpty ? "uid \(user)" : shown
    }
}
