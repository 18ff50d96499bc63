// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the keys that say which keys are strict and who votes on them.

import DaemonConfig
import Testing

@Suite("The keys of [strict]")
struct StrictKeyTests {
    @Test("Without the table no key is strict, three nodes would vote, and this one may")
    func defaults() throws {
        let strict = try parse("").strict
        #expect(strict.prefixes.isEmpty && strict.voters == .count(3) && strict.isEligible)
    }

    @Test("Prefixes, voters as a number or as names, and eligibility are read")
    func values() throws {
        let strict = try parse("[strict]\nprefixes = [\"locks/\", \"app/owner/\"]\nvoters = 5\neligible = false").strict
        #expect(strict.prefixes == ["locks/", "app/owner/"] && strict.voters == .count(5) && !strict.isEligible)
        let names = try parse("strict.voters = [\"a\", \"b\", \"c\"]").strict
        #expect(names.voters == .names(["a", "b", "c"]))
    }

    @Test(
        "What makes no sense is named with its line, its key and the reason",
        arguments: [
            ("prefixes = \"locks/\"", "prefixes: must be an array of key prefixes such as \"locks/\", not a string"),
            (
                "prefixes = [\"\"]",
                "prefixes[0]: must not be empty: not all keys can be strict, name a prefix such as \"locks/\""
            ),
            ("prefixes = [\"locks\"]", "prefixes[0]: must end with a slash, such as \"locks/\""),
            (
                "prefixes = [\"/locks/\"]",
                "prefixes[0]: must have no empty segment, and so no leading or double slash: \"/locks/\""
            ),
            (
                "prefixes = [\"a//b/\"]",
                "prefixes[0]: must have no empty segment, and so no leading or double slash: \"a//b/\""
            ),
            (
                "prefixes = [\".gossipd/\"]",
                "prefixes[0]: keys below \".gossipd/\" belong to gossipd: choose another prefix"
            ),
            (
                "prefixes = [\"a/\", \"a/b/\"]",
                "prefixes[1]: \"a/b/\" lies below \"a/\", which covers it: leave it out"
            ),
            ("prefixes = [\"a/\", \"a/\"]", "prefixes[1]: is there twice: \"a/\""),
            (
                "voters = 4",
                "voters: must be 1, 3, 5 or 7, not 4: an even number of voters bears no more failures than one less"
            ),
            ("voters = 0", "voters: must be 1, 3, 5 or 7, not 0"),
            (
                "voters = 9",
                "voters: must be 1, 3, 5 or 7, not 9: name so many, or add them later with gossipctl strict add"
            ),
            ("voters = \"a\"", "voters: must be 1, 3, 5 or 7, or an array of the nodes' names, not a string"),
            ("voters = []", "voters: must be 1, 3, 5 or 7, or an array of the nodes' names, not an empty list"),
            ("voters = [\"a\", \"b\", \"a\"]", "voters[2]: is there twice: \"a\""),
            ("voters = [\"a b\"]", "voters[0]: must be letters, digits, \".\", \"_\" or \"-\" only, not \"a b\""),
            ("eligible = 1", "eligible: must be true or false, not an integer"),
            ("prefix = []", "prefix: unknown key; did you mean \"strict.prefixes\"?"),
        ])
    func problem(line: String, reason: String) {
        #expect(problems("[strict]\n\(line)") == ["test.toml:2: strict.\(reason)"])
    }

    @Test("A node that is named as a founder and may not vote is a contradiction")
    func contradiction() {
        #expect(
            problems("name = \"a\"\n[strict]\nvoters = [\"a\"]\neligible = false")
                == [
                    "test.toml:4: strict.eligible: is false, but strict.voters names this node, \"a\", as a founder: change one of the two"
                ]
        )
        #expect(problems("name = \"b\"\n[strict]\nvoters = [\"a\"]\neligible = false") == [])
    }

    @Test("A change of them waits for a restart")
    func reload() throws {
        let difference = DaemonConfiguration.reloadDifference(
            from: try parse(""), to: try parse("[strict]\nprefixes = [\"a/\"]\nvoters = [\"x\"]"))
        #expect(difference.atOnce.isEmpty)
        #expect(
            difference.restart.map(\.description)
                == ["strict.prefixes changed from [] to [\"a/\"]", "strict.voters changed from 3 to [\"x\"]"])
    }
}
