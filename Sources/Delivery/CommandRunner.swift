// SPDX-License-Identifier: Apache-2.0
// Owns running a program to its end: input, bounded output, a time limit, and nothing left of it behind.

/// What a program left.
package struct CommandResult: Hashable, Sendable {
    /// The exit status, or 128 and the signal's number, as shells count.
    package var status: Int32
    package var output: [UInt8]
    /// The last of its standard error, as text, white space at the ends cut off.
    package var errorText: String

    package init(status: Int32, output: [UInt8], errorText: String) {
        self.status = status
        self.output = output
        self.errorText = errorText
    }
}
