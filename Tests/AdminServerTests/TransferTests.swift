// SPDX-License-Identifier: Apache-2.0
// Owns the tests of export, import, backup and restore over a real socket.

import AdminClient
import AdminModel
import AdminServer
import AdminServerFixture
import Glibc
import Synchronization
import Testing

@Suite struct ImportTests {
    private static let lines = [
        #"{"key":"app/r","type":"register","value":"1"}"#,
        #"{"key":"app/b","type":"register","value_base64":"/w=="}"#,
        #"{"key":"app/s","type":"set","elements":["a","b"]}"#,
        #"{"key":"app/c","type":"counter","counter":-3}"#,
        #"{"key":"app/zero","type":"counter","counter":0}"#,
        #"{"key":"app/none","type":"set","elements":[]}"#,
    ]
    private static let text = lines.joined(separator: "\n")

    private func send(_ text: String, _ fixture: ServerFixture, prune: Bool = false) async throws(AdminFailure)
        -> ImportResult
    {
        try await fixture.client.import(.of(Array(text.utf8)), prune: prune)
    }

    @Test func `an import is one transaction, and what is already so is not written`() async throws {
        try await ServerFixture.run { fixture in
            _ = try await fixture.client.put(try ConfigurationKey("app/r"), value: Array("1".utf8))
            let first = try await send(Self.text, fixture)
            #expect((first.added, first.changed, first.removed, first.unchanged) == (4, 0, 0, 2))
            #expect(fixture.node.peek { $0.lastSteps } == 6)
            #expect(try await fixture.client.get(try ConfigurationKey("app/b")).content == .register([0xff]))
            #expect(try await fixture.client.counter(try ConfigurationKey("app/c")).value == -3)
            let revision = fixture.node.peek { $0.revision }
            let again = try await send(Self.text, fixture)
            #expect((again.added, again.changed, again.removed, again.unchanged) == (0, 0, 0, 6))
            #expect(again.version == nil)
            #expect(fixture.node.peek { $0.revision } == revision)
        }
    }

