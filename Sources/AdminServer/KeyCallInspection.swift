// SPDX-License-Identifier: Apache-2.0
// Owns a look at how the lines of `POST /v1/calls` are read, without a connection.

import AdminModel

package enum KeyCallInspection {
    /// What was read before the end, or before a line that is too long.
    package struct Lines: Hashable, Sendable {
        package var lines: [[UInt8]] = []
        package var hasTooLong = false

        package init(_ lines: [[UInt8]] = [], hasTooLong: Bool = false) {
            self.lines = lines
            self.hasTooLong = hasTooLong
        }
    }

    /// The lines of a body that comes in pieces. `takenMax`: of those that are there after a piece so many are taken, as by a
    /// stream without room for more.
    package static func lines(_ pieces: [[UInt8]], takenMax: Int, lineBytesMax: Int) -> Lines {
        var reader = KeyCallLines(lineBytesMax: lineBytesMax)
        var read = Lines()
        do throws(AdminFailure) {
            for piece in pieces {
                reader.append(piece)
                for _ in 0..<takenMax {
                    guard let line = try reader.next() else { break }
                    read.lines.append(Array(line))
                }
            }
            reader.finish()
            while let line = try reader.next() { read.lines.append(Array(line)) }
        } catch {
            read.hasTooLong = true
        }
        precondition(reader.count == read.lines.count, "\(read.lines.count) lines are counted as \(reader.count)")
        return read
    }

    /// The call that a line is, read the quick way; nil: that way leaves it alone.
    package static func plainCall(_ line: [UInt8], timeout: Duration) -> KeyCall? {
        PlainCallLine.read(line[...], timeout: timeout)
    }
}
