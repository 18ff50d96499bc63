// SPDX-License-Identifier: Apache-2.0
// Owns the suite of all tests with real daemons: one after the other, because they measure time on real sockets.

import Testing

@Suite("Real daemons", .serialized, .timeLimit(.minutes(2)))
struct ProcessTests {}

/// A figure that a test measured, for the reader of its output.
func report(_ what: String, _ figures: Duration...) {
    print("measured: \(what): \(figures.map(\.figure).joined(separator: ", "))")
}
