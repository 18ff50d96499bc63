// SPDX-License-Identifier: Apache-2.0
// Owns the tests of lines out of pieces, and of the quick way of reading the most common one.

import AdminModel
import ClusterTypes
import NIOCore
import Testing

@testable import AdminServer

@Suite struct KeyCallLinesTests {
    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `the pieces do not matter, only the line feeds`(seed: UInt64) throws {
        var rng = SeededGenerator(seed: seed)
        let bytes = (0..<Int.random(in: 0...400, using: &rng)).map { _ in
            Bool.random(using: &rng) && Bool.random(using: &rng)
                ? UInt8(ascii: "\n") : UInt8.random(in: 32...126, using: &rng)
        }
        var expected = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map(Array.init)
        if expected.last?.isEmpty == true { expected.removeLast() }
        for _ in 0..<20 {
            var lines = KeyCallLines()
            var found: [[UInt8]] = []
            var rest = bytes[...]
            while !rest.isEmpty {
                let piece = rest.prefix(Int.random(in: 1...60, using: &rng))
                rest = rest.dropFirst(piece.count)
                lines.append(Array(piece))
                // A reader that has no room leaves lines for later.
                while Int.random(in: 0..<8, using: &rng) > 0, let line = try lines.next() { found.append(Array(line)) }
            }
            lines.finish()
            while let line = try lines.next() { found.append(Array(line)) }
            #expect(found == expected && lines.count == expected.count)
            #expect(try lines.next() == nil)
        }
    }

    @Test func `a line of the bound is taken, one byte more is not, with or without its end`() throws {
        let longest = [UInt8](repeating: 0x20, count: KeyCallStream.lineBytesMax)
        var lines = KeyCallLines()
        lines.append(longest)
        #expect(try lines.next() == nil)
        lines.append([10])
        #expect(try lines.next()?.count == longest.count)
        for last in [[0x20], [0x20, 10]] as [[UInt8]] {
            var lines = KeyCallLines()
            lines.append([10])
            lines.append(longest)
            lines.append(last)
            #expect(try lines.next()?.isEmpty == true)
            let failure = #expect(throws: AdminFailure.self) { try lines.next() }
            #expect(failure?.code == .tooLarge)
        }
    }

    private static func slow(_ line: String) -> KeyCall? {
        try? AdminJSON.decodeRequest(KeyCallRequest.self, from: line.utf8).meaning(timeout: .seconds(5))
    }

    private static func quick(_ line: String) -> KeyCall? {
        PlainCallLine.read(Array(line.utf8)[...], timeout: .seconds(5))
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `the quick way reads what JSON reads, or leaves it alone`(seed: UInt64) {
        var rng = SeededGenerator(seed: seed)
        let pieces = [
            "a", "/", "0", " ", "\\", "\\\"", "\\u00e9", "é", "\u{7f}", "\"", "}", "{", ",", ":", "\u{1}", "x", "y",
        ]
        func text() -> String {
            (0..<Int.random(in: 0...8, using: &rng)).map { _ in
                Int.random(in: 0..<4, using: &rng) > 0 ? "k" : pieces.randomElement(using: &rng) ?? ""
            }.joined()
        }
        var taken = 0
        for _ in 0..<500 {
            let ids = [
                "0", "1", "00", "01", "-1", "1.0", "1e2", "", "999999999999999999", "18446744073709551615", "7 ",
            ]
            let id = ids.randomElement(using: &rng) ?? ""
            var line = #"{"id":\#(id),"put":"\#(text())","value":"\#(text())"}"#
            if Bool.random(using: &rng) { line = #"{"id":\#(id),"get":"\#(text())"}"# }
            if Int.random(in: 0..<4, using: &rng) == 0 {
                let place = line.unicodeScalars.indices.randomElement(using: &rng) ?? line.startIndex
                switch Int.random(in: 0..<3, using: &rng) {
                case 0: line.unicodeScalars.remove(at: place)
                case 1: line.unicodeScalars.insert(Bool.random(using: &rng) ? " " : "\"", at: place)
                default: line = String(line[..<place])
                }
            }
            guard let quick = Self.quick(line) else { continue }
            taken += 1
            #expect(quick == Self.slow(line), "\(line)")
        }
        #expect(taken > 20)
    }

    @Test func `the quick way takes what programs in a hurry write`() throws {
        for id in ["0", "7", "999999999999999999"] {
            let line = #"{"id":\#(id),"put":"app/key","value":"a value: {1, 2}"}"#
            #expect(Self.quick(line) != nil && Self.quick(line) == Self.slow(line))
            let get = #"{"id":\#(id),"get":"app/key"}"#
            #expect(Self.quick(get) != nil && Self.quick(get) == Self.slow(get))
        }
        let most = String(repeating: "v", count: AdminLimits.valueBytesMax)
        #expect(Self.quick(#"{"id":1,"put":"a","value":"\#(most)"}"#) != nil)
        #expect(Self.quick(#"{"id":1,"put":"a","value":"\#(most)v"}"#) == nil)
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `what is written the quick way is what JSON writes, or it is left alone`(seed: UInt64) throws {
        var rng = SeededGenerator(seed: seed)
        let pieces = ["a", "/", "0", " ", "\\", "\"", "é", "\u{7f}", "}", "{", "\u{1}", "x", "~"]
        func text() -> String {
            (0..<Int.random(in: 1...8, using: &rng)).map { _ in
                Int.random(in: 0..<9, using: &rng) > 0 ? "k" : pieces.randomElement(using: &rng) ?? ""
            }.joined()
        }
        func time() -> Timestamp? {
            Bool.random(using: &rng)
                ? nil : Timestamp(milliseconds: Int64.random(in: 0...4_000_000_000_000, using: &rng))
        }
        var written = 0
        for _ in 0..<500 {
            var value = Array(text().utf8)
            if Int.random(in: 0..<20, using: &rng) == 0 { value.append(0xff) }
            let contents: [KeyContent] = [
                .register(value), .register(value), .register([]), .set([value]), .counter(7),
            ]
            guard let key = try? ConfigurationKey(text()), let content = contents.randomElement(using: &rng) else {
                continue
            }
            var document = KeyDocument(
                key: key, content: content, keyClass: Bool.random(using: &rng) ? .strict : .eventual,
                version: String(UInt64.random(in: 0 ... .max, using: &rng)), writtenAt: time(),
                author: MemberIdentity(id: text(), name: text()))
            switch Int.random(in: 0..<12, using: &rng) {
            case 0: document.lease = text()
            case 1: document.expiresAt = time()
            case 2: document.stalenessMilliseconds = 3
            case 3: document.author.address = text()
            default: break
            }
            let id = UInt64.random(in: 0 ... .max, using: &rng)
            var buffer = ByteBuffer()
            guard PlainFoundLine.write(id: id, document, into: &buffer) else {
                #expect(buffer.readableBytes == 0)
                continue
            }
            written += 1
            let wanted = try AdminJSON.encode(KeyCallAnswer(id: id, .found(document)))
            #expect(String(buffer: buffer) == String(decoding: wanted, as: UTF8.self))
        }
        #expect(written > 50)
    }
}
