// SPDX-License-Identifier: Apache-2.0
// Owns the scenarios in text: stories of a small group, command by command, with what came of it.

import ClusterTypes
import FoundationEssentials
import RaftCore
import Testing

/// Each file of `Scenarios/` is a list of steps: commands, a line `----`, what they brought about, an empty line. Lines
/// that begin with `#` are for the reader. `REWRITE_SCENARIOS=1 swift test` writes what really came of each step.
@Suite("Raft in scenarios")
struct ScenarioTests {
    static let folder = String(#filePath.dropLast("ScenarioTests.swift".count)) + "Scenarios/"
    static let files = [
        "election", "pre-vote", "check-quorum", "conflict", "figure-8", "read-index", "transfer", "learner",
        "membership", "snapshot", "disk-stall", "refetch", "pause",
    ]

    @Test("a scenario ends as its file says", arguments: files)
    func scenario(file: String) throws {
        let path = Self.folder + file + ".txt"
        let text = try String(contentsOfFile: path, encoding: .utf8)
        let (actual, violations) = try play(text)
        #expect(violations.isEmpty, "\(violations)")
        if ProcessInfo.processInfo.environment["REWRITE_SCENARIOS"] == "1" {
            try actual.write(toFile: path, atomically: true, encoding: .utf8)
        }
        let expected = text.split(separator: Character("\n"), omittingEmptySubsequences: false)
        let got = actual.split(separator: Character("\n"), omittingEmptySubsequences: false)
        for (line, pair) in zip(expected, got).enumerated() where pair.0 != pair.1 {
            Issue.record("\(file).txt:\(line + 1): expected '\(pair.0)', got '\(pair.1)'")
            break
        }
        #expect(expected.count == got.count)
    }

    @Test("every file in the folder is played")
    func noFileForgotten() throws {
        let files = try FileManager.default.contentsOfDirectory(atPath: Self.folder).filter { $0.hasSuffix(".txt") }
        #expect(files.sorted() == Self.files.map { $0 + ".txt" }.sorted())
    }

    /// The scenario with the outputs that really came, and what it violated.
    private func play(_ text: String) throws -> (text: String, violations: [String]) {
        var player = ScenarioPlayer()
        var result: [String] = []
        var isOutput = false
        for line in text.split(separator: Character("\n"), omittingEmptySubsequences: false).map(String.init) {
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
        return (result.joined(separator: "\n"), player.violations)
    }
}
