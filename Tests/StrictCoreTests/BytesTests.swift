// SPDX-License-Identifier: Apache-2.0
// Owns the tests of the bytes of commands, answers and snapshots, hostile ones included.

import ClusterTypes
import RaftCore
import StrictCore
import Testing

@Suite("Bytes of commands, answers and snapshots")
struct BytesTests {
    private func state(seed: UInt64, entries: UInt64 = 300) throws -> StrictMachine {
        var source = try CommandSource(seed: seed)
        var machine = StrictMachine()
        for index in 1...entries {
            source.learn(machine.apply(source.command(machine.versionBase + index), at: index).answer)
        }
        return machine
    }

    /// Changes, removes, doubles or inserts a few bytes.
    private func mutate(_ bytes: [UInt8], using rng: inout SeededGenerator) -> [UInt8] {
        var bytes = bytes
        for _ in 0...rng.index(below: 3) where !bytes.isEmpty {
            let place = rng.index(below: bytes.count)
            switch rng.index(below: 5) {
            case 0: bytes[place] = UInt8(rng.index(below: 256))
            case 1: bytes[place] ^= 1 << UInt8(rng.index(below: 8))
            case 2: bytes.remove(at: place)
            case 3: bytes.insert(rng.chance(0.5) ? 0xff : UInt8(rng.index(below: 8)), at: place)
            case _: bytes.removeLast(min(bytes.count, rng.index(below: 9)))
            }
        }
        return bytes
    }

    @Test("commands come back as they were; shortened or lengthened they are refused")
    func commands() throws {
        var source = try CommandSource(seed: 5)
        source.sessions = [3]
        for index in UInt64(1)...300 {
            let command = source.command(index)
            let bytes = command.encoded
            #expect(try StrictCommand(encoded: bytes) == command)
            #expect(throws: StrictDecodeFailure.self) { try StrictCommand(encoded: bytes + [0]) }
            let short = Array(bytes.prefix(source.rng.index(below: bytes.count)))
            #expect(throws: StrictDecodeFailure.self) { try StrictCommand(encoded: short) }
        }
    }

    @Test("numbers have one form, and a long count takes no memory")
    func forms() {
        #expect(throws: StrictDecodeFailure.varint) { try StrictCommand(encoded: [3, 0, 0x80, 0, 1]) }
        #expect(throws: StrictDecodeFailure.code) { try StrictCommand(encoded: [3, 2, 0, 1]) }
        #expect(throws: StrictDecodeFailure.code) { try StrictCommand(encoded: [3, 0, 0, 200]) }
        let huge: [UInt8] = [3, 0, 0, 6] + [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]
        #expect(throws: StrictDecodeFailure.bounds) { try StrictCommand(encoded: huge) }
        #expect(throws: StrictDecodeFailure.truncated) { try StrictCommand(encoded: [3, 0, 0, 6, 0xff, 0x1f]) }
        #expect(throws: StrictDecodeFailure.key) { try StrictCommand(encoded: [3, 0, 0, 5, 1, 0x2f]) }
        #expect(throws: StrictDecodeFailure.key) { try StrictCommand(encoded: [3, 0, 0, 5, 1, 0xff]) }
        // Keys told anew: too many, not ascending.
        #expect(throws: StrictDecodeFailure.bounds) { try StrictCommand(encoded: [3, 0, 0, 14, 0xe9, 0x07]) }
        #expect(throws: StrictDecodeFailure.order) { try StrictCommand(encoded: [3, 0, 0, 14, 2, 1, 97, 1, 97]) }
        // Of a program that was never released, and of a later one.
        #expect(throws: StrictDecodeFailure.unknownFormat(2)) { try StrictCommand(encoded: [2, 0, 0, 1]) }
        #expect(throws: StrictDecodeFailure.unknownFormat(4)) { try StrictCommand(encoded: [4, 0, 0, 1]) }
    }

