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
            call: { _, _ in .failed(.notConfigured) },
            age: { nil })
    }
}

extension KeyView {
    /// The log index of a strict key's last write; nil for other keys.
    var strictIndex: UInt64? { nil }
}

extension NodeID {
    /// Whether it stands for the strict log, which is the author of strict keys.
    var isStrictLog: Bool { false }
}
