// SPDX-License-Identifier: Apache-2.0
// Owns reading the file and the host's name from the system.

import Glibc

/// Why a file could not be read, as a sentence's end.
package struct FileReadFailure: Error {
    package var reason: String
}

package enum FileText {
    /// Reads at most `sizeMax` bytes. Pipes and /dev/null will do, directories will not.
    package static func read(_ path: String, sizeMax: Int) throws(FileReadFailure) -> [UInt8] {
        guard !path.isEmpty, !path.utf8.contains(0) else {
            throw FileReadFailure(reason: "is not a path")
        }
        // Without O_NONBLOCK, opening a named pipe that nobody writes would wait for ever.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw failure("cannot be opened") }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure("cannot be examined") }
        guard status.st_mode & S_IFMT != S_IFDIR else { throw FileReadFailure(reason: "is a directory, not a file") }
        guard fcntl(descriptor, F_SETFL, O_RDONLY) == 0 else { throw failure("cannot be read") }
        return try read(descriptor, sizeMax: sizeMax)
    }

    /// Reads at most `sizeMax` bytes from where an open file stands.
    package static func read(_ descriptor: CInt, sizeMax: Int) throws(FileReadFailure) -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while bytes.count < sizeMax {
            let count = Glibc.read(descriptor, &chunk, min(chunk.count, sizeMax - bytes.count))
            if count == 0 { break }
            if count < 0 {
                if errno == EINTR { continue }
                throw failure("cannot be read")
            }
            bytes += chunk[..<count]
        }
        return bytes
    }

    /// `what` with the words for `errno`.
    package static func failure(_ what: String) -> FileReadFailure {
        FileReadFailure(reason: "\(what): \(String(cString: strerror(errno)))")
    }
}

/// The name of this host.
package enum HostName {
    /// What gethostname(2) says; empty when it fails.
    package static func current() -> String {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return "" }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