    @Test("altered commands never stop the machine, and what is read is what would be written", arguments: 1...4)
    func hostileCommands(seed: UInt64) throws {
        var source = try CommandSource(seed: seed)
        var machine = StrictMachine()
        var accepted = 0
        for index in UInt64(1)...2_000 {
            let bytes = mutate(source.command(index).encoded, using: &source.rng)
            if let command = try? StrictCommand(encoded: bytes) {
                #expect(command.encoded == bytes)
                accepted += 1
            }
            if let outcome = try? machine.apply(bytes, at: machine.appliedIndex + 1) { source.learn(outcome.answer) }
            if index % 100 == 0 { machine.checkInvariants() }
        }
        #expect(accepted > 200)
    }

    @Test("altered answers are refused or are answers")
    func hostileAnswers() throws {
        var source = try CommandSource(seed: 9)
        var machine = StrictMachine()
        for index in UInt64(1)...2_000 {
            let answer = machine.apply(source.command(index), at: index).answer
            source.learn(answer)
            let bytes = mutate(answer.encoded, using: &source.rng)
            if let other = try? StrictAnswer(encoded: bytes) { #expect(other.encoded == bytes) }
        }
    }

    @Test("a snapshot comes back in any pieces", arguments: [1, 7, 64, 1 << 20])
    func pieces(size: Int) throws {
        let machine = try state(seed: 3)
        var writer = StrictSnapshotWriter(machine)
        var reader = StrictSnapshotReader()
        var whole: [UInt8] = []
        while let piece = writer.next(bytesMin: size) {
            #expect(piece.count < size + StrictBounds.recordBytesMax)
            whole += piece
            // Other borders than the writer's.
            for start in stride(from: 0, to: piece.count, by: 5) {
                try reader.feed(Array(piece[start..<min(start + 5, piece.count)]))
            }
        }
        let restored = try reader.finish()
        restored.checkInvariants()
        #expect(restored == machine && whole == machine.snapshot)
        #expect(writer.digest == machine.digest && writer.bytes == UInt64(whole.count))
        #expect(try StrictMachine(snapshot: StrictMachine().snapshot) == StrictMachine())
    }

    @Test("a snapshot is of the moment when it was begun, whatever is applied meanwhile")
    func moment() throws {
        var machine = try state(seed: 4)
        let before = machine
        var writer = StrictSnapshotWriter(machine)
        var bytes: [UInt8] = []
        while let piece = writer.next(bytesMin: 1) {
            bytes += piece
            _ = machine.apply(
                StrictCommand(time: 0, .put(try key("k\(bytes.count)"), value: [1], lease: 0)),
                at: machine.appliedIndex + 1)
        }
        #expect(try StrictMachine(snapshot: bytes) == before)
        #expect(machine != before && machine.digest != before.digest)
    }

    @Test("a snapshot that is torn or altered in any byte is refused")
    func torn() throws {
        let bytes = try state(seed: 6, entries: 60).snapshot
        for place in bytes.indices {
            #expect(throws: StrictDecodeFailure.self) { try StrictMachine(snapshot: Array(bytes[..<place])) }
            var altered = bytes
            altered[place] ^= 0x10
            #expect(throws: StrictDecodeFailure.self) { try StrictMachine(snapshot: altered) }
        }
        #expect(throws: StrictDecodeFailure.trailing) { try StrictMachine(snapshot: bytes + [0]) }
    }

    @Test("an altered snapshot under a right digest gives a sound state or none", arguments: 1...3)
    func forged(seed: UInt64) throws {
        let bytes = try state(seed: seed).snapshot
        var rng = SeededGenerator(seed: seed)
        var accepted = 0
        for _ in 0..<800 {
            // The last record: length, kind, digest.
            var forged = mutate(Array(bytes.dropLast(18)), using: &rng)
            var hasher = StableHasher()
            hasher.absorb(raw: forged)
            let digest = hasher.finalize()
            forged += [17, 7]
            for half in [digest.high, digest.low] {
                for shift in stride(from: 56, through: 0, by: -8) {
                    forged.append(UInt8(truncatingIfNeeded: half >> UInt64(shift)))
                }
            }
            guard let machine = try? StrictMachine(snapshot: forged) else { continue }
            machine.checkInvariants()
            #expect(machine.snapshot == forged)
            accepted += 1
        }
        #expect(accepted > 20)
    }
}
