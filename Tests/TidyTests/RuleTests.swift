// SPDX-License-Identifier: Apache-2.0
// Owns the proofs that each rule can fail, on made-up text, and that it leaves good text alone.

import Testing

@Suite("The rules of the tree")
struct RuleTests {
    private static let manifest = Manifest(
        """
        let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
        module("ClusterTypes"),
        module("SWIMCore", ["ClusterTypes"]),
        module(
            "Transport",
            [
                "SWIMCore", nioCore, .product(name: "TOMLKit", package: "toml-kit"),
            ]),
        program("gossipctl", ["AdminModel"]),
        """)

    private func file(_ module: String, _ text: String) -> SourceFile {
        SourceFile(path: "Sources/\(module)/File.swift", text: text)
    }

    @Test("The manifest's edges are read with the products' own names")
    func manifest() {
        #expect(Self.manifest.edges["ClusterTypes"] == [])
        #expect(Self.manifest.edges["SWIMCore"] == ["ClusterTypes"])
        #expect(Self.manifest.edges["Transport"] == ["SWIMCore", "NIOCore", "TOMLKit"])
    }

    @Test(
        "An import without an edge is found",
        arguments: [
            ("SWIMCore", "import StoreCore"), ("SWIMCore", "import Glibc"), ("SWIMCore", "import Foundation"),
            ("SWIMCore", "package import Logging"), ("SWIMCore", "@preconcurrency import Dispatch"),
            ("SWIMCore", "import struct NIOCore.ByteBuffer"), ("Transport", "import Foundation"),
            ("Transport", "internal import NIOPosix"), ("gossipctl", "import SWIMCore"), ("Unknown", "let a = 1"),
        ])
    func badImports(module: String, text: String) {
        #expect(Rules.imports(file(module, "let before = 1\n" + text), Self.manifest).count == 1)
    }

    @Test("Imports with an edge, in comments and in strings are let be")
    func goodImports() {
        let text =
            "import NIOCore\npackage import SWIMCore\nimport Glibc\n// import Logging\nlet a = \"\"\"\nimport B\n\"\"\"\n"
        #expect(Rules.imports(file("Transport", text), Self.manifest).isEmpty)
    }

