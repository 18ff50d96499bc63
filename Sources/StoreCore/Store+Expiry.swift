// SPDX-License-Identifier: Apache-2.0
// Owns the expiry of values: when the next one is due, and what a watcher sees of it.

import ClusterTypes

extension Store {
    /// Milliseconds since 1970 at which `expire(through:)` is due; nil when no value expires.
    package var nextExpiry: UInt64? { nil }

    /// Values whose time is over by `wall` stop to show. Their rows stay as they are, and so do root and context.
    package mutating func expire(through wall: WallTime) -> [Change] { [] }
}
