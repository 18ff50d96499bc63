// SPDX-License-Identifier: Apache-2.0
// Owns the bytes of a node's statement about itself that its signature covers.

import ClusterTypes
import NodeKernel
import SWIMCore

extension SelfStatement {
    /// What is signed begins with this, so that the signature can mean nothing else.
    private static let purpose = Array("gossipd self v1".utf8)

    /// The purpose, then cluster, subject, incarnation and word as messages carry them (Docs/protocol.md, Signatures).
    package func signedBytes(cluster: ClusterID) -> [UInt8] {
        var counter = SizeCounter()
        write(cluster: cluster, to: &counter)
        return [UInt8](unsafeUninitializedCapacity: counter.bytes) { buffer, count in
            guard let base = UnsafeMutableRawBufferPointer(buffer).baseAddress else { return }
            var writer = ByteWriter(base: base, limit: buffer.count)
            write(cluster: cluster, to: &writer)
            count = writer.count
        }
    }

    private func write(cluster: ClusterID, to sink: inout some ByteSink) {
        sink.put(raw: Self.purpose)
        sink.put(cluster.rawValue)
        sink.put(subject)
        sink.put(varint: incarnation)
        switch word {
        case .present(let info):
            sink.put(MemberState.alive.rawValue)
            sink.put(info)
        case .left:
            sink.put(MemberState.left.rawValue)
        }
    }
}
