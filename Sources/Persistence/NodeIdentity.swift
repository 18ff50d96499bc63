// SPDX-License-Identifier: Apache-2.0
// Owns the file `identity`: who this node is and what it must never use twice.
//
//     gossipd identity 1
//     node HEX                32 digits, the node id
//     boot_epoch N            1...4294967295, decimal: the last epoch a process has run under
//     incarnation_fence N     0...2^64-1, decimal: no incarnation up to this one is used again
//     checksum HEX            see SealedText

import ClusterTypes
import Glibc

/// A node's identity as its data directory keeps it (DESIGN.md section 3).
package struct NodeIdentity: Hashable, Sendable {
    /// Minted once with the data directory.
    package var id: NodeID
    /// Counts the openings of the directory, from 1. Made durable before it is used, so no two processes share one.
    package var bootEpoch: UInt32
    /// Every incarnation up to this one may have been used.
    package var incarnationFence: UInt64

    package init(id: NodeID, bootEpoch: UInt32, incarnationFence: UInt64) {
        self.id = id
        self.bootEpoch = bootEpoch
        self.incarnationFence = incarnationFence
    }
}

extension NodeIdentity {
    static let fileName = "identity"
    /// Bytes; the longest valid file is shorter than 200.
    static let fileBytesMax = 4_096
    private static let kind = "identity"
    private static let version = 1

    /// A new identity from 128 bits of the operating system's generator.
    static func mint() throws(PersistenceFailure) -> NodeIdentity {
        var words: (UInt64, UInt64) = (0, 0)
        repeat {
            // getrandom(2) without flags: up to 256 bytes come whole or not at all.
            if withUnsafeMutableBytes(of: &words, { getentropy($0.baseAddress, $0.count) }) != 0 {
                throw .system(operation: "getrandom", path: fileName, errno: errno)
            }
        } while words.0 == 0 && words.1 == 0
        return NodeIdentity(id: NodeID(high: words.0, low: words.1), bootEpoch: 0, incarnationFence: 0)
    }

    func encoded() -> [UInt8] {
        SealedText.seal(
            kind: Self.kind, version: Self.version,
            lines: ["node \(id)", "boot_epoch \(bootEpoch)", "incarnation_fence \(incarnationFence)"])
    }

    /// `file` is the path for messages.
    static func decode(_ bytes: [UInt8], file: String) throws(PersistenceFailure) -> NodeIdentity {
        let lines: [String]
        do {
            lines = try SealedText.open(bytes, kind: kind, version: version)
        } catch {
            switch error {
            case .damaged(let reason): throw .corruptIdentity(file: file, reason: reason)
            case .newerVersion(let version): throw .newerFormat(file: file, version: version)
            }
        }
        guard lines.count == 3, let node = value("node", lines[0]), let id = NodeID(node), id != .unknown,
            let epoch = value("boot_epoch", lines[1]).flatMap({ UInt32($0) }), epoch > 0,
            let fence = value("incarnation_fence", lines[2]).flatMap({ UInt64($0) })
        else { throw .corruptIdentity(file: file, reason: "its lines are not node, boot_epoch, incarnation_fence") }
        return NodeIdentity(id: id, bootEpoch: epoch, incarnationFence: fence)
    }

    private static func value(_ field: String, _ line: String) -> String? {
        line.hasPrefix(field + " ") ? String(line.dropFirst(field.count + 1)) : nil
    }
}
