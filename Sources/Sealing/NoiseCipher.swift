// SPDX-License-Identifier: Apache-2.0
// Owns the cipher and the key schedule of the Noise Protocol Framework, revision 34: sections 4, 5.1 and 5.2.

import Crypto
import FoundationEssentials

/// A key with its counter (section 5.1), for ChaChaPoly (section 12.3).
struct NoiseCipher: Sendable {
    private var secret: Secret
    private var nonce: UInt64 = 0

    init(_ secret: Secret) { self.secret = secret }

    /// Messages under the present key.
    var count: UInt64 { nonce }

    /// nil when the counter is used up.
    mutating func encrypt(_ plain: some DataProtocol, authenticating data: [UInt8] = []) -> [UInt8]? {
        guard let nonce = Self.nonce(self.nonce) else { return nil }
        guard let box = try? ChaChaPoly.seal(plain, using: secret.key, nonce: nonce, authenticating: data) else {
            return nil
        }
        self.nonce += 1
        return Array(box.combined.dropFirst(12))
    }

    /// nil when the message is not authentic, and then nothing has changed.
    mutating func decrypt(_ sealed: ArraySlice<UInt8>, authenticating data: [UInt8] = []) -> [UInt8]? {
        guard sealed.count >= SealedLayout.tagBytes, let nonce = Self.nonce(self.nonce) else { return nil }
        let end = sealed.endIndex - SealedLayout.tagBytes
        guard
            let box = try? ChaChaPoly.SealedBox(nonce: nonce, ciphertext: sealed[..<end], tag: sealed[end...]),
            let plain = try? ChaChaPoly.open(box, using: secret.key, authenticating: data)
        else { return nil }
        self.nonce += 1
        return Array(plain)
    }

    /// Section 4.2: the next key is what the highest nonce makes of 32 zero bytes. The counter begins anew, which section 11.3
    /// leaves to the application.
    mutating func rekey() -> Bool {
        guard let nonce = try? ChaChaPoly.Nonce(data: Self.bytes(.max)),
            let box = try? ChaChaPoly.seal([UInt8](repeating: 0, count: 32), using: secret.key, nonce: nonce)
        else { return false }
        secret = Secret(box.ciphertext)
        self.nonce = 0
        return true
    }

    /// The highest is kept for `rekey`.
    private static func nonce(_ value: UInt64) -> ChaChaPoly.Nonce? {
        value == .max ? nil : try? ChaChaPoly.Nonce(data: bytes(value))
    }

    private static func bytes(_ value: UInt64) -> [UInt8] {
        [0, 0, 0, 0] + withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }
}

/// The symmetric state (section 5.2) over SHA-256.
struct NoiseSymmetricState: Sendable {
    private var chainingKey: Secret
    private(set) var hash: [UInt8]
    private var cipher: NoiseCipher?

    init(protocolName: String) {
        let name = Array(protocolName.utf8)
        hash = name.count <= 32 ? name + [UInt8](repeating: 0, count: 32 - name.count) : Array(SHA256.hash(data: name))
        chainingKey = Secret(hash)
    }

    mutating func mix(hash data: [UInt8]) { hash = Array(SHA256.hash(data: hash + data)) }

    mutating func mix(key material: Secret) {
        let outputs = derive(material, count: 2)
        chainingKey = outputs[0]
        cipher = NoiseCipher(outputs[1])
    }

    mutating func mix(keyAndHash material: Secret) {
        let outputs = derive(material, count: 3)
        chainingKey = outputs[0]
        mix(hash: outputs[1].bytes)
        cipher = NoiseCipher(outputs[2])
    }

    mutating func encryptAndHash(_ plain: [UInt8]) -> [UInt8]? {
        guard cipher != nil, let sealed = cipher?.encrypt(plain, authenticating: hash) else { return nil }
        mix(hash: sealed)
        return sealed
    }

    mutating func decryptAndHash(_ sealed: ArraySlice<UInt8>) -> [UInt8]? {
        guard cipher != nil, let plain = cipher?.decrypt(sealed, authenticating: hash) else { return nil }
        mix(hash: Array(sealed))
        return plain
    }

    /// The initiator's cipher to send with, then the responder's.
    func split() -> (NoiseCipher, NoiseCipher) {
        let outputs = derive(Secret([UInt8]()), count: 2)
        return (NoiseCipher(outputs[0]), NoiseCipher(outputs[1]))
    }

    /// HKDF of section 4.3: RFC 5869 without info, the chaining key as salt.
    private func derive(_ material: Secret, count: Int) -> [Secret] {
        let pseudorandom = SymmetricKey(
            data: HMAC<SHA256>.authenticationCode(for: material.bytes, using: chainingKey.key))
        var outputs: [Secret] = []
        var last: [UInt8] = []
        for index in 1...count {
            last = Array(HMAC<SHA256>.authenticationCode(for: last + [UInt8(index)], using: pseudorandom))
            outputs.append(Secret(last))
        }
        return outputs
    }
}
