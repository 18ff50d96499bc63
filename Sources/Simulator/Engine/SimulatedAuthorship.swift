// SPDX-License-Identifier: Apache-2.0
// Owns signatures for simulations: as long as real ones and made in no time, with a key that goes with the disk.

import ClusterTypes
import SWIMCore

extension Authorship {
    /// Nodes with one id have one key, as copies of a disk do. Nobody forges here: the check guards against statements that
    /// honest nodes mix up.
    static func simulated(id: NodeID) -> Authorship {
        let key = key(of: id)
        return Authorship(
            sign: { AuthorProof(key: key, signature: signature(of: $0, under: key)) },
            isGenuine: { $1.signature == signature(of: $0, under: $1.key) })
    }

    private static func key(of id: NodeID) -> AuthorKey {
        guard let key = AuthorKey(bytes: spread(id.high, id.low, to: AuthorKey.byteCount)) else {
            preconditionFailure("a key of another length")
        }
        return key
    }

    private static func signature(of statement: SelfStatement, under key: AuthorKey) -> [UInt8] {
        var hasher = StableHasher()
        hasher.absorb(counted: key.bytes)
        hasher.absorb(statement.subject)
        hasher.absorb(statement.incarnation)
        switch statement.word {
        case .present(let info): hasher.absorb(info.contentHash)
        case .left: hasher.absorb(1 as UInt8)
        }
        let hash = hasher.finalize()
        return spread(hash.high, hash.low, to: AuthorProof.signatureByteCount)
    }

    private static func spread(_ high: UInt64, _ low: UInt64, to count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: ($0 % 16 < 8 ? high : low) >> UInt64($0 % 8 * 8)) }
    }
}
