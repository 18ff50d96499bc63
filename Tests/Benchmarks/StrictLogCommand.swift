// SPDX-License-Identifier: Apache-2.0
// Owns `gossipbench strict-log`: how many writes a second the strict group's log makes durable, beside a bare sync.

import ArgumentParser
import ClusterTypes
import Glibc
import Persistence
import RaftCore
import Simulator
import StrictGroup

struct StrictLogCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "strict-log",
        abstract: "Measure the log of the strict group on the disk under a folder.",
        discussion: """
            Each way of writing runs for --seconds. "bare" is a loop of pwrite and fdatasync into a file of zeros, \
            "bare-reserved" the same into room that was only reserved (fallocate), which is what most logs do; both are \
            what one writer can have. "log" is the strict log with so many writers, of whom each waits for its write to be \
            durable before it makes the next. Times are those that a writer waits.

            EXAMPLES
              gossipbench strict-log --directory /var/tmp --waiting 1 --waiting 64
            """)

    @Option(help: "A folder on the disk to measure; a new one is made in it and removed.") var directory = "/var/tmp"
    @Option(help: "Writers that wait at once, 1 to 4096; may be given several times.") var waiting = [1, 16, 256]
    @Option(help: "Bytes of an entry's command, 0 to 1000000.") var valueBytes = 300
    @Option(help: "Seconds for each, 0.1 to 600.") var seconds = 3.0
    @Flag(help: "Print one JSON document instead of the table.") var json = false

    func validate() throws {
        guard !waiting.isEmpty, waiting.allSatisfy({ (1...4_096).contains($0) }), (0...1_000_000).contains(valueBytes),
            (0.1...600).contains(seconds)
        else { throw ValidationError("an option is out of its range: see --help") }
    }

    struct Figures {
        var way: String
        var writers: Int
        var writes: Int
        var syncs: Int
        var bytes: Int
        var seconds: Double
        /// Nanoseconds, ascending.
        var waits: [UInt64]

        func wait(_ share: Double) -> Double {
            waits.isEmpty ? 0 : Double(waits[min(Int(Double(waits.count) * share), waits.count - 1)]) / 1e6
        }
    }

    func run() throws {
        var template = Array("\(directory)/gossipbench-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw WrongResult(description: "no folder can be made in \(directory)") }
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { Self.remove(folder) }
        var all = [try bare(folder, isReservedOnly: true), try bare(folder, isReservedOnly: false)]
        for writers in waiting { all.append(try log(folder, writers: writers)) }
        if json {
            return print(JSONText.object([("strict_log", .array(all.map(document)))]).text, terminator: "")
        }
        for figures in all { print(document(figures).text, terminator: "") }
    }

    private func document(_ figures: Figures) -> JSONText {
        .object([
            ("way", .string(figures.way)), ("writers", .integer(figures.writers)),
            ("value_bytes", .integer(valueBytes)),
            ("writes_per_second", .decimal(Double(figures.writes) / figures.seconds)),
            ("syncs_per_second", .decimal(Double(figures.syncs) / figures.seconds)),
            ("mb_per_second", .decimal(Double(figures.bytes) / figures.seconds / 1e6)),
            ("wait_ms_p50", .decimal(figures.wait(0.5))), ("wait_ms_p99", .decimal(figures.wait(0.99))),
        ])
    }

    /// One after the other, in a file of 64 MiB that is begun again at its end.
    private func bare(_ folder: String, isReservedOnly: Bool) throws -> Figures {
        let size = 64 << 20
        let path = folder + "/bare"
        let file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0, posix_fallocate(file, 0, size) == 0 else {
            throw WrongResult(description: "no room in \(folder)")
        }
        defer {
            close(file)
            unlink(path)
        }
        if !isReservedOnly {
            let zeros = [UInt8](repeating: 0, count: 1 << 20)
            for place in 0..<64 { _ = pwrite(file, zeros, zeros.count, place << 20) }
        }
        guard fsync(file) == 0 else { throw WrongResult(description: "fsync failed in \(folder)") }
        let block = [UInt8](repeating: 0x5a, count: valueBytes + 180)
        var figures = Figures(
            way: isReservedOnly ? "bare-reserved" : "bare", writers: 1, writes: 0, syncs: 0, bytes: 0, seconds: 0,
            waits: [])
        let begin = Self.nanoseconds()
        var at = 0
        while figures.seconds < seconds, at + block.count <= size {
            let start = Self.nanoseconds()
            guard pwrite(file, block, block.count, at) == block.count, fdatasync(file) == 0 else {
                throw WrongResult(description: "a write failed in \(folder)")
            }
            let end = Self.nanoseconds()
            figures.waits.append(end - start)
            figures.writes += 1
            figures.bytes += block.count
            at += block.count
            figures.seconds = Double(end - begin) / 1e9
        }
        figures.syncs = figures.writes
        figures.waits.sort()
        return figures
    }

    private final class Waiting: Sendable {
        struct State {
            var answered: [UInt64] = []
            var failure: PersistenceFailure?
        }
        let state = Monitor(State())
    }

    /// Each answer makes room for the next write, as a client that waits would.
    private func log(_ folder: String, writers: Int) throws -> Figures {
        let shared = Waiting()
        let (disk, _) = try StrictDisk.open(
            directory: folder + "/\(writers)", failed: { failure in shared.state.withLock { $0.failure = failure } })
        let value = [UInt8](repeating: 0x5a, count: valueBytes)
        var (index, starts) = (UInt64(0), [UInt64]())
        func begin() {
            index += 1
            var raft = RaftCore.Persistence(number: index)
            raft.entries = [LogEntry(term: 1, index: index, payload: .command(value))]
            if index == 1 { raft.hardState = HardState(term: 1) }
            raft.needsSync = true
            let number = index
            starts.append(Self.nanoseconds())
            disk.write(StrictWrite(number: number, raft: raft, needsSync: true)) {
                let now = Self.nanoseconds()
                shared.state.withLock { $0.answered.append(now) }
            }
        }
        // Until the first segments are there.
        for _ in 0..<64 {
            begin()
            _ = shared.state.wait(milliseconds: 10_000) { $0.answered.count == Int(index) ? true : nil }
        }
        usleep(500_000)
        let (skipped, before, start) = (Int(index), disk.statistics, Self.nanoseconds())
        let end = start + UInt64(seconds * 1e9)
        for _ in 0..<writers { begin() }
        var seen = skipped
        while Self.nanoseconds() < end {
            let known = seen
            let count = shared.state.wait(milliseconds: 10_000) { state in
                state.answered.count > known ? state.answered.count : nil
            }
            guard let count else { throw WrongResult(description: "the log does not answer") }
            for _ in known..<count { begin() }
            seen = count
        }
        let after = disk.statistics
        let seconds = Double(Self.nanoseconds() - start) / 1e9
        disk.close()
        let answers = shared.state.withLock { $0.answered }
        if let failure = shared.state.withLock({ $0.failure }) { throw WrongResult(description: "\(failure)") }
        let waits = zip(starts, answers).dropFirst(skipped).prefix(seen - skipped).map { $1 - $0 }.sorted()
        return Figures(
            way: "log", writers: writers, writes: seen - skipped, syncs: Int(after.syncs - before.syncs),
            bytes: Int(after.bytes - before.bytes), seconds: seconds, waits: waits)
    }

    private static func nanoseconds() -> UInt64 {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
    }

    private static func remove(_ path: String) {
        if let directory = opendir(path) {
            while let entry = readdir(directory) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                    pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                if name != ".", name != ".." { remove(path + "/" + name) }
            }
            closedir(directory)
            rmdir(path)
        } else {
            unlink(path)
        }
    }
}
