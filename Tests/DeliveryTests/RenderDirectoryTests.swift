// SPDX-License-Identifier: Apache-2.0
// Owns the promise that each description fails alone, and that nobody but root tells root what to do.

import Glibc
import Testing

@testable import Delivery

@Suite("The folder render.d")
struct RenderDirectoryTests {
    private static func text(_ destination: String) -> String {
        "destination = \"/etc/\(destination)\"\nkey = \"app/a\"\n"
    }

    @Test("Good files are read in order of their names, bad ones fail alone, others are let be")
    func alone() throws {
        let folder = try TestFolder()
        try folder.write("b.toml", Self.text("b"))
        try folder.write("a.toml", Self.text("a"))
        try folder.write("bad.toml", "destination = 1\n")
        try folder.write("no name.toml", Self.text("c"))
        for name in ["a.toml.example", "x.conf", ".hidden.toml", "a.toml~"] { try folder.write(name, "nonsense") }
        let listing = RenderDirectory.read(folder.path)
        #expect(listing.specs.map(\.name) == ["a", "b"])
        #expect(listing.problems.map(\.name) == ["bad", "bad", "no name"])
        let places = listing.problems.map(\.sentence)
        #expect(places[0].hasPrefix("\(folder.path("bad.toml")):1: destination: must be a path"))
        #expect(places[2].contains("the file's name before .toml must be letters"))
    }

    @Test("A folder that is not there has no files; one that is no folder is a problem")
    func nothing() throws {
        let folder = try TestFolder()
        #expect(RenderDirectory.read(folder.path("none")) == RenderListing())
        try folder.write("file", "")
        #expect(RenderDirectory.read(folder.path("file")).problems.count == 1)
        #expect(RenderDirectory.read(folder.path("file")).problems.first?.name == "")
    }

    @Test("Two descriptions of one destination are both refused, a third is not")
    func shared() throws {
        let folder = try TestFolder()
        for (name, destination) in [("a", "x"), ("b", "y"), ("c", "x")] {
            try folder.write(name + ".toml", Self.text(destination))
        }
        let listing = RenderDirectory.read(folder.path)
        #expect(listing.specs.map(\.name) == ["b"])
        #expect(listing.problems.map(\.name) == ["a", "c"])
        #expect(listing.problems[0].sentence.hasSuffix("/etc/x is the destination of c.toml too: keep one"))
    }

    @Test("Links, folders, pipes and files that are too large are refused without waiting", .timeLimit(.minutes(1)))
    func notRegular() throws {
        let folder = try TestFolder()
        try folder.write("target", Self.text("a"))
        try #require(symlink(folder.path("target"), folder.path("link.toml")) == 0)
        try #require(mkdir(folder.path("folder.toml"), 0o755) == 0)
        try #require(mkfifo(folder.path("pipe.toml"), 0o644) == 0)
        try folder.write("large.toml", String(repeating: "#", count: (1 << 20) + 1))
        let listing = RenderDirectory.read(folder.path)
        #expect(listing.specs.isEmpty)
        #expect(listing.problems.map(\.name) == ["folder", "large", "link", "pipe"])
        let words = ["is not a regular file", "larger than 1 MiB", "is a link", "is not a regular file"]
        for (problem, word) in zip(listing.problems, words) { #expect(problem.sentence.contains(word)) }
    }

    @Test("Root refuses files that others can write; another user reads them", arguments: [0o664, 0o646] as [mode_t])
    func writableFile(mode: mode_t) throws {
        let folder = try TestFolder()
        try folder.write("a.toml", Self.text("a"), mode: mode)
        #expect(RenderDirectory.read(folder.path, isRoot: false).specs.count == 1)
        let asRoot = RenderDirectory.read(folder.path, isRoot: true)
        #expect(asRoot.specs.isEmpty)
        #expect(asRoot.problems.first?.sentence.contains("could become root") == true)
    }

    @Test("Root refuses a folder that others can write as a whole")
    func writableFolder() throws {
        let folder = try TestFolder()
        try folder.write("a.toml", Self.text("a"))
        try #require(chmod(folder.path, 0o777) == 0)
        let listing = RenderDirectory.read(folder.path, isRoot: true)
        #expect(listing.specs.isEmpty && listing.problems.map(\.name) == [""])
        #expect(listing.problems[0].sentence.contains("could become root"))
    }

    @Test("Root refuses a file of another user", .enabled(if: geteuid() == 0, "needs root to give a file away"))
    func foreignFile() throws {
        let folder = try TestFolder()
        try folder.write("a.toml", Self.text("a"))
        #expect(RenderDirectory.read(folder.path, isRoot: true).specs.count == 1)
        try #require(chown(folder.path("a.toml"), 65_534, 0) == 0)
        let problems = RenderDirectory.read(folder.path, isRoot: true).problems
        #expect(problems.first?.sentence.contains("belongs to the user with number 65534") == true)
    }

    @Test("The 257th file is refused")
    func tooMany() throws {
        let folder = try TestFolder()
        for number in 1000..<1257 { try folder.write("n\(number).toml", Self.text("f\(number)")) }
        let listing = RenderDirectory.read(folder.path)
        #expect(listing.specs.count == 256)
        #expect(listing.problems.map(\.name) == ["n1256"])
    }

    @Test("No destination may be in the folder itself or in the data directory")
    func ownFolders() throws {
        let folder = try TestFolder()
        try folder.write("a.toml", "destination = \"\(folder.path("b.toml"))\"\nkey = \"a\"\n")
        try folder.write("c.toml", "destination = \"/srv/data/node\"\nkey = \"a\"\n")
        let listing = RenderDirectory.read(folder.path, within: DestinationLimits(folders: ["/srv/data"]))
        #expect(listing.specs.isEmpty && listing.problems.count == 2)
    }
}
