// SPDX-License-Identifier: Apache-2.0
// Owns the tests of a node's signing key against published vectors.

import ClusterTypes
import Sealing
import Testing

@Suite("Signing key")
struct AuthorSignerTests {
    private static func bytes(_ hex: String) -> [UInt8] { Hex.bytes(hex, count: hex.utf8.count / 2) ?? [] }

    /// RFC 8032 section 7.1, tests 1 to 3: secret key, public key, message, signature.
    static let vectors: [(String, String, String, String)] = [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
                + "d25bf5f0595bbe24655141438e7a100b"
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
                + "387b2eaeb4302aeeb00d291612bb0c00"
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
                + "4a7c15e9716ed28dc027beceea1ec40a"
        ),
    ]

    @Test("Published signatures hold, and no longer when a bit of message or signature is another", arguments: vectors)
    func published(seed: String, key: String, message: String, signature: String) throws {
        let signer = try #require(AuthorSigner(seed: Self.bytes(seed)))
        #expect(signer.key.description == key)
        let published = try #require(AuthorProof(key: signer.key, signature: Self.bytes(signature)))
        #expect(AuthorSigner.isGenuine(published, of: Self.bytes(message)))
        #expect(!AuthorSigner.isGenuine(published, of: Self.bytes(message) + [0]))
        var changed = Self.bytes(signature)
        changed[10] ^= 1
        let wrong = try #require(AuthorProof(key: signer.key, signature: changed))
        #expect(!AuthorSigner.isGenuine(wrong, of: Self.bytes(message)))
        let own = try #require(signer.proof(of: Self.bytes(message)))
        #expect(AuthorSigner.isGenuine(own, of: Self.bytes(message)))
    }

    @Test("Bytes that are no key make nothing genuine, and do not trap")
    func noKey() throws {
        for byte in [0x00, 0xff] as [UInt8] {
            let key = try #require(AuthorKey(bytes: [UInt8](repeating: byte, count: AuthorKey.byteCount)))
            let proof = try #require(
                AuthorProof(key: key, signature: [UInt8](repeating: 7, count: AuthorProof.signatureByteCount)))
            #expect(!AuthorSigner.isGenuine(proof, of: [1, 2, 3]))
        }
        #expect(AuthorSigner(seed: [1, 2]) == nil)
    }

    @Test("No text of a signer shows its seed")
    func hidden() throws {
        let seed = [UInt8](repeating: 0xab, count: AuthorSigner.seedByteCount)
        let signer = try #require(AuthorSigner(seed: seed))
        var dumped = ""
        dump(signer, to: &dumped)
        for text in ["\(signer)", String(reflecting: signer), dumped] {
            #expect(!text.contains("abab") && !text.contains("171"))
        }
    }
}
