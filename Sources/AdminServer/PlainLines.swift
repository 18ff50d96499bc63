// SPDX-License-Identifier: Apache-2.0
// Owns the shapes that most calls and answers have: read and written without the JSON library.

import AdminModel
import NIOCore

/// `{"id":1,"put":"a","value":"x"}` and `{"id":1,"get":"a"}` without white space, escapes and characters beyond ASCII, which is what
/// a program in a hurry writes: read without building a tree of it. Everything else is left to the JSON decoder.
enum PlainCallLine {
    /// Nil: it is something else, or not right.
    static func read(_ line: ArraySlice<UInt8>, timeout: Duration) -> KeyCall? {
        line.withUnsafeBytes { bytes in
            var place = 0
            guard skip(opening, bytes, &place), let id = number(bytes, &place) else { return nil }
            if skip(get, bytes, &place) {
                guard let key = key(bytes, &place), isEnd(bytes, place) else { return nil }
                return KeyCall(id: id, .get(key, ReadOptions(timeout: timeout)))
            }
            guard skip(put, bytes, &place), let key = key(bytes, &place), skip(value, bytes, &place),
                let content = text(bytes, &place), isEnd(bytes, place), content.count <= AdminLimits.valueBytesMax
            else { return nil }
            var options = KeyWriteOptions()
            options.timeout = timeout
            return KeyCall(id: id, .write(.put(key, Array(content)), options))
        }
    }

    private static let opening: StaticString = "{\"id\":"
    private static let put: StaticString = ",\"put\":\""
    private static let get: StaticString = ",\"get\":\""
    private static let value: StaticString = ",\"value\":\""

    private static func isEnd(_ bytes: UnsafeRawBufferPointer, _ place: Int) -> Bool {
        place == bytes.count - 1 && bytes[place] == UInt8(ascii: "}")
    }

    private static func key(_ bytes: UnsafeRawBufferPointer, _ place: inout Int) -> ConfigurationKey? {
        guard let text = text(bytes, &place) else { return nil }
        return try? ConfigurationKey(String(decoding: text, as: UTF8.self))
    }

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
            guard PlainText.isPlain(byte) else { return nil }
            place += 1
        }
        return nil
    }
}

/// `{"found":{...},"id":1}` of a register whose texts need no escapes.
enum PlainFoundLine {
    /// False: it needs more care, and nothing was written. What is written equals what `AdminJSON` writes of it.
    static func write(id: UInt64, _ found: KeyDocument, into buffer: inout ByteBuffer) -> Bool {
        guard case .register(let value) = found.content, found.expiresAt == nil, found.stalenessMilliseconds == nil,
            found.author.address == nil, PlainText.isPlain(value), PlainText.isPlain(found.key),
            PlainText.isPlain(found.author.id), PlainText.isPlain(found.author.name), PlainText.isPlain(found.version),
            found.lease.map({ PlainText.isPlain($0) }) ?? true
        else { return false }
        buffer.reserveCapacity(minimumWritableBytes: value.count + found.key.utf8.count + 256)
        buffer.writeStaticString("{\"found\":{\"author\":{\"id\":\"")
        buffer.writeString(found.author.id)
        buffer.writeStaticString("\",\"name\":\"")
        buffer.writeString(found.author.name)
        buffer.writeStaticString("\"},\"class\":\"")
        buffer.writeString(found.keyClass.rawValue)
        buffer.writeStaticString("\",\"key\":\"")
        buffer.writeString(found.key)
        if let lease = found.lease {
            buffer.writeStaticString("\",\"lease\":\"")
            buffer.writeString(lease)
        }
        buffer.writeStaticString("\",\"type\":\"")
        buffer.writeString(found.content.type.rawValue)
        buffer.writeStaticString("\",\"value\":\"")
        buffer.writeBytes(value)
        buffer.writeStaticString("\",\"version\":\"")
        buffer.writeString(found.version)
        if let writtenAt = found.writtenAt {
            buffer.writeStaticString("\",\"written_at\":\"")
            buffer.writeString(writtenAt.description)
            buffer.writeStaticString("\"},\"id\":")
        } else {
            buffer.writeStaticString("\",\"written_at\":null},\"id\":")
        }
        buffer.writeString(String(id))
        buffer.writeInteger(UInt8(ascii: "}"))
        return true
    }
}

/// Text that is the same in JSON.
private enum PlainText {
    static func isPlain(_ byte: UInt8) -> Bool {
        byte >= 0x20 && byte < 0x7f && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
    }

    static func isPlain(_ bytes: [UInt8]) -> Bool { bytes.allSatisfy { isPlain($0) } }

    static func isPlain(_ text: String) -> Bool { text.utf8.allSatisfy { isPlain($0) } }
}
