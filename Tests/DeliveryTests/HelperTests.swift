// SPDX-License-Identifier: Apache-2.0
// Owns the proofs about the helper's socket: whom it answers, what it does with nonsense, when it ends.

import Glibc
import Synchronization
import Testing

@testable import Delivery

/// A helper in a thread of this process, on a socket in the scene's folder.
private final class HelperScene: Sendable {
    let scene: ApplyScene
    let path: String
    private let listener: CInt
    private let notices = Mutex<[HelperNotice]>([])

    var seen: [HelperNotice] { notices.withLock { $0 } }

    init() throws {
        scene = try ApplyScene()
        path = scene.folder.path("socket")
        listener = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard UnixSocket.with(path, { bind(listener, $0, $1) }) == 0, listen(listener, 16) == 0 else {
            throw TestFailure("listen")
        }
    }

    deinit { close(listener) }

    /// Runs the helper while `body` runs.
    func serving<Result: Sendable>(_ body: @Sendable () async throws -> Result) async throws -> Result {
        var stop: [CInt] = [-1, -1]
        guard pipe(&stop) == 0 else { throw TestFailure("pipe") }
        let (stopped, stopper) = (stop[0], stop[1])
        defer { close(stopped) }
        async let end: Void = BlockingThread.run { [self] () throws(DeliveryFailure) in
            try serve(idleExit: .seconds(120), stop: stopped)
        }
        let result: Swift.Result<Result, any Error>
        do {
            result = .success(try await body())
        } catch { result = .failure(error) }
        close(stopper)
        try await end
        return try result.get()
    }

    func serve(idleExit: Duration, stop: CInt) throws(DeliveryFailure) {
        try HelperServer(
            listener: listener, applier: scene.applier, idleExit: idleExit, stop: stop,
            notify: { notice in self.notices.withLock { $0.append(notice) } }
        ).run()
    }

    /// Sends bytes and answers with what comes until the other side closes; waits at most ten seconds.
    func exchange(_ bytes: [UInt8]) async throws -> [UInt8] {
        // Not on a thread of the tasks, of which the helper's start may need the last one.
        try await BlockingThread.run { [self] () throws(DeliveryFailure) in try conversation(bytes) }
    }

    func conversation(_ bytes: [UInt8]) throws(DeliveryFailure) -> [UInt8] {
        let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        defer { close(descriptor) }
        guard UnixSocket.with(path, { connect(descriptor, $0, $1) }) == 0 else { throw .helper("no connection") }
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        _ = send(descriptor, bytes, bytes.count, CInt(MSG_NOSIGNAL))
        shutdown(descriptor, CInt(SHUT_WR))
        var answer: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(descriptor, &chunk, chunk.count, 0)
            if count <= 0 { return answer }
            answer += chunk[..<count]
        }
    }
}

@Suite struct HelperTests {
    @Test func `A batch goes through the socket as it would without, and each deed is noted`() async throws {
        let helper = try HelperScene()
        helper.scene.describe("a", unit: "a.service")
        let text = String(repeating: "0123456789abcdef", count: 200_000)
        let answers = try await helper.serving {
            let client = HelperClient(path: helper.path, timeout: .seconds(20))
            return [
                try await client.perform(ApplyScene.request(.compare, [("a", text)])),
                try await client.perform(ApplyScene.request(.apply, [("a", text), ("b", "x")])),
                try await client.perform(ApplyScene.request(.apply, [("a", text)])),
            ]
        }
        #expect(answers.map { $0.files.map(\.outcome) } == [[.differs], [.applied, .refused], [.unchanged]])
        #expect(helper.scene.folder.text("etc/a") == text)
        #expect(helper.scene.reloads.count == 1)
        let seen = helper.seen.map { notice in
            switch notice {
            case .file(let file): "\(file.name) \(file.outcome.rawValue)"
            case .reload(let reload): reload.target
            case .turnedAway(let reason): reason
            }
        }
        #expect(seen == ["a applied", "b refused", "unit a.service"])
    }

