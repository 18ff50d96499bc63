// SPDX-License-Identifier: Apache-2.0
// Owns the format of the strict group's log files, byte by byte: the head of a segment and the head of a frame.

import ClusterTypes
import RaftCore

/// A log is a sequence of frames in segment files `log-<id>` (id: 16 hexadecimal digits, ascending by one). A segment is
/// filled with zeros over its whole size before it is used: writing into it changes no metadata, so a sync is the data's
/// alone. All numbers are big-endian; checksums are the low half of `StableHasher` over the bytes named.
///
///     segment   0   4  "gssg"
///               4   4  format version, 1
///               8   8  segment id
///              16   8  log id: random, the same in all segments of a log
///              24   8  size of the file in bytes
///              32   8  checksum of bytes 0..<32
///              40  24  zeros; frames follow from 64 on, each at a multiple of 8
///
/// A frame is what one sync makes durable, of one write or of many; the next frame is written only afterwards. So whoever
/// finds the head of a later frame knows that this one was durable. Its head says everything that the node promised,
/// so that no promise is lost with a damaged frame as long as there is a later one.
///
///     frame     0   4  "gslf"
///               4   4  bytes of the body, without the zeros that fill up to a multiple of 8
///               8   8  segment id     } a frame that is in another place than where it was written, or of a former
///              16   8  sequence       } use of a recycled file, is none
///              24   8  log id         }
///              32   8  term
///              40  16  voted for; zeros: nobody
///              56   8  commit index
///              64   8  refetch: through
///              72   8  refetch: term
///              80   1  flags: 1 the log has begun, 2 there is a refetch, 4 the log goes on in the next segment,
///                      8 orderly end
///              81   7  zeros
///              88  16  base: term and index that the log begins behind; a snapshot file holds the state there
///             104  16  last entry: term and index, after this frame
///             120   8  highest index that any frame ever held
///             128   8  revision of the founding state after this frame
///             136   8  checksum of the body
///             144   8  checksum of bytes 0..<144
///             152   n  body: records, `StrictLogRecord`
enum StrictLogFormat {
    static let version: UInt32 = 1
    static let segmentHeadBytes = 64
    static let frameHeadBytes = 152
    static let alignment = 8
    static let segmentMagic: UInt32 = 0x6773_7367
    static let frameMagic: UInt32 = 0x6773_6c66

    static func padded(_ count: Int) -> Int { (count + alignment - 1) / alignment * alignment }

    static func checksum(_ bytes: some Collection<UInt8>) -> UInt64 {
        var hasher = StableHasher()
        hasher.absorb(raw: bytes)
        return hasher.finalize().low
    }

    static func segmentName(_ id: UInt64) -> String { "log-\(Hex.string(id))" }

    /// nil: it is no segment's name.
    static func segmentID(of name: String) -> UInt64? {
        let digits = name.dropFirst(4)
        guard name.hasPrefix("log-"), digits.utf8.count == 16, digits.utf8.allSatisfy(Hex.isDigit) else { return nil }
        return UInt64(digits, radix: 16)
    }
}

struct SegmentHead: Hashable {
    var id: UInt64
    var log: UInt64
    var bytes: UInt64

    func encoded() -> [UInt8] {
        var writer = LogBytes()
        writer.put(StrictLogFormat.segmentMagic)
        writer.put(StrictLogFormat.version)
        for value in [id, log, bytes] { writer.put(value) }
        writer.put(StrictLogFormat.checksum(writer.bytes))
        writer.fill(to: StrictLogFormat.segmentHeadBytes)
        return writer.bytes
    }

    enum Reading: Hashable {
        case head(SegmentHead)
        case newer(UInt32)
        case damaged
    }

