// SPDX-License-Identifier: Apache-2.0
// Owns the structure of a template: its tags with their places, before the library sees it.

import Delivery

/// Why a template cannot be taken, and where.
struct TemplateError: Error {
    var place: TemplatePlace
    var reason: String

    var sentence: String { "line \(place.line), column \(place.column): \(reason)" }
}

/// Both count from 1, columns in Unicode scalars.
struct TemplatePlace: Hashable {
    var line = 1
    var column = 1
}

/// A part of a template.
enum TemplateNode {
    /// So many bytes of text.
    case text(Int)
    /// `{{name}}`, `{{{name}}}`, `{{&name}}`
    case variable(TemplateName)
    /// `{{#name}}...{{/name}}`, or with `^` when it is inverted
    indirect case section(TemplateName, isInverted: Bool, [TemplateNode])
}

/// `.`, or parts joined by full stops.
struct TemplateName {
    var text: String
    var place: TemplatePlace

    /// Empty for `.`.
    var parts: [String] { text == "." ? [] : text.split(separator: ".").map(String.init) }
}

/// Reads the tags as swift-mustache does, and refuses what it would render as nothing or die of.
///
/// That is: sections deeper than `depthMax`, which its parser and renderer recurse into; partials, blocks, functions and
/// names that begin with a full stop, which no description declares.
struct TemplateTags {
    static let depthMax = 32
    /// The library counts the rest of the text at each tag, so that its time grows with both.
    static let tagsMax = 4_096
    private static let delimiterBytesMax = 8

    private let bytes: [UInt8]
    private var offset = 0
    private var place = TemplatePlace()
    private var tags = 0

    private struct Level {
        /// Nil at the top.
        var name: TemplateName?
        var isInverted = false
        var nodes: [TemplateNode] = []
        var start = Array("{{".utf8)
        var end = Array("}}".utf8)
    }

    private init(_ template: String) { bytes = Array(template.utf8) }

    static func read(_ template: String) throws(TemplateError) -> [TemplateNode] {
        var reader = TemplateTags(template)
        return try reader.read()
    }

    private mutating func read() throws(TemplateError) -> [TemplateNode] {
        var levels: [Level] = []
        var level = Level()
        while true {
            let before = offset
            let isTag = skip(to: level.start)
            if offset > before { level.nodes.append(.text(offset - before)) }
            guard isTag else { break }
            let opening = place
            tags += 1
            guard tags <= Self.tagsMax else {
                throw TemplateError(place: opening, reason: "a template may have at most \(Self.tagsMax) tags")
            }
            advance(level.start.count)
            let sigil = offset < bytes.count ? bytes[offset] : 0
            switch sigil {
            case UInt8(ascii: "#"), UInt8(ascii: "^"):
                guard levels.count < Self.depthMax else {
                    throw TemplateError(
                        place: opening, reason: "sections may be at most \(Self.depthMax) deep inside each other")
                }
                advance()
                let name = try name(until: level.end, opening)
                levels.append(level)
                // As in the library, delimiters that a section sets end with it.
                level = Level(
                    name: name, isInverted: sigil == UInt8(ascii: "^"), start: level.start, end: level.end)
            case UInt8(ascii: "/"):
                advance()
                let name = try name(until: level.end, opening)
                guard let open = level.name, var outer = levels.popLast() else {
                    throw TemplateError(place: opening, reason: "{{/\(name.text)}} closes a section that is not open")
                }
                guard open.text == name.text else {
                    throw TemplateError(
                        place: opening,
                        reason: "{{/\(name.text)}} closes the section \(open.text) of line \(open.place.line):"
                            + " write {{/\(open.text)}}")
                }
                outer.nodes.append(.section(open, isInverted: level.isInverted, level.nodes))
                level = outer
            case UInt8(ascii: "!"):
                try skipComment(level.end, opening)
            case UInt8(ascii: "="):
                (level.start, level.end) = try delimiters(until: level.end, opening)
            case UInt8(ascii: "%"):
                _ = try content(until: level.end, opening)
            case UInt8(ascii: ">"), UInt8(ascii: "<"), UInt8(ascii: "$"):
                throw TemplateError(
                    place: opening, reason: "partials and blocks are not available: write their text in this template")
            case UInt8(ascii: "{"):
                advance()
                let name = try name(until: level.end, opening)
                guard offset < bytes.count, bytes[offset] == UInt8(ascii: "}") else {
                    throw TemplateError(place: opening, reason: "{{{\(name.text) has to end with }}}")
                }
                advance()
                level.nodes.append(.variable(name))
            default:
                if sigil == UInt8(ascii: "&") { advance() }
                level.nodes.append(.variable(try name(until: level.end, opening)))
            }
        }
        if let open = level.name {
            throw TemplateError(
                place: open.place, reason: "the section \(open.text) is never closed: write {{/\(open.text)}} behind it"
            )
        }
        return level.nodes
    }

