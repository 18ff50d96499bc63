// SPDX-License-Identifier: Apache-2.0
// Owns the ring of keys of the node in memory: ids alone.

import AdminModel
import AdminServer

extension FakeNode {
    package func sealKeys() async throws(AdminFailure) -> SealKeysDocument {
        try ring { ring in SealKeysDocument(keys: ring, membersConfirming: 2, membersTotal: 3) }
    }

    package func installKey(_ text: [UInt8]) async throws(AdminFailure) -> SealKeyResult {
        guard text.count == 45 else {
            throw AdminFailure(
                .badRequest, "what was sent line 1: not a key; a key is 32 bytes in base64, 44 characters")
        }
        return try ring { ring in
            let key = SealKeysDocument.Key(id: "0a1b2c3d", state: .installed, since: Self.start)
            ring.append(key)
            return SealKeyResult(key: key, membersTotal: 3)
        }
    }

    package func useKey(_ key: SealKeyReference) async throws(AdminFailure) -> SealKeyResult {
        try change(key) { ring, index in
            for other in ring.indices where ring[other].state == .active { ring[other].state = .installed }
            ring[index].state = .active
        }
    }

    package func retireKey(_ key: SealKeyReference) async throws(AdminFailure) -> SealKeyResult {
        try change(key) { ring, index throws(AdminFailure) in
            guard ring[index].state != .active else {
                throw AdminFailure(.conflict, "key \(key) is the one that is used: use another one first")
            }
            ring[index].state = .retiring
            ring[index].acceptedUntil = Self.start
        }
    }

    private func ring<Result: Sendable>(
        _ body: (inout [SealKeysDocument.Key]) throws(AdminFailure) -> Result
    ) throws(AdminFailure) -> Result {
        try with { state throws(AdminFailure) in
            guard !state.ring.isEmpty else {
                throw AdminFailure(.conditionFailed, "packets are not sealed, so there is no ring of keys")
            }
            return try body(&state.ring)
        }
    }

    private func change(
        _ key: SealKeyReference, _ body: (inout [SealKeysDocument.Key], Int) throws(AdminFailure) -> Void
    ) throws(AdminFailure) -> SealKeyResult {
        try ring { ring throws(AdminFailure) in
            guard let index = ring.firstIndex(where: { $0.id == key.description }) else {
                throw AdminFailure(.notFound, "no key \(key) is installed: see \"gossipctl key list\"")
            }
            try body(&ring, index)
            return SealKeyResult(key: ring[index], membersTotal: 3)
        }
    }
}
