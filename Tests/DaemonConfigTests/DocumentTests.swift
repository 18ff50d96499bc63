// SPDX-License-Identifier: Apache-2.0
// Owns the checks that the files people read say what the table of keys says.

import ClusterTypes
import Glibc
import Testing

@testable import DaemonConfig

@Suite("The documents made from the table of keys")
struct DocumentTests {
    /// Set GOSSIPD_REWRITE=1 to write the rendered file instead of comparing.
    @Test("Config/gossipd.toml is what the table renders")
    func exampleIsCurrent() throws {
        let path = repositoryFile("Config/gossipd.toml")
        if getenv("GOSSIPD_REWRITE") != nil { try writeFile(path, ConfigurationDocument.example()) }
        let bytes = try FileText.read(path, sizeMax: TOMLDocument.textSizeMax)
        #expect(String(decoding: bytes, as: UTF8.self) == ConfigurationDocument.example())
    }

    @Test("The example file as it is loads to the defaults")
    func exampleIsDefault() throws {
        let loaded = try DaemonConfiguration.load(file: repositoryFile("Config/gossipd.toml"), hostName: testHostName)
        #expect(loaded == (try parse("")))
    }

    @Test("Every line of the example that can be uncommented holds the default or the documented example")
    func uncommentedExample() throws {
        var lines: [Substring] = []
        var uncommented = 0
        for line in ConfigurationDocument.example().split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("#"), line.dropFirst().first?.isLetter == true {
                lines.append(line.dropFirst())
                uncommented += 1
            } else {
                lines.append(line)
            }
        }
        // One line for each key; that of [tags] stands for the key `tags`.
        #expect(uncommented == KeyTable.all.count)
        let loaded = try parse(lines.joined(separator: "\n"), hostName: "web-1")
        var expected = try parse("", hostName: "web-1")
        expected.tags = ["role": "web"]
        expected.advertise = Address(ipv4: 0xc000_020a, port: 7946)
        expected.admin.group = "gossipd-read"
        #expect(loaded == expected)
    }

    @Test("Every key stands once in the manual's tables, with one row of five cells")
    func markdownIsComplete() {
        let lines = ConfigurationDocument.markdown().split(separator: "\n")
        for key in KeyTable.all {
            // Two tables may have keys of one name.
            let title = key.table.isEmpty ? "### Top level" : "### `[\(key.table)]`"
            let section = lines.drop { $0 != title }.dropFirst().prefix { !$0.hasPrefix("### ") }
            let rows = section.filter { $0.hasPrefix("| `\(key.leaf)` |") }
            #expect(rows.count == 1, "\(key.name)")
            #expect(rows.allSatisfy { $0.count { $0 == "|" } == 6 }, "\(key.name)")
        }
    }

    @Test("A rendered configuration loads to itself", arguments: ["", "[membership]\nprofile = \"wan\"\n"])
    func renderedLoadsAgain(text: String) throws {
        var configuration = try parse(text)
        configuration.tags = ["role": "a \"quoted\" \\ value\n", "zone.a": "é"]
        configuration.join = [.init(host: "db-1", port: 7946), .init(host: "2001:db8::1", port: 1)]
        configuration.admin.group = "wheel"
        #expect(try parse(ConfigurationDocument.render(configuration)) == configuration)
    }

    @Test("Names in the table are unique, documented and grouped under a known table")
    func tableIsSound() {
        #expect(Set(KeyTable.all.map(\.name)).count == KeyTable.all.count)
        let tables = KeyTable.tables.map(\.name)
        for key in KeyTable.all {
            #expect(tables.contains(key.table), "\(key.name)")
            #expect(key.documentation.hasSuffix("."), "\(key.name)")
            #expect(key.table != "membership" || key.source != nil || key.leaf == "profile", "\(key.name)")
        }
    }

    private func writeFile(_ path: String, _ text: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        try #require(write(descriptor, bytes, bytes.count) == bytes.count)
    }
}
