// SPDX-License-Identifier: Apache-2.0
// Owns the proofs about the file of the key ring: whole after a crash, for its owner alone, never minted over.

import Glibc
import Testing

@testable import Persistence

@Suite("The key ring's file")
struct KeyRingFileTests {
    private let ring: [UInt8] = [1, 0xee, 0x32] + Array(0...255)

    @Test("a ring comes back as it was written, with other updates beside it, in a file for its owner alone")
    func roundTrip() throws {
        try withScratch { scratch in
            let path = scratch.data
            do {
                let directory = try DataDirectory.open(path)
                #expect(directory.keyRing == nil)
                try directory.commit([
                    DataDirectoryUpdate(incarnationFence: 5), DataDirectoryUpdate(keyRing: [1]),
                    DataDirectoryUpdate(keyRing: ring),
                ])
            }
            var status = stat()
            #expect(stat(path + "/keys", &status) == 0 && status.st_mode & 0o777 == 0o600)
            let directory = try DataDirectory.open(path)
            #expect(directory.keyRing == ring && directory.identity.incarnationFence == 5)
        }
    }

    @Test("a process that dies in the middle leaves the old ring or the new one", arguments: WriteStep.allCases)
    func crash(at step: WriteStep) throws {
        try withScratch { scratch in
            let path = scratch.data
            try DataDirectory.open(path).writeKeyRing([7])
            do {
                let directory = try DataDirectory.open(path) { at, file in
                    at == step && file == "keys" ? .crash : nil
                }
                #expect(throws: PersistenceFailure.self) { try directory.writeKeyRing(ring) }
            }
            let directory = try DataDirectory.open(path)
            #expect(directory.keyRing == [7] || directory.keyRing == ring)
            #expect(access(path + "/keys.tmp", F_OK) != 0)
        }
    }

    @Test(
        "a file that others may read is refused by name before an epoch is used up",
        arguments: [0o640, 0o604, 0o660] as [mode_t])
    func exposed(mode: mode_t) throws {
        try withScratch { scratch in
            let path = scratch.data
            try DataDirectory.open(path).writeKeyRing(ring)
            #expect(chmod(path + "/keys", mode) == 0)
            #expect(throws: PersistenceFailure.exposedKeys(file: path + "/keys", mode: UInt32(mode))) {
                try DataDirectory.open(path)
            }
            #expect(chmod(path + "/keys", 0o600) == 0)
            #expect(try DataDirectory.open(path).identity.bootEpoch == 2)
        }
    }

    @Test(
        "a damaged file is refused and left as it is, and no failure shows what stands in it",
        arguments: ["", "gossipd keys 1\n", "gossipd keys 1\nring 0a1b\nchecksum 00000000000000000000000000000000\n"])
    func damaged(text: String) throws {
        try withScratch { scratch in
            let path = scratch.data
            try DataDirectory.open(path).writeKeyRing(ring)
            let descriptor = Glibc.open(path + "/keys", O_WRONLY | O_TRUNC)
            #expect(Glibc.write(descriptor, text, text.utf8.count) == text.utf8.count)
            close(descriptor)
            do {
                _ = try DataDirectory.open(path)
                Issue.record("it was opened")
            } catch let failure as PersistenceFailure {
                guard case .corruptKeys(path + "/keys", _) = failure else { throw failure }
                #expect(!"\(failure)".contains("0a1b"))
            }
        }
    }
}
