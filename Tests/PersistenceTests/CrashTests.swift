// SPDX-License-Identifier: Apache-2.0
// Owns the tests of dying and failing at each step of a write.

import ClusterTypes
import Glibc
import Persistence
import Synchronization
import Testing

/// Makes one step for one file fail or die, once armed.
private final class Fault: Sendable {
    private let armed = Mutex<(step: WriteStep, file: String, kind: FaultKind)?>(nil)

    func arm(_ step: WriteStep, _ file: String, _ kind: FaultKind) { armed.withLock { $0 = (step, file, kind) } }

    var hook: WriteFault {
        { [self] step, file in
            armed.withLock { $0.flatMap { $0.step == step && $0.file == file ? $0.kind : nil } }
        }
    }
}

@Suite("Data directory under crashes and failing disks")
struct CrashTests {
    @Test("dying at any step of a fence's write leaves the old fence or the new one", arguments: WriteStep.allCases)
    func crashInFence(_ step: WriteStep) throws {
        try withScratch { scratch in
            let id: NodeID
            do {
                let fault = Fault()
                let directory = try DataDirectory.open(scratch.data, fault: fault.hook)
                id = directory.identity.id
                try directory.writeIncarnationFence(10)
                fault.arm(step, "identity", .crash)
                #expect(throws: PersistenceFailure.self) { try directory.writeIncarnationFence(20) }
            }
            #expect(scratch.exists("identity.tmp") == (step != .synchroniseDirectory))
            let after = try DataDirectory.open(scratch.data)
            #expect(after.identity.id == id)
            #expect(after.identity.bootEpoch == 2)
            #expect(after.identity.incarnationFence == (step == .synchroniseDirectory ? 20 : 10))
            #expect(!scratch.exists("identity.tmp"))
        }
    }

    @Test("dying at any step of the very first start leaves no half node", arguments: WriteStep.allCases)
    func crashInFirstStart(_ step: WriteStep) throws {
        try withScratch { scratch in
            let fault = Fault()
            fault.arm(step, "identity", .crash)
            #expect(throws: PersistenceFailure.self) { try DataDirectory.open(scratch.data, fault: fault.hook) }
            let after = try DataDirectory.open(scratch.data)
            #expect(after.isNew == (step != .synchroniseDirectory))
            #expect(after.identity.bootEpoch == (step == .synchroniseDirectory ? 2 : 1))
        }
    }

    @Test("dying at any step of the peers' write leaves the old peers or the new ones", arguments: WriteStep.allCases)
    func crashInPeers(_ step: WriteStep) throws {
        try withScratch { scratch in
            let new = DataDirectoryTests.peers
            let old = [new[0]]
            do {
                let fault = Fault()
                let directory = try DataDirectory.open(scratch.data, fault: fault.hook)
                try directory.writePeers(old)
                fault.arm(step, "peers", .crash)
                #expect(throws: PersistenceFailure.self) { try directory.writePeers(new) }
            }
            let after = try DataDirectory.open(scratch.data)
            #expect(after.peers == (step == .synchroniseDirectory ? new : old))
            #expect(after.warnings.isEmpty)
            #expect(!scratch.exists("peers.tmp"))
        }
    }

    @Test(
        "a failing disk is reported with file and reason, and a fence that was not saved is not believed",
        arguments: [
            (WriteStep.synchronise, EIO, "fsync"), (.rename, EROFS, "rename"), (.synchroniseDirectory, EIO, "fsync"),
        ])
    func failures(_ step: WriteStep, _ code: CInt, _ operation: String) throws {
        try withScratch { scratch in
            let fault = Fault()
            let directory = try DataDirectory.open(scratch.data, fault: fault.hook)
            fault.arm(step, "identity", .fail(code))
            #expect(
                throws: PersistenceFailure.system(
                    operation: operation, path: scratch.data + "/identity", errno: code)
            ) { try directory.writeIncarnationFence(20) }
            #expect(directory.identity.incarnationFence == 0)
            #expect(!scratch.exists("identity.tmp"))
        }
    }

    @Test("an epoch that could not be made durable is not handed out")
    func epochNeedsTheDisk() throws {
        try withScratch { scratch in
            _ = try DataDirectory.open(scratch.data)
            let fault = Fault()
            fault.arm(.synchronise, "identity", .fail(EIO))
            let failure = try #require(throws: PersistenceFailure.self) {
                try DataDirectory.open(scratch.data, fault: fault.hook)
            }
            #expect(failure.description == "fsync failed for \(scratch.data)/identity: Input/output error")
            #expect(try DataDirectory.open(scratch.data).identity.bootEpoch == 2)
        }
    }

    @Test("temporary files of an earlier process are removed, other files are not touched")
    func leftovers() throws {
        try withScratch { scratch in
            _ = try DataDirectory.open(scratch.data)
            try scratch.write("identity.tmp", "half".utf8)
            try scratch.write("peers.tmp", [])
            try scratch.write("mine.tmp", "operator".utf8)
            _ = try DataDirectory.open(scratch.data)
            #expect(!scratch.exists("identity.tmp"))
            #expect(!scratch.exists("peers.tmp"))
            #expect(try scratch.text("mine.tmp") == "operator")
        }
    }
}
