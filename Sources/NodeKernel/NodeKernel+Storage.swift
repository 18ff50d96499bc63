// SPDX-License-Identifier: Apache-2.0
// Owns the disk's condition and what depends on it, and the expiry of values.

import ClusterTypes
import StoreCore

extension NodeKernel {
    mutating func onStorage(_ condition: StorageCondition, _ turn: inout Turn) {
        storage = condition
        turn.actions.append(.event(.storage(condition)))
    }

    mutating func onExpiry(_ turn: inout Turn) {}
}
