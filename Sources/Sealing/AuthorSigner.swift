// SPDX-License-Identifier: Apache-2.0
// Owns a node's own signing key, and Ed25519 as a function of bytes.

import ClusterTypes
import Crypto

/// The private key under which a node speaks of itself (RFC 8032, Ed25519). Its texts show the public key alone.
package struct AuthorSigner: Sendable {
    package static let seedByteCount = 32

    package let key: AuthorKey
    private let seed: Secret

    /// nil unless there are exactly 32 bytes; they must come from the system's generator.
    package init?(seed bytes: [UInt8]) {
        guard bytes.count == Self.seedByteCount,
            let signing = try? Curve25519.Signing.PrivateKey(rawRepresentation: bytes),
            let key = AuthorKey(bytes: Array(signing.publicKey.rawRepresentation))
        else { return nil }
        self.key = key
        seed = Secret(bytes)
    }

    /// nil when the library refuses, which it has no reason to.
    package func proof(of message: [UInt8]) -> AuthorProof? {
        guard let signing = try? Curve25519.Signing.PrivateKey(rawRepresentation: seed.bytes),
            let signature = try? signing.signature(for: message)
        else { return nil }
        return AuthorProof(key: key, signature: Array(signature))
    }

    /// Whether `proof` holds for these bytes.
    package static func isGenuine(_ proof: AuthorProof, of message: [UInt8]) -> Bool {
        guard let key = try? Curve25519.Signing.PublicKey(rawRepresentation: proof.key.bytes) else { return false }
        return key.isValidSignature(proof.signature, for: message)
    }
}

extension AuthorSigner: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "signing key \(key)" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: ["key": key.description]) }
}
