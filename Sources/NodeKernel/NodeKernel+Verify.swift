// SPDX-License-Identifier: Apache-2.0
// Owns `kv verify`: the roots of all active members compared, and the ranges in which they differ.

import ClusterTypes
import StoreCore

struct VerificationState: Sendable {}

extension NodeKernel {
    mutating func onVerify(_ id: CommandID, deadline: Interval, _ turn: inout Turn) {
        reply(id, .failure(.notReady), &turn)
    }
}
