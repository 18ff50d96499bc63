// SPDX-License-Identifier: Apache-2.0
// Owns the form of scenario files: what tests of several cores play, line by line, with what came of it.

import FoundationEssentials

/// Understands the commands of one kind of scenarios.
package protocol ScenarioPlaying {
    /// - Throws: The line is no command.
    mutating func step(_ line: String) throws
    /// What came of the commands since the last call.
    mutating func takeOutput() -> [String]
}

/// A folder of stories. Each file is a list of steps: commands, a line `----`, what they brought about, an empty line. Lines
/// that begin with `#` are for the reader. `REWRITE_SCENARIOS=1 swift test` writes what really came of each step.
package struct ScenarioFolder: Sendable {
    private let path: String

    /// - Parameter testFile: `#filePath` of the test beside the folder `Scenarios`.
    package init(besideTest testFile: String) {
        path =
            testFile.split(separator: Character("/"), omittingEmptySubsequences: false).dropLast()
            .joined(separator: "/") + "/Scenarios/"
    }

    /// Names without their `.txt`, ascending.
    package func names() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: path).filter { $0.hasSuffix(".txt") }
            .map { String($0.dropLast(4)) }.sorted()
    }

    /// Plays one file to its end.
    /// - Returns: Where what came differs first from what the file says; nil: nowhere.
    package func difference<Player: ScenarioPlaying>(of name: String, with player: inout Player) throws -> String? {
        let file = path + name + ".txt"
        let text = try String(contentsOfFile: file, encoding: .utf8)
        let actual = try Self.play(text, with: &player)
        if ProcessInfo.processInfo.environment["REWRITE_SCENARIOS"] == "1" {
            try actual.joined(separator: "\n").write(toFile: file, atomically: true, encoding: .utf8)
        }
        let expected = Self.lines(of: text)
        for (number, pair) in zip(expected, actual).enumerated() where pair.0 != pair.1 {
            return "\(name).txt:\(number + 1): expected '\(pair.0)', got '\(pair.1)'"
        }
        return expected.count == actual.count ? nil : "\(name).txt has \(expected.count) lines, \(actual.count) came"
    }

    /// The text with the outputs that really came.
    private static func play<Player: ScenarioPlaying>(_ text: String, with player: inout Player) throws -> [String] {
        var result: [String] = []
        var isOutput = false
        for line in lines(of: text) {
            if isOutput {
                // What was expected is replaced by what came, up to the empty line.
                if line.isEmpty {
                    isOutput = false
                    result.append("")
                }
            } else if line == "----" {
                result.append(line)
                result += player.takeOutput()
                isOutput = true
            } else {
                result.append(line)
                if !line.isEmpty, !line.hasPrefix("#") { try player.step(line) }
            }
        }
        return result
    }

    private static func lines(of text: String) -> [String] {
        text.split(separator: Character("\n"), omittingEmptySubsequences: false).map(String.init)
    }
}
