// SPDX-License-Identifier: Apache-2.0
// Owns the way of calls about strict keys into the kernel.

import ClusterTypes
import DaemonConfig
import NodeKernel
import StoreCore
import StrictGroup

extension StrictAccess {
    init(_ strict: DaemonConfiguration.Strict, _ perform: @escaping @Sendable (Command) async -> Reply) {
        self.init(
            prefixes: strict.prefixes,
            call: { call, interval in
                guard case .strict(let reply) = await perform(.strict(call, within: interval)) else {
                    // The node is starting or leaving, or has too many commands to take another one: nothing was begun.
                    return .failed(.tooManyCalls)
                }
                return reply
            },
            age: {
                guard case .strictAge(let age) = await perform(.strictAge) else { return nil }
                return age.milliseconds
            })
    }
}

extension KeyView {
    /// The log index of a strict key's last write; nil for other keys.
    var strictIndex: UInt64? { index > 0 ? index : nil }
}

extension NodeID {
    /// Whether it stands for the strict log, which is the author of strict keys.
    var isStrictLog: Bool { ActorID(node: self, epoch: 0).isStrictFeed }
}
