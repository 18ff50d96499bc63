// SPDX-License-Identifier: Apache-2.0
// Owns the proofs about reloads that fail and about what a kill leaves: nothing half done stays so.

import Glibc
import Testing

@testable import Delivery

@Suite struct RollbackTests {
    private let scene: ApplyScene

    init() throws { scene = try ApplyScene() }

    @Test func `A failed reload brings the former contents back and reloads again; other files stay`() throws {
        for name in ["a", "new"] { scene.describe(name, unit: "shared.service") }
        scene.describe("other", unit: "other.service")
        scene.describe("quiet")
        _ = scene.apply([("a", "former"), ("other", "former"), ("quiet", "former")])
        let before = scene.reloads.count
        try scene.folder.write("broken", "poison\n")
        let answer = scene.apply([("a", "poison"), ("new", "fresh"), ("quiet", "latter")])
        #expect(answer.files.map(\.outcome) == [.rolledBack, .rolledBack, .applied])
        #expect(
            answer.files[0].reason
                == "the reload of unit shared.service failed, so the former content is back: it ended with status 5:"
                + " it does not like it")
        #expect(answer.files[0].version == ContentVersion.of(Array("former".utf8)))
        #expect(answer.files[1].version == nil)
        #expect(scene.folder.text("etc/a") == "former")
        #expect(scene.folder.text("etc/quiet") == "latter")
        #expect(try scene.folder.names("etc") == ["a", "other", "quiet"])
        #expect(answer.reloads.map { $0.failure == nil } == [false, true])
        #expect(answer.reloads.map(\.isWithFormer) == [false, true])
        #expect(scene.reloads.count == before + 2)
        #expect(try scene.folder.names("state") == [])
    }

    @Test func `When the reload fails with the former content too, both reasons are told`() throws {
        scene.describe("a", unit: "a.service")
        _ = try scene.apply("a", "also poison")
        try scene.folder.write("broken", "poison\n")
        let file = try scene.apply("a", "poison too")
        #expect(file.outcome == .rolledBack)
        #expect(file.reason?.contains("; with the former content the reload failed as well: ") == true)
        #expect(scene.folder.text("etc/a") == "also poison")
    }

    @Test func `A reload that hangs is ended at its limit and rolled back`() throws {
        scene.describe("a") {
            $0.reload = .command(["sleep", "60"])
            $0.reloadTimeout = .milliseconds(200)
        }
        let file = try scene.apply("a", "x")
        #expect(file.outcome == .rolledBack)
        let words = "the reload of sleep 60 failed, so the former content is back: sleep took longer than 200 ms"
        #expect(file.reason?.hasPrefix(words + " and was ended") == true)
        #expect(try scene.folder.names("etc") == [])
    }

    /// The state after a kill between the renames and the reload, made with the parts themselves.
    private func interrupt(_ contents: [(name: String, former: String?, latter: String, isPlaced: Bool)]) throws {
        var pending = PendingReloads()
        pending.reloads = [PendingReloads.Reload(.unit("shared.service"), timeout: .seconds(20))]
        for item in contents {
            let destination = scene.describe(item.name, unit: "shared.service")
            if let former = item.former { try scene.folder.write("etc/\(item.name)", former) }
            let file = try DestinationFile(destination)
            let rights = try FileRights(RenderSpec(name: item.name, source: .template(""), destination: destination))
            let staged = try file.stage(Array(item.latter.utf8), rights)
            pending.files.append(
                PendingReloads.File(
                    name: item.name, destination: destination, temporary: staged.temporary,
                    version: ContentVersion.of(Array(item.latter.utf8)),
                    former: item.former.map { ContentVersion.of(Array($0.utf8)) }, reload: 0))
            guard item.isPlaced else { continue }
            let code =
                item.former == nil
                ? file.folder.rename(staged.temporary, to: item.name)
                : file.folder.exchange(staged.temporary, with: item.name)
            try #require(code == 0)
        }
        try scene.applier.state.write(pending)
    }

    @Test func `A batch that was interrupted before its reload is reloaded at the next start, once`() throws {
        try interrupt([("a", "former", "latter", true), ("b", nil, "fresh", true), ("c", "former", "latter", false)])
        let answer = scene.applier.resume()
        #expect(scene.reloads == ["reload-or-restart shared.service"])
        #expect(answer.reloads == [ApplyAnswer.Reload(target: "unit shared.service", files: ["a", "b"])])
        #expect(answer.files.map(\.name) == ["a", "b"])
        #expect(scene.folder.text("etc/a") == "latter")
        #expect(scene.folder.text("etc/b") == "fresh")
        #expect(scene.folder.text("etc/c") == "former")
        #expect(try scene.folder.names("etc") == ["a", "b", "c"])
        #expect(try scene.folder.names("state") == [])
        _ = scene.applier.resume()
        #expect(scene.reloads.count == 1)
    }

    @Test func `A request makes an interrupted batch good before it looks at its own files`() throws {
        try interrupt([("a", "former", "latter", true)])
        let answer = scene.apply([("a", "latter")])
        #expect(answer.files.map(\.outcome) == [.unchanged])
        #expect(answer.reloads.map(\.target) == ["unit shared.service"])
        #expect(scene.reloads.count == 1)
    }

    @Test func `A reload that fails after the restart still brings the former contents back`() throws {
        try interrupt([("a", "former", "poison", true), ("b", nil, "fresh", true), ("c", "former", "latter", false)])
        try scene.folder.write("broken", "poison\n")
        let answer = scene.applier.resume()
        #expect(answer.files.map(\.outcome) == [.rolledBack, .rolledBack])
        #expect(scene.folder.text("etc/a") == "former")
        #expect(scene.folder.text("etc/c") == "former")
        #expect(try scene.folder.names("etc") == ["a", "c"])
    }

    @Test func `A file that somebody changed after the kill is not put back`() throws {
        try interrupt([("a", "former", "poison", true), ("b", "former", "poison", true)])
        try scene.folder.write("etc/a", "by hand")
        try scene.folder.write("broken", "poison\n")
        _ = scene.applier.resume()
        #expect(scene.folder.text("etc/a") == "by hand")
        #expect(scene.folder.text("etc/b") == "former")
    }

    @Test func `A note in a folder that others can write is not followed, and nothing new is noted there`() throws {
        try interrupt([("a", "former", "latter", true)])
        try #require(chmod(scene.folder.path("state"), 0o777) == 0)
        let answer = scene.applier.resume()
        #expect(answer.reloads.first?.failure?.contains("can be written by others") == true)
        #expect(scene.reloads.isEmpty && scene.folder.exists("state/pending.json"))
        #expect(try scene.folder.names("etc").count == 2, "the former content stays beside it")
        #expect(try scene.apply("a", "third").outcome == .failed)
        #expect(scene.folder.text("etc/a") == "latter")
        try #require(chmod(scene.folder.path("state"), 0o700) == 0)
        if geteuid() == 0 {
            try #require(chown(scene.folder.path("state"), 65_534, 65_534) == 0)
            #expect(try scene.apply("a", "third").outcome == .failed)
            try #require(chown(scene.folder.path("state"), 0, 0) == 0)
        }
        #expect(try scene.apply("a", "third").outcome == .applied)
        #expect(scene.reloads.count == 2)
    }

    @Test func `Leftovers beside the destinations go at the start, and nothing else does`() throws {
        scene.describe("a")
        for name in [
            ".a.gossipd-abc123", ".a.gossipd-abc123~", ".a.gossipd-longer12", ".b.gossipd-abc123", "a.gossipd-abc123",
        ] {
            try scene.folder.write("etc/\(name)", "half a fi")
        }
        mkdir(scene.folder.path("state"), 0o700)
        try scene.folder.write("state/.pending.json.gossipd-abc123", "{\"fil")
        _ = scene.applier.resume()
        #expect(try scene.folder.names("etc") == [".a.gossipd-longer12", ".b.gossipd-abc123", "a.gossipd-abc123"])
        #expect(try scene.folder.names("state") == [])
    }

    @Test(arguments: [
        "", "{\"files\":[",
        "{\"files\":[{\"name\":\"a\",\"destination\":\"/etc/a\",\"temporary\":\"t\",\"version\":\"v\",\"reload\":3}],\"reloads\":[]}",
    ])
    func `A note that makes no sense is put aside and told`(text: String) throws {
        mkdir(scene.folder.path("state"), 0o700)
        try scene.folder.write("state/pending.json", text)
        scene.describe("a", unit: "a.service")
        let answer = scene.apply([("a", "x")])
        #expect(answer.files.map(\.outcome) == [.applied])
        #expect(answer.reloads.first?.failure?.contains("pending.json.bad") == true)
        #expect(try scene.folder.names("state") == ["pending.json.bad"])
    }

    @Test func `Requests of many tasks are done one after the other`() async throws {
        scene.describe("a", unit: "a.service")
        let applier = LocalApplier(scene.applier)
        let outcomes = try await withThrowingTaskGroup(of: ApplyAnswer.Outcome?.self) { group in
            for number in 0..<20 {
                group.addTask {
                    try await applier.perform(ApplyScene.request(.apply, [("a", "text \(number)")])).files.first?
                        .outcome
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(outcomes == Array(repeating: .applied, count: 20))
        #expect(scene.reloads.count == 20)
        #expect(try scene.folder.names("etc") == ["a"])
    }
}