    @Test func `A present content comes back byte for byte`() async throws {
        let helper = try HelperScene()
        let destination = helper.scene.describe("a")
        let bytes = (0...255).map { UInt8($0) }
        let rights = try FileRights(RenderSpec(name: "a", source: .template(""), destination: destination))
        let staged = try DestinationFile(destination).stage(bytes, rights)
        try #require(staged.folder.rename(staged.temporary, to: "a") == 0)
        let answer = try await helper.serving {
            try await HelperClient(path: helper.path).perform(ApplyScene.request(.compare, [("a", "other")]))
        }
        #expect(answer.files.first?.present == bytes)
    }

    @Test func `Nonsense is turned away and the next request is answered`() async throws {
        let helper = try HelperScene()
        helper.scene.describe("a")
        let outcome = try await helper.serving {
            let tooLong = try await helper.exchange([0xff, 0xff, 0xff, 0xff, 1, 2, 3])
            #expect(String(decoding: tooLong.dropFirst(4), as: UTF8.self).contains("no request of this version"))
            let other = try await helper.exchange([0, 0, 0, 2] + Array("{}".utf8))
            #expect(String(decoding: other.dropFirst(4), as: UTF8.self).contains("no request of this version"))
            #expect(try await helper.exchange([0, 0, 1]).isEmpty)
            #expect(try await helper.exchange([]).isEmpty)
            let client = HelperClient(path: helper.path, timeout: .seconds(20))
            return try await client.perform(ApplyScene.request(.apply, [("a", "x")])).files.first?.outcome
        }
        #expect(outcome == .applied)
    }

    @Test(.enabled(if: geteuid() == 0, "only root can be somebody else"))
    func `Another user is turned away, the owner of the socket is served`() async throws {
        let helper = try HelperScene()
        helper.scene.describe("a")
        try #require(chmod(helper.path, 0o666) == 0 && chmod(helper.scene.folder.path, 0o755) == 0)
        // A frame of a request that names nothing, sent by another user.
        let script = """
            import os, socket, struct, sys
            os.setuid(65534)
            s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
            body = b'{"operation":"apply","files":[]}'
            try: s.sendall(struct.pack('>I', len(body)) + body)
            except BrokenPipeError: pass  # turned away already
            print(s.recv(65536)[4:].decode())
            """
        let path = helper.path
        @Sendable func ask() async throws -> String {
            try await BlockingThread.run { () throws(DeliveryFailure) in
                let result = try CommandRunner.run(["python3", "-c", script, path], timeout: .seconds(20))
                return String(decoding: result.output, as: UTF8.self) + result.errorText
            }
        }
        try await helper.serving {
            #expect(try await ask().contains("the user with number 65534 may not ask"))
            try #require(chown(path, 65_534, 65_534) == 0)
            #expect(try await ask().contains("\"answer\""))
        }
    }

    @Test func `A hundred requests at once are all answered, though not all at the same time`() async throws {
        let helper = try HelperScene()
        let count = 100
        let running = helper.scene.folder.path("running")
        let script =
            "mkdir -p \(running); touch \(running)/$$; ls \(running) | wc -l >>\(running).log; sleep 0.05;"
            + " rm \(running)/$$"
        for number in 0..<count {
            helper.scene.describe("f\(number)") { $0.check = ["sh", "-c", script, "x", "{file}"] }
        }
        let outcomes = try await helper.serving {
            try await withThrowingTaskGroup(of: ApplyAnswer.self) { group in
                for number in 0..<count {
                    group.addTask {
                        let client = HelperClient(path: helper.path, timeout: .seconds(60))
                        return try await client.perform(ApplyScene.request(.apply, [("f\(number)", "x")]))
                    }
                }
                return try await group.reduce(into: []) { $0 += $1.files.map(\.outcome) }
            }
        }
        #expect(outcomes == Array(repeating: .applied, count: count))
        let most = helper.scene.folder.text("running.log").split(separator: "\n").compactMap { line in
            Int(line.filter(\.isNumber))
        }.max()
        #expect((2...HelperWorkers.countMax).contains(most ?? 0))
    }

