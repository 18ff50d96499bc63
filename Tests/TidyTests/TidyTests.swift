// SPDX-License-Identifier: Apache-2.0
// Owns the tests that hold the rules on the whole tree.

import Testing

@Suite("The tree is tidy")
struct TidyTests {
    private func expectNone(_ broken: [String], location: SourceLocation = #_sourceLocation) {
        #expect(broken.isEmpty, "\(broken.joined(separator: "\n"))", sourceLocation: location)
    }

    @Test("The files are found: a rule over nothing would hold always")
    func found() {
        #expect(SourceTree.sources.count > 100)
        #expect(SourceTree.tests.count > 20)
        #expect(SourceTree.sources.contains { $0.module == "SWIMCore" })
        #expect(Manifest(SourceTree.manifest.text).edges.count > 10)
    }

    @Test("Every import is an edge of Package.swift, and the cores import nothing else")
    func imports() {
        let manifest = Manifest(SourceTree.manifest.text)
        expectNone(SourceTree.sources.flatMap { Rules.imports($0, manifest) })
    }

    @Test("Package.swift states no edge that the design rules out")
    func edges() { expectNone(Rules.edges(Manifest(SourceTree.manifest.text))) }

    @Test("Nothing is forced, left undone, or done by a core that must not")
    func bannedWords() { expectNone(SourceTree.sources.flatMap(Rules.bannedWords)) }

    @Test("Every file begins with the licence and what it owns")
    func headers() { expectNone((SourceTree.sources + SourceTree.tests).flatMap(Rules.header)) }

    @Test("No source file has more than 400 lines and no function more than 70")
    func lengths() { expectNone((SourceTree.sources + SourceTree.tests).flatMap(Rules.lengths)) }

    @Test("No file names a folder of the machine it was written on")
    func machinePaths() { expectNone(SourceTree.all.flatMap { Rules.machinePaths($0, root: SourceTree.root) }) }

    @Test("Every relative link of the documents leads somewhere")
    func links() {
        let documents = SourceTree.all.filter { $0.path.hasSuffix(".md") }
        #expect(!documents.isEmpty)
        expectNone(documents.flatMap { Rules.links($0, exists: SourceTree.exists) })
    }
}
