// SPDX-License-Identifier: Apache-2.0
// Owns the place of each key in a TOML text, which the parser does not hand out.

/// Where a key or an array element begins; both count from 1, columns in Unicode scalars.
struct KeyLocation: Equatable, Sendable {
    var line: Int
    var column: Int
}

/// Walks a TOML text once and notes where every key path begins.
///
/// It runs on text that the parser has accepted, so it checks nothing; but it ends on any bytes, because each step
/// consumes at least one. Elements of an array are noted under the name `[INDEX]`, from 0. A key that stands more
/// than once (a table opened again by a dotted header) keeps its first place.
struct KeyLocator {
    private(set) var locations: [[String]: KeyLocation] = [:]
    /// The offset of the first `\u0000` or `\U00000000` in a string, if there is one.
    private(set) var escapedNUL: Int?

    private let bytes: [UInt8]
    private var offset = 0
    private var line = 1
    private var column = 1
    /// Tables opened by `[[…]]` so far, per path: the next index.
    private var tableArrays: [[String]: Int] = [:]

    /// Deeper values are skipped unseen, to bound the recursion.
    private static let depthMax = 300

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        if bytes.starts(with: [0xef, 0xbb, 0xbf]) { offset = 3 }
    }

    mutating func scan() {
        var table: [String] = []
        while skipBlank(newlines: true) {
            if current == UInt8(ascii: "[") {
                table = scanHeader()
            } else {
                scanPair(in: table, depth: 0)
            }
        }
    }

    // MARK: The text

    private var current: UInt8? { offset < bytes.count ? bytes[offset] : nil }

    private func peek(_ distance: Int) -> UInt8? {
        offset + distance < bytes.count ? bytes[offset + distance] : nil
    }

    private var location: KeyLocation { KeyLocation(line: line, column: column) }

    private mutating func advance() {
        guard let byte = current else { return }
        offset += 1
        if byte == UInt8(ascii: "\n") {
            line += 1
            column = 1
        } else if offset < bytes.count, bytes[offset] & 0xc0 == 0x80 {
            // The next byte continues this scalar: it is still the same column.
        } else {
            column += 1
        }
    }

    /// Skips spaces, comments and, if asked, line ends. False at the end of the text.
    @discardableResult
    private mutating func skipBlank(newlines: Bool) -> Bool {
        while let byte = current {
            switch byte {
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"):
                advance()
            case UInt8(ascii: "\n"):
                if !newlines { return true }
                advance()
            case UInt8(ascii: "#"):
                while let byte = current, byte != UInt8(ascii: "\n") { advance() }
            default:
                return true
            }
        }
        return false
    }

    private mutating func skipLine() {
        while let byte = current, byte != UInt8(ascii: "\n") { advance() }
    }

    // MARK: Headers, keys, values

    /// `[a.b]` or `[[a.b]]`: the path that the following keys belong to.
    private mutating func scanHeader() -> [String] {
        let isArray = peek(1) == UInt8(ascii: "[")
        advance()
        if isArray { advance() }
        skipBlank(newlines: false)
        let place = location
        var path = scanKey(in: [], at: place)
        if isArray {
            let index = tableArrays[path, default: 0]
            tableArrays[path] = index + 1
            path.append("[\(index)]")
            note(path, place)
        }
        skipLine()
        return path
    }

    /// `key.path = value`, up to the end of the value.
    private mutating func scanPair(in table: [String], depth: Int) {
        let start = offset
        let path = scanKey(in: table, at: location)
        skipBlank(newlines: false)
        if current == UInt8(ascii: "=") {
            advance()
            skipBlank(newlines: false)
            scanValue(path, depth: depth)
        }
        if offset == start { advance() }
    }

    /// A key, dotted or quoted; notes it and every table that it names.
    private mutating func scanKey(in table: [String], at place: KeyLocation) -> [String] {
        var path = table
        while true {
            skipBlank(newlines: false)
            guard let part = scanKeyPart() else { return path }
            path.append(part)
            if let count = tableArrays[path] {
                // A header below an array of tables belongs to its last element.
                path.append("[\(count - 1)]")
            }
            note(path, place)
            skipBlank(newlines: false)
            guard current == UInt8(ascii: ".") else {
                // The header of an array of tables names the array itself, not its last element.
                if let count = tableArrays[Array(path.dropLast())], path.last == "[\(count - 1)]" { path.removeLast() }
                return path
            }
            advance()
        }
    }

    private mutating func scanKeyPart() -> String? {
        if current == UInt8(ascii: "\"") || current == UInt8(ascii: "'") { return scanString() }
        let start = offset
        while let byte = current, Self.isBareKey(byte) { advance() }
        return start == offset ? nil : String(decoding: bytes[start..<offset], as: UTF8.self)
    }

    private static func isBareKey(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default:
            false
        }
    }

    private mutating func scanValue(_ path: [String], depth: Int) {
        guard depth < Self.depthMax else { return skipLine() }
        switch current {
        case UInt8(ascii: "\""), UInt8(ascii: "'"):
            _ = scanString()
        case UInt8(ascii: "["):
            advance()
            var index = 0
            while skipBlank(newlines: true), current != UInt8(ascii: "]") {
                let start = offset
                let element = path + ["[\(index)]"]
                note(element, location)
                scanValue(element, depth: depth + 1)
                skipBlank(newlines: true)
                if current == UInt8(ascii: ",") { advance() }
                if offset == start { advance() }
                index += 1
            }
            advance()
        case UInt8(ascii: "{"):
            advance()
            while skipBlank(newlines: true), current != UInt8(ascii: "}") {
                scanPair(in: path, depth: depth + 1)
                skipBlank(newlines: true)
                if current == UInt8(ascii: ",") { advance() }
            }
            advance()
        default:
            // A number, a boolean or a date ends before any of these.
            while let byte = current, !"\n,]}#".utf8.contains(byte) { advance() }
        }
    }

    private mutating func note(_ path: [String], _ place: KeyLocation) {
        if locations[path] == nil { locations[path] = place }
    }

    // MARK: Strings

    /// A string of any of the four forms; returns its value with escapes replaced.
    private mutating func scanString() -> String {
        guard let quote = current else { return "" }
        let isBasic = quote == UInt8(ascii: "\"")
        let isMultiline = peek(1) == quote && peek(2) == quote
        for _ in 0..<(isMultiline ? 3 : 1) { advance() }
        var value: [UInt8] = []
        while let byte = current {
            if byte == quote {
                if !isMultiline {
                    advance()
                    break
                }
                if peek(1) == quote, peek(2) == quote {
                    for _ in 0..<3 { advance() }
                    // Up to two quotes may stand before the closing three.
                    for _ in 0..<2 where current == quote {
                        value.append(quote)
                        advance()
                    }
                    break
                }
            } else if isBasic, byte == UInt8(ascii: "\\") {
                scanEscape(into: &value)
                continue
            } else if !isMultiline, byte == UInt8(ascii: "\n") {
                break
            }
            value.append(byte)
            advance()
        }
        return String(decoding: value, as: UTF8.self)
    }

    private mutating func scanEscape(into value: inout [UInt8]) {
        let start = offset
        advance()
        guard let kind = current else { return }
        advance()
        let digits: Int
        switch kind {
        case UInt8(ascii: "b"): return value.append(8)
        case UInt8(ascii: "t"): return value.append(9)
        case UInt8(ascii: "n"): return value.append(10)
        case UInt8(ascii: "f"): return value.append(12)
        case UInt8(ascii: "r"): return value.append(13)
        case UInt8(ascii: "e"): return value.append(27)
        case UInt8(ascii: "x"): digits = 2
        case UInt8(ascii: "u"): digits = 4
        case UInt8(ascii: "U"): digits = 8
        default: return value.append(kind)
        }
        var scalar: UInt32 = 0
        for _ in 0..<digits {
            guard let byte = current, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else { return }
            scalar = scalar << 4 | UInt32(digit)
            advance()
        }
        if scalar == 0, escapedNUL == nil { escapedNUL = start }
        value += Array(String(Unicode.Scalar(scalar) ?? "\u{fffd}").utf8)
    }
}