    static func read(_ bytes: [UInt8]) -> Reading {
        guard bytes.count >= StrictLogFormat.segmentHeadBytes else { return .damaged }
        var reader = LogReader(bytes)
        guard reader.uint32() == StrictLogFormat.segmentMagic, let version = reader.uint32(), let id = reader.uint64(),
            let log = reader.uint64(), let size = reader.uint64(), let sum = reader.uint64(),
            sum == StrictLogFormat.checksum(bytes[..<32])
        else { return .damaged }
        if version != StrictLogFormat.version { return .newer(version) }
        return .head(SegmentHead(id: id, log: log, bytes: size))
    }
}

/// What a node promised and how far its log goes: the part of a frame's head that is about the group.
struct StrictPromises: Hashable {
    var hard = HardState()
    /// Anything of Raft was ever written.
    var hasBegun = false
    var base = LogPosition.zero
    var last = LogPosition.zero
    var highest: LogIndex = 0
    var foundingRevision: UInt64 = 0
}

struct FrameHead: Hashable {
    struct Flags: OptionSet, Hashable {
        let rawValue: UInt8
        static let begun = Flags(rawValue: 1)
        static let refetch = Flags(rawValue: 2)
        static let sealed = Flags(rawValue: 4)
        static let closed = Flags(rawValue: 8)
    }

    var bodyBytes: Int
    var segment: UInt64
    var sequence: UInt64
    var log: UInt64
    var promises: StrictPromises
    var flags: Flags
    var bodySum: UInt64

    /// Of the whole frame, with what fills it up.
    var bytes: Int { StrictLogFormat.frameHeadBytes + StrictLogFormat.padded(bodyBytes) }

    func encoded() -> [UInt8] {
        var writer = LogBytes()
        var flags = flags
        if promises.hasBegun { flags.insert(.begun) }
        if promises.hard.refetch != nil { flags.insert(.refetch) }
        writer.put(StrictLogFormat.frameMagic)
        writer.put(UInt32(bodyBytes))
        for value in [segment, sequence, log, promises.hard.term] { writer.put(value) }
        writer.put(promises.hard.votedFor ?? .unknown)
        let refetch = promises.hard.refetch
        for value in [promises.hard.commit, refetch?.through ?? 0, refetch?.term ?? 0] { writer.put(value) }
        writer.put(flags.rawValue)
        writer.fill(to: 88)
        writer.put(promises.base)
        writer.put(promises.last)
        for value in [promises.highest, promises.foundingRevision, bodySum] { writer.put(value) }
        writer.put(StrictLogFormat.checksum(writer.bytes))
        return writer.bytes
    }

    /// nil: there is no head at `at`.
    static func read(_ bytes: [UInt8], at: Int) -> FrameHead? {
        let end = at + StrictLogFormat.frameHeadBytes
        guard end <= bytes.count else { return nil }
        var reader = LogReader(bytes, from: at)
        guard reader.uint32() == StrictLogFormat.frameMagic, let count = reader.uint32() else { return nil }
        var sums = LogReader(bytes, from: end - 8)
        guard sums.uint64() == StrictLogFormat.checksum(bytes[at..<end - 8]) else { return nil }
        guard let segment = reader.uint64(), let sequence = reader.uint64(), let log = reader.uint64(),
            let term = reader.uint64(), let vote = reader.nodeID(), let commit = reader.uint64(),
            let through = reader.uint64(), let refetchTerm = reader.uint64(), let raw = reader.byte(),
            reader.skip(7), let base = reader.position(), let last = reader.position(), let highest = reader.uint64(),
            let founding = reader.uint64(), let bodySum = reader.uint64()
        else { return nil }
        let flags = Flags(rawValue: raw)
        let hard = HardState(
            term: term, votedFor: vote == .unknown ? nil : vote, commit: commit,
            refetch: flags.contains(.refetch) ? Refetch(through: through, term: refetchTerm) : nil)
        return FrameHead(
            bodyBytes: Int(count), segment: segment, sequence: sequence, log: log,
            promises: StrictPromises(
                hard: hard, hasBegun: flags.contains(.begun), base: base, last: last, highest: highest,
                foundingRevision: founding),
            flags: flags, bodySum: bodySum)
    }
}