    @Test func `Connections that say nothing take no thread, and one too many closes the oldest`() async throws {
        let helper = try HelperScene()
        helper.scene.describe("a")
        let count = HelperLobby.countMax + 6
        let (took, closed) = try await helper.serving {
            try await BlockingThread.run { () throws(DeliveryFailure) in
                var silent: [CInt] = []
                defer { for descriptor in silent { close(descriptor) } }
                for _ in 0..<count {
                    let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
                    guard UnixSocket.with(helper.path, { connect(descriptor, $0, $1) }) == 0 else {
                        throw .helper("no connection")
                    }
                    silent.append(descriptor)
                }
                let start = ContinuousClock.now
                let frame = try HelperFrame.encode(ApplyScene.request(.apply, [("a", "x")]))
                let answer = try helper.conversation(frame)
                guard String(decoding: answer, as: UTF8.self).contains("applied") else { throw .helper("no answer") }
                var waits = silent.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
                let ended = poll(&waits, nfds_t(waits.count), 0)
                return (ContinuousClock.now - start, ended)
            }
        }
        // Each silent one for its own had 30 s.
        #expect(took < .seconds(5), "\(took)")
        #expect(closed == 7, "\(closed)")
        #expect(helper.scene.folder.text("etc/a") == "x")
    }

    @Test func `It ends when nobody asks, and not before`() throws {
        let helper = try HelperScene()
        let start = ContinuousClock.now
        try helper.serve(idleExit: .milliseconds(200), stop: -1)
        #expect(ContinuousClock.now - start >= .milliseconds(200))
        #expect(ContinuousClock.now - start < .seconds(20))
    }

    @Test func `Without a helper the sentence says what to enable`() async throws {
        let folder = try TestFolder()
        func sentence(_ path: String) async -> String? {
            do throws(DeliveryFailure) {
                _ = try await HelperClient(path: path, timeout: .seconds(5)).perform(ApplyRequest(.apply, []))
                return nil
            } catch { return error.sentence }
        }
        let path = folder.path("none")
        #expect(
            await sentence(path)
                == "the helper gossipd-apply cannot be reached at \(path): is gossipd-apply.socket enabled?")
        #expect(await sentence(String(repeating: "/long", count: 40))?.contains("File name too long") == true)
    }

    @Test func `A helper that does not answer in time, or ends, is told as such`() async throws {
        let folder = try TestFolder()
        let path = folder.path("socket")
        let listener = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        try #require(UnixSocket.with(path, { bind(listener, $0, $1) }) == 0 && listen(listener, 4) == 0)
        func sentence(_ timeout: Duration) async -> String? {
            do throws(DeliveryFailure) {
                _ = try await HelperClient(path: path, timeout: timeout).perform(ApplyRequest(.apply, []))
                return nil
            } catch { return error.sentence }
        }
        #expect(await sentence(.milliseconds(200))?.contains("did not answer in 200 ms") == true)
        close(listener)
        let second = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        unlink(path)
        try #require(UnixSocket.with(path, { bind(second, $0, $1) }) == 0 && listen(second, 4) == 0)
        async let closing: Int = BlockingThread.run {
            // Takes the request of each attempt and closes without a word.
            var count = 0
            while count < 2 {
                let connection = accept(second, nil, nil)
                if connection < 0 { break }
                _ = try? HelperFrame.read(connection, until: .now + .seconds(5))
                close(connection)
                count += 1
            }
            return count
        }
        #expect(await sentence(.seconds(10))?.contains("ends before it answers") == true)
        #expect(try await closing == 2)
        close(second)
    }
}
