// SPDX-License-Identifier: Apache-2.0
// Owns files and the standard input as streams that are read only as fast as they are used.

import AdminModel
import Glibc
import Synchronization

/// A file that is read piece by piece; closed when nobody uses it any more.
final class ByteSource: Sendable {
    private static let pieceBytes = 256 * 1024

    private let descriptor: Int32
    private let name: String

    /// `-` is the standard input.
    init(path: String) throws(AdminFailure) {
        if path == "-" {
            (descriptor, name) = (STDIN_FILENO, "the standard input")
            return
        }
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        name = path.quoted
        guard descriptor >= 0 else {
            throw AdminFailure(.badRequest, "cannot read \(name): \(String(cString: strerror(errno)))")
        }
    }

    deinit {
        if descriptor > STDIN_FILENO { close(descriptor) }
    }

    /// The next bytes; nil at the end.
    func read() throws(AdminFailure) -> [UInt8]? {
        var failure: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: Self.pieceBytes) { buffer, count in
            var got = 0
            repeat { got = Glibc.read(descriptor, buffer.baseAddress, buffer.count) } while got < 0 && errno == EINTR
            if got < 0 { failure = errno }
            count = max(0, got)
        }
        guard failure == 0 else {
            throw AdminFailure(.badRequest, "cannot read \(name): \(String(cString: strerror(failure)))")
        }
        return bytes.isEmpty ? nil : bytes
    }

    var stream: PullStream<[UInt8]> { PullStream { () throws(AdminFailure) in try self.read() } }

    /// A stream of these bytes.
    static func once(_ bytes: [UInt8]) -> PullStream<[UInt8]> {
        let rest = Mutex<[UInt8]?>(bytes)
        return PullStream { () throws(AdminFailure) in
            rest.withLock { rest in
                defer { rest = nil }
                return rest
            }
        }
    }
}

/// Lines of a source, so many at a time.
struct LineChunks {
    /// A line of an import at most, as the daemon allows.
    private static let lineBytesMax = 32 * 1024 * 1024

    private let source: ByteSource
    private let linesMax: Int
    private var rest: [UInt8] = []
    /// Bytes of `rest` that were given already.
    private var head = 0
    private var isOver = false
    /// Lines given so far.
    private(set) var linesGiven = 0

    init(_ source: ByteSource, linesMax: Int) {
        self.source = source
        self.linesMax = linesMax
    }

    /// The next lines with their line feeds; nil at the end.
    mutating func next() throws(AdminFailure) -> [UInt8]? {
        var chunk: [UInt8] = []
        var lines = 0
        var searched = head
        while lines < linesMax {
            if let end = rest[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                chunk += rest[head...end]
                head = end + 1
                searched = head
                lines += 1
                continue
            }
            guard rest.count - head <= Self.lineBytesMax else {
                throw AdminFailure(
                    .tooLarge, "line \(linesGiven + lines + 1) is too long: is the file made of JSON lines?")
            }
            rest.removeFirst(head)
            head = 0
            searched = rest.count
            guard !isOver, let piece = try source.read() else {
                isOver = true
                chunk += rest
                lines += rest.isEmpty ? 0 : 1
                rest = []
                break
            }
            rest += piece
        }
        linesGiven += lines
        return chunk.isEmpty ? nil : chunk
    }
}
