// SPDX-License-Identifier: Apache-2.0
// Owns the tests of opening a data directory: identity, epochs, the lock, damaged files.

import ClusterTypes
import Glibc
import Persistence
import Testing

@Suite("Data directory")
struct DataDirectoryTests {
    static let peers = [
        StoredPeer(id: NodeID(high: 1, low: 2), name: "web-1", address: Address(ipv4: 0x0a00_0001, port: 7_946)),
        StoredPeer(
            id: NodeID(high: 3, low: 4), name: "two words\n100 % ü", address: Address(high: 1 << 60, low: 9, port: 1)),
        StoredPeer(
            id: NodeID(high: 7, low: 8), name: "\u{301}combining\r\n", address: Address(ipv4: 1, port: 0)),
        StoredPeer(id: NodeID(high: 5, low: 6), name: "", address: Address(ipv4: 0x7f00_0001, port: 65_535)),
    ]

    @Test("a missing directory is created for its owner alone, with its parents")
    func creates() throws {
        try withScratch { scratch in
            let path = scratch.path + "/a/b/c"
            let directory = try DataDirectory.open(path)
            #expect(directory.isNew)
            #expect(directory.warnings.isEmpty)
            #expect(try scratch.mode(path) == 0o700)
            #expect(try scratch.mode(path + "/identity") == 0o600)
        }
    }

    @Test("a restart is the same node under the next boot epoch")
    func restart() throws {
        try withScratch { scratch in
            let first = try DataDirectory.open(scratch.data).identity
            #expect(first.bootEpoch == 1)
            #expect(first.incarnationFence == 0)
            #expect(first.id != .unknown)
            for epoch in UInt32(2)...4 {
                let directory = try DataDirectory.open(scratch.data)
                #expect(!directory.isNew)
                #expect(directory.identity.id == first.id && directory.identity.bootEpoch == epoch)
                #expect(directory.identity.incarnationFence == 0)
                #expect(directory.identity.signingSeed == first.signingSeed)
            }
        }
    }

    @Test("two new directories have two identities")
    func distinct() throws {
        try withScratch { scratch in
            let a = try DataDirectory.open(scratch.path + "/a").identity.id
            let b = try DataDirectory.open(scratch.path + "/b").identity.id
            #expect(a != b)
        }
    }

    @Test("the incarnation fence and the peers are there after a restart, byte for byte")
    func remembers() throws {
        try withScratch { scratch in
            do {
                let directory = try DataDirectory.open(scratch.data)
                try directory.writeIncarnationFence(.max)
                try directory.writePeers(Self.peers)
                #expect(directory.identity.incarnationFence == .max)
            }
            let again = try DataDirectory.open(scratch.data)
            #expect(again.identity.incarnationFence == .max)
            #expect(again.peers == Self.peers)
            #expect(again.warnings.isEmpty)
        }
    }

    @Test("the fence never goes back")
    func fenceIsMonotonic() throws {
        try withScratch { scratch in
            let directory = try DataDirectory.open(scratch.data)
            try directory.writeIncarnationFence(100)
            try directory.writeIncarnationFence(7)
            #expect(directory.identity.incarnationFence == 100)
            #expect(try scratch.text("identity").contains("incarnation_fence 100\n"))
        }
    }

    @Test("a group of updates ends as if they had been written one by one")
    func groupCommit() throws {
        try withScratch { scratch in
            do {
                let directory = try DataDirectory.open(scratch.data)
                try directory.commit([
                    DataDirectoryUpdate(incarnationFence: 9, peers: []),
                    DataDirectoryUpdate(peers: Self.peers),
                    DataDirectoryUpdate(incarnationFence: 5),
                ])
            }
            let again = try DataDirectory.open(scratch.data)
            #expect(again.identity.incarnationFence == 9)
            #expect(again.peers == Self.peers)
        }
    }

    @Test("of too many peers the first are kept")
    func peersAreBounded() throws {
        try withScratch { scratch in
            let many = (0..<UInt64(StoredPeer.countMax + 10)).map {
                StoredPeer(
                    id: NodeID(high: 0, low: $0 + 1), name: String(repeating: "\u{1}", count: 64),
                    address: Address(high: .max, low: .max, port: 7_946))
            }
            try DataDirectory.open(scratch.data).writePeers(many)
            #expect(try DataDirectory.open(scratch.data).peers == Array(many.prefix(StoredPeer.countMax)))
        }
    }

