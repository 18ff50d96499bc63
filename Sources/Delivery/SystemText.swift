// SPDX-License-Identifier: Apache-2.0
// Owns the words for errors of the system and for times, as sentences of delivery use them.

import Glibc

enum SystemText {
    /// The system's words for `code`, from any thread.
    static func of(_ code: CInt) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
            guard let base = buffer.baseAddress, strerror_r(code, base, buffer.count) == 0 else {
                return "error \(code)"
            }
            return String(cString: base)
        }
    }

    /// `1.5 s` or `500 ms`.
    static func of(_ duration: Duration) -> String {
        let milliseconds = duration.milliseconds
        if milliseconds < 1000 { return "\(milliseconds) ms" }
        let tenths = milliseconds / 100
        return tenths % 10 == 0 ? "\(tenths / 10) s" : "\(tenths / 10).\(tenths % 10) s"
    }
}

extension Duration {
    /// Whole milliseconds, rounded up, so that a wait of them is never too short; at most ten days.
    var milliseconds: Int64 {
        let (seconds, attoseconds) = components
        guard seconds < 864_000 else { return 864_000_000 }
        return seconds * 1000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
    }
}
