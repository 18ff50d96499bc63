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
            (StorageOperation.write, 0, "write"), (.write, 3, "write"), (.synchronise, 0, "fsync"),
        ])
    func final(_ operation: StorageOperation, after: Int, name: String) throws {
        try withScratch { scratch in
            let fault = DiskFault()
            let database = try scratch.store(fault: fault.hook).database
            var writer = RegisterWriter()
            try database.commit([writer.put("first", "1", at: 1_000)])
            let batches = batch(&writer, 20)
            fault.arm(operation, EIO, after: after)
            let expected = PersistenceFailure.system(operation: name, path: scratch.data + "/store.db", errno: EIO)
            #expect(throws: expected) { try database.commit(batches) }
            fault.disarm()
            #expect(throws: expected) { try database.commit(batches) }
            #expect(throws: expected) { try database.prune(now: wall(1)) }
            #expect(expected.description.contains("Input/output error"))
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
