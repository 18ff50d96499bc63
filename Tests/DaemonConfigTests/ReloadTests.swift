// SPDX-License-Identifier: Apache-2.0
// Owns the tests of what a reload changes.

import ClusterTypes
import Testing

@testable import DaemonConfig

@Suite("Reloading")
struct ReloadTests {
    @Test("Level, tags and seeds take effect at once; the rest waits and is named with both values")
    func difference() throws {
        let old = try parse("")
        let new = try parse(
            "join = [\"a:1\"]\nname = \"other\"\nlog.level = \"debug\"\nlog.format = \"json\"\ntags = { a = \"b\" }")
        let difference = DaemonConfiguration.reloadDifference(from: old, to: new)
        #expect(
            difference.atOnce.map(\.description) == [
                "join changed from [] to [\"a:1\"]", "tags changed from {} to { a = \"b\" }",
                "log.level changed from \"info\" to \"debug\"",
            ])
        #expect(
            difference.restart.map(\.description) == [
                "name changed from \"test-host\" to \"other\"", "log.format changed from \"auto\" to \"json\"",
            ])
        let adopted = old.adopting(reloadable: new)
        #expect(adopted.tags == new.tags)
        #expect(adopted.join == new.join)
        #expect(adopted.log.level == .debug)
        #expect(adopted.log.format == .auto)
        #expect(adopted.name == old.name)
        #expect(DaemonConfiguration.reloadDifference(from: adopted, to: new).atOnce.isEmpty)
    }

    @Test("Nothing differs between equal configurations")
    func same() throws {
        let configuration = try parse("")
        #expect(DaemonConfiguration.reloadDifference(from: configuration, to: configuration).isEmpty)
    }

    @Test("A profile change names every default that moves with it")
    func profile() throws {
        let difference = DaemonConfiguration.reloadDifference(
            from: try parse(""), to: try parse("membership.profile = \"wan\""))
        #expect(
            difference.restart.map(\.key) == [
                "membership.profile", "membership.probe_interval", "membership.probe_timeout",
                "membership.suspicion_multiplier", "membership.unreachable_suspicion_min", "membership.gossip_interval",
            ])
    }

    @Test("Only seeds, keys, tags and level are marked as reloadable")
    func table() {
        #expect(
            KeyTable.all.filter { $0.reload == .atOnce }.map(\.name) == [
                "join", "key_file", "insecure", "tags", "log.level",
            ])
    }

    @Test(
        "The edit distance counts insertions, deletions, substitutions and swaps",
        arguments: [("", "", 0), ("abc", "", 3), ("abc", "abd", 1), ("nmae", "name", 1), ("kitten", "sitting", 3)])
    func distance(a: String, b: String, expected: Int) {
        #expect(KeySuggestion.editDistance(Array(a.utf8), Array(b.utf8)) == expected)
        #expect(KeySuggestion.editDistance(Array(b.utf8), Array(a.utf8)) == expected)
    }
}
