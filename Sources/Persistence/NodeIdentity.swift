// SPDX-License-Identifier: Apache-2.0
// Owns the file `identity`: who this node is and what it must never use twice.
//
//     gossipd identity 1
//     node HEX                32 digits, the node id
//     boot_epoch N            1...4294967295, decimal: the last epoch a process has run under
//     incarnation_fence N     0...2^64-1, decimal: no incarnation up to this one is used again
//     signing_seed HEX        64 digits, secret: the node's Ed25519 private key; a file without it gets one
//     strict_log HEX          16 digits, once this node has a log of the strict group: that log's id
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
    /// What the node signs its statements with; minted once, as the id is.
    package var signingSeed: SigningSeed
    /// The log of the strict group that was begun under this id. Without that log the node must not take part under this id: it
    /// would vote a second time, and acknowledge what it does not have.
    package var strictLog: UInt64?

    package init(
        id: NodeID, bootEpoch: UInt32, incarnationFence: UInt64, signingSeed: SigningSeed, strictLog: UInt64? = nil
    ) {
        self.id = id
        self.strictLog = strictLog
        self.signingSeed = signingSeed
        self.bootEpoch = bootEpoch
        self.incarnationFence = incarnationFence
    }
}

/// 32 secret bytes that no text shows.
package struct SigningSeed: Hashable, Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable
{
    package static let byteCount = 32

    package let bytes: [UInt8]

    /// nil unless there are exactly 32 bytes.
    package init?(bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        self.bytes = bytes
    }

    package var description: String { "signing seed" }
    package var debugDescription: String { "signing seed" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

extension NodeIdentity {
    static let fileName = "identity"
    /// Bytes; the longest valid file is shorter than 200.
    static let fileBytesMax = 4_096
    private static let kind = "identity"
    private static let version = 1

    /// A new identity from the operating system's generator.
    static func mint() throws(PersistenceFailure) -> NodeIdentity {
        var id = NodeID.unknown
        while id == .unknown {
            var words: (UInt64, UInt64) = (0, 0)
            let bytes = try randomBytes(16)
            withUnsafeMutableBytes(of: &words) { $0.copyBytes(from: bytes) }
            id = NodeID(high: words.0, low: words.1)
        }
        return NodeIdentity(id: id, bootEpoch: 0, incarnationFence: 0, signingSeed: try mintSeed())
    }

    private static func mintSeed() throws(PersistenceFailure) -> SigningSeed {
        guard let seed = SigningSeed(bytes: try randomBytes(SigningSeed.byteCount)) else {
            preconditionFailure("the generator gave another number of bytes")
        }
        return seed
    }

    private static func randomBytes(_ count: Int) throws(PersistenceFailure) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        // getrandom(2) without flags: up to 256 bytes come whole or not at all.
        if bytes.withUnsafeMutableBytes({ getentropy($0.baseAddress, $0.count) }) != 0 {
            throw .system(operation: "getrandom", path: fileName, errno: errno)
        }
        return bytes
    }

    func encoded() -> [UInt8] {
        SealedText.seal(
            kind: Self.kind, version: Self.version,
            lines: [
                "node \(id)", "boot_epoch \(bootEpoch)", "incarnation_fence \(incarnationFence)",
                "signing_seed \(signingSeed.bytes.map { Hex.string($0) }.joined())",
            ] + (strictLog.map { ["strict_log \(Hex.string($0))"] } ?? []))
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
        guard (3...5).contains(lines.count), let node = value("node", lines[0]), let id = NodeID(node), id != .unknown,
            let epoch = value("boot_epoch", lines[1]).flatMap({ UInt32($0) }), epoch > 0,
            let fence = value("incarnation_fence", lines[2]).flatMap({ UInt64($0) })
        else { throw .corruptIdentity(file: file, reason: "its lines are not node, boot_epoch, incarnation_fence") }
        var seed: SigningSeed?
        if lines.count >= 4 {
            seed = value("signing_seed", lines[3]).flatMap { Hex.bytes($0, count: SigningSeed.byteCount) }
                .flatMap { SigningSeed(bytes: $0) }
            if seed == nil {
                throw .corruptIdentity(file: file, reason: "its signing_seed is not 64 hexadecimal digits")
            }
        }
        var log: UInt64?
        if lines.count == 5 {
            log = value("strict_log", lines[4]).flatMap { $0.utf8.count == 16 ? UInt64($0, radix: 16) : nil }
            if log == nil { throw .corruptIdentity(file: file, reason: "its strict_log is not 16 hexadecimal digits") }
        }
        let kept = if let seed { seed } else { try mintSeed() }
        return NodeIdentity(id: id, bootEpoch: epoch, incarnationFence: fence, signingSeed: kept, strictLog: log)
    }

    private static func value(_ field: String, _ line: String) -> String? {
        line.hasPrefix(field + " ") ? String(line.dropFirst(field.count + 1)) : nil
    }
}
