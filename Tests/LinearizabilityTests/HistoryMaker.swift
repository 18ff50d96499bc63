// SPDX-License-Identifier: Apache-2.0
// Owns random histories: right ones, made of a real execution in some order, and ones that were tampered with.

import ClusterTypes
import Linearizability

struct HistoryMaker {
    var rng: SeededGenerator
    var keys = ["a", "b"]
    /// The longest time from invocation to effect and from effect to return; effects are 10 apart.
    var spread = 40
    var unknown = 0.15
    /// How often a version that was seen is kept.
    var versions = 0.5
    /// Of calls that touch several keys.
    var transactions = 0.1
    var increments = true
    var comparesVersions = true
    /// How often a value is one that others write as well.
    var repeats = 0.0

    init(seed: UInt64) { rng = SeededGenerator(seed: seed) }

    mutating func key() -> String { keys[rng.index(below: keys.count)] }

    mutating func text(_ number: Int) -> String { String(rng.chance(repeats) ? rng.index(below: 3) : number) }

    mutating func condition(_ register: PlainRegister) -> HistoryCondition {
        let key = key()
        switch rng.index(below: comparesVersions ? 3 : 2) {
        case 0: return .exists(key, rng.chance(0.5))
        case 1: return .value(key, rng.chance(0.7) ? register.values[key]?.text ?? "0" : "1")
        case _: return .version(key, (register.values[key]?.version ?? 0) + (rng.chance(0.7) ? 0 : 1))
        }
    }

    mutating func step(_ number: Int) -> HistoryStep {
        switch rng.index(below: 3) {
        case 0: .get(key())
        case 1: .put(key(), text(number))
        case _: .delete(key())
        }
    }

    mutating func operation(_ number: Int, _ register: PlainRegister) -> HistoryOperation {
        if rng.chance(transactions) {
            return .transaction(
                [condition(register)], then: (0..<2).map { _ in step(number) },
                otherwise: (0..<rng.index(below: 2)).map { _ in step(number) })
        }
        switch rng.index(below: 10) {
        case 0, 1, 2: return .get(key())
        case 3, 4, 5: return .put(key(), text(number))
        case 6: return rng.chance(0.5) ? .delete(key()) : .get(key())
        case 7: return increments ? .increment(key(), by: 1) : .get(key())
        case _: return .compareAndSet(condition(register), key(), text(number))
        }
    }

    /// Calls take effect one after another, each between its invocation and its return.
    mutating func history(count: Int) -> [HistoryCall] {
        var register = PlainRegister()
        var calls: [HistoryCall] = []
        for number in 1...count {
            let moment = Int64(number * 10)
            let operation = operation(number, register)
            let invoked = moment - Int64(rng.index(below: spread + 1))
            if rng.chance(unknown) {
                // Lost on its way there, or on the way back.
                if rng.chance(0.5) { _ = register.run(operation) }
                calls.append(HistoryCall(client: number, invoked: invoked, returned: nil, operation))
                continue
            }
            guard let observation = register.run(operation) else { continue }
            let returned = moment + Int64(rng.index(below: spread + 1))
            calls.append(
                HistoryCall(client: number, invoked: invoked, returned: returned, operation, blur(observation)))
        }
        return calls
    }

    /// What clients do not always look at.
    private mutating func blur(_ observation: HistoryObservation) -> HistoryObservation {
        if rng.chance(versions) { return observation }
        switch observation {
        case .found(let text, _): return .found(text)
        case .written: return .nothing
        case .branch(let succeeded, _): return .branch(succeeded: succeeded)
        case .nothing, .existed, .number, .locked, .busy: return observation
        }
    }

    /// Something is not as it was.
    mutating func tampered(_ calls: [HistoryCall]) -> [HistoryCall] {
        var calls = calls
        let place = rng.index(below: calls.count)
        let other = rng.index(below: calls.count)
        switch rng.index(below: 5) {
        case 0: calls[place].observation = wrong(calls[place].observation)
        case 1:
            // The answer came before the effect of others.
            calls[place].returned = calls[place].returned.map { _ in calls[place].invoked }
        case 2: (calls[place].invoked, calls[other].invoked) = (calls[other].invoked, calls[place].invoked)
        case 3: calls.remove(at: place)
        case _:
            (calls[place].observation, calls[other].observation) = (
                calls[other].observation, calls[place].observation
            )
        }
        for place in calls.indices {
            calls[place].returned = calls[place].returned.map { max($0, calls[place].invoked) }
        }
        return calls
    }

    private mutating func wrong(_ observation: HistoryObservation) -> HistoryObservation {
        switch observation {
        case .found(let text, let version): .found(text == nil ? "1" : nil, version: text == nil ? nil : version)
        case .written(let version): .written(version: version + 1)
        case .existed(let wasThere): .existed(!wasThere)
        case .number(let number): .number(number + (rng.chance(0.5) ? 1 : -1))
        case .branch(let succeeded, _): .branch(succeeded: !succeeded)
        case .nothing: .written(version: 2)
        case .locked, .busy: observation
        }
    }
}
