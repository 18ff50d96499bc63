// SPDX-License-Identifier: Apache-2.0
// Owns the cutting of a stream into lines.

import AdminModel
import NIOCore

struct LineSplitter {
    private var rest: [UInt8] = []
    private let lengthMax: Int

    init(lengthMax: Int) { self.lengthMax = lengthMax }

    /// The lines that `buffer` completes, without line feeds; empty lines are skipped. Fails with `bad_answer` when a
    /// line grows beyond the limit.
    mutating func append(_ buffer: ByteBuffer) throws(AdminFailure) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        var view = buffer.readableBytesView[...]
        while let end = view.firstIndex(of: UInt8(ascii: "\n")) {
            rest.append(contentsOf: view[..<end])
            if !rest.isEmpty { lines.append(rest) }
            rest = []
            view = view[view.index(after: end)...]
        }
        rest.append(contentsOf: view)
        guard rest.count <= lengthMax else {
            throw AdminFailure(.badAnswer, "a line of the stream has more than \(lengthMax) bytes")
        }
        return lines
    }
}
