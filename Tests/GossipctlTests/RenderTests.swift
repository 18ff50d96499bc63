// SPDX-License-Identifier: Apache-2.0
// Owns the tests of what `gossipctl render` shows: unified differences, tables.

import AdminModel
import Testing

@testable import gossipctl

@Suite("gossipctl render")
struct RenderTests {
    private static let plain = Terminal(width: nil, colours: false)

    private static func diff(_ old: String?, _ new: String) -> [String]? {
        UnifiedDiff.render(old: old.map { Array($0.utf8) }, new: Array(new.utf8), path: "/etc/a")
    }

    @Test("A reload with the former contents after a failed one is told as that")
    func reloads() {
        let document = RenderApplyDocument(
            files: [RenderFileStatus(name: "a", destination: "/etc/a", state: .rolledBack)], changed: [],
            reloads: [
                .init(target: "unit x.service", files: ["a", "b"], error: "no"),
                .init(target: "unit x.service", files: ["a", "b"], isWithFormer: true),
            ])
        let lines = RenderApplyCommand.render(document, Self.plain).split(separator: "\n").suffix(2)
        #expect(
            lines == [
                "could not reload unit x.service for 2 files",
                "reloaded unit x.service with the former content of 2 files",
            ])
    }

    @Test("A difference is what diff -u prints")
    func unified() {
        let old = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n"
        let new = "1\n2\n3\n4\nfive\n6\n7\n8\n9\n10\n11\n12\n13\n"
        #expect(
            Self.diff(old, new) == [
                "--- /etc/a", "+++ /etc/a", "@@ -2,7 +2,7 @@", " 2", " 3", " 4", "-5", "+five", " 6", " 7", " 8",
                "@@ -10,3 +10,4 @@", " 10", " 11", " 12", "+13",
            ])
    }

    @Test("Changes that are far apart are hunks of their own")
    func hunks() {
        let old = (1...20).map { "\($0)\n" }.joined()
        let lines = Self.diff(old, "0\n" + old + "21\n") ?? []
        #expect(lines.filter { $0.hasPrefix("@@") } == ["@@ -1,3 +1,4 @@", "@@ -18,3 +19,4 @@"])
    }

    @Test("A new file, an emptied one and a missing line feed are said as patch reads them")
    func ends() {
        #expect(Self.diff(nil, "a\n") == ["--- /dev/null", "+++ /etc/a", "@@ -0,0 +1 @@", "+a"])
        #expect(Self.diff("a\n", "") == ["--- /etc/a", "+++ /etc/a", "@@ -1 +0,0 @@", "-a"])
        #expect(
            Self.diff("a\n", "a") == [
                "--- /etc/a", "+++ /etc/a", "@@ -1 +1 @@", "-a", "+a", "\\ No newline at end of file",
            ])
        #expect(Self.diff("a\n", "a\n") == nil)
    }

    @Test("Bytes that are no text are told, not shown")
    func binary() {
        let lines = UnifiedDiff.render(old: [0, 1], new: [0xff, 0], path: "/etc/a")
        #expect(lines?.last == "Contents are not text: 2 bytes before, 2 bytes after")
    }

    @Test("Two long files that have nothing in common are compared in a bounded time")
    func bounded() {
        let old = (0..<50_000).map { "old \($0)\n" }.joined()
        let new = (0..<50_000).map { "new \($0)\n" }.joined()
        let lines = Self.diff(old, new)
        #expect(lines?.count == 100_003)
        // A common beginning and end do not count.
        let changed = old + "x\n" + old
        #expect(Self.diff(old + old, changed)?.count == 10)
    }

    @Test("A plan names what changes and what would not be put in place")
    func plan() {
        var changed = RenderPlanDocument.File(name: "a", destination: "/etc/a", change: .changed)
        (changed.old, changed.new) = (Array("x\n".utf8), Array("y\n".utf8))
        let failed = RenderPlanDocument.File(name: "b", change: .failed, error: "key \"k\" is missing")
        let same = RenderPlanDocument.File(name: "c", change: .unchanged)
        #expect(
            RenderPlanCommand.render(RenderPlanDocument(files: [changed, failed, same]), Self.plain) == """
                # a
                --- /etc/a
                +++ /etc/a
                @@ -1 +1 @@
                -x
                +y
                # b would not be put in place: key "k" is missing
                # 1 of 3 files would change, 1 would not be put in place

                """)
    }

    @Test("A plan says what is known of a file that would change")
    func planKnows() {
        var refused = RenderPlanDocument.File(
            name: "a", destination: "/etc/a", change: .changed, error: "at the last try it was refused: no")
        (refused.old, refused.new) = (Array("x\n".utf8), Array("y\n".utf8))
        var rights = RenderPlanDocument.File(
            name: "b", destination: "/etc/b", change: .changed, error: "its mode is 0600, not 0644")
        (rights.old, rights.new) = (Array("x\n".utf8), Array("x\n".utf8))
        #expect(
            RenderPlanCommand.render(RenderPlanDocument(files: [refused, rights]), Self.plain) == """
                # a: at the last try it was refused: no
                --- /etc/a
                +++ /etc/a
                @@ -1 +1 @@
                -x
                +y
                # b: its mode is 0600, not 0644
                # 2 of 2 files would change

                """)
    }

    @Test("The status of named files is of those alone, and an unknown name is told")
    func chosen() throws {
        let document = RenderStatusDocument(
            directory: "/etc/gossipd/render.d",
            files: [Self.file("a", .ok, "1", at: 1), Self.file("b", .ok, "2", at: 1)])
        #expect(try RenderStatusCommand.choose(["b"], of: document).files.map(\.name) == ["b"])
        #expect(try RenderStatusCommand.choose([], of: document) == document)
        #expect(throws: AdminFailure.self) { try RenderStatusCommand.choose(["c"], of: document) }
        let report = RenderReport(files: document.files)
        let members = (1...2).map { number in
            MemberDocument(
                id: "id\(number)", name: "n\(number)", address: "10.0.0.1:1", state: .alive, incarnation: 1,
                since: Timestamp(milliseconds: 0))
        }
        let fleet = RenderFleetDocument(members: members, reports: ["id1": (report, Timestamp(milliseconds: 0))])
        let some = try RenderStatusCommand.choose(["a"], of: fleet)
        #expect(some.hosts.map(\.member.name) == ["n1"] && some.hosts[0].files.map(\.status.name) == ["a"])
        #expect(throws: AdminFailure.self) { try RenderStatusCommand.choose(["c"], of: fleet) }
    }

    @Test("On a terminal a value cannot steer it; into a file goes what patch reads")
    func steering() {
        var changed = RenderPlanDocument.File(name: "a", destination: "/etc/a", change: .created)
        changed.new = Array("\tx\u{1b}[2J\n".utf8)
        let document = RenderPlanDocument(files: [changed])
        #expect(RenderPlanCommand.render(document, Self.plain).contains("+\tx\u{1b}[2J\n"))
        let shown = RenderPlanCommand.render(document, Terminal(width: 80, colours: false))
        #expect(shown.contains("+        x\\u{1b}[2J\n"))
    }

    private static func file(
        _ name: String, _ state: RenderFileStatus.State, _ version: String?, at seconds: Int64?
    ) -> RenderFileStatus {
        var status = RenderFileStatus(name: name, destination: "/etc/\(name)", state: state)
        status.version = version
        status.appliedAt = seconds.map { Timestamp(milliseconds: $0 * 1_000) }
        return status
    }

    @Test("The status shows version, age, next try and the last error")
    func status() {
        var bad = Self.file("b", .rolledBack, "2222222222222222", at: nil)
        bad.error = "the reload failed"
        bad.errorSince = Timestamp(milliseconds: 940_000)
        bad.nextTryAt = Timestamp(milliseconds: 1_300_000)
        let document = RenderStatusDocument(
            directory: "/etc/gossipd/render.d", files: [Self.file("a", .ok, "1111111111111111", at: 955), bad])
        #expect(
            RenderStatusCommand.render(document, now: Timestamp(milliseconds: 1_000_000), Self.plain) == """
                FILE  STATE        VERSION       AGE  NEXT TRY  DESTINATION
                a     ok           111111111111  45s  -         /etc/a
                b     rolled back  222222222222  -    in 5m 0s  /etc/b
                b: the reload failed (for 1m 0s)

                """)
    }

    @Test("In the fleet, who has an older version than most is marked; a newer one or one of few is not")
    func fleet() {
        func member(_ number: Int, _ state: MemberState = .alive) -> MemberDocument {
            MemberDocument(
                id: "id\(number)", name: "n\(number)", address: "10.0.0.\(number):1", state: state, incarnation: 1,
                since: Timestamp(milliseconds: 0))
        }
        func report(_ version: String, at seconds: Int64) -> (RenderReport, Timestamp) {
            (
                RenderReport(files: [Self.file("a", .ok, version, at: seconds)]),
                Timestamp(milliseconds: seconds * 1_000)
            )
        }
        let document = RenderFleetDocument(
            members: [member(5), member(4, .failed), member(3), member(2), member(1), member(6, .left)],
            reports: [
                "id1": report("new", at: 900), "id2": report("new", at: 910), "id3": report("new", at: 905),
                "id4": report("old", at: 100), "stranger": report("odd", at: 1),
            ])
        #expect(document.hosts.map(\.member.name) == ["n1", "n2", "n3", "n4", "n5", "n6"])
        #expect(document.hosts.map { $0.files.map(\.isBehind) } == [[false], [false], [false], [true], [], []])
        #expect(
            RenderStatusCommand.render(document, now: Timestamp(milliseconds: 1_000_000), Self.plain) == """
                NODE         FILE  STATE       VERSION  AGE     LAST ERROR
                n1           a     ok          new      1m 40s  -
                n2           a     ok          new      1m 30s  -
                n3           a     ok          new      1m 35s  -
                n4 (failed)  a     ok, BEHIND  old      15m 0s  -
                n5           -     -           -        -       -
                older than most: n4

                """)
        let gone = RenderFleetDocument(
            members: [member(1), member(6, .left)],
            reports: ["id1": report("new", at: 900), "id6": report("new", at: 900)])
        let shown = RenderStatusCommand.render(gone, now: Timestamp(milliseconds: 1_000_000), Self.plain)
        #expect(shown.contains("\nn6 (left)  a "), "\(shown)")
        let rolling = RenderFleetDocument(
            members: [member(1), member(2), member(3)],
            reports: [
                "id1": report("old", at: 100), "id2": report("old", at: 110), "id3": report("new", at: 900),
            ])
        #expect(rolling.hosts.allSatisfy { $0.files.allSatisfy { !$0.isBehind } })
    }
}
