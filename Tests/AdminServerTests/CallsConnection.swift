// SPDX-License-Identifier: Apache-2.0
// Owns a client of `POST /v1/calls` over a bare socket, for tests: it sends what it is told, and takes the answer apart.

import AdminModel
import Synchronization

/// Used from one thread at a time.
struct CallsConnection {
    static let head = "POST /v1/calls HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n"

    /// Closes with the last copy.
    private final class Owner {
        let raw: RawConnection
        init(_ raw: RawConnection) { self.raw = raw }
        deinit { raw.close() }
    }

    private let owner: Owner
    var raw: RawConnection { owner.raw }
    private var bytes: [UInt8] = []
    private var lines: [UInt8] = []
    private(set) var isOver = false

    /// Sends the head, and waits for that of the answer.
    init(_ path: String, _ fields: String = "") throws {
        owner = Owner(try RawConnection(path))
        raw.send(Self.head + fields + "\r\n")
        let head = try readHead()
        guard head.hasPrefix("HTTP/1.1 200") else { throw AdminFailure(.badAnswer, head) }
    }

    static func chunk(_ bytes: [UInt8]) -> [UInt8] {
        Array("\(String(bytes.count, radix: 16))\r\n".utf8) + bytes + Array("\r\n".utf8)
    }

    func send(_ text: String) { raw.send(Self.chunk(Array(text.utf8))) }

    func finish() { raw.send("0\r\n\r\n") }

    /// Another answer comes on the same connection.
    mutating func begin() { isOver = false }

    mutating func readHead() throws -> String {
        let end = Array("\r\n\r\n".utf8)
        var searched = 0
        while true {
            if bytes.count >= end.count {
                for place in searched...(bytes.count - end.count) where bytes[place..<(place + 4)].elementsEqual(end) {
                    let head = String(decoding: bytes[..<(place + 4)], as: UTF8.self)
                    bytes.removeFirst(place + 4)
                    return head
                }
                searched = bytes.count - end.count
            }
            try fill()
        }
    }

    private mutating func fill() throws {
        guard let more = raw.receive(), !more.isEmpty else { throw AdminFailure(.unreachable, "nothing more comes") }
        bytes += more
    }

    /// The next line of the answer; nil at its end.
    mutating func next() throws -> KeyCallAnswer? {
        while true {
            if let end = lines.firstIndex(of: UInt8(ascii: "\n")) {
                let line = Array(lines[..<end])
                lines.removeFirst(end + 1)
                return try AdminJSON.decode(KeyCallAnswer.self, from: line)
            }
            guard let chunk = try nextChunk() else { return nil }
            lines += chunk
        }
    }

    mutating func answers(_ count: Int) throws -> [KeyCallAnswer] {
        var answers: [KeyCallAnswer] = []
        while answers.count < count {
            guard let answer = try next() else { break }
            answers.append(answer)
        }
        return answers
    }

    /// All that is left.
    mutating func rest() throws -> [KeyCallAnswer] { try answers(.max) }

    private mutating func nextChunk() throws -> [UInt8]? {
        guard !isOver else { return nil }
        while true {
            if let end = bytes.firstIndex(of: UInt8(ascii: "\r")) {
                guard let size = Int(String(decoding: bytes[..<end], as: UTF8.self), radix: 16) else {
                    throw AdminFailure(.badAnswer, "no size of a chunk")
                }
                if bytes.count >= end + 2 + size + 2 {
                    let chunk = Array(bytes[(end + 2)..<(end + 2 + size)])
                    bytes.removeFirst(end + 2 + size + 2)
                    isOver = size == 0
                    return isOver ? nil : chunk
                }
            }
            try fill()
        }
    }
}

extension KeyCallAnswer {
    var failure: AdminFailure? {
        error.map { AdminFailure(AdminFailure.Code(rawValue: $0.code) ?? .badAnswer, $0.message, outcome: $0.outcome) }
    }
}

/// Holds whoever comes until it is opened.
final class Gate: Sendable {
    private let state = Mutex<(isOpen: Bool, waiting: [CheckedContinuation<Void, Never>])>((false, []))

    var waiting: Int { state.withLock { $0.waiting.count } }

    func pass() async {
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiting.append(continuation) }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
    }

    func open() {
        let waiting = state.withLock { state in
            state.isOpen = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }
}

/// A node that takes all puts in bunches, and answers when it is told to.
final class BunchTaker: Sendable {
    private struct State {
        var bunches: [[KeyCall]] = []
        var open: [UInt64] = []
        var answered: (@Sendable ([(id: UInt64, KeyCallResult)]) -> Void)?
    }
    private let state = Mutex(State())

    var bunches: [[KeyCall]] { state.withLock { $0.bunches } }
    var open: Int { state.withLock { $0.open.count } }

    func begin(
        _ calls: [KeyCall], _ answered: @escaping @Sendable ([(id: UInt64, KeyCallResult)]) -> Void
    ) -> [KeyCall] {
        state.withLock { state in
            state.answered = answered
            var others: [KeyCall] = []
            var bunch: [KeyCall] = []
            for call in calls {
                if case .write(.put, _) = call.action { bunch.append(call) } else { others.append(call) }
            }
            state.open += bunch.map(\.id)
            state.bunches.append(bunch)
            return others
        }
    }

    /// Answers the oldest.
    func answer(_ count: Int = .max) {
        let (ids, answered) = state.withLock { state in
            let ids = Array(state.open.prefix(count))
            state.open.removeFirst(ids.count)
            return (ids, state.answered)
        }
        answered?(ids.map { ($0, .committed(version: $0)) })
    }
}
