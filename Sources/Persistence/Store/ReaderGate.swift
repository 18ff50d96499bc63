// SPDX-License-Identifier: Apache-2.0
// Owns the word between the writer and its readers: who must let go of the past so that the log can shrink.

import Synchronization

/// Readers note the present turn when they begin; the writer turns when the log has grown too long, and a reader of an
/// earlier turn gives up at its next row.
final class ReaderGate: Sendable {
    private let turn = Atomic<UInt64>(0)

    var current: UInt64 { turn.load(ordering: .relaxed) }

    func evict() { turn.wrappingAdd(1, ordering: .relaxed) }
}
