// SPDX-License-Identifier: Apache-2.0
// Owns where a destination may not be: in folders of gossipd's own, and where the helper's unit shows it something else.

import DaemonConfig
import Glibc

/// Where no destination may be, besides where none ever may.
package struct DestinationLimits: Hashable, Sendable {
    /// gossipd's own folders, as this host has them.
    package var folders: [String]
    /// Whether the files are written from within the sandbox of `gossipd-apply.service`.
    package var isConfined: Bool

    package init(folders: [String] = [], isConfined: Bool = false) {
        self.folders = folders.filter { !$0.isEmpty }
        self.isConfined = isConfined
    }

    /// Where the packaged unit has its socket. Behind another one is a helper of which nothing is known.
    package static let unitSocket = "/run/gossipd-apply.sock"
}

extension RenderRules {
    /// Folders with the end of a sentence that says why no file can be put there.
    private static let kernelFolders = [
        Closed(
            ["/proc", "/sys"],
            "where the kernel shows itself and no file can be put: deliver a file for sysctl.d(5) or tmpfiles.d(5), and"
                + " reload what reads it")
    ]

    /// What `gossipd-apply.service` hides, replaces or makes read-only; a test holds the list to the unit.
    private static let hiddenFolders = [
        Closed(
            ["/tmp", "/var/tmp"],
            "of which the helper gossipd-apply has one of its own (PrivateTmp=), where nobody would find the file: \(advice)"
        ),
        Closed(
            ["/home", "/root", "/run/user"], "which is hidden from the helper gossipd-apply (ProtectHome=): \(advice)"),
        Closed(
            ["/dev"], "of which the helper gossipd-apply has one of its own (PrivateDevices=): \(advice)"),
        Closed(
            ["/etc/gossipd"],
            "which is read-only to the helper gossipd-apply, so that no file made of keys becomes a description: \(advice)"
        ),
        Closed(
            ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/boot", "/efi"],
            "which is read-only to the helper gossipd-apply (ProtectSystem=) and belongs to packages: \(advice)"),
    ]

    private static let advice = "choose a folder below /etc, /run or /var"

    private struct Closed {
        var folders: [String]
        var reason: String

        init(_ folders: [String], _ reason: String) {
            self.folders = folders
            self.reason = reason
        }
    }

    /// Folders of gossipd, of any instance and of the helper: `gossipd`, `gossipd-NAME`, `gossipd-apply.sock`.
    private static let ownParents = ["/var/lib/", "/run/", "/var/run/"]

    /// A path that is nowhere it may not be, neither as it is written nor where its folder's links lead.
    static func destination(_ node: TOMLNode, within limits: DestinationLimits) throws(Refusal) -> String {
        let path = try path(node)
        let slash = path.lastIndex(of: "/") ?? path.startIndex
        let leaf = path[slash...]
        let real = resolved(slash == path.startIndex ? "/" : String(path[..<slash])).map { $0 + leaf }
        for place in [path, real ?? path] {
            if let own = ownFolder(of: place) {
                throw Refusal(reason: "must not be inside \(own), which is gossipd's own")
            }
            for closed in kernelFolders + (limits.isConfined ? hiddenFolders : []) {
                for folder in closed.folders where isInside(place, folder) {
                    throw Refusal(reason: "must not be below \(folder), \(closed.reason)")
                }
            }
        }
        for folder in limits.folders {
            for place in [path, real ?? path] {
                for parent in [folder, resolved(folder) ?? folder] where isInside(place, parent) {
                    throw Refusal(reason: "must not be inside \(folder), which is gossipd's own")
                }
            }
        }
        return path
    }

    private static func ownFolder(of path: String) -> String? {
        for parent in ownParents where path.hasPrefix(parent) {
            let name = path.dropFirst(parent.count).prefix { $0 != "/" }
            let isOwn = name == "gossipd" || name.hasPrefix("gossipd-") || name.hasPrefix("gossipd.")
            if isOwn { return parent + name }
        }
        return nil
    }

    private static func isInside(_ path: String, _ folder: String) -> Bool {
        let parent = folder.hasSuffix("/") ? String(folder.dropLast()) : folder
        return path == parent || path.utf8.starts(with: (parent + "/").utf8)
    }

    /// The path without links; nil when it does not exist.
    static func resolved(_ path: String) -> String? {
        guard let real = realpath(path, nil) else { return nil }
        defer { free(real) }
        return String(cString: real)
    }
}
