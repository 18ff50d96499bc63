// SPDX-License-Identifier: Apache-2.0
// Owns the tests of what the daemon says about wrong usage.

import ArgumentParser
import ProgramUsage
import Testing

@testable import gossipd

@Suite("Wrong usage of the daemon")
struct UsageTests {
    private func sentence(_ arguments: [String]) -> String? {
        do {
            _ = try Gossipd.parseAsRoot(arguments)
        } catch {
            return UsageSentence.sentence(for: error, of: Gossipd.self)
        }
        return nil
    }

    @Test(
        "It is one sentence that names the command's help",
        arguments: [
            (["--no-such-flag"], "unknown option '--no-such-flag': see gossipd --help"),
            (["--bind"], "missing value for '--bind <address:port>': see gossipd --help"),
            (["surplus"], "unexpected argument 'surplus': see gossipd --help"),
            (["check-config"], "missing expected argument '<file>': see gossipd check-config --help"),
        ])
    func wrong(arguments: [String], expected: String) {
        #expect(sentence(arguments) == expected)
    }

    @Test("Who asks for help or the version did nothing wrong", arguments: [["--help"], ["--version"]])
    func asked(arguments: [String]) {
        #expect(sentence(arguments) == nil)
    }
}
