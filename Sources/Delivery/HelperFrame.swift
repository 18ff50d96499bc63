// SPDX-License-Identifier: Apache-2.0
// Owns what goes over the helper's socket: frames, and who is at the other end.
//
// A frame is 4 bytes, the length of what follows (big endian, at most 64 MiB), and one JSON document of that length. The
// client sends an `ApplyRequest`, the helper answers with a `HelperReply` and closes.

import FoundationEssentials
import Glibc

/// What the helper sends back; one of both is there.
struct HelperReply: Codable {
    var answer: ApplyAnswer?
    /// Why the request was not looked at.
    var error: String?
}

enum HelperFrame {
    static let bytesMax = 64 << 20

    enum Failure: Error, Hashable {
        /// The other side closed before the frame was whole.
        case closed
        case late
        /// A length above the bound, or no such document.
        case malformed
        /// The descriptor to stop by became readable.
        case stopped
        case system(CInt)
    }

    static func encode(_ document: some Encodable) throws(DeliveryFailure) -> [UInt8] {
        let text: Data
        do {
            text = try JSONEncoder().encode(document)
        } catch { throw .helper("the message for the helper cannot be written: \(error)") }
        guard text.count <= bytesMax else {
            throw .helper("the batch has \(text.count) bytes, more than \(bytesMax): make the files smaller or fewer")
        }
        return withUnsafeBytes(of: UInt32(text.count).bigEndian) { Array($0) } + text
    }

    static func decode<Document: Decodable>(_ type: Document.Type, _ bytes: [UInt8]) throws(Failure) -> Document {
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch { throw .malformed }
    }

    /// The document of the next frame.
    ///
    /// - Parameter stop: a descriptor; nothing more is read once it is readable. -1 for none.
    static func read(
        _ descriptor: CInt, until deadline: ContinuousClock.Instant, stop: CInt = -1
    ) throws(Failure) -> [UInt8] {
        let head = try read(4, descriptor, deadline, stop)
        let length = head.reduce(0) { $0 << 8 | Int($1) }
        guard length <= bytesMax else { throw .malformed }
        return try read(length, descriptor, deadline, stop)
    }

    private static func read(
        _ length: Int, _ descriptor: CInt, _ deadline: ContinuousClock.Instant, _ stop: CInt
    ) throws(Failure) -> [UInt8] {
        var bytes: [UInt8] = []
        // Room is made as bytes come: a length alone costs nothing.
        var chunk = [UInt8](repeating: 0, count: min(length, 262_144))
        while bytes.count < length {
            try wait(descriptor, POLLIN, deadline, stop)
            let count = recv(descriptor, &chunk, min(chunk.count, length - bytes.count), CInt(MSG_DONTWAIT))
            if count == 0 { throw .closed }
            if count > 0 {
                bytes += chunk[..<count]
            } else if errno != EAGAIN, errno != EINTR {
                throw errno == ECONNRESET ? .closed : .system(errno)
            }
        }
        return bytes
    }

    static func write(
        _ frame: [UInt8], _ descriptor: CInt, until deadline: ContinuousClock.Instant
    ) throws(Failure) {
        var sent = 0
        while sent < frame.count {
            try wait(descriptor, POLLOUT, deadline, -1)
            let count = frame[sent...].withUnsafeBytes {
                send(descriptor, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL | MSG_DONTWAIT))
            }
            if count >= 0 {
                sent += count
            } else if errno != EAGAIN, errno != EINTR {
                throw errno == EPIPE || errno == ECONNRESET ? .closed : .system(errno)
            }
        }
    }

    /// Until the descriptor is ready, or at an end of some kind.
    private static func wait(
        _ descriptor: CInt, _ event: CInt, _ deadline: ContinuousClock.Instant, _ stop: CInt
    ) throws(Failure) {
        while true {
            let left = deadline - .now
            if left <= .zero { throw .late }
            var waits = [
                pollfd(fd: descriptor, events: Int16(event), revents: 0),
                pollfd(fd: stop, events: Int16(POLLIN), revents: 0),
            ]
            let count = poll(&waits, 2, CInt(min(left.milliseconds, 60_000)))
            if count < 0, errno != EINTR { throw .system(errno) }
            if count > 0, waits[1].revents != 0 { throw .stopped }
            if count > 0, waits[0].revents != 0 { return }
        }
    }
}

enum UnixSocket {
    /// sun_path has 108 bytes, the last one for the terminating zero.
    static let pathBytesMax = 107

    /// Calls `body` with the address of `path`; nil when it is too long or none.
    static func with(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt) -> CInt? {
        guard (1...pathBytesMax).contains(path.utf8.count), !path.utf8.contains(0) else { return nil }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        return withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    /// The user at the other end, as the kernel noted when it connected; nil when it does not say.
    static func peerUser(_ descriptor: CInt) -> uid_t? {
        // struct ucred { pid_t pid; uid_t uid; gid_t gid; }: three 32-bit words (unix(7)).
        var words: (Int32, UInt32, UInt32) = (0, 0, 0)
        var length = socklen_t(MemoryLayout.size(ofValue: words))
        guard getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &words, &length) == 0,
            Int(length) == MemoryLayout.size(ofValue: words)
        else { return nil }
        return words.1
    }

    /// Whom the file of a listening socket belongs to; nil when it has none any more.
    static func owner(_ descriptor: CInt) -> uid_t? {
        var address = sockaddr_un()
        var length = socklen_t(MemoryLayout<sockaddr_un>.size)
        let code = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        guard code == 0 else { return nil }
        let path = withUnsafeBytes(of: address.sun_path) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        var status = stat()
        guard !path.isEmpty, lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else { return nil }
        return status.st_uid
    }
}
