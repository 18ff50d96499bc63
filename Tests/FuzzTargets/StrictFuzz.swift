// SPDX-License-Identifier: Apache-2.0
// Owns the fuzz target of what the strict group keeps: commands, answers, snapshots, the files of its log.

import ClusterTypes
import Persistence
import RaftCore
import StrictCore

/// The first byte says what the others are.
enum StrictFuzz {
    enum Kind: UInt8 {
        /// Commands, each behind its length in two bytes, applied one after another.
        case commands = 0
        case answer
        case snapshot
        /// A snapshot whose last record, the checksum, is made right first.
        case countedSnapshot
        /// A frame's body.
        case body
        case segment
        /// A segment whose checksums are made right first: else nothing but them would ever be tried.
        case countedSegment
        /// The head of a snapshot's file.
        case snapshotHead
        /// One whose checksum is made right first.
        case countedSnapshotHead
    }

    static func feed(_ bytes: [UInt8]) throws(FuzzFailure) {
        guard let first = bytes.first, let kind = Kind(rawValue: first % 9) else { return }
        let rest = Array(bytes.dropFirst())
        switch kind {
        case .commands: try commands(rest)
        case .answer:
            guard let answer = try? StrictAnswer(encoded: rest) else { return }
            try require(answer.encoded == rest, "an answer that was read is written otherwise")
        case .snapshot: try snapshot(rest)
        case .countedSnapshot: try snapshot(withDigest(rest))
        case .body:
            guard let again = StrictLogInspection.rewritten(body: rest) else { return }
            try require(again == rest, "records that were read are written otherwise")
        case .segment: try segment(rest)
        case .countedSegment: try segment(StrictLogBytes.withChecksums(rest))
        case .snapshotHead: try snapshotHead(rest)
        case .countedSnapshotHead: try snapshotHead(withHeadChecksum(rest))
        }
    }

    private static let commandsMax = 256

    private static func commands(_ bytes: [UInt8]) throws(FuzzFailure) {
        var (one, other) = (StrictMachine(), StrictMachine())
        var rest = bytes[...]
        for index in 1...commandsMax {
            guard rest.count >= 2 else { break }
            let length = Int(rest[rest.startIndex]) << 8 | Int(rest[rest.startIndex + 1])
            let command = Array(rest.dropFirst(2).prefix(length))
            rest = rest.dropFirst(2 + length)
            if let read = try? StrictCommand(encoded: command) {
                try require(read.encoded == command, "a command that was read is written otherwise")
            }
            let before = one.revision
            let outcomes = [try? one.apply(command, at: UInt64(index)), try? other.apply(command, at: UInt64(index))]
            try require(outcomes[0] == outcomes[1], "one command has two outcomes")
            guard let outcome = outcomes[0] else { break }
            try require(outcome.index > before && outcome.index <= one.revision, "a revision comes twice")
            if outcome.index != one.revision {
                let isSaid = outcome.answer == .raised(to: one.revision)
                try require(
                    isSaid, "a command moves revisions from \(outcome.index) to \(one.revision) and does not say so")
            }
            try require(
                (try? StrictAnswer(encoded: outcome.answer.encoded)) == outcome.answer, "an answer cannot be read")
        }
        one.checkInvariants()
        try require(one == other && one.digest == other.digest, "equal commands make two states")
        try snapshot(written(one))
        try require((try? StrictMachine(snapshot: written(one))) == one, "a state is another one after its snapshot")
    }

    private static func written(_ machine: StrictMachine) -> [UInt8] {
        var writer = StrictSnapshotWriter(machine)
        var bytes: [UInt8] = []
        while let piece = writer.next(bytesMin: 512) { bytes += piece }
        return bytes
    }

    private static func snapshot(_ bytes: [UInt8]) throws(FuzzFailure) {
        let whole = read([bytes])
        // Snapshots are read from the disk in pieces.
        let size = Int(bytes.last ?? 0) + 1
        let pieces = stride(from: 0, to: bytes.count, by: size).map { Array(bytes[$0..<min($0 + size, bytes.count)]) }
        try require(whole == read(pieces), "other pieces make another state")
        guard case .success(let machine) = whole else { return }
        machine.checkInvariants()
        try require(written(machine) == bytes, "a snapshot that was read is written otherwise")
    }

    private static func read(_ pieces: [[UInt8]]) -> Result<StrictMachine, StrictDecodeFailure> {
        Result { () throws(StrictDecodeFailure) in
            var reader = StrictSnapshotReader()
            for piece in pieces { try reader.feed(piece) }
            return try reader.finish()
        }
    }

