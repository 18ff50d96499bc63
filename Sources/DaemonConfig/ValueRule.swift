// SPDX-License-Identifier: Apache-2.0
// Owns the kinds of values a key may have: how each is read, checked, written and described.

import ClusterTypes

/// A value that a rule refuses, as the rest of a sentence about its key.
package struct Refusal: Error, Equatable {
    package var reason: String
    /// The element of an array or the name in a table that is meant, below the key's own path.
    package var element: [String] = []

    package init(reason: String, element: [String] = []) {
        self.reason = reason
        self.element = element
    }
}

/// How the values of one type are read from a file and written into one.
package struct ValueRule<Value: Equatable & Sendable>: Sendable {
    /// For the documentation: `duration`, `integer`.
    var type: String
    /// For the documentation: `50ms to 1m`, or empty.
    var range: String
    package var decode: @Sendable (TOMLNode) throws(Refusal) -> Value
    /// The value as TOML.
    var encode: @Sendable (Value) -> String

    init(
        type: String, range: String = "",
        decode: @escaping @Sendable (TOMLNode) throws(Refusal) -> Value,
        encode: @escaping @Sendable (Value) -> String
    ) {
        self.type = type
        self.range = range
        self.decode = decode
        self.encode = encode
    }
}

/// TOML text for values.
package enum TOMLText {
    /// A basic string (TOML 1.0, "String").
    package static func quoted(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\t": out += "\\t"
            case _ where scalar.value < 0x20 || scalar.value == 0x7f:
                let digits = String(scalar.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }

    static func list(_ items: [String]) -> String {
        "[" + items.map(quoted).joined(separator: ", ") + "]"
    }

    /// `membership.probe_interval`, `join[2]`, `tags."a b"`.
    package static func path(_ path: [String]) -> String {
        var name = ""
        for part in path {
            if part.hasPrefix("["), part.hasSuffix("]") {
                name += part
            } else {
                name += (name.isEmpty ? "" : ".") + key(part)
            }
        }
        return name
    }

    /// A key, quoted when it has to be.
    package static func key(_ text: String) -> String {
        let isBare =
            !text.isEmpty
            && text.utf8.allSatisfy {
                switch $0 {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
        return isBare ? text : quoted(text)
    }
}

extension ValueRule where Value == Bool {
    package static var boolean: Self {
        Self(type: "boolean") { node throws(Refusal) in
            guard case .boolean(let value) = node else { throw .type("true or false", node) }
            return value
        } encode: {
            String($0)
        }
    }
}

extension ValueRule where Value == Int {
    package static func integer(_ range: ClosedRange<Int>, unit: String = "") -> Self {
        let suffix = unit.isEmpty ? "" : " " + unit
        let span = "\(range.lowerBound) to \(range.upperBound)\(suffix)"
        return Self(type: "integer", range: span) { node throws(Refusal) in
            guard case .integer(let value) = node else { throw .type("an integer", node) }
            guard range.contains(value) else { throw Refusal(reason: "must be \(span), not \(value)") }
            return value
        } encode: {
            String($0)
        }
    }

    /// Bytes, as a string with a unit (`"512KiB"`) or as an integer.
    static func size(_ range: ClosedRange<Int>) -> Self {
        let span = "\(SizeText.format(range.lowerBound)) to \(SizeText.format(range.upperBound))"
        return Self(type: "size", range: span) { node throws(Refusal) in
            let value: Int
            let written: String
            switch node {
            case .integer(let bytes):
                value = bytes
                written = "\(bytes)"
            case .string(let text):
                guard let bytes = SizeText.parse(text) else {
                    throw Refusal(reason: "must be a size such as \"512KiB\" or \"1MiB\", not \(shown(text))")
                }
                value = bytes
                written = text
            default:
                throw .type("a size such as \"512KiB\" or \"1MiB\"", node)
            }
            guard range.contains(value) else { throw Refusal(reason: "must be \(span), not \(written)") }
            return value
        } encode: {
            TOMLText.quoted(SizeText.format($0))
        }
    }
}

extension ValueRule where Value == Interval {
    package static func duration(_ range: ClosedRange<Interval>) -> Self {
        let span = "\(DurationText.format(range.lowerBound)) to \(DurationText.format(range.upperBound))"
        let example = "a duration such as \"500ms\", \"1s\" or \"1m30s\""
        return Self(type: "duration", range: span) { node throws(Refusal) in
            guard case .string(let text) = node else { throw .type(example, node) }
            guard let value = DurationText.parse(text) else {
                throw Refusal(reason: "must be \(example), not \(shown(text))")
            }
            guard range.contains(value) else { throw Refusal(reason: "must be \(span), not \(text)") }
            return value
        } encode: {
            TOMLText.quoted(DurationText.format($0))
        }
    }
}

extension ValueRule where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
    package static var choice: Self {
        let names = Value.allCases.map { "\"\($0.rawValue)\"" }
        let list = names.dropLast().joined(separator: ", ") + " or " + (names.last ?? "")
        return Self(type: "choice", range: Value.allCases.map(\.rawValue).joined(separator: ", ")) {
            node throws(Refusal) in
            guard case .string(let text) = node else { throw .type(list, node) }
            guard let value = Value(rawValue: text) else {
                throw Refusal(reason: "must be \(list), not \(shown(text))")
            }
            return value
        } encode: {
            TOMLText.quoted($0.rawValue)
        }
    }
}

extension Refusal {
    package static func type(_ expected: String, _ found: TOMLNode) -> Refusal {
        Refusal(reason: "must be \(expected), not \(found.kind)")
    }
}

/// A piece of the user's text for an error: quoted, cut at 64 scalars.
package func shown(_ text: String) -> String {
    let head = String(String.UnicodeScalarView(text.unicodeScalars.prefix(64)))
    return TOMLText.quoted(head) + (head.unicodeScalars.count < text.unicodeScalars.count ? "…" : "")
}
