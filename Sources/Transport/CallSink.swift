// SPDX-License-Identifier: Apache-2.0
// Owns the way of answers back to one client of many calls: those of one turn of the kernel go together.

import NIOCore
import NodeKernel

/// Where the answers to one client's calls go. Each change of thread costs more than an answer.
///
/// `@unchecked Sendable`: `waiting` is touched on the kernel's loop alone.
package final class CallSink: @unchecked Sendable {
    private let deliver: @Sendable ([(tag: UInt64, reply: Reply)]) -> Void
    private var waiting: [(tag: UInt64, reply: Reply)] = []

    /// `deliver` is called on the kernel's loop and must not wait.
    package init(_ deliver: @escaping @Sendable ([(tag: UInt64, reply: Reply)]) -> Void) { self.deliver = deliver }

    /// - Returns: Whether it is the first one since `flush`.
    func add(_ tag: UInt64, _ reply: Reply) -> Bool {
        waiting.append((tag, reply))
        return waiting.count == 1
    }

    func flush() {
        let batch = waiting
        waiting = []
        if !batch.isEmpty { deliver(batch) }
    }
}
