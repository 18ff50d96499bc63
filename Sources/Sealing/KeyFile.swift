// SPDX-License-Identifier: Apache-2.0
// Owns the text of a key file: one key a line, the first is the one to seal with.

/// What is wrong with a key file's text. It names the line, never what stands there.
package enum KeyFileProblem: Error, Hashable, Sendable, CustomStringConvertible {
    case empty
    case notAKey(line: Int)
    case repeated(line: Int, KeyID)
    case tooMany

    package var description: String {
        switch self {
        case .empty: "holds no key: write one line of 32 random bytes in base64 (head -c 32 /dev/urandom | base64)"
        case .notAKey(let line): "line \(line): not a key; a key is 32 bytes in base64, 44 characters"
        case .repeated(let line, let id): "line \(line): key \(id) stands there twice"
        case .tooMany: "holds more than \(KeyRing.keysMax) keys: remove those that no member uses any more"
        }
    }
}

package enum KeyFile {
    /// Bytes that a key file may have.
    package static let bytesMax = 64 * 1024

    /// The keys in order. Empty lines and lines that begin with `#` are passed over, space around a key is ignored.
    package static func keys(in text: String) throws(KeyFileProblem) -> [ClusterKey] {
        var keys: [ClusterKey] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let line = line.drop { $0.isWhitespace }
            guard let first = line.first, first != "#" else { continue }
            let end = line.lastIndex { !$0.isWhitespace }.map { line.index(after: $0) } ?? line.endIndex
            guard let key = ClusterKey(text: line[..<end]) else { throw .notAKey(line: index + 1) }
            if keys.contains(where: { $0.id == key.id }) { throw .repeated(line: index + 1, key.id) }
            keys.append(key)
            if keys.count > KeyRing.keysMax { throw .tooMany }
        }
        if keys.isEmpty { throw .empty }
        return keys
    }
}
