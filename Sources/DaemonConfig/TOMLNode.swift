// SPDX-License-Identifier: Apache-2.0
// Owns the values of a TOML document, and where each key and element stands.

/// A TOML value: what the rules of `KeyTable` look at.
package enum TOMLNode: Equatable, Sendable {
    case string(String)
    case integer(Int)
    case number(Double)
    case boolean(Bool)
    /// A date, a time or both; no key takes one, so its parts are not kept.
    case date
    case array([TOMLNode])
    case table([Member])

    package struct Member: Equatable, Sendable {
        package var key: String
        package var value: TOMLNode
    }

    /// What it is, with its article, for a sentence.
    package var kind: String {
        switch self {
        case .string: "a string"
        case .integer: "an integer"
        case .number: "a decimal number"
        case .boolean: "a boolean"
        case .date: "a date or time"
        case .array: "an array"
        case .table: "a table"
        }
    }
}

/// Where a key or an array element begins; both count from 1, columns in Unicode scalars.
package struct TOMLLocation: Equatable, Sendable {
    package var line: Int
    package var column: Int
}

/// A parsed file.
package struct TOMLDocument: Sendable {
    /// In the order of their first mention.
    package var members: [TOMLNode.Member]
    /// By path; an array's element is named `[INDEX]`, from 0. A table that is mentioned more than once keeps the
    /// place of its first mention.
    package var locations: [[String]: TOMLLocation]

    /// Larger files are refused before they are parsed, in bytes.
    package static let textSizeMax = 1 << 20
    /// Tables and arrays inside each other.
    static let depthMax = 16
}

/// Why a text is not TOML, and where that shows.
struct TOMLSyntaxError: Error, Equatable {
    var reason: String
    var location: TOMLLocation
}

/// A table while the document is read, with what decides whether it may still grow (TOML 1.0, "Table").
final class TOMLTableBuilder {
    enum Kind: Equatable {
        /// Named only as the parent of a header; a header of its own may still come.
        case implicit
        /// Defined by `[header]` or as an element of `[[header]]`: nothing may define it again.
        case header
        /// Made by a dotted key; only keys of the same section may add to it.
        case dotted(section: Int)
        /// `{ … }`: complete as it stands.
        case inline
    }

    enum Value {
        case node(TOMLNode)
        case table(TOMLTableBuilder)
        /// `[[header]]`, at least one.
        case tables([TOMLTableBuilder])
    }

    var kind: Kind
    private(set) var keys: [String] = []
    private var values: [String: Value] = [:]

    init(_ kind: Kind) { self.kind = kind }

    subscript(_ key: String) -> Value? {
        get { values[key] }
        set {
            if values[key] == nil { keys.append(key) }
            values[key] = newValue
        }
    }

    /// The finished table; its depth is bounded by `TOMLDocument.depthMax`.
    var members: [TOMLNode.Member] {
        keys.compactMap { key in
            switch values[key] {
            case .node(let node): .init(key: key, value: node)
            case .table(let table): .init(key: key, value: .table(table.members))
            case .tables(let tables): .init(key: key, value: .array(tables.map { .table($0.members) }))
            case nil: nil
            }
        }
    }
}
