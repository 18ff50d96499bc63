// SPDX-License-Identifier: Apache-2.0
// Owns what the tests of the strict state share: keys, commands, random ones, and a bench that applies them.

import ClusterTypes
import RaftCore
import StrictCore
import Testing

func key(_ text: String, location: SourceLocation = #_sourceLocation) throws -> StrictKey {
    try #require(StrictKey(text), sourceLocation: location)
}

/// A machine and the index of its next entry.
struct Bench {
    var machine = StrictMachine()
    var time: UInt64 = 1_000

    /// Applied as bytes, as the log has it.
    @discardableResult
    mutating func apply(_ operation: StrictOperation, _ session: SessionStamp? = nil) throws -> StrictOutcome {
        let command = StrictCommand(time: time, session: session, operation)
        let outcome = try machine.apply(command.encoded, at: machine.appliedIndex + 1)
        machine.checkInvariants()
        #expect(try StrictAnswer(encoded: outcome.answer.encoded) == outcome.answer)
        return outcome
    }

    mutating func lease(_ milliseconds: UInt64 = 10_000) throws -> LeaseID {
        guard case .lease(let id, _) = try apply(.grantLease(milliseconds: milliseconds)).answer else {
            Issue.record("no lease")
            return 0
        }
        return id
    }
}

/// Draws commands over few names, so that they meet.
struct CommandSource {
    var rng: SeededGenerator
    var leases: [LeaseID] = [0, 0, 999]
    var sessions: [UInt64] = []
    var sequences: [UInt64: UInt64] = [:]
    var time: UInt64 = 0
    let keys: [StrictKey]
    let locks: [StrictKey]

    init(seed: UInt64) throws {
        rng = SeededGenerator(seed: seed)
        keys = try ["a", "b", "dir/a", "dir/b", "dir.x", "ä"].map { try key($0) }
        locks = try ["l", "m"].map { try key($0) }
    }

    mutating func pick<Element>(_ items: [Element]) -> Element { items[rng.index(below: items.count)] }
    mutating func value() -> [UInt8] { (0..<rng.index(below: 4)).map { _ in UInt8(rng.index(below: 3)) } }
    mutating func lease() -> LeaseID { pick(leases) }
    mutating func small() -> UInt64 { UInt64(rng.index(below: 5)) }

    mutating func step() -> StrictStep {
        switch rng.index(below: 4) {
        case 0, 1: .put(pick(keys), value: value(), lease: rng.chance(0.3) ? lease() : 0)
        case 2: .delete(pick(keys))
        case _: .get(pick(keys))
        }
    }

    mutating func compare(_ index: LogIndex) -> StrictCompare {
        switch rng.index(below: 6) {
        case 0: .exists(pick(keys), rng.chance(0.5))
        case 1: .version(pick(keys), small())
        case 2: .modified(pick(keys), index - min(index, small() * 3))
        case 3: .value(pick(keys), value())
        case 4: .lease(pick(keys), lease())
        case _: .holds(lock: pick(locks), token: index - min(index, small() * 4))
        }
    }

    mutating func operation(_ index: LogIndex) -> StrictOperation {
        switch rng.index(below: 26) {
        case 0: .registerSession
        case 1: rng.chance(0.5) ? .endSession(sessions.isEmpty ? 7 : pick(sessions)) : .registerSession
        case 2: rng.chance(0.3) ? .expireSessions(idle: 60) : .delete(pick(keys))
        case 3, 4, 5, 6: .put(pick(keys), value: value(), lease: rng.chance(0.3) ? lease() : 0)
        case 7: .delete(pick(keys))
        case 8, 9, 10, 11, 12:
            .transaction(
                StrictTransaction(
                    compares: (0..<rng.index(below: 3)).map { _ in compare(index) },
                    then: (0..<rng.index(below: 4)).map { _ in step() },
                    otherwise: (0..<rng.index(below: 3)).map { _ in step() }))
        case 13, 14: .grantLease(milliseconds: rng.chance(0.1) ? 5 : 1_000, endsWithKeys: rng.chance(0.5))
        case 15: .keepAlive(lease())
        case 16: rng.chance(0.4) ? .revoke(lease()) : .keepAlive(lease())
        case 17: .expireLease(lease(), ifRenewedBefore: index - min(index, UInt64(rng.index(below: 40))))
        case 18, 19, 20, 21: .acquire(lock: pick(locks), lease: lease(), mayWait: rng.chance(0.7))
        case 22: .raiseVersions(above: rng.chance(0.5) ? index + small() * 50 : small(), by: small() * 7)
        case 23: .reissue(keys.sorted().filter { _ in rng.chance(0.5) })
        case _: .release(lock: pick(locks), lease: lease())
        }
    }

    mutating func command(_ index: LogIndex) -> StrictCommand {
        time += small()
        let operation = operation(index)
        guard !sessions.isEmpty, rng.chance(0.5) else { return StrictCommand(time: time, operation) }
        let session = pick(sessions)
        let next = sequences[session, default: 0] + 1
        // Now and then an old number again, with the same or another content.
        let sequence = rng.chance(0.3) ? next - min(next - 1, small()) : next
        sequences[session] = max(next - 1, sequence)
        let answered = sequence - min(sequence, 1 + small() * 2)
        return StrictCommand(
            time: time, session: SessionStamp(session: session, sequence: sequence, answeredThrough: answered),
            operation)
    }

    mutating func learn(_ answer: StrictAnswer) {
        if case .lease(let id, _) = answer { leases.append(id) }
        if case .session(let id) = answer { sessions.append(id) }
        if leases.count > 8 { leases.remove(at: 1 + rng.index(below: 5)) }
        if sessions.count > 5 { sessions.removeFirst() }
    }
}
