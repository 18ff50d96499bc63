// SPDX-License-Identifier: Apache-2.0
// Owns the proofs about putting files in place: what is refused, and that what was there stays then.

import Glibc
import Synchronization
import Testing

@testable import Delivery

@Suite struct ApplierTests {
    private let scene: ApplyScene

    init() throws { scene = try ApplyScene() }

    private func status(_ name: String) throws -> stat {
        var status = stat()
        try #require(lstat(scene.folder.path("etc/\(name)"), &status) == 0)
        return status
    }

    @Test func `A new file is put in place with its mode and its reload runs once`() throws {
        scene.describe("a.conf", unit: "a.service") { $0.mode = 0o640 }
        let answer = scene.apply([("a.conf", "one\n")])
        #expect(
            answer.files == [
                ApplyAnswer.File(name: "a.conf", outcome: .applied, version: ContentVersion.of(Array("one\n".utf8)))
            ])
        #expect(answer.reloads == [ApplyAnswer.Reload(target: "unit a.service", files: ["a.conf"])])
        #expect(scene.folder.text("etc/a.conf") == "one\n")
        #expect(try status("a.conf").st_mode & 0o7777 == 0o640)
        #expect(scene.reloads == ["reload-or-restart a.service"])
        #expect(try scene.folder.names("etc") == ["a.conf"])
        #expect(try scene.folder.names("state") == [])
    }

    @Test func `What is there already is left alone and nobody is told`() throws {
        scene.describe("a.conf", unit: "a.service")
        _ = try scene.apply("a.conf", "one\n")
        let before = try status("a.conf").st_ino
        #expect(try scene.apply("a.conf", "one\n").outcome == .unchanged)
        #expect(try status("a.conf").st_ino == before)
        #expect(scene.reloads.count == 1)
    }

    @Test func `A wrong mode is put right without a reload`() throws {
        scene.describe("a.conf", unit: "a.service") { $0.mode = 0o600 }
        _ = try scene.apply("a.conf", "one\n")
        try #require(chmod(scene.folder.path("etc/a.conf"), 0o666) == 0)
        let compared = try scene.compare("a.conf", "one\n")
        #expect(compared.outcome == .differs)
        #expect(compared.reason == "its mode is 0666, not 0600")
        #expect(try scene.apply("a.conf", "one\n").outcome == .applied)
        #expect(try status("a.conf").st_mode & 0o7777 == 0o600)
        #expect(scene.reloads.count == 1)
    }

    @Test func `Fifty files that share a reload cause one, and another reload one of its own`() throws {
        for number in 0..<50 { scene.describe("f\(number)", unit: "shared.service") }
        scene.describe("g") { $0.reload = .command(["sh", "-c", "echo g >>\(scene.folder.path)/reloads"]) }
        let answer = scene.apply((0..<50).map { ("f\($0)", "text \($0)") } + [("g", "text")])
        #expect(answer.files.allSatisfy { $0.outcome == .applied })
        #expect(scene.reloads == ["reload-or-restart shared.service", "g"])
        #expect(answer.reloads.map(\.files.count) == [50, 1])
        // A second batch of two of them: one more.
        _ = scene.apply([("f1", "other text"), ("f2", "other text")])
        #expect(scene.reloads.count == 3)
    }

    @Test(arguments: ["", " \n\t\r\n"])
    func `An empty result is refused and the former content stays`(content: String) throws {
        scene.describe("a.conf", unit: "a.service") { $0.sizeMinPercent = 0 }
        _ = try scene.apply("a.conf", "one\n")
        let answer = try scene.apply("a.conf", content)
        #expect(answer.outcome == .refused)
        #expect(
            answer.reason == "the result is empty: look at its keys, or set allow_empty = true in a.conf.toml")
        #expect(answer.version == ContentVersion.of(Array("one\n".utf8)))
        #expect(scene.folder.text("etc/a.conf") == "one\n")
        #expect(scene.reloads.count == 1)
        scene.describe("a.conf") { $0.allowEmpty = true }
        #expect(try scene.apply("a.conf", content).outcome == .applied)
        #expect(scene.folder.text("etc/a.conf") == content)
    }

    @Test func `A result below its share of the present size is refused`() throws {
        scene.describe("a.conf") { $0.sizeMinPercent = 25 }
        _ = try scene.apply("a.conf", String(repeating: "x", count: 100))
        let answer = try scene.apply("a.conf", String(repeating: "y", count: 24))
        #expect(answer.outcome == .refused)
        #expect(
            answer.reason
                == "the result has 24 bytes where the present file has 100, less than 25 %: look at its keys, or lower"
                + " size_min_percent in a.conf.toml")
        #expect(try scene.apply("a.conf", String(repeating: "y", count: 25)).outcome == .applied)
    }

    @Test func `A content above the bound is refused`() throws {
        scene.describe("a.conf")
        let content = String(repeating: "x", count: Applier.contentBytesMax + 1)
        #expect(try scene.apply("a.conf", content).outcome == .refused)
        #expect(try scene.apply("a.conf", String(content.dropLast())).outcome == .applied)
    }

    @Test func `A failing check keeps the former content and tells its last words; the others go on`() throws {
        for name in ["a", "b"] {
            scene.describe(name, unit: "shared.service") {
                $0.check = [
                    "sh", "-c", "cat \"$1\"; if grep -q bad \"$1\"; then echo no >&2; exit 4; fi", "x", "{file}",
                ]
            }
        }
        _ = scene.apply([("a", "good"), ("b", "good")])
        let answer = scene.apply([("a", "bad one"), ("b", "good two")])
        #expect(answer.files.map(\.outcome) == [.refused, .applied])
        let reason = try #require(answer.files[0].reason)
        #expect(reason.hasPrefix("its check failed: sh -c") && reason.hasSuffix("ended with status 4: no"))
        #expect(scene.folder.text("etc/a") == "good")
        #expect(scene.folder.text("etc/b") == "good two")
        #expect(try scene.folder.names("etc") == ["a", "b"])
        #expect(scene.reloads.count == 2)
    }

    @Test(arguments: [1, 60])
    func `Of what a noisy check prints only the last lines are told, also when it takes too long`(wait: Int) throws {
        let noise = String(repeating: "é", count: 200)
        scene.describe("a") {
            let script = "seq -f '%g \(noise)' 100 >&2; echo end >&2; [ \(wait) = 1 ] || exec sleep 60; exit 3"
            $0.check = ["sh", "-c", script, "x", "{file}"]
            $0.checkTimeout = .seconds(wait == 1 ? 20 : 1)
        }
        let answer = try scene.apply("a", "x")
        let reason = try #require(answer.reason)
        let advice = wait == 1 ? "" : "; correct check or check_timeout in a.toml"
        #expect(reason.hasSuffix("é / end" + advice))
        #expect(reason.utf8.count < LastWords.bytesMax + 300)
        #expect(!reason.contains("97 ") && !reason.unicodeScalars.contains("\u{fffd}"))
        let words = try #require(reason.split(separator: ": ", maxSplits: 2).last)
        #expect(words.utf8.count - advice.utf8.count <= LastWords.bytesMax)
        #expect(words.hasPrefix("..."))
    }

    @Test func `What the helper cannot look at has no version, and says so`() throws {
        scene.describe("a")
        #expect(try scene.apply("a", "x").isSeen)
        let answer = try scene.apply("unknown", "x")
        #expect(answer.outcome == .refused && !answer.isSeen && answer.version == nil)
    }

    @Test func `The check sees the whole new file with its rights, beside its destination`() throws {
        let destination = scene.describe("a") {
            $0.mode = 0o604
            $0.check = [
                "sh", "-c",
                "stat -c '%a %s' {file} >\(scene.folder.path)/seen; echo {file} >>\(scene.folder.path)/seen",
            ]
        }
        #expect(try scene.apply("a", "12345").outcome == .applied)
        let lines = scene.folder.text("seen").split(separator: "\n")
        try #require(lines.count == 2)
        #expect(lines[0] == "604 5")
        #expect(lines[1].hasPrefix(String(destination.dropLast()) + ".a.gossipd-"))
    }

    @Test(arguments: [
        "echo worse >{file}", "echo more >>{file}", "rm {file}; ln -s /etc/hostname {file}",
        "cp {file} {file}.new; mv {file}.new {file}", "chmod 666 {file}", "rm {file}", "rm {file}; mkdir {file}",
        "printf gone >{file}",
    ])
    func `A check that changes the new file has failed, and what was there stays`(script: String) throws {
        let scene = try ApplyScene()
        scene.describe("a", unit: "a.service") { $0.check = ["sh", "-c", script] }
        try scene.folder.write("etc/a", "was")
        let answer = try scene.apply("a", "good")
        #expect(answer.outcome == .failed)
        #expect(answer.reason?.hasPrefix("its check changed the file: ") == true, "\(answer.reason ?? "")")
        #expect(scene.folder.text("etc/a") == "was")
        #expect(scene.reloads.isEmpty)
    }

    @Test func `A description that the helper does not take is told with its reason, the folder's too`() throws {
        let scene = try ApplyScene()
        let file = RenderProblem(name: "z", sentence: "/render.d/z.toml: can be written by others than root (mode 666)")
        let folder = RenderProblem(name: "", sentence: "/render.d: can be written by others than root (mode 777)")
        for problem in [file, folder] {
            scene.problems.withLock { $0 = [problem] }
            let answer = try scene.apply("z", "x")
            #expect(answer.outcome == .refused)
            #expect(answer.reason == "its description cannot be used: \(problem.sentence)")
        }
    }

    @Test(.enabled(if: geteuid() == 0, "only root can mount"))
    func `What could not be written is said by compare already`() throws {
        let scene = try ApplyScene()
        scene.describe("a")
        try scene.folder.write("etc/a", "was")
        let etc = scene.folder.path("etc")
        for words in [["mount", "--bind", etc, etc], ["mount", "-o", "remount,bind,ro", etc]] {
            try CommandRunner.run(words, timeout: .seconds(20)).expectSuccess()
        }
        defer { _ = try? CommandRunner.run(["umount", etc], timeout: .seconds(20)) }
        let other = try scene.compare("a", "other")
        #expect(other.outcome == .failed && other.version != nil)
        #expect(other.reason?.contains("Read-only file system; mount it for writing") == true, "\(other.reason ?? "")")
        #expect(try scene.compare("a", "was").outcome != .failed)
    }

    @Test func `A check that hangs or does not exist has not said no: that is a failure`() throws {
        scene.describe("a") {
            $0.check = ["sleep", "60"]
            $0.checkTimeout = .milliseconds(200)
        }
        scene.describe("b") { $0.check = ["/nowhere/check"] }
        let answer = scene.apply([("a", "x"), ("b", "x")])
        #expect(answer.files.map(\.outcome) == [.failed, .failed])
        #expect(
            answer.files[0].reason
                == "its check could not be done: sleep took longer than 200 ms and was ended; correct check or"
                + " check_timeout in a.toml")
        #expect(answer.files[1].reason?.contains("cannot start /nowhere/check") == true)
        #expect(try scene.folder.names("etc") == [])
    }

    @Test func `A check and a reload may write more than is kept, and the last of it says why`() throws {
        let flood = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done;"
        scene.describe("a") {
            $0.check = ["sh", "-c", flood + "grep -q good {file}"]
            $0.reload = .command(["sh", "-c", flood + "echo done >>\(scene.folder.path)/reloads"])
        }
        #expect(
            try scene.apply("a", "good")
                == ApplyAnswer.File(
                    name: "a", outcome: .applied, version: ContentVersion.of(Array("good".utf8))))
        #expect(scene.reloads == ["done"])
        let refused = try scene.apply("a", "bad text")
        #expect(refused.outcome == .refused)
        #expect(refused.reason?.hasSuffix("ended with status 1: line 19997 / line 19998 / line 19999") == true)
    }

    @Test func `Links and other things at the destination stay, and that is a failure`() throws {
        for name in ["link", "dangling", "folder"] { scene.describe(name) }
        try scene.folder.write("etc/target", "mine")
        symlink(scene.folder.path("etc/target"), scene.folder.path("etc/link"))
        symlink("/nowhere", scene.folder.path("etc/dangling"))
        mkdir(scene.folder.path("etc/folder"), 0o755)
        let answer = scene.apply([("link", "x"), ("dangling", "x"), ("folder", "x")])
        #expect(answer.files.allSatisfy { $0.outcome == .failed })
        #expect(
            answer.files[0].reason
                == "\(scene.folder.path)/etc/link is a symbolic link: name the file it leads to as the destination, or"
                + " remove the link")
        #expect(answer.files[2].reason?.contains("is not a regular file") == true)
        #expect(scene.folder.text("etc/target") == "mine")
        #expect(try status("link").st_mode & S_IFMT == S_IFLNK)
    }

    @Test(.enabled(if: geteuid() == 0, "only root can give a link to another user"))
    func `A folder behind another user's link is not taken, behind root's it is`() throws {
        symlink("etc", scene.folder.path("way"))
        let destination = scene.folder.path("way/a")
        scene.describe("a") { $0.destination = destination }
        #expect(try scene.apply("a", "one").outcome == .applied)
        #expect(scene.folder.text("etc/a") == "one")
        try #require(lchown(scene.folder.path("way"), 65_534, 65_534) == 0)
        let answer = try scene.apply("a", "two")
        #expect(answer.outcome == .failed)
        #expect(answer.reason?.contains("leads through the link way, which belongs to another user") == true)
        #expect(scene.folder.text("etc/a") == "one")
    }

    @Test func `What is missing is said in a sentence that helps`() throws {
        scene.describe("folder") { $0.destination = "/nowhere/at/all" }
        scene.describe("owner") { $0.owner = "no-such-user-here" }
        scene.describe("group") { $0.group = "no-such-group-here" }
        scene.describe("good")
        let answer = scene.apply([
            ("folder", "x"), ("owner", "x"), ("group", "x"), ("unknown", "x"), ("good", "x"), ("good", "y"),
        ])
        #expect(answer.files.map(\.outcome) == [.failed, .failed, .failed, .refused, .applied, .failed])
        // Looking says the same as applying would.
        #expect(
            try scene.compare("folder", "x").outcome == .failed && scene.compare("unknown", "x").outcome == .refused)
        #expect(
            answer.files[0].reason == "the folder /nowhere/at does not exist: create it, or install what it belongs to")
        #expect(
            answer.files[1].reason
                == "the user no-such-user-here does not exist on this host: create it, or correct owner in owner.toml")
        #expect(answer.files[2].reason?.contains("the group no-such-group-here does not exist") == true)
        #expect(answer.files[3].reason?.contains("its description cannot be used: there is no unknown.toml") == true)
        #expect(answer.files[5].reason?.contains("twice") == true)
        #expect(scene.folder.text("etc/good") == "x")
    }

    @Test(.enabled(if: geteuid() == 0, "mounting needs root"))
    func `A full disk and one that is read only keep the former content`() throws {
        let place = scene.folder.path("small")
        mkdir(place, 0o755)
        let mounted = try CommandRunner.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "none", place], timeout: .seconds(10))
        try #require(mounted.status == 0, "\(mounted.errorText)")
        defer { _ = try? CommandRunner.run(["umount", "-l", place], timeout: .seconds(10)) }
        scene.describe("a", unit: "a.service") { $0.destination = place + "/a" }
        #expect(try scene.apply("a", String(repeating: "x", count: 30_000)).outcome == .applied)
        let full = try scene.apply("a", String(repeating: "y", count: 60_000))
        #expect(full.outcome == .failed)
        #expect(full.reason == "cannot write \(place)/a: No space left on device; make room on that disk")
        #expect(try scene.folder.names("small") == ["a"])
        let remounted = try CommandRunner.run(["mount", "-o", "remount,ro", place], timeout: .seconds(10))
        try #require(remounted.status == 0, "\(remounted.errorText)")
        let still = try scene.apply("a", String(repeating: "z", count: 30_000))
        #expect(still.outcome == .failed)
        #expect(still.reason?.contains("Read-only file system; mount it for writing") == true)
        #expect(scene.folder.bytes("small/a") == Array(repeating: UInt8(ascii: "x"), count: 30_000))
        #expect(scene.reloads.count == 1)
    }

    @Test func `Without a place for the note nothing that needs a reload is put in place`() throws {
        try scene.folder.write("state", "in the way")
        scene.describe("a", unit: "a.service")
        scene.describe("b")
        let answer = scene.apply([("a", "x"), ("b", "x")])
        #expect(answer.files.map(\.outcome) == [.failed, .applied])
        #expect(answer.files[0].reason?.hasPrefix("its reload could not be noted before: ") == true)
        #expect(try scene.folder.names("etc") == ["b"])
        #expect(scene.reloads.isEmpty)
    }

    @Test func `Comparing changes nothing and hands out what is there`() throws {
        scene.describe("a", unit: "a.service") { $0.check = ["false"] }
        let expected = ApplyAnswer.File(name: "a", outcome: .differs)
        #expect(try scene.compare("a", "x") == expected)
        try scene.folder.write("etc/a", "former")
        let version = ContentVersion.of(Array("former".utf8))
        #expect(
            try scene.compare("a", "latter")
                == ApplyAnswer.File(name: "a", outcome: .differs, version: version, present: Array("former".utf8)))
        #expect(try scene.compare("a", "former").outcome == .unchanged)
        #expect(try scene.compare("a", "").outcome == .refused)
        #expect(try scene.folder.names("etc") == ["a"])
        #expect(scene.folder.text("etc/a") == "former")
        try scene.folder.write("etc/a", String(repeating: "x", count: Applier.presentBytesMax + 1))
        #expect(try scene.compare("a", "former").present == nil)
    }

    @Test(.enabled(if: geteuid() == 0, "only root can give files away"))
    func `Owner and group are set by name and by number`() throws {
        scene.describe("a") {
            $0.owner = "nobody"
            $0.group = "65534"
            $0.mode = 0o400
        }
        #expect(try scene.apply("a", "x").outcome == .applied)
        let status = try status("a")
        #expect(status.st_uid == 65_534 && status.st_gid == 65_534 && status.st_mode & 0o7777 == 0o400)
    }
}
