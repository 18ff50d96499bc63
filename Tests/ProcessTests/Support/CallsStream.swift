// SPDX-License-Identifier: Apache-2.0
// Owns a client of `POST /v1/calls` for tests with real daemons: it sends lines, and collects what comes back.

import AdminModel
import Glibc
import Synchronization

/// One thread sends, another one reads.
final class CallsStream: Sendable {
    private struct State {
        var answers: [KeyCallAnswer] = []
        /// The answer has ended as it should.
        var isWhole = false
        var isOver = false
    }

    private let descriptor: Int32
    private let state = Mutex(State())

    init(_ daemon: DaemonProcess) throws {
        let opened = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard opened >= 0 else { throw Trouble.system("socket") }
        guard SocketAddress.unix(daemon.socket, { connect(opened, $0, $1) }) == 0 else {
            let code = errno
            close(opened)
            throw Trouble.system("connect", code)
        }
        descriptor = opened
        _ = send(Array("POST /v1/calls HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".utf8))
    }

    deinit { close(descriptor) }

    var answers: [KeyCallAnswer] { state.withLock { $0.answers } }
    var isWhole: Bool { state.withLock { $0.isWhole } }
    var isOver: Bool { state.withLock { $0.isOver } }

    /// False: the daemon takes no more.
    func sendLines(_ lines: String) -> Bool {
        let bytes = Array(lines.utf8)
        return send(Array("\(String(bytes.count, radix: 16))\r\n".utf8) + bytes + Array("\r\n".utf8))
    }

    func finish() -> Bool { send(Array("0\r\n\r\n".utf8)) }

    private func send(_ bytes: [UInt8]) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    /// Takes answers until the daemon ends them. Lines of JSON are the only ones that begin with a brace, and a line may be cut by
    /// the frame of a chunk: frames are taken out first.
    func read() {
        var bytes: [UInt8] = []
        var lines: [UInt8] = []
        var isHeadOver = false
        var piece = [UInt8](repeating: 0, count: 65_536)
        defer { state.withLock { $0.isOver = true } }
        while true {
            let count = recv(descriptor, &piece, piece.count, 0)
            guard count > 0 else { return }
            bytes += piece.prefix(count)
            if !isHeadOver {
                guard let end = String(decoding: bytes, as: UTF8.self).range(of: "\r\n\r\n") else { continue }
                bytes.removeFirst(end)
                isHeadOver = true
            }
            var isWhole = false
            while !isWhole, let end = bytes.firstIndex(of: UInt8(ascii: "\r")),
                let size = Int(String(decoding: bytes[..<end], as: UTF8.self), radix: 16), bytes.count >= end + 4 + size
            {
                isWhole = size == 0
                lines += bytes[(end + 2)..<(end + 2 + size)]
                bytes.removeFirst(end + 4 + size)
            }
            while let end = lines.firstIndex(of: UInt8(ascii: "\n")) {
                let answer = try? AdminJSON.decode(KeyCallAnswer.self, from: lines[..<end])
                lines.removeFirst(end + 1)
                if let answer { state.withLock { $0.answers.append(answer) } }
            }
            if isWhole { return state.withLock { $0.isWhole = true } }
        }
    }
}

extension String {
    /// How many bytes there are up to the end of `text`.
    fileprivate func range(of text: String) -> Int? {
        let (bytes, wanted) = (Array(utf8), Array(text.utf8))
        guard bytes.count >= wanted.count else { return nil }
        for start in 0...(bytes.count - wanted.count) where bytes[start..<(start + wanted.count)].elementsEqual(wanted)
        {
            return start + wanted.count
        }
        return nil
    }
}
