// SPDX-License-Identifier: Apache-2.0
// Owns lines out of pieces.

import AdminModel

/// Lines out of pieces.
struct KeyCallLines {
    private var bytes: [UInt8] = []
    private var start = 0
    /// Nothing before this is a line feed.
    private var searched = 0
    /// Lines that were taken.
    private(set) var count = 0
    private let lineBytesMax: Int

    /// - Parameter lineBytesMax: Tests have a lower one.
    init(lineBytesMax: Int = KeyCallStream.lineBytesMax) { self.lineBytesMax = lineBytesMax }

    mutating func append(_ piece: [UInt8]) {
        if start == bytes.count {
            bytes = piece
            searched = 0
        } else {
            bytes.removeFirst(start)
            bytes += piece
            searched = max(0, searched - start)
        }
        start = 0
    }

    /// Nothing more comes: what is left is a line, too.
    mutating func finish() {
        if start < bytes.count, bytes.last != UInt8(ascii: "\n") { append([UInt8(ascii: "\n")]) }
    }

    /// The next whole line; fails with `too_large` for one that is.
    mutating func next() throws(AdminFailure) -> ArraySlice<UInt8>? {
        guard let end = bytes[max(searched, start)...].firstIndex(of: UInt8(ascii: "\n")) else {
            searched = bytes.count
            guard bytes.count - start <= lineBytesMax else { throw tooLong }
            return nil
        }
        let line = bytes[start..<end]
        guard line.count <= lineBytesMax else { throw tooLong }
        start = end + 1
        count += 1
        return line
    }

    private var tooLong: AdminFailure {
        AdminFailure(
            .tooLarge,
            "the line has more than \(lineBytesMax) bytes: one call is one line, with a line feed at its end"
        )
    }
}
