// SPDX-License-Identifier: Apache-2.0
// Owns the step from TOML text to a plain tree of values; nothing else in gossipd touches TOMLKit.

internal import TOMLKit

/// A TOML value without its parser: what the rules of `KeyTable` look at.
enum TOMLNode: Equatable, Sendable {
    case string(String)
    case integer(Int)
    case number(Double)
    case boolean(Bool)
    /// A date, a time or both; no key takes one.
    case date
    case array([TOMLNode])
    case table([Member])

    struct Member: Equatable, Sendable {
        var key: String
        var value: TOMLNode
    }

    /// What it is, with its article, for a sentence.
    var kind: String {
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

/// A parsed file: its values and where each key stands.
struct TOMLTree {
    var members: [TOMLNode.Member]
    var locations: [[String]: KeyLocation]

    /// Larger files are refused before they are parsed.
    static let textSizeMax = 1 << 20
    /// Tables and arrays inside each other; the parser's own limit is far above.
    static let depthMax = 16

    /// Parses `bytes`, whatever they are.
    ///
    /// NUL is refused beforehand because the parser takes a C string and would ignore everything behind it; for
    /// the same reason `\u0000` inside a string is refused, which would cut the string short.
    static func parse(_ bytes: [UInt8], file: String) throws(ConfigurationError) -> TOMLTree {
        func failure(_ reason: String, line: Int?, column: Int? = nil) -> ConfigurationError {
            ConfigurationError(problems: [
                .init(place: .file(file, line: line, column: column), reason: reason)
            ])
        }
        guard bytes.count <= textSizeMax else {
            throw failure("the file is larger than 1 MiB", line: nil)
        }
        if let nul = bytes.firstIndex(of: 0) {
            throw failure("the file holds a NUL byte; write plain text", line: line(of: nul, in: bytes))
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            let bad = firstInvalid(bytes)
            throw failure("the file is not valid UTF-8", line: line(of: bad, in: bytes))
        }
        let table: TOMLTable
        do {
            table = try TOMLTable(string: text)
        } catch let error as TOMLParseError {
            let begin = error.source.begin
            throw failure(
                "TOML syntax, column \(begin.column): \(error.description)", line: begin.line, column: begin.column)
        } catch {
            throw failure("TOML syntax: \(error)", line: nil)
        }
        var locator = KeyLocator(bytes)
        locator.scan()
        if let offset = locator.escapedNUL {
            throw failure("a string holds \\u0000, which no value may hold", line: line(of: offset, in: bytes))
        }
        guard let members = members(of: table, depth: 1) else {
            throw failure("tables and arrays are nested more than \(depthMax) levels deep", line: nil)
        }
        return TOMLTree(members: members, locations: locator.locations)
    }

    /// Nil when the nesting is deeper than `depthMax`.
    private static func members(of table: TOMLTable, depth: Int) -> [TOMLNode.Member]? {
        guard depth <= depthMax else { return nil }
        var members: [TOMLNode.Member] = []
        for (key, value) in zip(table.keys, table.values) {
            guard let node = node(value, depth: depth) else { return nil }
            members.append(.init(key: key, value: node))
        }
        return members
    }

    private static func node(_ value: TOMLValue, depth: Int) -> TOMLNode? {
        switch value.type {
        case .string: return .string(value.string ?? "")
        case .int: return .integer(value.int ?? 0)
        case .double: return .number(value.double ?? 0)
        case .bool: return .boolean(value.bool ?? false)
        case .date, .time, .dateTime: return .date
        case .array:
            guard depth < depthMax, let array = value.array else { return nil }
            var elements: [TOMLNode] = []
            for index in 0..<array.count {
                guard let element = node(array[index].tomlValue, depth: depth + 1) else { return nil }
                elements.append(element)
            }
            return .array(elements)
        case .table:
            guard let table = value.table, let members = members(of: table, depth: depth + 1) else { return nil }
            return .table(members)
        }
    }

    /// The line, from 1, of the byte at `offset`.
    static func line(of offset: Int, in bytes: [UInt8]) -> Int {
        1 + bytes[..<min(offset, bytes.count)].count { $0 == UInt8(ascii: "\n") }
    }

    /// The offset of the first byte that cannot be decoded.
    private static func firstInvalid(_ bytes: [UInt8]) -> Int {
        var decoder = UTF8()
        var iterator = bytes.makeIterator()
        var offset = 0
        while case .scalarValue(let scalar) = decoder.decode(&iterator) {
            offset += String(scalar).utf8.count
        }
        return offset
    }
}
