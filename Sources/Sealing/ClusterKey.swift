// SPDX-License-Identifier: Apache-2.0
// Owns a key of the cluster: its bytes, its id, its text, and the keys that are derived from it.

import ClusterTypes
import Crypto
import FoundationEssentials

/// Names a key without telling anything of it: the first 4 bytes of HKDF-SHA256(key, info "gossipd key id v1").
package struct KeyID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let rawValue: UInt32

    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static func < (a: KeyID, b: KeyID) -> Bool { a.rawValue < b.rawValue }

    /// Eight hexadecimal digits.
    package var description: String { Hex.string(rawValue) }
}

/// 32 random bytes that all members share. Its texts show only the id; `secretText` alone gives it away.
package struct ClusterKey: Sendable {
    package static let byteCount = 32

    package let id: KeyID
    private let secret: Secret

    /// nil unless there are exactly 32 bytes. They must come from the system's generator; nothing stretches a password.
    package init?(bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        secret = Secret(bytes)
        let id = HKDF<SHA256>.deriveKey(
            inputKeyMaterial: secret.key, info: Array("gossipd key id v1".utf8), outputByteCount: 4)
        self.id = KeyID(rawValue: id.withUnsafeBytes { UInt32(bigEndian: $0.loadUnaligned(as: UInt32.self)) })
    }

    /// nil unless the text is base64 (RFC 4648 section 4, padded) of 32 bytes.
    package init?(text: some StringProtocol) {
        guard text.utf8.count == 44, let data = Data(base64Encoded: String(text)) else { return nil }
        self.init(bytes: Array(data))
    }

    /// A new key.
    package init(using rng: inout some RandomNumberGenerator) {
        var bytes: [UInt8] = []
        for _ in 0..<4 { bytes += BigEndian.bytes(rng.next()) }
        guard let key = ClusterKey(bytes: bytes) else { preconditionFailure("\(bytes.count) bytes are no key") }
        self = key
    }

    /// The key itself in base64: for the key file and for nothing else.
    package var secretText: String { Data(secret.bytes).base64EncodedString() }

    /// The key itself: for the ring's codec and for nothing else.
    var secretBytes: [UInt8] { secret.bytes }

    /// Takes the same time for every pair of keys.
    package func isSame(as other: ClusterKey) -> Bool { secret.key == other.secret.key }

    /// The key of one sender's session of datagrams.
    func datagramKey(session: SessionID, cluster: UInt64) -> Secret {
        let info = Array("gossipd datagram v1".utf8) + BigEndian.bytes(cluster) + [SealedLayout.major]
        return Secret(
            HKDF<SHA256>.deriveKey(
                inputKeyMaterial: secret.key, salt: session.bytes, info: info, outputByteCount: 32))
    }

    /// The pre-shared key of stream handshakes.
    func streamKey(cluster: UInt64) -> Secret {
        let info = Array("gossipd stream v1".utf8) + BigEndian.bytes(cluster) + [SealedLayout.major]
        return Secret(HKDF<SHA256>.deriveKey(inputKeyMaterial: secret.key, info: info, outputByteCount: 32))
    }
}

extension ClusterKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "key \(id)" }
    package var debugDescription: String { "key \(id)" }
    package var customMirror: Mirror { Mirror(self, children: ["id": id.description]) }
}
