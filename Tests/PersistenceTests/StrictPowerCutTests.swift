// SPDX-License-Identifier: Apache-2.0
// Owns the tests of a power cut: of what was not synced, any sectors reach the disk.

import ClusterTypes
import Glibc
import Persistence
import RaftCore
import StrictCore
import StrictGroup
import Synchronization
import Testing

/// Watches a folder through the fault hook: at each sync it knows what the disk has for sure and what it may have.
private final class PowerCut: Sendable {
    struct Image: Sendable {
        /// By name: for sure, and as written.
        var files: [(name: String, sure: [UInt8], written: [UInt8])] = []
        /// So many writes had been answered.
        var answered = 0
    }

    private struct State {
        /// By inode.
        var sure: [UInt: [UInt8]] = [:]
        var images: [Image] = []
        var answered = 0
    }

    private let scratch: Scratch
    private let state = Mutex(State())

    init(_ scratch: Scratch) { self.scratch = scratch }

    var images: [Image] { state.withLock { $0.images } }

    func answer() { state.withLock { $0.answered += 1 } }

    var hook: StorageFault {
        { [self] operation, file in
            guard operation == .synchronise else { return nil }
            state.withLock { state in
                // Before anything is read: later ones do no harm.
                var image = Image(answered: state.answered)
                for name in scratch.names(in: "strict") {
                    // Another thread may just have given it another name.
                    guard let bytes = try? scratch.whole("strict/" + name), let id = inode(name) else { continue }
                    image.files.append((name, state.sure[id] ?? [], bytes))
                    // The sync is about to succeed. A file is synced under the name that it was opened with.
                    if isSame(file, name) { state.sure[id] = bytes }
                }
                // Only from the log's thread: another one's files may be renamed while they are looked at.
                if !["spare.tmp", "snapshot.tmp", ""].contains(file) { state.images.append(image) }
            }
            return nil
        }
    }

    /// Files that are renamed keep for the hook the name under which they were opened.
    private func isSame(_ file: String, _ name: String) -> Bool {
        if file == name { return true }
        switch file {
        case "segment.tmp", "spare": return name.hasPrefix("log-") || name == "segment.tmp"
        case "incoming", "snapshot.tmp": return name.hasPrefix("snapshot-")
        case _: return false
        }
    }

    private func inode(_ name: String) -> UInt? {
        var status = stat()
        return stat(scratch.data + "/strict/" + name, &status) == 0 ? UInt(status.st_ino) : nil
    }
}

@Suite("Strict disk and power cuts")
struct StrictPowerCutTests {
    @Test(
        "whatever of the unsynced sectors survives, all that was answered is there, and no write in part",
        arguments: 1...6)
    func cut(seed: Int) throws {
        try withScratch { scratch in
            mkdir(scratch.data, 0o700)
            let cut = PowerCut(scratch)
            var rng = SeededGenerator(seed: UInt64(seed))
            let models = try run(scratch, cut, &rng)
            let images = cut.images
            #expect(images.count > 50)
            for image in images {
                try withScratch { copy in
                    mkdir(copy.data, 0o700)
                    mkdir(copy.data + "/strict", 0o700)
                    for file in image.files {
                        try copy.write("strict/" + file.name, Self.mix(file.sure, file.written, &rng))
                    }
                    try Self.check(copy, models, answered: image.answered)
                }
            }
        }
    }

    /// Some sectors as they were, some as they were to become.
    private static func mix(_ sure: [UInt8], _ written: [UInt8], _ rng: inout SeededGenerator) -> [UInt8] {
        var bytes = written
        for index in sure.count..<max(bytes.count, sure.count) { bytes[index] = 0 }
        let share = [0, 0.1, 0.5, 0.9, 1][rng.index(below: 5)]
        for start in stride(from: 0, to: bytes.count, by: 512) {
            let end = min(start + 512, bytes.count)
            let source = rng.chance(share) ? written : sure
            for index in start..<end where index < source.count { bytes[index] = source[index] }
        }
        return bytes
    }

    private static func check(_ copy: Scratch, _ models: [StrictModel], answered: Int) throws {
        let restored = try StrictBench(copy).restored
        guard let raft = restored.raft else {
            #expect(answered == 0)
            return
        }
        #expect(raft.mayHaveAcknowledged == nil)
        #expect(raft.defect == nil)
        let base = raft.snapshot.position
        let fits = models.dropFirst(answered).contains { model in
            model.hard == raft.hardState && model.last == (raft.entries.last?.position ?? base)
                && base.index >= model.base.index && model.entries.filter { $0.index > base.index } == raft.entries
        }
        #expect(fits, "\(answered) answered, found \(raft.hardState), \(base), \(raft.entries.map(\.position))")
    }

    /// The state after each write.
    private func run(
        _ scratch: Scratch, _ cut: PowerCut, _ rng: inout SeededGenerator
    ) throws -> [StrictModel] {
        let (disk, _) = try StrictDisk.open(
            directory: scratch.data, options: StrictDisk.Options(segmentBytes: 4_096, fault: cut.hook),
            failed: { Issue.record("\($0)") })
        var models = [StrictModel()]
        var model = StrictModel()
        let answered = Monitor(0)
        // What a snapshot reflects is committed: Raft never replaces it.
        var committed: LogIndex = 0
        for number in UInt64(1)...120 {
            var raft = Persistence(number: number)
            if rng.chance(0.04) { raft = try StrictLogTests.installation(beyond: model.last.index, term: 1, &rng) }
            let first = (raft.installs?.position.index ?? model.last.index) + 1
            let replaceable = model.last.index - max(model.base.index, committed)
            let overlap = raft.installs == nil ? min(rng.next() % 3, replaceable) : 0
            let term = max(model.last.term, 1) + (overlap > 0 ? 1 : 0)
            raft.entries = (first - overlap..<first + 1 + rng.next() % 3).map {
                entry(term, $0, String(repeating: "v", count: rng.index(below: 700)))
            }
            raft.hardState = HardState(term: term, votedFor: member(number))
            raft.needsSync = true
            model.apply(raft)
            models.append(model)
            disk.write(StrictWrite(number: number, raft: raft, needsSync: true)) {
                cut.answer()
                answered.withLock { $0 += 1 }
            }
            guard rng.chance(0.4) else { continue }
            try #require(answered.wait(milliseconds: 20_000) { $0 == Int(number) ? true : nil } != nil)
            if rng.chance(0.2), let entry = model.entries.dropLast().last {
                let state = try machine(entry.index)
                let made: SnapshotMetadata = try StrictBench.answer { done in
                    disk.makeSnapshot(
                        StrictSnapshotWriter(state), entry.position, RaftMembership(voters: [member(1)])
                    ) { done($0) }
                }
                disk.compact(keepFrom: entry.index + 1, snapshots: [made])
                committed = entry.index
            }
        }
        try #require(answered.wait(milliseconds: 20_000) { $0 == 120 ? true : nil } != nil)
        disk.close(isOrderly: false)
        return models
    }
}
