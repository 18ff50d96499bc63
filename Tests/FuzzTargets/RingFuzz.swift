// SPDX-License-Identifier: Apache-2.0
// Owns the fuzz target of keys: a ring's bytes, a key file's text, and rings that were changed apart and are merged.

import ClusterTypes
import Sealing

/// The first byte chooses which.
enum RingFuzz {
    static let keys: [ClusterKey] = {
        var rng = SeededGenerator(seed: 5)
        return (0..<96).map { _ in ClusterKey(using: &rng) }
    }()

    static func feed(_ bytes: [UInt8]) throws(FuzzFailure) {
        guard let mode = bytes.first else { return }
        let rest = Array(bytes.dropFirst())
        switch mode % 3 {
        case 0: try decoding(rest)
        case 1: try file(rest)
        default: try merging(rest)
        }
    }

    private static func decoding(_ bytes: [UInt8]) throws(FuzzFailure) {
        guard let ring = try? KeyRing(encoded: bytes) else { return }
        try require(ring.encoded() == bytes, "a ring has two forms")
        try check(ring)
        var merged = KeyRing(keys: Array(keys.prefix(3)))
        merged.merge(ring)
        try check(merged)
        var other = ring
        other.merge(KeyRing(keys: Array(keys.prefix(3))))
        try require(merged.encoded() == other.encoded(), "merging depends on the order")
    }

    private static func file(_ bytes: [UInt8]) throws(FuzzFailure) {
        guard let keys = try? KeyFile.keys(in: String(decoding: bytes, as: UTF8.self)) else { return }
        try require(!keys.isEmpty && keys.count <= KeyRing.keysMax, "a file gives \(keys.count) keys")
        let text = keys.map { $0.secretText + "\n" }.joined()
        let again = try? KeyFile.keys(in: text)
        try require(again?.map(\.id) == keys.map(\.id), "keys do not survive their own text")
    }

    /// Each three bytes are one change: which ring and what, which key, when.
    private static func merging(_ bytes: [UInt8]) throws(FuzzFailure) {
        var rings = [KeyRing(), KeyRing(keys: [keys[0]]), KeyRing(keys: [keys[0], keys[1]])]
        for start in stride(from: 0, to: min(bytes.count - 2, 600), by: 3) {
            let index = Int(bytes[start] >> 4) % rings.count
            let key = keys[Int(bytes[start + 1]) % keys.count]
            let now = UInt64(bytes[start + 2])
            switch bytes[start] & 7 {
            case 0, 1: try? rings[index].install(key, at: now)
            case 2: try? rings[index].use(key.id, at: now)
            case 3, 4: try? rings[index].retire(key.id, at: now)
            case 5: _ = rings[index].expire(at: now, grace: .milliseconds(20))
            default: rings[index].merge(rings[Int(bytes[start + 1]) % rings.count])
            }
            try require(rings[index].entries.count <= KeyRing.entriesMax, "a ring outgrows its bound")
        }
        for ring in rings { try check(ring) }
        let forth = rings.dropFirst().reduce(into: rings[0]) { $0.merge($1) }
        let back = rings.dropLast().reversed().reduce(into: rings[2]) { $0.merge($1) }
        try require(forth.encoded() == back.encoded(), "merging depends on the order")
        try check(forth)
    }

    private static func check(_ ring: KeyRing) throws(FuzzFailure) {
        let ids = ring.entries.map(\.id)
        try require(ids.count <= KeyRing.entriesMax, "a ring has \(ids.count) entries")
        try require(zip(ids, ids.dropFirst()).allSatisfy { $0 < $1 }, "a ring is not sorted")
        let isEmpty = ring.entries.allSatisfy { $0.key == nil }
        try require((ring.primary == nil) == isEmpty, "a ring with keys has none to seal with")
        guard let decoded = try? KeyRing(encoded: ring.encoded()) else {
            throw FuzzFailure("a ring cannot be read back")
        }
        try require(decoded.encoded() == ring.encoded(), "a ring reads back as another one")
        try require(decoded.fingerprint == ring.fingerprint, "equal rings have different fingerprints")
    }
}
