// SPDX-License-Identifier: Apache-2.0
// Owns the tests of dying at work and of a disk that is really full, each in a process of its own.

import ClusterTypes
import Glibc
import Persistence
import StoreCore
import Testing

/// Where the child of an exit test finds its directory: it inherits the environment and nothing else.
private let directoryVariable = "GOSSIPD_PERSISTENCE_TEST_DIRECTORY"

private func childDirectory() throws -> String {
    struct Missing: Error {}
    guard let value = getenv(directoryVariable) else { throw Missing() }
    return String(cString: value)
}

@Suite("Store database and sudden death", .serialized)
struct StoreKillTests {
    @Test("what was acknowledged before kill -9 is there, whole batches only", arguments: [5, 40, 150, 400])
    func killed(milliseconds: Int) async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        setenv(directoryVariable, scratch.data, 1)
        setenv("GOSSIPD_PERSISTENCE_TEST_DELAY", String(milliseconds), 1)
        await #expect(processExitsWith: .signal(SIGKILL)) { try StoreKillTests.writeUntilKilled() }

        let acknowledged = UInt64(try scratch.text("acknowledged").split(separator: "\n").last ?? "0") ?? 0
        let (database, recovery) = try scratch.store(epoch: 101)
        let recovered = recovery.recovered
        #expect(recovery.setAside == nil)
        // Three rows a batch; the last batch may have become durable without having been acknowledged.
        #expect(recovered.store.rowCount % 3 == 0)
        let batches = UInt64(recovered.store.rowCount / 3)
        #expect(batches == acknowledged || batches == acknowledged + 1)
        #expect(recovered.revision == batches * 3)
        #expect(recovered.store.context.highest(of: alice) == batches * 3)
        if batches > 0 {
            let reader = try database.openReader()
            let last = try reader.changes(after: batches * 3 - 1, limit: 9)
            guard case .changes(let changes) = last else {
                Issue.record("gone")
                return
            }
            #expect(changes.map(\.change.key) == ["batch/\(batches)/2"])
        }
    }

    private static func writeUntilKilled() throws {
        let directory = try childDirectory()
        let delay = getenv("GOSSIPD_PERSISTENCE_TEST_DELAY").flatMap { Int(String(cString: $0)) } ?? 1
        let database = try StoreDatabase.open(directory: directory, actor: fresh(100)).database
        let acknowledged = open(directory + "/acknowledged", O_WRONLY | O_CREAT | O_APPEND, 0o600)
        var thread = pthread_t()
        // From another thread: it hits wherever the writer happens to be.
        pthread_create(
            &thread, nil,
            { argument in
                usleep(useconds_t(Int(bitPattern: argument) * 1_000))
                kill(getpid(), SIGKILL)
                return nil
            }, UnsafeMutableRawPointer(bitPattern: delay))
        var writer = RegisterWriter()
        for number in 1...1_000_000 {
            let batch = (0..<3).flatMap { writer.put("batch/\(number)/\($0)", "v", at: 1_000) }
            try database.commit([batch])
            let line = "\(number)\n"
            _ = line.withCString { write(acknowledged, $0, strlen($0)) }
        }
    }

    @Test(
        "on a disk without room a commit fails as a whole, and goes in once there is room",
        .enabled("needs root, to mount a small file system in a mount namespace of its own", { mayMount() }))
    func realFullDisk() async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        setenv(directoryVariable, scratch.path, 1)
        await #expect(processExitsWith: .success) { try StoreKillTests.fillDisk() }
    }

    private static func mayMount() -> Bool {
        guard getuid() == 0 else { return false }
        var child = pid_t()
        let arguments: [UnsafeMutablePointer<CChar>?] = [strdup("unshare"), strdup("--mount"), strdup("true"), nil]
        defer { for argument in arguments { free(argument) } }
        guard posix_spawnp(&child, "unshare", nil, nil, arguments, environ) == 0 else { return false }
        var status: CInt = 0
        return waitpid(child, &status, 0) == child && status == 0
    }

    private typealias Unshare = @convention(c) (CInt) -> CInt
    private typealias Mount =
        @convention(c) (
            UnsafePointer<CChar>, UnsafePointer<CChar>, UnsafePointer<CChar>?, UInt, UnsafePointer<CChar>?
        ) -> CInt

    private static func fillDisk() throws {
        let directory = try childDirectory()
        // Neither is in the Glibc module.
        let unshare = unsafeBitCast(try #require(dlsym(nil, "unshare")), to: Unshare.self)
        let mount = unsafeBitCast(try #require(dlsym(nil, "mount")), to: Mount.self)
        let newMounts: CInt = 0x2_0000
        let privateTree: UInt = 0x4_0000 | 0x4000
        try #require(unshare(newMounts) == 0)
        try #require(mount("none", "/", nil, privateTree, nil) == 0)
        try #require(mount("tmpfs", directory, "tmpfs", 0, "size=2m") == 0)

        let data = directory + "/data"
        let database = try StoreDatabase.open(directory: data, actor: fresh(100)).database
        var writer = RegisterWriter()
        let value = String(repeating: "v", count: 30_000)
        try database.commit([writer.put("first", value, at: 1_000)])
        // Takes all the room there is.
        let ballast = open(directory + "/ballast", O_WRONLY | O_CREAT, 0o600)
        let block = [UInt8](repeating: 1, count: 4_096)
        while write(ballast, block, block.count) == block.count {}
        let batch = (0..<10).map { writer.put("k\($0)", value, at: 1_001) }
        for _ in 0..<3 {
            #expect(throws: PersistenceFailure.diskFull(file: data + "/store.db")) { try database.commit(batch) }
        }
        let reader = try database.openReader()
        #expect(try reader.view(of: "first", at: .revision(1)) != nil)
        #expect(try reader.view(of: "k0", at: .revision(1)) == nil)
        unlink(directory + "/ballast")
        close(ballast)
        try database.commit(batch)
        let again = try StoreDatabase.open(directory: data, actor: fresh(101)).recovery
        #expect(again.recovered.store.rowCount == 11)
        #expect(again.setAside == nil)
    }
}