    /// The fields that were read are those that are there.
    private static func snapshotHead(_ bytes: [UInt8]) throws(FuzzFailure) {
        guard let fields = StrictLogInspection.rewritten(snapshotHead: bytes) else { return }
        try require(bytes.dropFirst(12).starts(with: fields), "a snapshot's head that was read is written otherwise")
    }

    /// The checksum follows three lists of ids (`SnapshotFile`).
    private static func withHeadChecksum(_ bytes: [UInt8]) -> [UInt8] {
        var end = 52
        for _ in 0..<3 {
            guard end + 4 <= bytes.count else { return bytes }
            end += 4 + 16 * bytes[end..<end + 4].reduce(0) { $0 << 8 | Int($1) }
        }
        guard end + 8 <= bytes.count else { return bytes }
        var hasher = StableHasher()
        hasher.absorb(raw: bytes[..<end])
        return bytes[..<end] + StrictLogBytes.number(hasher.finalize().low, 8) + bytes[(end + 8)...]
    }

    /// The last record is 18 bytes: a length, a kind, the hash of all before.
    private static func withDigest(_ bytes: [UInt8]) -> [UInt8] {
        guard bytes.count >= 18 else { return bytes }
        var hasher = StableHasher()
        hasher.absorb(raw: bytes.dropLast(18))
        let digest = hasher.finalize()
        let places = (0..<8).reversed().map { 8 * UInt64($0) }
        let hash = [digest.high, digest.low].flatMap { half in
            places.map { UInt8(truncatingIfNeeded: half >> $0) }
        }
        return bytes.dropLast(16) + hash
    }

    private static func segment(_ bytes: [UInt8]) throws(FuzzFailure) {
        guard let segment = StrictLogInspection.segment(bytes) else { return }
        try require(segment == StrictLogInspection.segment(bytes), "a segment reads differently a second time")
        guard let before = segment.before else { return }
        for (place, entry) in segment.entries.enumerated() {
            try require(entry.index == before &+ UInt64(place) &+ 1, "the entries of a log have a gap")
        }
    }
}

/// Segments as `StrictLogFormat` describes them, written by the description alone.
enum StrictLogBytes {
    private static let segmentHead = 64
    private static let frameHead = 152

    /// A segment with one frame for each body.
    static func segment(_ bodies: [[UInt8]]) -> [UInt8] {
        var bytes = Array("gssg".utf8) + number(1, 4) + number(1, 8) + number(7, 8) + number(65_536, 8)
        bytes += [UInt8](repeating: 0, count: segmentHead - bytes.count)
        for (place, body) in bodies.enumerated() {
            var head = Array("gslf".utf8) + number(UInt64(body.count), 4) + number(1, 8) + number(UInt64(place) + 1, 8)
            // Log, term, vote of nobody, commit, refetch; flags: it has begun.
            head += number(7, 8) + number(2, 8) + number(0, 16) + number(1, 8) + number(0, 16) + [1]
            head += [UInt8](repeating: 0, count: 7)
            head +=
                number(0, 16) + number(2, 8) + number(UInt64(place) + 1, 8) + number(UInt64(place) + 1, 8)
                + number(1, 8)
            head += [UInt8](repeating: 0, count: frameHead - head.count)
            bytes += head + body + [UInt8](repeating: 0, count: (8 - body.count % 8) % 8)
        }
        return withChecksums(bytes + [UInt8](repeating: 0, count: 64))
    }

    static func number(_ value: UInt64, _ count: Int) -> [UInt8] {
        [UInt8](repeating: 0, count: max(0, count - 8))
            + (0..<min(count, 8)).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
    }

    static func withChecksums(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        guard bytes.count >= segmentHead else { return bytes }
        put(sum(bytes[..<32]), at: 32, &bytes)
        let magic = Array("gslf".utf8)
        for at in stride(from: segmentHead, through: bytes.count - frameHead, by: 8)
        where bytes[at..<at + 4].elementsEqual(magic) {
            let length = bytes[at + 4..<at + 8].reduce(0) { $0 << 8 | Int($1) }
            let body = at + frameHead
            if length <= bytes.count - body { put(sum(bytes[body..<body + length]), at: at + 136, &bytes) }
            put(sum(bytes[at..<at + 144]), at: at + 144, &bytes)
        }
        return bytes
    }

    private static func sum(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        var hasher = StableHasher()
        hasher.absorb(raw: bytes)
        return hasher.finalize().low
    }

    private static func put(_ value: UInt64, at place: Int, _ bytes: inout [UInt8]) {
        bytes.replaceSubrange(place..<place + 8, with: number(value, 8))
    }
}