    @Test("a second opener is told the process id of the first, and may open once the first is gone")
    func lock() throws {
        try withScratch { scratch in
            do {
                let first = try DataDirectory.open(scratch.data)
                let before = try scratch.text("identity")
                #expect(throws: PersistenceFailure.locked(path: scratch.data, processID: getpid())) {
                    try DataDirectory.open(scratch.data)
                }
                #expect(try scratch.text("identity") == before, "a refused opener must not use up an epoch")
                #expect(first.identity.bootEpoch == 1)
                let failure = PersistenceFailure.locked(path: scratch.data, processID: getpid())
                #expect(failure.description.contains("process \(getpid())"))
            }
            #expect(try DataDirectory.open(scratch.data).identity.bootEpoch == 2)
        }
    }

    @Test("another process cannot take the lock while the directory is open")
    func lockAgainstProcess() throws {
        try withScratch { scratch in
            let program = "/usr/bin/flock"
            try #require(access(program, X_OK) == 0, "util-linux has to be installed")
            let command = [program, "--nonblock", "--conflict-exit-code", "9", scratch.data + "/lock", "/bin/true"]
            do {
                let directory = try DataDirectory.open(scratch.data)
                #expect(try run(command) == 9)
                #expect(directory.isNew)
            }
            #expect(try run(command) == 0)
        }
    }

    @Test("the lock of another process is reported with the id it wrote")
    func foreignLock() throws {
        try withScratch { scratch in
            _ = try DataDirectory.open(scratch.data)
            try scratch.write("lock", "4242\n".utf8)
            let held = open(scratch.data + "/lock", O_RDWR)
            defer { close(held) }
            #expect(flock(held, LOCK_EX | LOCK_NB) == 0)
            #expect(throws: PersistenceFailure.locked(path: scratch.data, processID: 4_242)) {
                try DataDirectory.open(scratch.data)
            }
            try scratch.write("lock", "nonsense".utf8)
            #expect(throws: PersistenceFailure.locked(path: scratch.data, processID: nil)) {
                try DataDirectory.open(scratch.data)
            }
        }
    }

    @Test(
        "a damaged identity is refused and left as it is",
        arguments: [
            ("empty", [UInt8]()),
            ("half a line", Array("gossipd identity 1\nnode 00".utf8)),
            ("zeros", [UInt8](repeating: 0, count: 160)),
            ("not UTF-8", [0xff, 0xfe, 0x0a]),
            ("a single line feed", [0x0a]),
            ("checksum alone", Array("checksum 00000000000000000000000000000000\n".utf8)),
        ])
    func damagedIdentity(_ name: String, _ bytes: [UInt8]) throws {
        try withScratch { scratch in
            _ = try DataDirectory.open(scratch.data)
            try scratch.write("identity", bytes)
            let failure = try #require(throws: PersistenceFailure.self) { try DataDirectory.open(scratch.data) }
            guard case .corruptIdentity(let file, _) = failure else {
                Issue.record("\(name): \(failure)")
                return
            }
            #expect(file == scratch.data + "/identity")
            #expect(failure.description.contains("restore the file from a backup"))
            #expect(try scratch.read("identity") == bytes)
        }
    }

    @Test("no truncation and no flipped bit of an identity is taken for one")
    func everyDamage() throws {
        try withScratch { scratch in
            _ = try DataDirectory.open(scratch.data)
            let good = try scratch.read("identity")
            for length in 0..<good.count {
                try scratch.write("identity", good.prefix(length))
                #expect(throws: PersistenceFailure.self, "cut to \(length) bytes") {
                    try DataDirectory.open(scratch.data)
                }
            }
            for index in good.indices {
                var bad = good
                bad[index] ^= 1 << UInt8(index % 8)
                try scratch.write("identity", bad)
                #expect(throws: PersistenceFailure.self, "byte \(index)") { try DataDirectory.open(scratch.data) }
            }
            try scratch.write("identity", good)
            #expect(try DataDirectory.open(scratch.data).identity.bootEpoch == 2)
        }
    }

    @Test("an identity that cannot be read is not replaced")
    func unreadableIdentity() throws {
        try withScratch { scratch in
            _ = try DataDirectory.open(scratch.data)
            unlink(scratch.data + "/identity")
            #expect(mkdir(scratch.data + "/identity", 0o700) == 0)
            #expect(throws: PersistenceFailure.self) { try DataDirectory.open(scratch.data) }
            try scratch.write("identity/x", [])
        }
    }

    @Test("a path that is a file is refused with its name")
    func notADirectory() throws {
        try withScratch { scratch in
            let file = open(scratch.data, O_WRONLY | O_CREAT, 0o600)
            close(file)
            #expect(throws: PersistenceFailure.notADirectory(path: scratch.data)) {
                try DataDirectory.open(scratch.data)
            }
        }
    }

    @Test("damaged peers are set aside with a warning, and the node starts")
    func damagedPeers() throws {
        try withScratch { scratch in
            try DataDirectory.open(scratch.data).writePeers(Self.peers)
            var bytes = try scratch.read("peers")
            bytes[30] ^= 1
            try scratch.write("peers", bytes)
            let directory = try DataDirectory.open(scratch.data)
            #expect(directory.peers.isEmpty)
            #expect(directory.warnings.count == 1)
            #expect(directory.warnings.first?.contains(scratch.data + "/peers.corrupt") == true)
            #expect(try scratch.read("peers.corrupt") == bytes)
            #expect(!scratch.exists("peers"))
        }
    }

    @Test("no truncation and no flipped bit of the peers stops the daemon or is believed")
    func everyPeersDamage() throws {
        try withScratch { scratch in
            try DataDirectory.open(scratch.data).writePeers(Self.peers)
            let good = try scratch.read("peers")
            for length in 0..<good.count {
                try scratch.write("peers", good.prefix(length))
                let directory = try DataDirectory.open(scratch.data)
                #expect(directory.peers.isEmpty && directory.warnings.count == 1, "cut to \(length) bytes")
            }
            for index in good.indices {
                var bad = good
                bad[index] ^= 1 << UInt8(index % 8)
                try scratch.write("peers", bad)
                let directory = try DataDirectory.open(scratch.data)
                #expect(directory.peers.isEmpty && directory.warnings.count == 1, "byte \(index)")
            }
        }
    }

    @Test("an identity without a signing seed gets one, and keeps it; a damaged one is refused")
    func seedOfOlderVersions() throws {
        try withScratch { scratch in
            let id = try DataDirectory.open(scratch.data).identity.id
            let old = SealedText.seal(
                kind: "identity", version: 1, lines: ["node \(id)", "boot_epoch 1", "incarnation_fence 5"])
            try scratch.write("identity", old)
            let first = try DataDirectory.open(scratch.data).identity
            let second = try DataDirectory.open(scratch.data).identity
            #expect(first.id == id && first.incarnationFence == 5)
            #expect(first.signingSeed == second.signingSeed)
            let bad = SealedText.seal(
                kind: "identity", version: 1,
                lines: ["node \(id)", "boot_epoch 1", "incarnation_fence 5", "signing_seed 12"])
            try scratch.write("identity", bad)
            #expect(throws: PersistenceFailure.self) { _ = try DataDirectory.open(scratch.data) }
        }
    }

    @Test("the pinned key of a peer is kept with it")
    func pinnedKeys() throws {
        try withScratch { scratch in
            let key = try #require(AuthorKey(bytes: [UInt8](repeating: 7, count: AuthorKey.byteCount)))
            var peers = Self.peers
            peers[0].key = key
            try DataDirectory.open(scratch.data).writePeers(peers)
            #expect(try DataDirectory.open(scratch.data).peers == peers)
        }
    }

    @Test("files have the bytes that their heads document")
    func layout() throws {
        try withScratch { scratch in
            let directory = try DataDirectory.open(scratch.data)
            try directory.writeIncarnationFence(4_096)
            try directory.writePeers([Self.peers[1]])
            let identity = try scratch.text("identity").split(separator: "\n", omittingEmptySubsequences: false)
            #expect(identity.count == 7)
            #expect(identity[0] == "gossipd identity 1")
            #expect(identity[1] == "node \(directory.identity.id)")
            #expect(identity[2] == "boot_epoch 1")
            #expect(identity[3] == "incarnation_fence 4096")
            let seed = directory.identity.signingSeed.bytes.map { Hex.string($0) }.joined()
            #expect(identity[4] == "signing_seed \(seed)")
            #expect(
                try scratch.text("peers")
                    == """
                    gossipd peers 1
                    peer 00000000000000030000000000000004 [1000::9]:1 two%20words%0a100%20%25%20ü
                    checksum 408a68e69d90c0057041fcd7a28ac5b3

                    """)
            #expect(try scratch.text("lock") == "\(getpid())\n")
        }
    }

    @Test("a later format is refused by name, not taken for damage")
    func newerFormat() throws {
        try withScratch { scratch in
            _ = try DataDirectory.open(scratch.data)
            var text = "gossipd identity 2\nsecret 1\n"
            var hasher = StableHasher()
            hasher.absorb(raw: Array(text.utf8))
            text += "checksum \(hasher.finalize())\n"
            try scratch.write("identity", text.utf8)
            #expect(throws: PersistenceFailure.newerFormat(file: scratch.data + "/identity", version: "2")) {
                try DataDirectory.open(scratch.data)
            }
        }
    }
}

/// Runs a program to its end and gives its exit status.
private func run(_ command: [String]) throws -> Int32 {
    var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) }
    arguments.append(nil)
    defer { for argument in arguments { free(argument) } }
    var process: pid_t = 0
    guard posix_spawn(&process, command[0], nil, nil, arguments, nil) == 0 else {
        throw Scratch.Failure(operation: "posix_spawn")
    }
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0 {
        if errno != EINTR { throw Scratch.Failure(operation: "waitpid") }
    }
    return status & 0x7f == 0 ? (status >> 8) & 0xff : -1
}