    @Test func `a set gets exactly the elements given, a counter the number`() async throws {
        try await ServerFixture.run { fixture in
            _ = try await send(Self.text, fixture)
            let result = try await send(
                #"{"key":"app/s","type":"set","elements":["b","c"]}"# + "\r\n\n"
                    + #"{"key":"app/c","type":"counter","counter":9}"# + "\n", fixture)
            #expect((result.changed, result.unchanged) == (2, 0))
            #expect(try await fixture.client.listSet(try ConfigurationKey("app/s")).elements == ["b", "c"])
            #expect(try await fixture.client.counter(try ConfigurationKey("app/c")).value == 9)
        }
    }

    @Test func `pruning deletes what is below the prefix and not in the file`() async throws {
        try await ServerFixture.run { fixture in
            for name in ["app/old", "app/r", "other"] {
                _ = try await fixture.client.put(try ConfigurationKey(name), value: [0x30])
            }
            let prefix = try KeyPrefix("app/")
            let line = Array(Self.lines[0].utf8)
            let look = try await fixture.client.import(.of(line), dryRun: true, prune: true, prefix: prefix)
            #expect(look.entries.map(\.key) == ["app/r", "app/old"])
            #expect(look.entries.map(\.change) == [.changed, .removed])
            #expect(look.entries[0].old == .register([0x30]))
            #expect(fixture.node.holds("app/old"))
            let done = try await fixture.client.import(.of(line), prune: true, prefix: prefix)
            #expect((done.changed, done.removed, done.entries.count) == (1, 1, 0))
            #expect(!fixture.node.holds("app/old") && fixture.node.holds("other"))
            #expect(fixture.node.peek { $0.openStreams } == 0)
        }
    }

    @Test func `keys that expire are written for the time that is left, those that expired are left out`() async throws
    {
        try await ServerFixture.run { fixture in
            let text =
                #"{"key":"past","type":"register","value":"1","expires_at":"2001-01-01T00:00:00Z"}"# + "\n"
                + #"{"key":"future","type":"register","value":"1","expires_at":"2100-01-01T00:00:00Z"}"#
            let result = try await send(text, fixture)
            #expect((result.added, result.unchanged) == (1, 1))
            #expect(!fixture.node.holds("past") && fixture.node.holds("future"))
            let ttl = try #require(fixture.node.peek { $0.lastOptions?.ttlMilliseconds })
            // Between 20 and 100 years from whenever this runs.
            #expect((20 * 365 * 86_400_000...100 * 366 * 86_400_000).contains(ttl))
        }
    }

    @Test(arguments: [
        ("{", AdminFailure.Code.badRequest, "line 1: "), (lines[0] + "\n" + #"{"key":"a"}"#, .badRequest, "line 2: "),
        (lines[0] + "\n" + lines[0], .badRequest, "twice"),
        (#"{"key":"a//b","type":"counter","counter":1}"#, .badRequest, "line 1: "),
        (
            #"{"key":"set","type":"register","value":"1"}"#, .conflict,
            "\"set\" is a set here and a register in the import"
        ),
        (
            #"{"key":"k","type":"register","value":""# + String(repeating: "v", count: 524_289) + #""}"#, .tooLarge,
            "524289"
        ),
    ])
    func `a line that cannot be is named, and nothing is written`(
        text: String, code: AdminFailure.Code, words: String
    ) async throws {
        try await ServerFixture.run { fixture in
            _ = try await fixture.client.addToSet(try ConfigurationKey("set"), ["x"])
            let answer = try await fixture.client.send(AdminRequest("POST", "/v1/import", body: Array(text.utf8)))
            #expect(answer.failure.code == code)
            #expect(answer.failure.message.contains(words), "\(answer.failure.message)")
            #expect(fixture.node.peek { $0.revision } == 1)
        }
    }

    @Test func `more than one transaction holds is refused with the way out`() async throws {
        try await ServerFixture.run { fixture in
            let text = (0...16_384).map { #"{"key":"k/\#($0)","type":"register","value":"1"}"# + "\n" }.joined()
            let answer = try await fixture.client.send(AdminRequest("POST", "/v1/import").upload(text))
            #expect(answer.failure.code == .tooLarge)
            #expect(answer.failure.message.contains("--chunk N"))
            #expect(fixture.node.peek { $0.revision } == 0)
        }
    }

    /// Lines that nobody can use, and the sentence about each.
    private static let junk = [
        (#"{"key":"a""#, "it is not valid JSON"),
        ("[]", "it is not an object"),
        ("{}", #"field "key" is missing"#),
        (#"{"key":"a","type":"register","value":1}"#, "value is not a text"),
        (#"{"key":"a","type":"set","elements":1}"#, "elements is not a list"),
        (#"{"key":"a","type":"counter","counter":"1"}"#, "counter is not a whole number"),
    ]

    @Test(arguments: junk)
    func `a line that is not one of kv export is told in words for people`(_ line: String, _ fault: String) {
        let failure = #expect(throws: AdminFailure.self) { try ImportEntry(line: Array(line.utf8), number: 7) }
        #expect(failure?.message == "line 7: it is not as kv export writes it: \(fault)")
    }

    @Test func `a file goes in chunk by chunk, and a chunk that fails says what is written`() async throws {
        try await ServerFixture.run { fixture in
            let path = fixture.folder + "/import"
            let text = (1...25).map { #"{"key":"k/\#($0)","type":"register","value":"1"}"# }.joined(separator: "\n")
            try Self.write(text, path)
            let chunked = try await fixture.gossipctl(["kv", "import", path, "--chunk", "10"])
            #expect(chunked == Outcome(0, "25 added, 0 changed, 0 removed, 0 unchanged\n", ""))
            #expect(fixture.node.peek { $0.lastSteps } == 5)
            try Self.write(text.replacing("\"1\"}", with: "\"2\"}") + "\n{", path)
            let broken = try await fixture.gossipctl(["kv", "import", path, "--chunk", "10"])
            #expect(broken.status == 64)
            #expect(broken.error.contains("in the lines from 21: line 6: "), "\(broken.error)")
            #expect(broken.error.contains("20 keys before them are written"))
            #expect(try await fixture.gossipctl(["kv", "get", "k/21"]).output == "1")
        }
    }

    @Test func `a condition is for an import of one key`() async throws {
        try await ServerFixture.run { fixture in
            var options = KeyWriteOptions()
            options.condition = .absent
            let all = Array(Self.text.utf8)
            #expect(await failure { try await fixture.client.import(.of(all), options) } == .badRequest)
            let one = Array(Self.lines[0].utf8)
            _ = try await fixture.client.import(.of(one), options)
            let other = Array(#"{"key":"app/r","type":"register","value":"2"}"#.utf8)
            #expect(await failure { try await fixture.client.import(.of(other), options) } == .conditionFailed)
        }
    }

    @Test func `what one node exports another imports`() async throws {
        try await ServerFixture.run { fixture in
            _ = try await send(Self.text, fixture)
            let exported = try await fixture.gossipctl(["kv", "export", "app/"])
            #expect(exported.output.split(separator: "\n").count == 5)
            try await ServerFixture.run { other in
                let path = other.folder + "/export"
                try Self.write(exported.output, path)
                let look = try await other.gossipctl(["kv", "import", path, "--dry-run"])
                #expect(look.status == 0)
                #expect(look.output.contains("--- /dev/null\n+++ app/s (import)\n+a\n+b\n"), "\(look.output)")
                #expect(look.output.hasSuffix("5 added, 0 changed, 0 removed, 0 unchanged (nothing was written)\n"))
                #expect(!other.node.holds("app/s"))
                #expect(try await other.gossipctl(["kv", "import", path]).status == 0)
                #expect(try await other.gossipctl(["kv", "export"]).output.split(separator: "\n").count == 5)
                #expect(try await other.client.get(try ConfigurationKey("app/b")).content == .register([0xff]))
            }
        }
    }

    @Test func `queued writes are listed over all pages, applied and dropped`() async throws {
        try await ServerFixture.run { fixture in
            let key = try ConfigurationKey("k")
            fixture.node.peek { state in
                state.queue = (1...5).map { number in
                    QueueDocument.Entry(
                        number: number, cause: .beforeFloor, queuedAt: FakeNode.start, key: key, type: .register,
                        event: "put", writtenAt: FakeNode.start, author: fixture.node.me,
                        content: .register(Array("v\(number)".utf8)))
                }
            }
            let list = try await fixture.gossipctl(["kv", "import", "--queued"])
            #expect(list.output.split(separator: "\n").count == 6)
            #expect(
                list.output.contains("     1  2026-11-18T11:06:40Z  before_floor  put     k    web-1  v1\n"),
                "\(list.output)")
            let none = try await fixture.gossipctl(["kv", "import", "--queued", "--apply", "9"])
            #expect(none.status == 3)
            let done = try await fixture.gossipctl(["kv", "import", "--queued", "--apply", "1", "2", "--drop", "4"])
            #expect(done == Outcome(0, "2 applied, 1 dropped, 2 still wait\n", ""))
        }
    }

    static func write(_ text: String, _ path: String) throws {
        let descriptor = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0o600)
        defer { close(descriptor) }
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { throw AdminFailure(.internalError, "cannot write \(path)") }
            rest = rest.dropFirst(count)
        }
    }
}

@Suite struct BackupTests {
    private static let pieces = (0..<40).map { [UInt8](repeating: UInt8($0), count: 100_000) }

    @Test func `a backup appears whole under its name, and replaces nothing unasked`() async throws {
        try await ServerFixture.run { fixture in
            fixture.node.peek { $0.backup = Self.pieces }
            let path = fixture.folder + "/b"
            let first = try await fixture.gossipctl(["backup", path])
            #expect(first == Outcome(0, "wrote \(path), 3.8 MiB\n", ""))
            #expect(try Self.read(path) == Self.pieces.flatMap { $0 })
            var status = stat()
            #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
            let second = try await fixture.gossipctl(["backup", path])
            #expect(second.status == 64)
            #expect(second.error.contains("--force"))
            fixture.node.peek { $0.backup = [[1]] }
            #expect(try await fixture.gossipctl(["backup", path, "--force"]).status == 0)
            #expect(try Self.read(path) == [1])
            #expect(fixture.node.peek { $0.openStreams } == 0)
        }
    }

    @Test func `a backup that breaks off leaves no file and the old one as it was`() async throws {
        try await ServerFixture.run { fixture in
            fixture.node.peek {
                $0.backup = Self.pieces
                $0.backupFailure = AdminFailure(.internalError, "the disk broke")
            }
            let path = fixture.folder + "/b"
            try ImportTests.write("old", path)
            let broken = try await fixture.gossipctl(["backup", path, "--force"])
            #expect(broken.status == 5)
            #expect(try Self.read(path) == Array("old".utf8))
            #expect(Self.entries(fixture.folder) == ["admin.sock", "b"])
            #expect(fixture.node.peek { $0.openStreams } == 0)
        }
    }

    @Test func `restore sends every byte and says what the store holds`() async throws {
        try await ServerFixture.run { fixture in
            let path = fixture.folder + "/b"
            let text = String(repeating: "0123456789", count: 300_000)
            try ImportTests.write(text, path)
            let done = try await fixture.gossipctl(["restore", path])
            #expect(done == Outcome(0, "restored 7 keys, revision 1000000007\n", ""))
            #expect(fixture.node.peek { $0.restored } == Array(text.utf8))
            _ = try await fixture.client.put(try ConfigurationKey("k"), value: [0x31])
            let again = try await fixture.gossipctl(["restore", path])
            #expect(again.status == 4)
            #expect(again.error.contains("the store holds 1 keys"), "\(again.error)")
        }
    }

    @Test func `what is above its bound, or one transfer too many, is refused`() async throws {
        let limit = { (settings: inout AdminServerSettings) in
            settings.maxRestoreBytes = 1000
            settings.maxTransfers = 1
        }
        try await ServerFixture.run(change: limit) { fixture in
            let large = AdminRequest("POST", "/v1/restore").upload(String(repeating: "x", count: 1001))
            #expect(try await fixture.client.send(large).failure.code == .tooLarge)
            // The place of a transfer that failed is free again.
            let fits = AdminRequest("POST", "/v1/restore").upload(String(repeating: "x", count: 1000))
            #expect(try await fixture.client.send(fits).isSuccess)
            let asked = Mutex<AdminFailure?>(nil)
            let client = fixture.client
            var slow = AdminRequest("POST", "/v1/restore")
            let isFirst = Mutex(true)
            slow.upload = PullStream { () async throws(AdminFailure) in
                // Once the daemon has taken the first piece, the only place is taken.
                guard
                    !isFirst.withLock({ first in
                        defer { first = false }
                        return first
                    })
                else { return [0x31] }
                var code: AdminFailure.Code?
                repeat {
                    code = try await client.send(AdminRequest("GET", "/v1/backup")).failure.code
                } while code == .badAnswer
                let found = code
                asked.withLock { $0 = AdminFailure(found ?? .internalError, "") }
                return nil
            }
            _ = try await fixture.client.send(slow)
            #expect(asked.withLock { $0?.code } == .busy)
        }
    }

    @Test func `a file that is no backup is told so without a daemon`() async throws {
        let path = "/tmp/gossipctl-no-backup-\(getpid())"
        try ImportTests.write("nothing", path)
        defer { unlink(path) }
        let outcome = try await Outcome.run(["backup", "verify", path])
        #expect(outcome.status == 1)
        #expect(outcome.error.contains("is no whole backup"), "\(outcome.error)")
        #expect(try await Outcome.run(["backup", "verify", "/nonexistent/b"]).status == 64)
    }

    private static func read(_ path: String) throws -> [UInt8] {
        let descriptor = open(path, O_RDONLY)
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            guard count > 0 else { return bytes }
            bytes += chunk.prefix(count)
        }
    }

    private static func entries(_ folder: String) -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            names.append(
                withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
        }
        return names.filter { $0 != "." && $0 != ".." }.sorted()
    }
}

extension PullStream<[UInt8]> {
    /// These bytes, in pieces that cut lines anywhere.
    static func of(_ bytes: [UInt8]) -> PullStream<[UInt8]> {
        let rest = Mutex(bytes[...])
        return PullStream { () throws(AdminFailure) in
            rest.withLock { rest in
                let piece = Array(rest.prefix(37_011))
                rest = rest.dropFirst(piece.count)
                return piece.isEmpty ? nil : piece
            }
        }
    }
}

extension AdminRequest {
    func upload(_ text: String) -> AdminRequest {
        var request = self
        request.upload = .of(Array(text.utf8))
        return request
    }
}

extension ServerFixture {
    var folder: String { String(socketPath.dropLast("/admin.sock".count)) }
}
