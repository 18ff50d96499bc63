// SPDX-License-Identifier: Apache-2.0
// Owns the way of calls about strict keys into the kernel.

import AdminModel
import ClusterTypes
import DaemonConfig
import NodeKernel
import SWIMCore
import StoreCore
import StrictGroup
import Transport

extension StrictAccess {
    init(_ strict: DaemonConfiguration.Strict, _ driver: KernelDriver) {
        let perform = driver.perform(_:)
        self.init(
            prefixes: strict.prefixes,
            call: { (call: StrictCall, interval: Interval) async throws(AdminFailure) -> StrictReply in
                switch await perform(.strict(call, within: interval)) {
                case .strict(let reply): return reply
                case .failure(let failure):
                    var refusal = AdminFailure(failure)
                    if call.isChange { refusal.outcome = .notDone }
                    throw refusal
                default: throw .unexpectedReply
                }
            },
            begin: { driver.perform($0, within: $1, to: $2) },
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

extension [Tag] {
    /// Without the tag by which nodes tell each other who may vote: it is nobody's to set or to read.
    var ofUsers: [Tag] { filter { $0.name != NodeKernel.strictTag.name } }
}
