// SPDX-License-Identifier: Apache-2.0
// Owns who may do what: from a peer's credentials to its role, and the sentence for those who may not.

import AdminModel
import DaemonConfig
import Glibc

/// What a caller may do; each role includes the ones before it.
package enum Role: Int, Comparable, Sendable {
    case none, read, admin

    package static func < (a: Role, b: Role) -> Bool { a.rawValue < b.rawValue }
}

/// The roles of this host's users and groups, resolved to numbers once.
package struct AccessPolicy: Sendable {
    package var adminUsers: Set<UInt32>
    package var adminGroups: Set<UInt32>
    package var readUsers: Set<UInt32>
    package var readGroups: Set<UInt32>
    /// What a denied caller is told to join.
    package var adminGroupName: String
    package var readGroupName: String
    /// Configured names that this host does not know: they give no one a role.
    package var unknownNames: [String] = []

    package init(
        adminUsers: Set<UInt32>, adminGroups: Set<UInt32>, readUsers: Set<UInt32>, readGroups: Set<UInt32>,
        adminGroupName: String = "gossipd", readGroupName: String = "gossipd-read"
    ) {
        self.adminUsers = adminUsers
        self.adminGroups = adminGroups
        self.readUsers = readUsers
        self.readGroups = readGroups
        self.adminGroupName = adminGroupName
        self.readGroupName = readGroupName
    }

    /// Root, the process's own effective user and group, and what the settings name.
    package init(_ settings: AdminServerSettings) {
        var unknown: [String] = []
        func resolve(_ names: [String], _ lookUp: (String) -> UInt32?) -> Set<UInt32> {
            Set(
                names.compactMap { name in
                    let number = lookUp(name)
                    if number == nil, !unknown.contains(name) { unknown.append(name) }
                    return number
                })
        }
        self.init(
            adminUsers: resolve(settings.adminUsers, AccountNames.user).union([0, geteuid()]),
            adminGroups: resolve(settings.adminGroups, AccountNames.group).union([getegid()]),
            readUsers: resolve(settings.readUsers, AccountNames.user),
            readGroups: resolve(settings.readGroups, AccountNames.group),
            adminGroupName: settings.adminGroups.first ?? "gossipd",
            readGroupName: settings.readGroups.first ?? settings.adminGroups.first ?? "gossipd")
        unknownNames = unknown
    }

    /// A caller whose credentials the kernel does not tell has no role.
    package func role(of peer: PeerCredentials?) -> Role {
        guard let peer else { return .none }
        if adminUsers.contains(peer.user) || !adminGroups.isDisjoint(with: peer.groups) { return .admin }
        if readUsers.contains(peer.user) || !readGroups.isDisjoint(with: peer.groups) { return .read }
        return .none
    }

    /// Why `peer` may not do what needs `role`, and which group would change that.
    package func denial(of role: Role, for peer: PeerCredentials?) -> AdminFailure {
        let who = peer.map { "user id \($0.user)" } ?? "a caller without credentials"
        let advice =
            role == .admin
            ? "may not change this node: run as root or a member of group \(adminGroupName)"
            : "may not read from this node: run as root or a member of group \(readGroupName) or \(adminGroupName)"
        return AdminFailure(.denied, "\(who) \(advice)")
    }
}
