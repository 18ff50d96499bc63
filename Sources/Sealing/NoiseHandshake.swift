// SPDX-License-Identifier: Apache-2.0
// Owns the handshake Noise_NNpsk0_25519_ChaChaPoly_SHA256: two messages, from a shared key to two fresh ones.

import Crypto
import FoundationEssentials

/// Noise revision 34, pattern NNpsk0:
///
///     -> psk, e
///     <- e, ee
///
/// A pure machine: the private key is a parameter. After a failure it is of no use; drop it.
struct NoiseHandshake: Sendable {
    enum Role: Sendable {
        case initiator
        case responder
    }

    private enum Step: Sendable {
        case first
        case second
        case done
    }

    static let protocolName = "Noise_NNpsk0_25519_ChaChaPoly_SHA256"
    static let publicBytes = 32
    /// Either message without a payload.
    static let messageBytes = publicBytes + SealedLayout.tagBytes

    private let role: Role
    private let psk: Secret
    private let ephemeral: Curve25519.KeyAgreement.PrivateKey
    private var remote: [UInt8] = []
    private var state: NoiseSymmetricState
    private var step = Step.first

    /// nil unless the private key has 32 bytes; it must be fresh random bytes.
    init?(role: Role, psk: Secret, prologue: [UInt8], ephemeral: [UInt8]) {
        guard let ephemeral = try? Curve25519.KeyAgreement.PrivateKey(rawRepresentation: ephemeral) else { return nil }
        self.role = role
        self.psk = psk
        self.ephemeral = ephemeral
        state = NoiseSymmetricState(protocolName: Self.protocolName)
        state.mix(hash: prologue)
    }

    /// The hash of the whole handshake, the same on both sides when they agree.
    var hash: [UInt8] { state.hash }

    /// Our message; nil when it is not our turn or the peer's public key is a bad one.
    mutating func write(_ payload: [UInt8] = []) -> [UInt8]? {
        let own = Array(ephemeral.publicKey.rawRepresentation)
        switch (step, role) {
        case (.first, .initiator):
            state.mix(keyAndHash: psk)
            mix(public: own)
            step = .second
        case (.second, .responder):
            mix(public: own)
            guard mixShared() else { return nil }
            step = .done
        case (.first, .responder), (.second, .initiator), (.done, _):
            return nil
        }
        return state.encryptAndHash(payload).map { own + $0 }
    }

    /// The payload of the peer's message; nil when it is not authentic or not the peer's turn.
    mutating func read(_ message: ArraySlice<UInt8>) -> [UInt8]? {
        guard message.count >= Self.messageBytes else { return nil }
        let split = message.startIndex + Self.publicBytes
        remote = Array(message[..<split])
        switch (step, role) {
        case (.first, .responder):
            state.mix(keyAndHash: psk)
            mix(public: remote)
            step = .second
        case (.second, .initiator):
            mix(public: remote)
            guard mixShared() else { return nil }
            step = .done
        case (.first, .initiator), (.second, .responder), (.done, _):
            return nil
        }
        return state.decryptAndHash(message[split...])
    }

    /// The ciphers to send and to receive with, once both messages have gone; nil before.
    func ciphers() -> (send: NoiseCipher, receive: NoiseCipher)? {
        guard case .done = step else { return nil }
        let (first, second) = state.split()
        return role == .initiator ? (first, second) : (second, first)
    }

    /// The token "e" of a handshake with a pre-shared key (section 9.2).
    private mutating func mix(public bytes: [UInt8]) {
        state.mix(hash: bytes)
        state.mix(key: Secret(bytes))
    }

    /// The token "ee"; false for a public key that makes the secret zero.
    private mutating func mixShared() -> Bool {
        guard let key = try? Curve25519.KeyAgreement.PublicKey(rawRepresentation: remote),
            let shared = try? ephemeral.sharedSecretFromKeyAgreement(with: key)
        else { return false }
        state.mix(key: shared.withUnsafeBytes { Secret($0) })
        return true
    }
}
