// SPDX-License-Identifier: Apache-2.0
// Owns which texts are keys and key prefixes, and how they travel in a URL path; nothing else judges a key.

/// A key of the configuration store: segments joined by `/`, such as `app/db/url`.
///
/// Bounds: 1 to 512 bytes of UTF-8; no empty segment (so no leading, trailing or double `/`); no control character.
package struct ConfigurationKey: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let description: String

    /// Fails with `bad_request` and the reason.
    package init(_ text: String) throws(AdminFailure) {
        guard !text.isEmpty else {
            throw AdminFailure(.badRequest, "the key is empty: name one, such as app/db/url")
        }
        try KeyPrefix.check(text, noun: "key")
        guard text.utf8.first != slash, text.utf8.last != slash else {
            throw AdminFailure(.badRequest, "key \(text.quoted) begins or ends with a slash: leave it out")
        }
        description = text
    }

    /// Equal by bytes: Swift's strings take a composed and a decomposed accent for the same, the store does not.
    package static func == (a: ConfigurationKey, b: ConfigurationKey) -> Bool {
        a.description.utf8.elementsEqual(b.description.utf8)
    }

    package func hash(into hasher: inout Hasher) {
        for byte in description.utf8 { hasher.combine(byte) }
    }

    /// Ordered by bytes, as every node and every listing sorts keys.
    package static func < (a: ConfigurationKey, b: ConfigurationKey) -> Bool {
        a.description.utf8.lexicographicallyPrecedes(b.description.utf8)
    }

    /// The key as the tail of a URL path: each segment percent-encoded, the slashes kept.
    package var pathEncoded: String { PercentEncoding.encode(description, keepingSlashes: true) }

    /// A key from the tail of a URL path; fails with `bad_request` when it is not percent-encoded UTF-8 or not a key.
    package init(pathEncoded text: some StringProtocol) throws(AdminFailure) {
        guard let decoded = PercentEncoding.decode(text) else {
            throw AdminFailure(.badRequest, "the key in the path is not percent-encoded UTF-8")
        }
        try self.init(decoded)
    }
}

/// The beginning of keys: compared byte by byte, so `app` also matches `apple/x` and `app/` does not.
///
/// Bounds as for a key, but it may be empty (every key) and may end with `/`.
package struct KeyPrefix: Hashable, Sendable, CustomStringConvertible {
    package let description: String

    package static let all = KeyPrefix(unchecked: "")

    /// Equal by bytes, as keys are.
    package static func == (a: KeyPrefix, b: KeyPrefix) -> Bool {
        a.description.utf8.elementsEqual(b.description.utf8)
    }

    package func hash(into hasher: inout Hasher) {
        for byte in description.utf8 { hasher.combine(byte) }
    }

    private init(unchecked: String) { description = unchecked }

    /// Fails with `bad_request` and the reason.
    package init(_ text: String) throws(AdminFailure) {
        try Self.check(text, noun: "prefix")
        guard text.utf8.first != slash else {
            throw AdminFailure(.badRequest, "prefix \(text.quoted) begins with a slash: leave it out")
        }
        description = text
    }

    package func matches(_ key: String) -> Bool {
        key.utf8.starts(with: description.utf8)
    }

    fileprivate static func check(_ text: String, noun: String) throws(AdminFailure) {
        guard text.utf8.count <= AdminLimits.keyBytesMax else {
            let count = text.utf8.count
            throw AdminFailure(
                .badRequest, "the \(noun) has \(count) bytes: at most \(AdminLimits.keyBytesMax) are allowed")
        }
        guard !text.unicodeScalars.contains(where: \.isControl) else {
            throw AdminFailure(.badRequest, "the \(noun) \(text.quoted) contains a control character: leave it out")
        }
        var previous: UInt8 = 0
        for byte in text.utf8 {
            guard byte != slash || previous != slash else {
                throw AdminFailure(.badRequest, "the \(noun) \(text.quoted) has an empty segment: write one slash")
            }
            previous = byte
        }
    }
}

private let slash = UInt8(ascii: "/")

extension Unicode.Scalar {
    /// C0, DEL and C1: they would garble terminals, logs and line-based files.
    package var isControl: Bool { value < 0x20 || (0x7f...0x9f).contains(value) }

    /// Control characters, and the bidirectional overrides and isolates (UAX #9), which make text read as another.
    package var isUnsafeToShow: Bool {
        isControl || (0x202a...0x202e).contains(value) || (0x2066...0x2069).contains(value)
    }
}

extension StringProtocol {
    /// The text in double quotes, cut at 80 characters, what is unsafe to show as `\u{..}`: fit inside a sentence.
    package var quoted: String {
        var result = "\""
        for scalar in unicodeScalars.prefix(80) {
            if scalar.isUnsafeToShow {
                result += "\\u{" + String(scalar.value, radix: 16) + "}"
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result + (unicodeScalars.count > 80 ? "...\"" : "\"")
    }
}

extension String {
    /// Control characters and those that turn the direction of writing escaped, so that a name or value cannot steer
    /// the terminal, break the line or show other text than it has.
    package var printable: String {
        guard unicodeScalars.contains(where: \.isUnsafeToShow) else { return self }
        var result = ""
        for scalar in unicodeScalars {
            if scalar.isUnsafeToShow {
                result += scalar == "\n" ? "\\n" : scalar == "\t" ? "\\t" : "\\u{\(String(scalar.value, radix: 16))}"
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
