// SPDX-License-Identifier: Apache-2.0
// Owns the public key of a node and a signature under it, as values; the arithmetic belongs to Sealing.

/// An Ed25519 public key (RFC 8032 section 5.1.5). Every member pins the key under which it first heard a node speak.
package struct AuthorKey: Hashable, Sendable, CustomStringConvertible {
    package static let byteCount = 32

    package let bytes: [UInt8]

    /// nil unless there are exactly 32 bytes. Whether they are a point of the curve shows when a signature is checked.
    package init?(bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        self.bytes = bytes
    }

    /// nil unless the text is 64 hexadecimal digits.
    package init?(_ text: some StringProtocol) {
        guard let bytes = Hex.bytes(text, count: Self.byteCount) else { return nil }
        self.bytes = bytes
    }

    /// 64 hexadecimal digits.
    package var description: String { bytes.map { Hex.string($0) }.joined() }
}

/// A node's key and its signature of what it said of itself.
package struct AuthorProof: Hashable, Sendable {
    package static let signatureByteCount = 64
    /// Bytes of key and signature together.
    package static let byteCount = AuthorKey.byteCount + signatureByteCount

    package let key: AuthorKey
    package let signature: [UInt8]

    /// nil unless the signature has exactly 64 bytes.
    package init?(key: AuthorKey, signature: [UInt8]) {
        guard signature.count == Self.signatureByteCount else { return nil }
        self.key = key
        self.signature = signature
    }
}
