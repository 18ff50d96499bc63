// SPDX-License-Identifier: Apache-2.0
// Owns the proofs about keys and key files: what is a key, and that nothing prints one.

import ClusterTypes
import Testing

@testable import Sealing

@Suite("Keys")
struct KeyTests {
    private struct Holder {
        var key: ClusterKey
        var list: [ClusterKey]
        var secret: Secret
    }

    @Test("no text of a key, and of nothing that holds one, shows it")
    func texts() throws {
        let bytes = [UInt8](repeating: 0xab, count: 32)
        let key = try #require(ClusterKey(bytes: bytes))
        var ring = KeyRing()
        try ring.install(key, at: 1)
        let (stream, _) = try #require(
            SealedStream.initiate(under: key, cluster: cluster, version: version, ephemeral: bytes))
        var pair = Pair([key])
        _ = pair.open(pair.seal(packet([1, 2]), key))
        let holder = Holder(key: key, list: [key], secret: Secret(bytes))
        var texts = ["\(key)", String(reflecting: key), "\(holder)", "\(ring)", "\(stream)", "\(pair.opener)"]
        for value in [key, holder, ring, stream, pair.opener] as [Any] {
            var text = ""
            dump(value, to: &text)
            texts.append(text)
            texts.append(String(reflecting: value))
        }
        for text in texts {
            #expect(!text.contains("171, 171"), "\(text)")
            #expect(!text.lowercased().contains("abab"), "\(text)")
            #expect(!text.contains(key.secretText))
            #expect(!text.contains("q6ur"))
        }
        #expect("\(key)" == "key \(key.id)")
        #expect(String(reflecting: holder).contains(key.id.description))
    }

    @Test("a key's text gives the key back, and no other text is a key")
    func text() throws {
        let key = key(7)
        let again = try #require(ClusterKey(text: key.secretText))
        #expect(again.isSame(as: key) && again.id == key.id)
        #expect(!again.isSame(as: Self.other(8)))
        for text in [
            "", "a", String(key.secretText.dropLast()), key.secretText + "=", "!" + key.secretText.dropFirst(),
        ] {
            #expect(ClusterKey(text: text) == nil)
        }
        #expect(ClusterKey(bytes: [UInt8](repeating: 0, count: 31)) == nil)
        #expect(ClusterKey(bytes: [UInt8](repeating: 0, count: 33)) == nil)
    }

    private static func other(_ seed: UInt64) -> ClusterKey { key(seed) }

    @Test("a key file has one key a line, with comments and space around")
    func file() throws {
        let (a, b) = (key(1), key(2))
        let keys = try KeyFile.keys(in: "# today's\n  \(a.secretText) \r\n\n#\(key(3).secretText)\n\t\(b.secretText)")
        #expect(keys.map(\.id) == [a.id, b.id])
    }

    @Test("a bad key file is told with the line, and never with what stands there")
    func badFile() {
        let text = key(1).secretText
        let bad: [(String, KeyFileProblem)] = [
            ("", .empty), ("# none\n\n", .empty), ("none", .notAKey(line: 1)),
            ("\(text)\n\(text.dropLast())", .notAKey(line: 2)),
            ("\(text) \(text)", .notAKey(line: 1)), ("\(text)\n#\n\(text)", .repeated(line: 3, key(1).id)),
            ((1...9).map { key($0).secretText }.joined(separator: "\n"), .tooMany),
        ]
        for (text, problem) in bad {
            let refusal = #expect(throws: KeyFileProblem.self) { try KeyFile.keys(in: text) }
            #expect(refusal == problem)
            if !text.isEmpty { #expect(!problem.description.contains(text.prefix(12))) }
        }
    }
}
