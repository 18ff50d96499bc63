// SPDX-License-Identifier: Apache-2.0
// Owns plain lines on standard error, for what happens before there is a log.

import Glibc

enum StandardError {
    /// Writes `text` and a line feed. Nothing can be done when that fails.
    static func write(_ text: String) {
        let bytes = Array((text + "\n").utf8)
        var offset = 0
        while offset < bytes.count {
            let written = bytes[offset...].withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
            if written <= 0 { return }
            offset += written
        }
    }
}
