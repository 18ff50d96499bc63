// SPDX-License-Identifier: Apache-2.0
// Owns the checks that the operator's manual and gossipd.toml(5) say what the table of keys says.

import Glibc
import Testing

@testable import DaemonConfig

@Suite("The manual's lists of keys")
struct ManualTests {
    static let begin = "<!-- keys: begin -->\n"
    static let end = "<!-- keys: end -->"

    /// Set GOSSIPD_REWRITE=1 to write the tables instead of comparing.
    @Test("Docs/operations.md holds the tables that the keys render")
    func page() throws {
        try compare("Docs/operations.md", between: Self.begin, Self.end, "\n" + ConfigurationDocument.markdown() + "\n")
    }

    /// Set GOSSIPD_REWRITE=1 to write the list instead of comparing.
    @Test("gossipd.toml(5) holds the list that the keys render")
    func manualPage() throws {
        try compare(
            "Packaging/man/gossipd.toml.5", between: ".\\\" keys: begin\n", ".\\\" keys: end", Self.manual())
    }

    @Test("The list escapes what roff would take for its own")
    func escapes() {
        #expect(Self.escaped(".de 'a\\b -c") == "\\&.de \\(aqa\\eb \\-c")
        #expect(Self.escaped("'quoted'") == "\\&\\(aqquoted\\(aq")
        #expect(Self.manual().utf8.allSatisfy { $0 == 10 || (32...126).contains($0) })
    }

    /// The keys in man(7) roff: a section for each table, a tagged paragraph for each key.
    private static func manual() -> String {
        var out = ""
        for table in KeyTable.tables {
            out += table.name.isEmpty ? ".SS Top level\n" : ".SS [\(table.name)]\n"
            out += escaped(table.documentation) + "\n"
            for key in KeyTable.all where key.table == table.name && key.name != "tags" {
                out += ".TP\n.B \(escaped(key.leaf))\n\(escaped(key.documentation))\n"
                let range = key.range.isEmpty ? key.type : "\(key.type): \(key.range)"
                var facts = "Type: \(range). Default: \(key.defaultText)."
                if let flag = key.flag { facts += " Flag: \(flag)." }
                facts += key.reload == .atOnce ? " In force on SIGHUP." : ""
                out += ".br\n\(escaped(facts))\n"
            }
            if table.name == "tags", let key = KeyTable.all.first(where: { $0.name == "tags" }) {
                out += ".PP\n\(escaped(key.range)).\n"
            }
        }
        return out
    }

    /// Text that roff prints as it stands.
    private static func escaped(_ text: String) -> String {
        var out = text.first == "." || text.first == "'" ? "\\&" : ""
        for character in text {
            switch character {
            case "\\": out += "\\e"
            case "-": out += "\\-"
            case "'": out += "\\(aq"
            default: out.append(character)
            }
        }
        return out
    }

    /// Compares, or writes, what stands between two lines of a file.
    private func compare(_ name: String, between begin: String, _ end: String, _ expected: String) throws {
        let path = repositoryFile(name)
        let text = try FileText.read(path, sizeMax: TOMLDocument.textSizeMax)
        let head = try #require(Self.offset(of: begin, in: text, from: 0)) + begin.utf8.count
        let tail = try #require(Self.offset(of: end, in: text, from: head))
        if getenv("GOSSIPD_REWRITE") != nil {
            let bytes = Array(text[..<head]) + Array(expected.utf8) + Array(text[tail...])
            let descriptor = open(path, O_WRONLY | O_TRUNC)
            try #require(descriptor >= 0)
            defer { close(descriptor) }
            try #require(write(descriptor, bytes, bytes.count) == bytes.count)
            return
        }
        #expect(String(decoding: text[head..<tail], as: UTF8.self) == expected)
    }

    private static func offset(of needle: String, in text: [UInt8], from start: Int) -> Int? {
        let needle = Array(needle.utf8)
        return text[start...].indices.first { text[$0...].starts(with: needle) }
    }
}
