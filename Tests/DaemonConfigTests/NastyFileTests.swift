// SPDX-License-Identifier: Apache-2.0
// Owns the tests that no file content ends the process.

import ClusterTypes
import DaemonConfig
import Testing

@Suite("Files that nobody meant to write")
struct NastyFileTests {
    @Test(
        "Deep, long and odd files are answered with an error",
        arguments: [
            "a = " + String(repeating: "[", count: 100_000),
            "a = " + String(repeating: "[", count: 200) + String(repeating: "]", count: 200),
            "a = " + String(repeating: "{ a = ", count: 200) + "1" + String(repeating: " }", count: 200),
            Array(repeating: "a", count: 20_000).joined(separator: ".") + " = 1",
            "[" + Array(repeating: "a", count: 20_000).joined(separator: ".") + "]",
            "name = \"" + String(repeating: "x", count: 900_000) + "\"",
            String(repeating: "x", count: 900_000) + " = 1",
            String(repeating: "#\n", count: 600_000),
            (0..<20_000).map { "k\($0) = 1" }.joined(separator: "\n"),
            "a = inf\nb = nan\nc = -0.0\nd = 1e400",
            "name = '''\n'''",
            "\u{feff}\u{feff}",
            "name = 1\r",
            "\"\\\"",
        ])
    func nasty(text: String) {
        let lines = problems(text)
        #expect(!lines.isEmpty)
    }

    @Test("Random bytes and damaged files are accepted or refused, never fatal", arguments: [UInt64(1), 2, 3, 4])
    func random(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let sample = Array(ConfigurationDocument.render((try? parse("")) ?? .init()).utf8)
        let alphabet = Array("[]{}\"'\\=.,#\n :ab019-_+eTZ".utf8) + [0, 9, 13, 0xc3, 0xa9, 0xff]
        var refused = 0
        for round in 0..<400 {
            var bytes: [UInt8]
            if round % 2 == 0 {
                bytes = (0..<Int.random(in: 0...120, using: &generator)).map { _ in
                    alphabet[Int.random(in: 0..<alphabet.count, using: &generator)]
                }
            } else {
                bytes = sample
                for _ in 0..<Int.random(in: 1...4, using: &generator) {
                    let index = Int.random(in: 0..<bytes.count, using: &generator)
                    bytes[index] = alphabet[Int.random(in: 0..<alphabet.count, using: &generator)]
                }
            }
            do throws(ConfigurationError) {
                _ = try DaemonConfiguration.parse(bytes, file: "f", hostName: testHostName)
            } catch {
                refused += 1
                #expect(!error.problems.isEmpty)
                #expect(error.description.split(separator: "\n").allSatisfy { $0.hasPrefix("f") }, "\(error)")
            }
        }
        #expect(refused > 100)
    }
}
