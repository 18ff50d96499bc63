// SPDX-License-Identifier: Apache-2.0
// Owns the reading of TOML 1.0: headers, keys and tables, with the place of each.

/// Reads one TOML 1.0 document (https://toml.io/en/v1.0.0).
///
/// It is written here because the file must never end the daemon and every error must name its line. Any bytes are
/// answered with a document or an error: each step consumes a byte or throws, and the nesting is bounded.
struct TOMLParser {
    private let bytes: [UInt8]
    private(set) var offset = 0
    private var line = 1
    private var column = 1

    private let root = TOMLTableBuilder(.header)
    private var locations: [[String]: TOMLLocation] = [:]
    /// Counts headers and inline tables, to tell which keys stand together.
    private var section = 0

    /// - Parameter bytes: valid UTF-8; a byte order mark is skipped.
    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        if bytes.starts(with: [0xef, 0xbb, 0xbf]) { offset = 3 }
    }

    mutating func parse() throws(TOMLSyntaxError) -> TOMLDocument {
        var table = root
        var path: [String] = []
        while true {
            try skipBlankLines()
            guard let byte = current else { break }
            if byte == UInt8(ascii: "[") {
                (table, path) = try parseHeader()
            } else {
                try parsePair(in: table, path: path)
            }
            try endLine()
        }
        return TOMLDocument(members: root.members, locations: locations)
    }

    // MARK: The text

    var current: UInt8? { offset < bytes.count ? bytes[offset] : nil }
    var location: TOMLLocation { TOMLLocation(line: line, column: column) }

    func peek(_ distance: Int) -> UInt8? {
        offset + distance < bytes.count ? bytes[offset + distance] : nil
    }

    mutating func advance(_ count: Int = 1) {
        for _ in 0..<count where offset < bytes.count {
            let byte = bytes[offset]
            offset += 1
            if byte == UInt8(ascii: "\n") {
                line += 1
                column = 1
            } else if offset == bytes.count || bytes[offset] & 0xc0 != 0x80 {
                // Bytes that continue a scalar share its column.
                column += 1
            }
        }
    }

    func text(from start: Int) -> String { String(decoding: bytes[start..<offset], as: UTF8.self) }

    func failure(_ reason: String, at place: TOMLLocation? = nil) -> TOMLSyntaxError {
        TOMLSyntaxError(reason: reason, location: place ?? location)
    }

    /// What stands here, for a sentence.
    var found: String {
        switch current {
        case nil: "the end of the file"
        case UInt8(ascii: "\n"), UInt8(ascii: "\r"): "the end of the line"
        case .some(let byte):
            byte >= 0x80
                ? shown(String(String(decoding: bytes[offset...].prefix(4), as: UTF8.self).unicodeScalars.prefix(1)))
                : shown(String(Unicode.Scalar(byte)))
        }
    }

    mutating func expect(_ byte: Character, _ what: String) throws(TOMLSyntaxError) {
        guard let wanted = byte.asciiValue, current == wanted else {
            throw failure("expected \(what), found \(found)")
        }
        advance()
    }

    mutating func skipSpace() {
        while current == UInt8(ascii: " ") || current == UInt8(ascii: "\t") { advance() }
    }

    /// Takes a line end if one stands here.
    mutating func skipNewline() throws(TOMLSyntaxError) -> Bool {
        if current == UInt8(ascii: "\n") {
            advance()
            return true
        }
        guard current == UInt8(ascii: "\r") else { return false }
        guard peek(1) == UInt8(ascii: "\n") else { throw failure("a carriage return without a line feed") }
        advance(2)
        return true
    }

    private mutating func skipComment() throws(TOMLSyntaxError) {
        guard current == UInt8(ascii: "#") else { return }
        while let byte = current, byte != UInt8(ascii: "\n") {
            if byte == UInt8(ascii: "\r"), peek(1) == UInt8(ascii: "\n") { return }
            guard !Self.isControl(byte) else { throw failure("a control character in a comment") }
            advance()
        }
    }

    /// Spaces, comments and line ends.
    mutating func skipBlankLines() throws(TOMLSyntaxError) {
        repeat {
            skipSpace()
            try skipComment()
        } while try skipNewline()
    }

    private mutating func endLine() throws(TOMLSyntaxError) {
        skipSpace()
        try skipComment()
        guard try skipNewline() || current == nil else {
            throw failure("expected the end of the line, found \(found)")
        }
    }

    /// Control characters other than tab.
    static func isControl(_ byte: UInt8) -> Bool { (byte < 0x20 && byte != 9) || byte == 0x7f }

    // MARK: Keys

    mutating func note(_ path: [String], _ place: TOMLLocation) throws(TOMLSyntaxError) {
        guard path.count <= TOMLDocument.depthMax else {
            throw failure("nested more than \(TOMLDocument.depthMax) levels deep", at: place)
        }
        if locations[path] == nil { locations[path] = place }
    }

    /// `a.b."c d"`
    private mutating func parseKey() throws(TOMLSyntaxError) -> [String] {
        let place = location
        var parts: [String] = []
        while true {
            skipSpace()
            parts.append(try parseKeyPart())
            guard parts.count <= TOMLDocument.depthMax else {
                throw failure("nested more than \(TOMLDocument.depthMax) levels deep", at: place)
            }
            skipSpace()
            guard current == UInt8(ascii: ".") else { return parts }
            advance()
        }
    }

    private mutating func parseKeyPart() throws(TOMLSyntaxError) -> String {
        if current == UInt8(ascii: "\"") || current == UInt8(ascii: "'") {
            guard peek(1) != current || peek(2) != current else { throw failure("a key of several lines") }
            return try parseString()
        }
        let start = offset
        while let byte = current, Self.isBareKey(byte) { advance() }
        guard offset > start else { throw failure("expected a key, found \(found)") }
        return text(from: start)
    }

    static func isBareKey(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default:
            false
        }
    }

    // MARK: Tables

    /// `[a.b]` or `[[a.b]]`: the table that the following keys belong to, and its path.
    private mutating func parseHeader() throws(TOMLSyntaxError) -> (TOMLTableBuilder, [String]) {
        section += 1
        advance()
        let isArray = current == UInt8(ascii: "[")
        if isArray { advance() }
        skipSpace()
        let place = location
        let key = try parseKey()
        try expect("]", "\"]\"")
        if isArray { try expect("]", "\"]]\"") }

        var (table, path) = (root, [String]())
        for part in key.dropLast() {
            path.append(part)
            switch table[part] {
            case nil:
                let child = TOMLTableBuilder(.implicit)
                table[part] = .table(child)
                table = child
            case .table(let child) where child.kind != .inline:
                table = child
            case .tables(let children):
                guard let child = children.last else { throw failure("an empty array of tables", at: place) }
                path.append("[\(children.count - 1)]")
                table = child
            case .table, .node:
                throw failure("\(Self.name(path)) has a value already and takes no tables", at: place)
            }
            try note(path, place)
        }
        let last = key[key.count - 1]
        path.append(last)
        let child = try isArray ? appendTable(last, in: table, &path, place) : openTable(last, in: table, path, place)
        try note(path, place)
        return (child, path)
    }

    private func openTable(
        _ key: String, in table: TOMLTableBuilder, _ path: [String], _ place: TOMLLocation
    ) throws(TOMLSyntaxError) -> TOMLTableBuilder {
        switch table[key] {
        case nil:
            let child = TOMLTableBuilder(.header)
            table[key] = .table(child)
            return child
        case .table(let child) where child.kind == .implicit:
            child.kind = .header
            return child
        case .table, .tables, .node:
            throw failure("\(Self.name(path)) is defined twice", at: place)
        }
    }

    private mutating func appendTable(
        _ key: String, in table: TOMLTableBuilder, _ path: inout [String], _ place: TOMLLocation
    ) throws(TOMLSyntaxError) -> TOMLTableBuilder {
        let child = TOMLTableBuilder(.header)
        try note(path, place)
        switch table[key] {
        case nil:
            table[key] = .tables([child])
            path.append("[0]")
        case .tables(let children):
            table[key] = .tables(children + [child])
            path.append("[\(children.count)]")
        case .table, .node:
            throw failure("\(Self.name(path)) is defined twice", at: place)
        }
        return child
    }

    /// `key.path = value` into `table`.
    private mutating func parsePair(in table: TOMLTableBuilder, path: [String]) throws(TOMLSyntaxError) {
        let place = location
        let owner = section
        let key = try parseKey()
        try expect("=", "\"=\" behind the key")
        skipSpace()

        var (table, path) = (table, path)
        for part in key.dropLast() {
            path.append(part)
            switch table[part] {
            case nil:
                let child = TOMLTableBuilder(.dotted(section: owner))
                table[part] = .table(child)
                table = child
            case .table(let child) where child.kind == .implicit || child.kind == .dotted(section: owner):
                child.kind = .dotted(section: owner)
                table = child
            case .table, .tables, .node:
                throw failure("\(Self.name(path)) is defined elsewhere and takes no keys here", at: place)
            }
            try note(path, place)
        }
        let last = key[key.count - 1]
        path.append(last)
        guard table[last] == nil else { throw failure("\(Self.name(path)) is defined twice", at: place) }
        try note(path, place)
        table[last] = try parseValue(path)
    }

    /// `{ a = 1, b.c = 2 }`: on one line, without a comma behind the last pair.
    mutating func parseInlineTable(_ path: [String]) throws(TOMLSyntaxError) -> TOMLTableBuilder.Value {
        advance()
        let table = TOMLTableBuilder(.inline)
        let outer = section
        let sectionsBefore = sectionsOpened
        sectionsOpened += 1
        // Sections of inline tables count below zero, so that they never meet those of headers.
        section = -sectionsBefore - 1
        defer { section = outer }
        skipSpace()
        if current == UInt8(ascii: "}") {
            advance()
            return .table(table)
        }
        while true {
            skipSpace()
            try parsePair(in: table, path: path)
            skipSpace()
            if current == UInt8(ascii: "}") {
                advance()
                return .table(table)
            }
            try expect(",", "\",\" or \"}\"")
        }
    }

    /// Inline tables so far.
    private var sectionsOpened = 0

    private static func name(_ path: [String]) -> String {
        shown(path.filter { !$0.hasPrefix("[") }.joined(separator: "."))
    }
}
