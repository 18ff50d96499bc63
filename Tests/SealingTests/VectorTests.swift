// SPDX-License-Identifier: Apache-2.0
// Owns the proofs that handshake, derivation and ciphers are the published ones.

import ClusterTypes
import Crypto
import FoundationEssentials
import Testing

@testable import Sealing

@Suite("Published vectors")
struct VectorTests {
    private struct NoiseVector: Decodable {
        struct Message: Decodable {
            var payload: String
            var ciphertext: String
        }
        // The names are the file's.
        var protocol_name: String
        var prologue: String
        var psk: String
        var init_ephemeral: String
        var resp_ephemeral: String
        var hash_after_first_message: String
        var handshake_hash: String
        var messages: [Message]
    }

    private func vector() throws -> NoiseVector {
        let path = String(#filePath.dropLast("VectorTests.swift".count)) + "Vectors/noise-nnpsk0.json"
        return try JSONDecoder().decode(NoiseVector.self, from: Data(contentsOf: URL(filePath: path)))
    }

    @Test("the handshake and what follows it are those of cacophony's vector for NNpsk0")
    func noise() throws {
        let vector = try vector()
        #expect(vector.protocol_name == NoiseHandshake.protocolName)
        let psk = Secret(bytes(vector.psk))
        var initiator = try #require(
            NoiseHandshake(
                role: .initiator, psk: psk, prologue: bytes(vector.prologue), ephemeral: bytes(vector.init_ephemeral)))
        var responder = try #require(
            NoiseHandshake(
                role: .responder, psk: psk, prologue: bytes(vector.prologue), ephemeral: bytes(vector.resp_ephemeral)))

        let written = initiator.write(bytes(vector.messages[0].payload))
        let first = try #require(written)
        #expect(hex(first) == vector.messages[0].ciphertext)
        #expect(responder.read(first[...]).map { hex($0) } == vector.messages[0].payload)
        #expect(hex(initiator.hash) == vector.hash_after_first_message)
        #expect(responder.ciphers() == nil)
        let answered = responder.write(bytes(vector.messages[1].payload))
        let second = try #require(answered)
        #expect(hex(second) == vector.messages[1].ciphertext)
        #expect(initiator.read(second[...]).map { hex($0) } == vector.messages[1].payload)
        #expect(hex(initiator.hash) == vector.handshake_hash)
        #expect(hex(responder.hash) == vector.handshake_hash)

        var ours = try #require(initiator.ciphers())
        var theirs = try #require(responder.ciphers())
        #expect(vector.messages.count == 6)
        for (index, message) in vector.messages.enumerated().dropFirst(2) {
            let plain = bytes(message.payload)
            let sealed = index % 2 == 0 ? ours.send.encrypt(plain) : theirs.send.encrypt(plain)
            #expect(sealed.map { hex($0) } == message.ciphertext)
            let opened =
                index % 2 == 0
                ? theirs.receive.decrypt(bytes(message.ciphertext)[...])
                : ours.receive.decrypt(bytes(message.ciphertext)[...])
            #expect(opened == plain)
        }
    }

    @Test("HKDF-SHA256 is that of RFC 5869, test case 1")
    func derivation() {
        let okm = HKDF<SHA256>.deriveKey(
            inputKeyMaterial: SymmetricKey(data: [UInt8](repeating: 0x0b, count: 22)),
            salt: bytes("000102030405060708090a0b0c"), info: bytes("f0f1f2f3f4f5f6f7f8f9"), outputByteCount: 42)
        #expect(
            hex(okm.withUnsafeBytes { Array($0) })
                == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")
    }

    @Test("AES-256-GCM is that of McGrew and Viega, test case 14")
    func aes() throws {
        let zeros = [UInt8](repeating: 0, count: 32)
        let box = try AES.GCM.seal(
            zeros[..<16], using: SymmetricKey(data: zeros), nonce: AES.GCM.Nonce(data: zeros[..<12]))
        #expect(hex(box.ciphertext) == "cea7403d4d606b6e074ec5d3baf39d18")
        #expect(hex(box.tag) == "d0d1c8a799996bf0265b98b5d48ab919")
    }

    @Test("ChaCha20-Poly1305 is that of RFC 8439 section 2.8.2")
    func chaCha() throws {
        let text =
            "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it."
        let box = try ChaChaPoly.seal(
            Array(text.utf8), using: SymmetricKey(data: Array(0x80...0x9f) as [UInt8]),
            nonce: ChaChaPoly.Nonce(data: bytes("070000004041424344454647")),
            authenticating: bytes("50515253c0c1c2c3c4c5c6c7"))
        #expect(hex(box.ciphertext.prefix(16)) == "d31a8d34648e60db7b86afbc53ef7ec2")
        #expect(hex(box.tag) == "1ae10b594f09e26a7e902ecbd0600691")
    }

    /// Made by another implementation: Python's hmac and pyca/cryptography 48, following Docs/protocol.md.
    @Test("a sealed datagram and the derived ids are those of another implementation")
    func datagram() throws {
        let key = try #require(ClusterKey(bytes: Array(0..<32)))
        #expect(key.id.description == "ee32d191")
        #expect(
            hex(key.streamKey(cluster: cluster).bytes)
                == "e09b8f6b7e86d0d707d53d6b5766e2254d9afe9d47d4f3cde20dc288cb781d1d")
        var sealer = DatagramSealer(cluster: cluster, version: version)
        var rng = Script(numbers: [0xc0c1_c2c3_c4c5_c6c7, 0xffff_ffff_ffff_c8c9])
        let plain = packet(bytes("02000a01020304019100000001"))
        var sealed = [UInt8](repeating: 0, count: plain.count + SealedLayout.overheadBytes)
        for _ in 0..<2 {
            let size = plain.withUnsafeBytes { plain in
                sealed.withUnsafeMutableBytes { sealer.seal(plain, under: key, into: $0, using: &rng) }
            }
            #expect(size == sealed.count)
        }
        #expect(hex(sealed) == Self.sealedDatagram)
    }

    /// Made in the same way.
    @Test("the bytes that a stream begins with are those of another implementation")
    func stream() throws {
        let key = try #require(ClusterKey(bytes: Array(0..<32)))
        let (_, first) = try #require(
            SealedStream.initiate(under: key, cluster: cluster, version: version, ephemeral: Array(1...32)))
        #expect(hex(first) == Self.streamBeginning)
    }

    @Test("Docs/protocol.md shows the examples and names every refusal")
    func page() throws {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let page = try String(contentsOfFile: "/" + root + "/Docs/protocol.md", encoding: .utf8)
        let dense = page.filter { !$0.isWhitespace }
        #expect(dense.contains(Self.sealedDatagram) && dense.contains(Self.streamBeginning))
        for refusal in SealRefusal.allCases { #expect(page.contains("| `\(refusal.rawValue)` |")) }
        for sentence in [
            "thelast\(ReplayWindow.width)counters", "is\(SealedLayout.overheadBytes)byteslonger",
            "atmost\(SealedStream.recordPlainMax / 1_000)384plainbytes",
        ] { #expect(dense.contains(sentence), "\(sentence)") }
    }

    static let streamBeginning =
        "67731001a1a2ee32d191"
        + "07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdfc0b2b86d1c7c"
        + "454cd5f726213a2f2e6c69db31bc0f0e"

    static let sealedDatagram =
        "67731001a1a2ee32d191c0c1c2c3c4c5c6c7c8c900000001"
        + "8256d8a1a55f7e33bc08efda10cfc5c1c76209741edfdc7c9f9766f793c3ce2c727354360920c7284b7243540f"
}
