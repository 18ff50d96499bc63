// SPDX-License-Identifier: Apache-2.0
// Owns the one line of progress on a terminal's standard error, written over again and taken away at the end.

import Glibc

struct ProgressLine: Sendable {
    /// Nil when the standard error is not a terminal.
    static var standardError: ProgressLine? {
        isatty(STDERR_FILENO) == 1 && getenv("TERM").map { String(cString: $0) } != "dumb" ? ProgressLine() : nil
    }

    func show(_ text: String) { Terminal.write(Array("\r\u{1b}[K\(text.prefix(200))".utf8), to: STDERR_FILENO) }

    func clear() { Terminal.write(Array("\r\u{1b}[K".utf8), to: STDERR_FILENO) }
}
