// SPDX-License-Identifier: Apache-2.0
// Owns how the node takes calls about keys that come in bunches.

import AdminModel

/// Takes the calls of one client that the node is quicker with when they come together.
package protocol KeyCallBunches: Sendable {
    /// Returns at once, with the calls that it does not take. The others are under way at the same time, and each is answered once,
    /// in bounded time.
    func begin(_ calls: [KeyCall]) -> [KeyCall]
}

/// Of a node that takes each call by itself.
package struct NoKeyCallBunches: KeyCallBunches {
    package init() {}

    package func begin(_ calls: [KeyCall]) -> [KeyCall] { calls }
}

extension NodeHandle {
    package func bunches(
        answered: @escaping @Sendable ([(id: UInt64, KeyCallResult)]) -> Void
    ) -> any KeyCallBunches { NoKeyCallBunches() }
}
