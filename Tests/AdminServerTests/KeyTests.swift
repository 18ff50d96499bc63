// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the keys' endpoints and of `gossipctl key`, with the real program.

import AdminClient
import AdminModel
import AdminServerFixture
import Glibc
import Testing

@Suite struct KeyTests {
    private static let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

    private func withRing(_ body: @Sendable (ServerFixture) async throws -> Void) async throws {
        try await ServerFixture.run { fixture in
            fixture.node.peek { $0.ring = [SealKeysDocument.Key(id: "ee32d191", state: .active, membersUsing: 3)] }
            try await body(fixture)
        }
    }

    @Test func `keys are listed, installed, used and retired by id`() async throws {
        try await withRing { fixture in
            let client = fixture.client
            #expect(try await client.sealKeys().keys.map(\.id) == ["ee32d191"])
            #expect(try await client.installKey(Array((Self.key + "\n").utf8)).key.state == .installed)
            #expect(try await client.useKey(try SealKeyReference("0A1b2c3d")).key.state == .active)
            #expect(try await client.retireKey(try SealKeyReference("ee32d191")).key.acceptedUntil == FakeNode.start)
            let answer = try await client.send(AdminRequest("GET", "/v1/keys"))
            #expect(
                String(decoding: answer.body, as: UTF8.self).hasPrefix(
                    #"{"keys":[{"accepted_until":""#))
        }
    }

    @Test(
        arguments: [
            (["key", "list"], nil, 0, "ee32d191  active"),
            (["key", "use", "ee32d191"], nil, 0, "ee32d191 seals packets"),
            (["key", "retire", "ee32d191"], nil, 4, "use another one first"),
            (["key", "use", "00000000"], nil, 3, "no key 00000000"),
            (["key", "use", "web"], nil, 64, "eight hexadecimal"),
            (["key", "use", key], nil, 64, "eight hexadecimal"),
            (["key", "install", key], nil, 64, "does not belong on the command line"),
            (["key", "install"], key + "\n", 0, "0a1b2c3d is installed"),
            (["key", "install", "-"], "short", 64, "not a key"),
            (["key", "install", "/nonexistent/key"], nil, 64, "cannot read"),
        ] as [([String], String?, Int32, String)])
    func `gossipctl key says what it did, exits as the others do, and shows no key`(
        arguments: [String], input: String?, status: Int32, words: String
    ) async throws {
        try await withRing { fixture in
            let outcome = try await fixture.gossipctl(arguments, input: input ?? "")
            #expect(outcome.status == status, "\(outcome)")
            let all = outcome.output + outcome.error
            #expect(all.contains(words), "\(all)")
            #expect(!all.contains("AAECAwQ"), "\(all)")
        }
    }

    @Test func `without sealing there is no ring, and that is a precondition`() async throws {
        try await ServerFixture.run { fixture in
            let outcome = try await fixture.gossipctl(["key", "list"])
            #expect(outcome.status == 4 && outcome.error.contains("not sealed"), "\(outcome)")
        }
    }

    @Test func `a new key needs no daemon, and its file is for its owner alone`() async throws {
        try await ServerFixture.run { fixture in
            let first = try await fixture.gossipctl(["key", "generate"])
            let second = try await fixture.gossipctl(["key", "generate"])
            #expect(first.status == 0 && first.output.utf8.count == 45 && first.output != second.output)
            let folder = try TemporaryFolder()
            defer { folder.remove() }
            let file = folder.path + "/new.key"
            let made = try await fixture.gossipctl(["--socket", "/nonexistent", "key", "generate", "--file", file])
            #expect(made.status == 0 && made.output.isEmpty, "\(made)")
            var status = stat()
            #expect(stat(file, &status) == 0 && status.st_mode & 0o777 == 0o600)
            let again = try await fixture.gossipctl(["key", "generate", "--file", file])
            #expect(again.status == 64 && again.error.contains("already there"), "\(again)")
        }
    }
}
