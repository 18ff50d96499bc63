// SPDX-License-Identifier: Apache-2.0
// Owns the tests of a stream of calls' life: bounds, slow and lost clients, silence, the server's stop.

import AdminModel
import AdminServerFixture
import Glibc
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import AdminServer

@Suite(.timeLimit(.minutes(1))) struct CallsLifeTests {
    private static func put(_ id: UInt64) -> String { #"{"id":\#(id),"put":"app/\#(id)","value":"x"}"# + "\n" }

    private static func puts(_ ids: ClosedRange<UInt64>) -> String { ids.map(put).joined() }

    /// Waits for what other threads do; fails after ten seconds.
    private static func eventually(_ what: String, _ condition: () -> Bool) async throws {
        for _ in 0..<5_000 {
            if condition() { return }
            try await Task.sleep(for: .milliseconds(2))
        }
        throw AdminFailure(.timedOut, "\(what) never came about")
    }

    /// The same on a thread of a client.
    private static func waitFor(_ what: String, _ condition: () -> Bool) throws {
        for _ in 0..<5_000 {
            if condition() { return }
            usleep(2_000)
        }
        throw AdminFailure(.timedOut, "\(what) never came about")
    }

    /// Answers until so many calls have come.
    private static func answer(_ taker: BunchTaker, until count: Int) async throws {
        try await eventually("\(count) answers") {
            taker.answer()
            return taker.bunches.joined().count >= count && taker.open == 0
        }
    }

    @Test func `what comes in one chunk is one bunch, and no more calls are taken than the bound`() async throws {
        try await ServerFixture.run { fixture in
            let taker = BunchTaker()
            fixture.node.peek { $0.bunches = { taker.begin($0, $1) } }
            let path = fixture.socketPath
            let max = UInt64(KeyCallStream.openMax)
            try await withThrowingTaskGroup(of: [KeyCallAnswer].self) { tasks in
                tasks.addTask {
                    try await RawConnection.detached {
                        var client = try CallsConnection(path)
                        client.send(Self.puts(1...10))
                        var answers = try client.answers(10)
                        client.send(Self.puts(11...(max * 2)))
                        client.finish()
                        answers += try client.rest()
                        return answers
                    }
                }
                try await Self.eventually("the first bunch") { taker.open == 10 }
                #expect(taker.bunches.map(\.count) == [10])
                taker.answer()
                try await Self.eventually("the bound") { taker.open == Int(max) }
                for round in 1...20 {
                    taker.answer(7)
                    let taken = 10 + Int(max) + 7 * round
                    try await Self.eventually("seven more") { taker.bunches.joined().count == taken }
                    #expect(taker.open == Int(max))
                }
                try await Self.answer(taker, until: Int(max) * 2)
                let answers = try await tasks.next() ?? []
                #expect(answers.compactMap(\.id).sorted() == Array(1...(max * 2)))
            }
            try await fixture.eventually { $0.streamsOpen == 0 }
        }
    }

    @Test func `long lines are under way only up to the bound of their bytes`() async throws {
        try await ServerFixture.run { fixture in
            let taker = BunchTaker()
            fixture.node.peek { $0.bunches = { taker.begin($0, $1) } }
            let path = fixture.socketPath
            let value = String(repeating: "v", count: 400_000)
            let fitting = (KeyCallStream.openBytesMax + value.utf8.count - 1) / value.utf8.count
            async let answers = RawConnection.detached {
                var client = try CallsConnection(path)
                for id in 1...60 { client.send(#"{"id":\#(id),"put":"a","value":"\#(value)"}"# + "\n") }
                client.finish()
                return try client.rest()
            }
            try await Self.eventually("the bound") { taker.open >= fitting - 1 }
            // Time for more to be taken, if it were.
            try await Task.sleep(for: .milliseconds(50))
            #expect(taker.open <= fitting)
            try await Self.answer(taker, until: 60)
            let all = try await answers
            #expect(all.count == 60)
        }
    }

    @Test func `calls that come by themselves run a few at a time, and do not hold up the others`() async throws {
        try await ServerFixture.run { fixture in
            let (taker, gate) = (BunchTaker(), Gate())
            fixture.node.peek {
                $0.bunches = { taker.begin($0, $1) }
                $0.writeGate = { await gate.pass() }
            }
            let path = fixture.socketPath
            async let answers = RawConnection.detached {
                var client = try CallsConnection(path)
                for id in 1...100 { client.send(#"{"id":\#(id),"delete":"app/\#(id)"}"# + "\n") }
                client.send(Self.puts(101...200))
                var answers = try client.answers(100)
                #expect(answers.compactMap(\.id).sorted() == Array(101...200))
                gate.open()
                client.finish()
                answers += try client.rest()
                return answers
            }
            try await Self.eventually("the puts") { taker.bunches.joined().count == 100 }
            try await Self.eventually("the deletes") { gate.waiting == KeyCallStream.runningMax }
            taker.answer()
            let all = try await answers
            #expect(all.count == 200)
        }
    }

    @Test func `a call whose turn comes too late is not begun, and says so`() async throws {
        try await ServerFixture.run { fixture in
            let gate = Gate()
            fixture.node.peek { $0.writeGate = { await gate.pass() } }
            let path = fixture.socketPath
            async let answers = RawConnection.detached {
                var client = try CallsConnection(path, "gossipd-timeout: 50ms\r\n")
                client.send(Self.puts(1...20) + #"{"id":21,"get":"app/1"}"# + "\n")
                client.finish()
                return try client.rest()
            }
            try await Self.eventually("the first ones") { gate.waiting == KeyCallStream.runningMax }
            try await Task.sleep(for: .milliseconds(100))
            gate.open()
            let late = try await answers.filter { $0.version == nil }
            #expect(late.count == 21 - KeyCallStream.runningMax)
            for answer in late {
                #expect(answer.failure?.code == .timedOut)
                #expect(answer.failure?.outcome == (answer.id == 21 ? nil : .notDone))
            }
            #expect(fixture.node.peek { $0.keys.count } == KeyCallStream.runningMax)
        }
    }

    @Test func `a client that sends and never reads is closed, and keeps nothing`() async throws {
        try await ServerFixture.run(change: { $0.writeDeadline = .milliseconds(100) }) { fixture in
            let reads = Atomic(0)
            let value = [UInt8](repeating: UInt8(ascii: "v"), count: 500_000)
            _ = try await fixture.node.put(try ConfigurationKey("large"), value: value)
            fixture.node.peek { $0.readNote = { reads.add(1, ordering: .relaxed) } }
            let path = fixture.socketPath
            let hungUp = try await RawConnection.detached {
                let client = try CallsConnection(path)
                for id in 1...20_000
                where !client.raw.send(
                    CallsConnection.chunk(Array((#"{"id":\#(id),"get":"large"}"# + "\n").utf8)))
                { break }
                return client.raw.waitForHangUp()
            }
            #expect(hungUp)
            try await fixture.eventually { $0.streamsOpen == 0 && $0.connectionsCut == 1 }
            // What is being written, what waits, what runs, and what lies in the socket: about ten megabytes.
            #expect(reads.load(ordering: .relaxed) < 50, "\(reads.load(ordering: .relaxed)) values were read")
        }
    }

    @Test(arguments: [true, false])
    func `a client that hangs up leaves its place at once, and what waits does not begin`(isHalf: Bool) async throws {
        try await ServerFixture.run { fixture in
            let gate = Gate()
            fixture.node.peek { $0.writeGate = { await gate.pass() } }
            let path = fixture.socketPath
            try await RawConnection.detached {
                let client = try CallsConnection(path)
                client.send(Self.puts(1...100))
                try Self.waitFor("the first ones") { gate.waiting == KeyCallStream.runningMax }
                // Whole, but for its line feed.
                if isHalf { client.send(#"{"id":101,"put":"half","value":"x"}"#) }
            }
            try await fixture.eventually { $0.streamsOpen == 0 }
            gate.open()
            try await fixture.eventually { _ in fixture.node.peek { $0.keys.count } == KeyCallStream.runningMax }
            #expect(!fixture.node.holds("half"))
        }
    }

    @Test func `half a line of a body that broke off is no call; the others are answered`() async throws {
        try await ServerFixture.run { fixture in
            let path = fixture.socketPath
            let answers = try await RawConnection.detached {
                var client = try CallsConnection(path)
                client.send(Self.put(1) + #"{"id":2,"put":"half","value":"x"}"#)
                let first = try client.answers(1)
                client.raw.finishWriting()
                return first + ((try? client.rest()) ?? [])
            }
            #expect(answers.first?.id == 1 && !answers.contains { $0.id == 2 }, "\(answers)")
            try await fixture.eventually { $0.streamsOpen == 0 && $0.connectionsOpen <= 1 }
            #expect(!fixture.node.holds("half"))
        }
    }

    @Test func `silence ends nothing, however long it is, within a line as well`() async throws {
        let short = Duration.milliseconds(30)
        try await ServerFixture.run(change: {
            ($0.idleDeadline, $0.requestDeadline, $0.answerDeadline, $0.writeDeadline) = (short, short, short, short)
        }) { fixture in
            let path = fixture.socketPath
            try await RawConnection.detached {
                var client = try CallsConnection(path)
                for id: UInt64 in 1...3 {
                    let line = Self.put(id)
                    client.send(String(line.prefix(10)))
                    usleep(100_000)
                    client.send(String(line.dropFirst(10)))
                    #expect(try client.next()?.id == id)
                    usleep(100_000)
                }
                client.finish()
                #expect(try client.next() == nil)
            }
            #expect(fixture.server.counters.connectionsCut == 0)
        }
    }

    @Test func `one stream too many is answered with busy`() async throws {
        try await ServerFixture.run(change: { $0.maxStreams = 2 }) { fixture in
            let path = fixture.socketPath
            try await RawConnection.detached {
                var streams = [try RawConnection(path), try RawConnection(path)]
                for raw in streams {
                    raw.send(CallsConnection.head + "\r\n")
                    #expect(raw.read(until: "\r\n\r\n")?.hasPrefix("HTTP/1.1 200") == true)
                }
                let raw = try RawConnection(path)
                defer { raw.close() }
                raw.send(CallsConnection.head + "\r\n")
                #expect(raw.readToEnd()?.hasPrefix("HTTP/1.1 429") == true)
                for raw in streams { raw.close() }
                streams = []
            }
            try await fixture.eventually { $0.streamsOpen == 0 }
        }
    }

    @Test func `at a stop what is under way is answered after the grace, then the stream says why it ends`()
        async throws
    {
        try await ServerFixture.run { fixture in
            let (taker, gate) = (BunchTaker(), Gate())
            fixture.node.peek {
                $0.bunches = { taker.begin($0, $1) }
                $0.writeGate = { await gate.pass() }
            }
            let path = fixture.socketPath
            let isTold = Atomic(false)
            let isLate = Atomic(false)
            async let answers = RawConnection.detached {
                var client = try CallsConnection(path)
                client.send(Self.puts(1...5) + #"{"id":6,"delete":"app/1"}"# + "\n")
                try Self.waitFor("the stop") { isTold.load(ordering: .acquiring) }
                // Too late: it has no answer, and does not begin.
                client.send(Self.put(7))
                try Self.waitFor("the server to take the late call") { client.raw.unread == 0 }
                isLate.store(true, ordering: .releasing)
                let answers = try client.rest()
                #expect(client.raw.waitForHangUp())
                return answers
            }
            try await Self.eventually("the calls") { taker.open == 5 && gate.waiting == 1 }
            // It is closed after the streams have been told.
            let idle = try RawConnection(path)
            defer { idle.close() }
            try await Self.eventually("the idle connection") { fixture.server.counters.connectionsOpen == 2 }
            async let stopping: Void = fixture.server.stop(grace: .milliseconds(1), graceMax: .seconds(30))
            #expect(try await RawConnection.detached { idle.waitForHangUp() })
            isTold.store(true, ordering: .releasing)
            try await Self.eventually("the late call") { isLate.load(ordering: .acquiring) }
            try await Self.turnLoops()
            taker.answer()
            gate.open()
            let all = try await answers
            #expect(all.prefix(6).compactMap(\.id).sorted() == Array(1...6), "\(all)")
            #expect(all.count == 7 && all.last?.closed == "shutdown", "\(all)")
            #expect(taker.bunches.joined().count == 5)
            await stopping
            #expect(fixture.server.counters.streamsOpen == 0)
        }
    }

    /// What a connection has read has gone where it belongs: each step takes one turn of its loop, and there are a few.
    private static func turnLoops() async throws {
        for _ in 0..<16 {
            for loop in MultiThreadedEventLoopGroup.singleton.makeIterator() { try await loop.submit {}.get() }
        }
    }

    @Test func `silent streams and connections that had one hold up no stop`() async throws {
        try await ServerFixture.run { fixture in
            let path = fixture.socketPath
            let (silent, kept) = try await RawConnection.detached {
                let silent = try RawConnection(path)
                silent.send(CallsConnection.head + "\r\n")
                #expect(silent.read(until: "\r\n\r\n") != nil)
                let kept = try RawConnection(path)
                kept.send(CallsConnection.head + "\r\n")
                #expect(kept.read(until: "\r\n\r\n") != nil)
                for id: UInt64 in 1...3 {
                    kept.send(CallsConnection.chunk(Array(Self.put(id).utf8)))
                    #expect(kept.read(until: "}\n\r\n") != nil)
                }
                kept.send("0\r\n\r\n")
                #expect(kept.read(until: "0\r\n\r\n") != nil)
                return (silent, kept)
            }
            defer { for raw in [silent, kept] { raw.close() } }
            let start = ContinuousClock.now
            await fixture.server.stop(grace: .seconds(20), graceMax: .seconds(20))
            #expect(ContinuousClock.now - start < .seconds(10))
            let last = try await RawConnection.detached { silent.readToEnd() }
            #expect(last?.contains(#"{"closed":"shutdown"}"#) == true, "\(last ?? "nothing")")
        }
    }
}
