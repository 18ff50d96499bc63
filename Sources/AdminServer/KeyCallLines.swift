// SPDX-License-Identifier: Apache-2.0
// Owns lines out of pieces, and the shape that most lines have.

import AdminModel

/// Lines out of pieces.
struct KeyCallLines {
    private var bytes: [UInt8] = []
    private var start = 0
    /// Nothing before this is a line feed.
    private var searched = 0
    /// Lines that were taken.
    private(set) var count = 0
    private let lineBytesMax: Int

    /// - Parameter lineBytesMax: Tests have a lower one.
    init(lineBytesMax: Int = KeyCallStream.lineBytesMax) { self.lineBytesMax = lineBytesMax }

    mutating func append(_ piece: [UInt8]) {
        if start == bytes.count {
            bytes = piece
            searched = 0
        } else {
            bytes.removeFirst(start)
            bytes += piece
            searched = max(0, searched - start)
        }
        start = 0
    }

    /// Nothing more comes: what is left is a line, too.
    mutating func finish() {
        if start < bytes.count, bytes.last != UInt8(ascii: "\n") { append([UInt8(ascii: "\n")]) }
    }

    /// The next whole line; fails with `too_large` for one that is.
    mutating func next() throws(AdminFailure) -> ArraySlice<UInt8>? {
        guard let end = bytes[max(searched, start)...].firstIndex(of: UInt8(ascii: "\n")) else {
            searched = bytes.count
            guard bytes.count - start <= lineBytesMax else { throw tooLong }
            return nil
        }
        let line = bytes[start..<end]
        guard line.count <= lineBytesMax else { throw tooLong }
        start = end + 1
        count += 1
        return line
    }

    private var tooLong: AdminFailure {
        AdminFailure(
            .tooLarge,
            "the line has more than \(lineBytesMax) bytes: one call is one line, with a line feed at its end"
        )
    }
}

/// `{"id":1,"put":"a","value":"x"}` without white space, escapes and characters beyond ASCII, which is what a program in a hurry
/// writes: read without building a tree of it. Everything else is left to the JSON decoder.
enum PlainPutLine {
    /// Nil: it is something else, or not right.
    static func read(_ line: ArraySlice<UInt8>, timeout: Duration) -> KeyCall? {
        line.withUnsafeBytes { bytes in
            var place = 0
            guard skip(opening, bytes, &place), let id = number(bytes, &place), skip(put, bytes, &place),
                let key = text(bytes, &place), skip(value, bytes, &place), let content = text(bytes, &place),
                place == bytes.count - 1, bytes[place] == UInt8(ascii: "}"), content.count <= AdminLimits.valueBytesMax,
                let key = try? ConfigurationKey(String(decoding: key, as: UTF8.self))
            else { return nil }
            var options = KeyWriteOptions()
            options.timeout = timeout
            return KeyCall(id: id, .write(.put(key, Array(content)), options))
        }
    }

    private static let opening: StaticString = "{\"id\":"
    private static let put: StaticString = ",\"put\":\""
    private static let value: StaticString = ",\"value\":\""

    private static func skip(_ text: StaticString, _ bytes: UnsafeRawBufferPointer, _ place: inout Int) -> Bool {
        guard bytes.count - place >= text.utf8CodeUnitCount else { return false }
        let here = UnsafeRawBufferPointer(rebasing: bytes[place..<(place + text.utf8CodeUnitCount)])
        let wanted = UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        guard here.elementsEqual(wanted) else { return false }
        place += text.utf8CodeUnitCount
        return true
    }

    /// As JSON has it: no leading zero.
    private static func number(_ bytes: UnsafeRawBufferPointer, _ place: inout Int) -> UInt64? {
        let start = place
        var number: UInt64 = 0
        while place < bytes.count, case let digit = bytes[place] &- UInt8(ascii: "0"), digit < 10 {
            guard place - start < 18 else { return nil }
            number = number * 10 + UInt64(digit)
            place += 1
        }
        guard place > start, place == start + 1 || bytes[start] != UInt8(ascii: "0") else { return nil }
        return number
    }

    /// Up to the quotation mark, which is skipped.
    private static func text(_ bytes: UnsafeRawBufferPointer, _ place: inout Int) -> UnsafeRawBufferPointer? {
        let start = place
        while place < bytes.count {
            let byte = bytes[place]
            if byte == UInt8(ascii: "\"") {
                place += 1
                return UnsafeRawBufferPointer(rebasing: bytes[start..<(place - 1)])
            }
            guard byte >= 0x20, byte < 0x7f, byte != UInt8(ascii: "\\") else { return nil }
            place += 1
        }
        return nil
    }
}
