// SPDX-License-Identifier: Apache-2.0
// Owns what the tests of writes share: recovered kernels, rows of peers, their transactions.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore

/// Where Testing has a `Confirmation` of its own.
typealias HoldersReport = Confirmation

struct Unexpected: Error { var what: String }

extension KernelBench {
    /// A kernel that knows two peers and what the disk held.
    static func recovered(_ recovered: RecoveredStore) -> KernelBench {
        var bench = KernelBench()
        bench.kernel = NodeKernel(
            configuration: bench.kernel.configuration,
            identity: KernelIdentity(
                id: NodeID(high: 0x1111_0001, low: 1), name: "n1", address: address(1), tags: [],
                incarnationFence: 100, storeEpoch: 2),
            recovered: recovered, clock: bench.clock)
        bench.handle(.start)
        bench.hear([alive(2), alive(3)], from: 2)
        bench.pass(.seconds(0))
        bench.settleGossip()
        bench.clear()
        return bench
    }
}

extension Row {
    /// An element of a set as another node would send it.
    static func element(
        _ key: String, _ element: [UInt8], by number: Int, counter: UInt64, wall: UInt64 = 1_700_000_000_000
    ) -> Row {
        let actor = ActorID(node: NodeID(high: 0x1111_0000 + UInt64(number), low: UInt64(number)), epoch: 1)
        return Row(
            id: RowID(key: key, part: .element(element)), versions: [Dot(actor: actor, counter: counter)],
            stamp: HybridTimestamp(wall: WallTime(milliseconds: wall)), author: actor,
            content: .element([ElementEntry(actor: actor, added: counter, removed: 0)]))
    }
}