    @Test("An edge that no file uses is found")
    func unusedEdge() {
        let used = [file("SWIMCore", "import ClusterTypes"), file("Transport", "import NIOCore\nimport SWIMCore")]
        #expect(
            Rules.unusedEdges(Self.manifest, used)
                == [
                    "Package.swift: Transport does not use TOMLKit", "Package.swift: gossipctl does not use AdminModel",
                ])
        let rest = [file("Transport", "import TOMLKit"), file("gossipctl", "internal import AdminModel")]
        #expect(Rules.unusedEdges(Self.manifest, used + rest).isEmpty)
    }

    @Test(
        "An edge against the design is found",
        arguments: [
            (#"module("SWIMCore", ["ClusterTypes"])"#, #"module("SWIMCore", ["ClusterTypes", "StoreCore"])"#),
            (#"program("gossipctl", ["AdminModel"])"#, #"program("gossipctl", ["AdminModel", "NodeKernel"])"#),
            (#"module("AdminModel")"#, #"module("AdminModel", ["ClusterTypes"])"#),
            (#"module("StoreCore", ["ClusterTypes"])"#, ""),
        ])
    func badEdges(good: String, bad: String) {
        let text = """
            module("ClusterTypes") module("SWIMCore", ["ClusterTypes"]) module("StoreCore", ["ClusterTypes"])
            module("NetworkCoordinates", ["ClusterTypes"]) module("RaftCore", ["ClusterTypes"])
            module("StrictCore", ["RaftCore"]) module("StrictGroup", ["StrictCore"]) module("Linearizability")
            module("NodeKernel", ["SWIMCore"]) module("WireProtocol", ["NodeKernel"]) module("AdminModel")
            module("Persistence", []) module("BackupFormat", []) module("Sealing", []) program("gossipctl", ["AdminModel"])
            """
        #expect(Rules.edges(Manifest(text)).isEmpty)
        let parts = text.split(separator: good, maxSplits: 1, omittingEmptySubsequences: false)
        #expect(parts.count == 2)
        #expect(!Rules.edges(Manifest(parts.joined(separator: bad))).isEmpty)
    }

    @Test(
        "A banned word is found anywhere in the sources",
        arguments: [
            "let a = try! b()", "let a = b as! C", "fatalError(\"no\")", "import Foundation", "// FIX" + "ME later",
            "/// TO" + "DO: more", "let a = \"\\(try! b())\"",
        ])
    func bannedEverywhere(text: String) {
        #expect(Rules.bannedWords(file("gossipd", "\n" + text)).count == 1)
    }

    @Test(
        "A core is caught when it reads a clock, makes its own randomness or writes",
        arguments: [
            "let now = Date()", "let now = Foundation.Date()", "Swift.print(a)", "let a = ContinuousClock.now",
            "deadline = .now() + a", "f(at: .now)",
            "let a = Int.random(in: 0..<3)", "let a = Int.random(in: f(1))", "let a = b.shuffled()",
            "b.shuffle()", "b.randomElement()", "var g = SystemRandomNumberGenerator()", "print(a)",
            "let a = Bool.random()", "Task { a() }",
        ])
    func bannedInCores(text: String) {
        #expect(!Rules.bannedWords(file("StoreCore", text)).isEmpty)
        #expect(!Rules.bannedWords(file("Sealing", text)).isEmpty)
        #expect(Rules.bannedWords(file("gossipd", text)).isEmpty)
    }

    @Test(
        "What only looks like a banned word is let be",
        arguments: [
            "let a = turn.now", "clock.now + wait", "Int.random(in: 0..<3, using: &rng)", "b.shuffled(using: &rng)",
            "// try! to be kind", "let a = \"as! and print(\"", "Update(a)", "blueprint(a)", "let a = #\"try! \"#",
            "import FoundationEssentials", "a.now() // .now",
        ])
    func allowed(text: String) {
        #expect(Rules.bannedWords(file("StoreCore", text)) == [])
    }

    @Test(
        "A file without its two first lines is found",
        arguments: [
            "", "import A\n", "// SPDX-License-Identifier: MIT\n// Owns a thing.\n",
            "// SPDX-License-Identifier: Apache-2.0\nimport A\n", "// SPDX-License-Identifier: Apache-2.0\n// Owns \n",
            "\n// SPDX-License-Identifier: Apache-2.0\n// Owns a thing.\n",
        ])
    func badHeader(text: String) {
        #expect(Rules.header(file("A", text)).count == 1)
        #expect(Rules.header(file("A", "// SPDX-License-Identifier: Apache-2.0\n// Owns a thing.\n")).isEmpty)
    }

    @Test("A long file and a long function are found; a file of 400 lines and a function of 70 are not")
    func lengths() {
        func lines(_ count: Int) -> String { String(repeating: "    a()\n", count: count) }
        #expect(Rules.lengths(file("A", lines(400))).isEmpty)
        #expect(Rules.lengths(file("A", lines(401))).count == 1)
        #expect(Rules.lengths(file("A", "func f() {\n" + lines(68) + "}\n")).isEmpty)
        #expect(Rules.lengths(file("A", "func f() {\n" + lines(69) + "}\n")).count == 1)
        #expect(Rules.lengths(file("A", "init(a: () -> Void = {}) {\n" + lines(80) + "}\n")).count == 1)
        // Brackets in strings and comments do not count, nor does a requirement without a body.
        let text = "func f() {\n let a = \"}\" // }\n" + lines(68) + "}\n"
        #expect(Rules.lengths(file("A", text)).count == 1)
        #expect(
            SwiftText.functions("protocol P {\n func a()\n func b() -> Int\n}\nfunc c() { d() }").map(\.line) == [5])
    }

    @Test("A folder of this machine is found, and folders that every host has are not")
    func machinePaths() {
        func broken(_ text: String, _ root: String) -> Int {
            Rules.machinePaths(file("A", text), root: root).count
        }
        #expect(broken("see /data/src/gossipd/a", "/data/src/gossipd") == 1)
        #expect(broken("see /data/src/other/a", "/data/src/gossipd") == 1)
        #expect(broken("see /data/notes", "/data/gossipd") == 1)
        #expect(broken("see /ho" + "me/ann/a", "/src") == 1)
        #expect(broken("/usr/bin/gossipd, /tmp/a, /var/lib/gossipd", "/usr/src/gossipd") == 0)
        #expect(broken("/usr/bin/gossipd, /tmp/a, /etc/gossipd", "/tmp/gossipd") == 0)
    }

    @Test("A link that leads nowhere is found; addresses, anchors and code are let be")
    func links() {
        let there: Set<String> = ["README.md", "Docs/a.md", "Docs/decisions/0001.md"]
        func broken(_ text: String) -> [String] {
            Rules.links(SourceFile(path: "Docs/page.md", text: text), exists: there.contains)
        }
        #expect(broken("[a](a.md) [b](../README.md#top) [c](decisions/0001.md) [d](#here)").isEmpty)
        #expect(broken("[a](https://example.org/x) [b](mailto:a@example.org)").isEmpty)
        #expect(broken("```\n[a](none.md)\n```").isEmpty)
        #expect(broken("[a](none.md)") == ["Docs/page.md:1: nothing is at none.md"])
        #expect(broken("text\n![a](../a.md) [b](b.md)").count == 2)
    }
}
