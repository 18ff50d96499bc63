// SPDX-License-Identifier: Apache-2.0
// Owns writing to standard error.

import Glibc

enum StandardError {
    static func print(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        // What cannot be written to standard error can be told to nobody.
        _ = write(STDERR_FILENO, bytes, bytes.count)
    }
}
