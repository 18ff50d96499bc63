// SPDX-License-Identifier: Apache-2.0
// Owns the test that every command of every program shows examples that can be typed as they stand.

import FoundationEssentials
import Testing

@Suite struct HelpTests {
    /// What `--experimental-dump-help` prints, as far as it is read here.
    private struct Dump: Decodable {
        var command: Command
    }

    private struct Command: Decodable {
        var commandName: String
        var discussion: String?
        var subcommands: [Command]?
    }

    /// The help is broken at 80 columns, and an example that is broken cannot be copied.
    private static let columns = 80

    private func check(_ words: [String], _ text: String) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard let start = lines.firstIndex(of: "EXAMPLES") else {
            Issue.record("\(words) has no EXAMPLES")
            return
        }
        let examples = lines[(start + 1)...].prefix { !$0.isEmpty }
        #expect(examples.contains { $0.contains(words.joined(separator: " ")) }, "\(words)")
        for line in examples {
            #expect(line.hasPrefix("  ") && line.count <= Self.columns, "\(words): \(line)")
        }
    }

    private func walk(_ words: [String], _ command: Command) -> Int {
        check(words, command.discussion ?? "")
        let inner = (command.subcommands ?? []).filter { $0.commandName != "help" }
        return inner.reduce(1) { $0 + walk(words + [$1.commandName], $1) }
    }

    @Test(arguments: [("gossipd", 2), ("gossipctl", 50), ("gossipsim", 7), ("gossipd-apply", 1)])
    func `every command shows examples that fit into a line`(program: String, commandsMin: Int) async throws {
        let told = try await Outcome.run(["--experimental-dump-help"], program: program)
        try #require(told.status == 0, "\(told.error)")
        let dump = try JSONDecoder().decode(Dump.self, from: Data(told.output.utf8))
        #expect(dump.command.commandName == program)
        #expect(walk([program], dump.command) >= commandsMin)
    }

    @Test func `the program for templates has a help, and an example that works`() async throws {
        let help = try await Outcome.run(["--help"], program: "gossipd-render")
        #expect(help.status == 0)
        check(["gossipd-render"], help.output)
        let example = try #require(help.output.split(separator: "\n").first { $0.hasPrefix("  echo '") })
        let job = try #require(example.split(separator: "'").dropFirst().first)
        let outcome = try await Outcome.run([], input: String(job), program: "gossipd-render")
        #expect(outcome == Outcome(0, #"{"text":"Hello"}"#, ""))
        let wrong = try await Outcome.run(["surplus"], program: "gossipd-render")
        #expect(wrong.status == 64)
        #expect(wrong.error.contains("see gossipd-render --help"))
    }
}
