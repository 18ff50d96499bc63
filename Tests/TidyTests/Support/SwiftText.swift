// SPDX-License-Identifier: Apache-2.0
// Owns looking at Swift source as text: code apart from comments and strings, imports, functions.

enum SwiftText {
    /// The source with comments and the text of string literals blanked; line ends and what `\(...)` holds stay.
    static func code(_ source: String) -> String {
        var blanker = Blanker(source)
        blanker.code(untilParenthesis: false)
        return String(decoding: blanker.out, as: UTF8.self)
    }

    /// The modules that a file's code imports, with their lines.
    static func imports(_ code: String) -> [(module: String, line: Int)] {
        let pattern =
            /^\s*(?:@\S+\s+)?(?:(?:public|package|internal|private)\s+)?import\s+(?:(?:struct|class|enum|func|protocol|var|let|typealias)\s+)?(\w+)/
        return code.split(separator: "\n", omittingEmptySubsequences: false).enumerated().compactMap { offset, line in
            guard line.utf8.count < 200, line.contains("import ") else { return nil }
            return line.firstMatch(of: pattern).map { (String($0.1), offset + 1) }
        }
    }

    /// Functions and initialisers with a body: the line where each begins and how many lines it has.
    static func functions(_ text: String) -> [(line: Int, count: Int)] {
        let code = Array(text.utf8)
        var found: [(line: Int, count: Int)] = []
        var line = 1
        for (index, byte) in code.enumerated() {
            if byte == UInt8(ascii: "\n") { line += 1 }
            if beginsFunction(code, index), let count = lineCount(code, from: index) { found.append((line, count)) }
        }
        return found
    }

    private static func beginsFunction(_ code: [UInt8], _ index: Int) -> Bool {
        guard code[index] == UInt8(ascii: "f") || code[index] == UInt8(ascii: "i") else { return false }
        func has(_ word: String) -> Bool { code[index...].starts(with: word.utf8) }
        let before = index > 0 ? code[index - 1] : UInt8(ascii: " ")
        guard !isWord(before), before != UInt8(ascii: ".") else { return false }
        return has("func ") || has("init(") || has("init?(") || has("init<")
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    /// From the declaration to the end of its body; nil for a requirement of a protocol.
    private static func lineCount(_ code: [UInt8], from start: Int) -> Int? {
        var depth = 0
        var braces = 0
        var lines = 1
        for index in start..<code.count {
            switch code[index] {
            case UInt8(ascii: "\n"): lines += 1
            case UInt8(ascii: "("), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: ")"), UInt8(ascii: "]"): depth -= 1
            case UInt8(ascii: "{"):
                // A default value of a parameter may be a closure.
                if depth == 0 || braces > 0 { braces += 1 }
            case UInt8(ascii: "}"):
                if depth > 0, braces == 0 { continue }
                braces -= 1
                if braces == 0 { return lines }
                if braces < 0 { return nil }
            default:
                if braces == 0, depth == 0, index > start, beginsFunction(code, index) { return nil }
            }
        }
        return nil
    }
}

/// Goes once over a source and copies what is code.
private struct Blanker {
    private let bytes: [UInt8]
    private var index = 0
    private(set) var out: [UInt8] = []

    init(_ source: String) {
        bytes = Array(source.utf8)
        out.reserveCapacity(bytes.count)
    }

    private func has(_ text: String) -> Bool { bytes[index...].starts(with: text.utf8) }

    private mutating func copy(_ count: Int = 1) {
        for _ in 0..<count where index < bytes.count {
            out.append(bytes[index])
            index += 1
        }
    }

    private mutating func blank(_ count: Int = 1) {
        for _ in 0..<count where index < bytes.count {
            out.append(bytes[index] == UInt8(ascii: "\n") ? bytes[index] : UInt8(ascii: " "))
            index += 1
        }
    }

    /// The first bytes of what is not plain code.
    private static let marks = Array("/#\"()".utf8)

    /// Up to the end, or behind the parenthesis that closes an interpolation.
    mutating func code(untilParenthesis: Bool) {
        var depth = 0
        while index < bytes.count {
            guard Self.marks.contains(bytes[index]) else {
                copy()
                continue
            }
            if has("//") {
                while index < bytes.count, bytes[index] != UInt8(ascii: "\n") { blank() }
            } else if has("/*") {
                comment()
            } else if let pounds = stringBegins() {
                string(pounds)
            } else {
                if has("(") { depth += 1 }
                if has(")") { depth -= 1 }
                copy()
                if untilParenthesis, depth < 0 { return }
            }
        }
    }

    private mutating func comment() {
        var depth = 0
        repeat {
            if has("/*") {
                depth += 1
                blank(2)
            } else if has("*/") {
                depth -= 1
                blank(2)
            } else {
                blank()
            }
        } while depth > 0 && index < bytes.count
    }

    /// How many `#` stand before the quote, when a string begins here.
    private func stringBegins() -> Int? {
        var pounds = 0
        while index + pounds < bytes.count, bytes[index + pounds] == UInt8(ascii: "#") { pounds += 1 }
        return index + pounds < bytes.count && bytes[index + pounds] == UInt8(ascii: "\"") ? pounds : nil
    }

    private mutating func string(_ pounds: Int) {
        let sharps = String(repeating: "#", count: pounds)
        copy(pounds)
        let quote = has("\"\"\"") ? "\"\"\"" : "\""
        copy(quote.utf8.count)
        let end = quote + sharps
        let escape = "\\" + sharps
        while index < bytes.count, !has(end) {
            if has(escape + "(") {
                blank(escape.utf8.count)
                copy()
                code(untilParenthesis: true)
            } else if has(escape) {
                blank(escape.utf8.count + 1)
            } else {
                blank()
            }
        }
        copy(end.utf8.count)
    }
}
