// SPDX-License-Identifier: Apache-2.0
// Owns the standard output and error: whole writes, width, colour, and a quiet end when the reader has gone.

import AdminModel
import Glibc

struct Terminal: Sendable {
    /// Columns to fit into; nil when the output is not a terminal.
    var width: Int?
    var colours: Bool

    /// The standard output of this process.
    static let standard: Terminal = {
        let isTerminal = isatty(STDOUT_FILENO) == 1
        let plain = environment("NO_COLOR") != nil || environment("TERM") == "dumb"
        return Terminal(width: isTerminal ? measuredWidth() : nil, colours: isTerminal && !plain)
    }()

    func print(_ text: String) { Self.write(Array(text.utf8), to: STDOUT_FILENO) }

    func print(bytes: [UInt8]) { Self.write(bytes, to: STDOUT_FILENO) }

    /// Empties a terminal's screen, or leaves a blank line between two tables in a file.
    func clear() { print(width == nil ? "\n" : "\u{1b}[H\u{1b}[2J") }

    /// One line on the standard error.
    static func complain(_ message: String) { write(Array("gossipctl: \(message)\n".utf8), to: STDERR_FILENO) }

    static func write(_ bytes: [UInt8], to descriptor: Int32) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                rest = rest.dropFirst(count)
                continue
            }
            switch errno {
            case EINTR: continue
            case EAGAIN:
                // Someone else made this terminal or pipe non-blocking: wait until it takes more.
                var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&entry, 1, -1)
            case EPIPE:
                // The reader has gone (`| head`): end as a plain Unix filter does, without a word.
                signal(SIGPIPE, SIG_DFL)
                raise(SIGPIPE)
            default:
                if descriptor != STDERR_FILENO {
                    complain("cannot write the output: \(String(cString: strerror(errno)))")
                }
                exit(ExitStatus.failed.rawValue)
            }
        }
    }

    private static func measuredWidth() -> Int? {
        var size = winsize()
        if ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col >= 20 { return Int(size.ws_col) }
        return environment("COLUMNS").flatMap(Int.init).map { max($0, 20) }
    }

    /// A variable of the environment; nil when it is not set or empty.
    private static func environment(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }
}

/// Colours of terminals, for states.
enum Colour: String {
    case green = "32"
    case yellow = "33"
    case red = "31"
    case grey = "90"
    case bold = "1"

    func paint(_ text: String) -> String { "\u{1b}[\(rawValue)m\(text)\u{1b}[0m" }
}
