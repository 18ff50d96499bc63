// SPDX-License-Identifier: Apache-2.0
// Owns the tests of a failing and a full disk under the store's database.

import ClusterTypes
import Glibc
import Persistence
import StoreCore
import Synchronization
import Testing

/// Makes one operation fail from its nth call on, once armed.
private final class DiskFault: Sendable {
    private let armed = Mutex<(operation: StorageOperation, code: CInt, after: Int)?>(nil)

    func arm(_ operation: StorageOperation, _ code: CInt, after calls: Int = 0) {
        armed.withLock { $0 = (operation, code, calls) }
    }
    func disarm() { armed.withLock { $0 = nil } }

    var hook: StorageFault {
        { [self] operation, _ in
            armed.withLock { armed in
                guard let fault = armed, fault.operation == operation else { return nil }
                if fault.after > 0 {
                    armed?.after -= 1
                    return nil
                }
                return fault.code
            }
        }
    }
}

@Suite("Store database on failing disks")
struct StoreFaultTests {
    private func batch(_ writer: inout RegisterWriter, _ count: Int) -> [[StoreRecord]] {
        (0..<count).map { writer.put("k\($0)", String(repeating: "v", count: 3_000), at: 2_000) }
    }

    @Test(
        "a full disk leaves nothing of the batches, and the same batches go in once there is room",
        arguments: [(ENOSPC, 0), (ENOSPC, 1), (ENOSPC, 7), (ENOSPC, 40), (EDQUOT, 0), (EDQUOT, 5)])
    func full(code: CInt, after: Int) throws {
        try withScratch { scratch in
            let fault = DiskFault()
            var writer = RegisterWriter()
            var batches: [[StoreRecord]] = []
            do {
                let database = try scratch.store(fault: fault.hook).database
                try database.commit([writer.put("first", "1", at: 1_000)])
                batches = batch(&writer, 20)
                fault.arm(.write, code, after: after)
                for _ in 0..<3 {
                    #expect(throws: PersistenceFailure.diskFull(file: scratch.data + "/store.db")) {
                        try database.commit(batches)
                    }
                    fault.arm(.write, code, after: 0)
                }
                let reader = try database.openReader()
                #expect(try reader.changes(after: 1, limit: 99) == .changes([]))
                #expect(try reader.view(of: "first", at: .revision(1))?.content == text("1"))
                fault.disarm()
                try database.commit(batches)
            }
            let recovered = try scratch.store(epoch: 101).recovery.recovered
            #expect(recovered.store.rowCount == 21)
            #expect(recovered.revision == 21)
            #expect(recovered.store.context.entries.first?.contiguous == 21)
        }
    }

    @Test("without room for a retry, what was committed before is there after a restart")
    func fullForGood() throws {
        try withScratch { scratch in
            let fault = DiskFault()
            do {
                let database = try scratch.store(fault: fault.hook).database
                var writer = RegisterWriter()
                try database.commit([writer.put("first", "1", at: 1_000)])
                fault.arm(.write, ENOSPC, after: 3)
                let batches = batch(&writer, 20)
                #expect(throws: PersistenceFailure.self) { try database.commit(batches) }
            }
            fault.disarm()
            #expect(try scratch.store(epoch: 101).recovery.recovered.store.rowCount == 1)
        }
    }

    @Test(
        "a failed write or fsync is final: named, and nothing is committed afterwards",
        arguments: [
            (StorageOperation.write, 0, "write", EIO), (.write, 3, "write", EIO), (.synchronise, 0, "fsync", EIO),
            // A failed fsync has lost what it has lost, whatever it says.
            (.synchronise, 0, "fsync", ENOSPC), (.synchronise, 0, "fsync", EDQUOT),
        ])
    func final(_ operation: StorageOperation, after: Int, name: String, code: CInt) throws {
        try withScratch { scratch in
            let fault = DiskFault()
            let database = try scratch.store(fault: fault.hook).database
            var writer = RegisterWriter()
            try database.commit([writer.put("first", "1", at: 1_000)])
            let batches = batch(&writer, 20)
            fault.arm(operation, code, after: after)
            let expected = PersistenceFailure.system(operation: name, path: scratch.data + "/store.db", errno: code)
            #expect(throws: expected) { try database.commit(batches) }
            fault.disarm()
            #expect(throws: expected) { try database.commit(batches) }
            #expect(throws: expected) { try database.prune(now: wall(1)) }
            #expect(code != EIO || expected.description.contains("Input/output error"))
        }
    }

    @Test("what a full disk said once does not excuse a later failure")
    func notTheLastFailure() throws {
        try withScratch { scratch in
            let fault = DiskFault()
            let database = try scratch.store(fault: fault.hook).database
            // More than fits into the cache: it is written before the COMMIT, whose failures SQLite does not keep.
            let large = (1...48).map { number in
                StoreRecord.row(register("k\(number)", String(repeating: "v", count: 1_000_000), number, at: 2_000))
            }
            fault.arm(.write, EDQUOT)
            #expect(throws: PersistenceFailure.diskFull(file: scratch.data + "/store.db")) {
                try database.commit([large])
            }
            fault.disarm()
            var writer = RegisterWriter()
            try database.commit([writer.put("first", "1", at: 1_000)])
            fault.arm(.write, EIO)
            let expected = PersistenceFailure.system(operation: "write", path: scratch.data + "/store.db", errno: EIO)
            let next = writer.put("second", "2", at: 1_001)
            #expect(throws: expected) { try database.commit([next]) }
        }
    }

    @Test("while another program holds a lock nothing is written, and the same batch goes in afterwards")
    func busy() throws {
        try withScratch { scratch in
            do {
                let database = try scratch.store().database
                var writer = RegisterWriter()
                let batch = writer.put("first", "1", at: 1_000)
                try scratch.withLockHeld {
                    #expect(throws: PersistenceFailure.busy(file: scratch.data + "/store.db")) {
                        try database.commit([batch])
                    }
                }
                try database.commit([batch])
            }
            #expect(try scratch.store(epoch: 101).recovery.recovered.revision == 1)
        }
    }

    @Test("a disk that cannot be read at the start is no damage: nothing is moved")
    func unreadable() throws {
        try withScratch { scratch in
            do {
                let database = try scratch.store().database
                try database.commit([[.row(register("a", "1", 1, at: 1))]])
            }
            let fault = DiskFault()
            fault.arm(.read, EIO)
            let failure = try #require(throws: PersistenceFailure.self) {
                try scratch.store(epoch: 101, fault: fault.hook)
            }
            #expect(failure == .system(operation: "read", path: scratch.data + "/store.db", errno: EIO))
            #expect(!scratch.names().contains { $0.contains("corrupt") || $0.contains("damaged") })
            fault.disarm()
            #expect(try scratch.store(epoch: 102).recovery.recovered.store.rowCount == 1)
        }
    }
}
