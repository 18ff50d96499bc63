// SPDX-License-Identifier: Apache-2.0
// Owns percent-encoding (RFC 3986 section 2.1) for paths and queries, and the parsing of queries.

package enum PercentEncoding {
    /// Encodes all but the unreserved characters, and `/` when asked to keep it.
    package static func encode(_ text: some StringProtocol, keepingSlashes: Bool = false) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count)
        for byte in text.utf8 {
            if isUnreserved(byte) || (keepingSlashes && byte == UInt8(ascii: "/")) {
                bytes.append(byte)
            } else {
                bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Nil for a broken escape and for bytes that are not UTF-8. A `+` stays a `+`.
    package static func decode(_ text: some StringProtocol) -> String? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count)
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%") {
                guard let high = rest.popFirst().flatMap(hexValue), let low = rest.popFirst().flatMap(hexValue) else {
                    return nil
                }
                bytes.append(high << 4 | low)
            } else {
                bytes.append(byte)
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"):
            true
        default: false
        }
    }

    private static func hexValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

/// The query of a URL, in order; a name may occur several times.
package struct URLQuery: Hashable, Sendable {
    package var items: [(name: String, value: String)] = []

    package init() {}

    /// Parses `a=1&b=2`; fails with `bad_request` when a part is not percent-encoded UTF-8.
    package init(_ text: some StringProtocol) throws(AdminFailure) {
        var rest = Substring(text)
        while !rest.isEmpty {
            let (part, others) = rest.cut(at: UInt8(ascii: "&")) ?? (rest, "")
            rest = others
            guard !part.isEmpty else { continue }
            let (first, second) = part.cut(at: UInt8(ascii: "=")) ?? (part, "")
            guard let name = PercentEncoding.decode(first), let value = PercentEncoding.decode(second) else {
                throw AdminFailure(.badRequest, "the query is not percent-encoded UTF-8")
            }
            items.append((name, value))
        }
    }

    package mutating func add(_ name: String, _ value: String?) {
        if let value { items.append((name, value)) }
    }

    package func values(_ name: String) -> [String] { items.filter { $0.name == name }.map(\.value) }

    /// `?a=1&b=2`, or nothing when there is no item.
    package var encoded: String {
        guard !items.isEmpty else { return "" }
        let parts = items.map { PercentEncoding.encode($0.name) + "=" + PercentEncoding.encode($0.value) }
        return "?" + parts.joined(separator: "&")
    }

    package static func == (a: URLQuery, b: URLQuery) -> Bool { a.encoded == b.encoded }
    package func hash(into hasher: inout Hasher) { hasher.combine(encoded) }
}

extension StringProtocol where SubSequence == Substring {
    /// What stands before and after the first occurrence of an ASCII character, by bytes: in `=` followed by a
    /// combining mark Swift sees one other character, and the `=` would be missed.
    package func cut(at byte: UInt8) -> (before: Substring, after: Substring)? {
        guard let index = utf8.firstIndex(of: byte) else { return nil }
        return (self[..<index], self[utf8.index(after: index)...])
    }
}
