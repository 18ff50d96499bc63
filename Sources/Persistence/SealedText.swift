// SPDX-License-Identifier: Apache-2.0
// Owns the shape of our small files: lines of text under a versioned head, sealed by a checksum line.

import ClusterTypes

/// The format, UTF-8, each line ended by one line feed (0x0a):
///
///     gossipd KIND VERSION
///     FIELD VALUE            any number of lines; meaning by kind
///     checksum HEX           32 lower-case digits: StableHasher over every byte before this line; the last line
///
/// Text, so that an operator can read it; the checksum tells damage and hasty editing from what we wrote.
package enum SealedText {
    package enum Problem: Error, Hashable {
        case damaged(String)
        case newerVersion(String)
    }

    package static func seal(kind: String, version: Int, lines: [String]) -> [UInt8] {
        var text = "gossipd \(kind) \(version)\n"
        for line in lines { text += line + "\n" }
        var bytes = Array(text.utf8)
        bytes += Array("checksum \(checksum(bytes[...]))\n".utf8)
        return bytes
    }

    /// The lines between head and checksum.
    package static func open(_ bytes: [UInt8], kind: String, version: Int) throws(Problem) -> [String] {
        if bytes.isEmpty { throw .damaged("it is empty") }
        guard bytes.last == UInt8(ascii: "\n") else { throw .damaged("its end is missing") }
        let body = bytes.dropLast()
        let start = body.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        guard let last = String(validating: body[start...], as: UTF8.self), last.hasPrefix("checksum ") else {
            throw .damaged("its end is missing")
        }
        guard last == "checksum " + checksum(bytes[..<start]) else { throw .damaged("its checksum does not match") }
        guard let text = String(validating: bytes[..<start], as: UTF8.self) else {
            throw .damaged("it is not UTF-8")
        }
        var lines = text.split(separator: Character("\n"), omittingEmptySubsequences: false).map(String.init)
        lines.removeLast()
        guard let head = lines.first else { throw .damaged("its first line is missing") }
        guard head.hasPrefix("gossipd \(kind) ") else { throw .damaged("it is not a gossipd \(kind) file") }
        let found = head.dropFirst("gossipd \(kind) ".count)
        if found != String(version) { throw .newerVersion(String(found)) }
        lines.removeFirst()
        return lines
    }

    private static func checksum(_ bytes: ArraySlice<UInt8>) -> String {
        var hasher = StableHasher()
        hasher.absorb(raw: bytes)
        return hasher.finalize().description
    }
}
