// SPDX-License-Identifier: Apache-2.0
// Owns the tests of what `doctor` makes of keys, and of what the journal says when files and ring differ.

import AdminModel
import ClusterTypes
import DaemonConfig
import NodeKernel
import Sealing
import Testing
import Transport

@testable import gossipd

@Suite("What doctor says of keys")
struct KeyFindingTests {
    private static func key(_ seed: UInt64) -> ClusterKey {
        var rng = SeededGenerator(seed: seed)
        return ClusterKey(using: &rng)
    }

    private let old = key(1)
    private let new = key(2)

    /// The new key seals; the old one is installed or retired.
    private func ring(retired: Bool) throws -> KeyRing {
        var ring = KeyRing(keys: [old])
        try ring.install(new, at: 10)
        try ring.use(new.id, at: 20)
        if retired { try ring.retire(old.id, at: 30) }
        return ring
    }

    @Test(
        "a peer that seals with another key is named until it has shown the ring; a retired key is another matter",
        arguments: [false, true])
    func behind(retired: Bool) throws {
        let ring = try ring(retired: retired)
        let findings = KernelNode.keyFindings(
            ring, primary: new.id, inFiles: [new.id],
            peers: [
                .init(name: "late", key: old.id, hasRing: false), .init(name: "told", key: old.id, hasRing: true),
                .init(name: "same", key: new.id, hasRing: false), .init(name: "unknown", key: nil, hasRing: false),
            ])
        #expect(findings.map(\.code) == [retired ? "peer_key_retired" : "peer_key_behind"])
        #expect(findings[0].summary.hasPrefix("late seals with key \(old.id), and this node with \(new.id)"))
        #expect(findings[0].severity == .warning && !findings[0].advice.isEmpty)
    }

    @Test("key files without the key that seals are named, others are not")
    func files() throws {
        let ring = try ring(retired: false)
        func codes(_ files: [KeyID]) -> [String] {
            KernelNode.keyFindings(ring, primary: new.id, inFiles: files, peers: []).map(\.code)
        }
        #expect(codes([old.id]) == ["key_file_behind"])
        #expect(codes([old.id, new.id]) == [] && codes([]) == [])
    }

    @Test("the journal says when the first key of the file is not the one that seals")
    func difference() throws {
        let installed = try ring(retired: false)
        #expect(installed.difference(toFiles: [new.id, old.id]) == nil)
        #expect(
            installed.difference(toFiles: [old.id])
                == "the first key of the key file is \(old.id), and packets are sealed with \(new.id); gossipctl key use \(old.id) changes that"
        )
        let sentence = try ring(retired: true).difference(toFiles: [old.id])
        #expect(sentence?.contains("which was retired: packets are sealed with") == true)
        #expect(installed.sentence == "\(new.id) seals, \(old.id) is accepted")
    }

    @Test(
        "the whole of a sealed datagram stays within datagram_size_max, at its least as well",
        arguments: [1_232, 1_263, 1_264, 1_400])
    func size(of bytes: Int) throws {
        let keys = StartingKeys(files: [old], ring: KeyRing(keys: [old]), seal: .init(keys: [old]))
        let text = "[membership]\ndatagram_size_max = \(bytes)\n"
        let configured = try DaemonConfiguration.parse(Array(text.utf8), file: "test", hostName: "host")
        let signer = try #require(AuthorSigner(seed: [UInt8](repeating: 1, count: AuthorSigner.seedByteCount)))
        let kernel = KernelConfiguration(configured, peers: [], keys: keys, signer: signer)
        #expect(kernel.datagramBytesMax + SealedLayout.overheadBytes == bytes)
        #expect(kernel.datagramBytesMax >= Bounds.packetBytesMin)
        #expect(Bounds.packetBytesMin + SealedLayout.overheadBytes == Bounds.datagramBytesMin)
    }
}