    // MARK: The text

    private mutating func advance(_ count: Int = 1) {
        for _ in 0..<count where offset < bytes.count {
            let byte = bytes[offset]
            offset += 1
            if byte == UInt8(ascii: "\n") {
                place = TemplatePlace(line: place.line + 1, column: 1)
            } else if offset == bytes.count || bytes[offset] & 0xc0 != 0x80 {
                // Bytes that continue a scalar share its column.
                place.column += 1
            }
        }
    }

    private func stands(_ text: [UInt8]) -> Bool { bytes[offset...].starts(with: text) }

    /// Goes to where `text` begins, or to the end: false then.
    private mutating func skip(to text: [UInt8]) -> Bool {
        while offset < bytes.count {
            if bytes[offset] == text[0], stands(text) { return true }
            advance()
        }
        return false
    }

    /// What stands before the end of a tag, behind which the reader is then.
    private mutating func content(until end: [UInt8], _ opening: TemplatePlace) throws(TemplateError) -> ArraySlice<
        UInt8
    > {
        let start = offset
        guard skip(to: end) else {
            throw TemplateError(
                place: opening,
                reason: "the tag is never closed: \"\(String(decoding: end, as: UTF8.self))\" is missing")
        }
        let content = bytes[start..<offset]
        advance(end.count)
        return content
    }

    private mutating func name(until end: [UInt8], _ opening: TemplatePlace) throws(TemplateError) -> TemplateName {
        let raw = try content(until: end, opening)
        let space = { (byte: UInt8) in byte == 32 || (9...13).contains(byte) }
        let trimmed = raw.drop(while: space).reversed().drop(while: space).reversed()
        let text = String(decoding: trimmed, as: UTF8.self)
        let shown = String(String.UnicodeScalarView(text.unicodeScalars.prefix(64))).debugDescription
        guard !text.contains("(") else {
            throw TemplateError(place: opening, reason: "functions are not available: \(shown)")
        }
        let isGood = trimmed.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."):
                true
            default: false
            }
        }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard isGood, text == "." || !parts.contains(where: \.isEmpty), parts.count <= 4 else {
            throw TemplateError(
                place: opening,
                reason: "\(shown) is no name: write letters, digits, \"_\" and \"-\", parts joined by \".\"")
        }
        return TemplateName(text: text, place: opening)
    }

    private mutating func skipComment(_ end: [UInt8], _ opening: TemplatePlace) throws(TemplateError) {
        let text = try content(until: end, opening)
        // The library takes a repeated first character of the delimiter for no delimiter.
        if Set(end).count > 1, text.last == end.first {
            throw TemplateError(place: opening, reason: "put a space before the end of the comment")
        }
    }

    /// `<% %>` in `{{=<% %>=}}`
    private mutating func delimiters(
        until end: [UInt8], _ opening: TemplatePlace
    ) throws(TemplateError) -> ([UInt8], [UInt8]) {
        let words = try content(until: [UInt8(ascii: "=")] + end, opening, skipping: 1)
            .split(whereSeparator: { $0 == 32 || $0 == 9 }).map(Array.init)
        let isMark = { (byte: UInt8) in
            (33...126).contains(byte) && byte != UInt8(ascii: "=") && !Character(Unicode.Scalar(byte)).isLetter
                && !Character(Unicode.Scalar(byte)).isNumber
        }
        guard words.count == 2, words.allSatisfy({ $0.count <= Self.delimiterBytesMax && $0.allSatisfy(isMark) })
        else {
            throw TemplateError(
                place: opening, reason: "delimiters are two groups of marks without \"=\", such as {{=<% %>=}}")
        }
        return (words[0], words[1])
    }

    private mutating func content(
        until end: [UInt8], _ opening: TemplatePlace, skipping count: Int
    ) throws(TemplateError) -> ArraySlice<UInt8> {
        advance(count)
        return try content(until: end, opening)
    }
}
