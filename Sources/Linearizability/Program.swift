// SPDX-License-Identifier: Apache-2.0
// Owns the one form to which every operation is brought: conditions, two branches, and what was observed.

/// All over the keys of one partition, by their place in it.
struct Program: Hashable, Sendable {
    struct Step: Hashable, Sendable {
        var key: Int
        var step: HistoryStep
        var observation = HistoryObservation.nothing

        var isInert: Bool {
            switch step {
            case .get: true
            case .delete, .release: observation == .existed(false)
            case .acquire: observation == .busy
            case .put, .increment: false
            }
        }
    }

    struct KeyValue: Hashable, Sendable {
        var key: Int
        var value: String
    }

    struct Condition: Hashable, Sendable {
        var key: Int
        var condition: HistoryCondition
    }

    private var conditions: [Condition] = []
    private var then: [Step] = []
    private var otherwise: [Step] = []
    /// nil: not observed.
    private var succeeded: Bool?
    /// The observation is none that this operation gives: nothing explains it.
    private var isAbsurd = false

    /// - Parameter place: Of a key in the partition.
    init(_ call: HistoryCall, place: (String) -> Int) {
        func steps(_ steps: [HistoryStep]) -> [Step] { steps.map { Step(key: place($0.key), step: $0) } }
        switch call.operation {
        case .get, .put, .delete, .increment, .acquire, .release:
            then = steps(call.operation.steps)
            if call.returned != nil { then[0].observation = call.observation }
            return
        case .compareAndSet(let condition, let key, let value):
            conditions = [Condition(key: place(condition.key), condition: condition)]
            then = steps([.put(key, value)])
        case .transaction(let all, let first, let second):
            conditions = all.map { Condition(key: place($0.key), condition: $0) }
            then = steps(first)
            otherwise = steps(second)
        }
        guard call.returned != nil else { return }
        switch call.observation {
        case .nothing: break
        case .branch(let hasSucceeded, let results):
            succeeded = hasSucceeded
            if results.isEmpty { break }
            isAbsurd = results.count != (hasSucceeded ? then : otherwise).count
            if isAbsurd { break }
            for at in results.indices {
                if hasSucceeded { then[at].observation = results[at] } else { otherwise[at].observation = results[at] }
            }
        case .found, .written, .existed, .number, .locked, .busy: isAbsurd = true
        }
    }

    /// Whether it changes nothing in any state in which it can have given what was observed.
    var isInert: Bool {
        let branches: [[Step]]
        if conditions.isEmpty {
            branches = [then]
        } else {
            branches = succeeded.map { [$0 ? then : otherwise] } ?? [then, otherwise]
        }
        return branches.allSatisfy { $0.allSatisfy(\.isInert) }
    }

    /// Of a plain get: what it found.
    var found: KeyValue? {
        guard conditions.isEmpty, then.count == 1, case .get = then[0].step else { return nil }
        guard case .found(let value?, _) = then[0].observation else { return nil }
        return KeyValue(key: then[0].key, value: value)
    }

    /// What it may write; nil: anything, to some key.
    var written: [KeyValue]? {
        var result: [KeyValue] = []
        for step in then + otherwise {
            switch step.step {
            case .put(_, let value): result.append(KeyValue(key: step.key, value: value))
            case .increment: return nil
            case .get, .delete, .acquire, .release: break
            }
        }
        return result
    }

    /// Keys whose versions were seen or asked for.
    var versionedKeys: [Int] {
        var result: [Int] = []
        for condition in conditions { if case .version = condition.condition { result.append(condition.key) } }
        for step in then + otherwise {
            switch step.observation {
            case .found(_, .some), .written: result.append(step.key)
            case .found, .nothing, .existed, .number, .locked, .busy, .branch: break
            }
        }
        return result
    }

    var isRead: Bool { then.allSatisfy(\.step.isRead) && otherwise.allSatisfy(\.step.isRead) }

    /// - Returns: False when what was observed cannot have happened in this state, which then means nothing.
    func apply(to state: inout [KeyState]) -> Bool {
        if isAbsurd { return false }
        if conditions.isEmpty && succeeded == nil { return Self.run(then, &state) }
        let held = conditions.map { state[$0.key].holds($0.condition) }
        switch succeeded {
        case true?:
            for condition in conditions where !state[condition.key].learn(condition.condition) { return false }
            return Self.run(then, &state)
        case false?:
            if held.allSatisfy({ $0 == true }) { return false }
            return Self.run(otherwise, &state)
        case nil:
            if held.contains(false) { return Self.run(otherwise, &state) }
            if held.allSatisfy({ $0 == true }) { return Self.run(then, &state) }
            for step in then + otherwise where !step.step.isRead { state[step.key].forget() }
            return true
        }
    }

    /// The effect without its conditions and without what was before: on any state.
    func applyFreely(to state: inout [KeyState]) {
        let steps = succeeded == false ? otherwise : then
        let isKnown = conditions.isEmpty || succeeded != nil || isIdleOtherwise
        for step in isKnown ? steps : then + otherwise where !step.step.isRead {
            state[step.key] = .unknown(state[step.key].versions)
            if isKnown { _ = state[step.key].apply(step.step, step.observation) }
        }
    }

    private var isIdleOtherwise: Bool { otherwise.allSatisfy(\.step.isRead) }

    private static func run(_ steps: [Step], _ state: inout [KeyState]) -> Bool {
        for step in steps where !state[step.key].apply(step.step, step.observation) { return false }
        return true
    }
}

extension HistoryOperation {
    /// Of an operation without conditions: its one step.
    fileprivate var steps: [HistoryStep] {
        switch self {
        case .get(let key): [.get(key)]
        case .put(let key, let value): [.put(key, value)]
        case .delete(let key): [.delete(key)]
        case .increment(let key, let delta): [.increment(key, by: delta)]
        case .acquire(let lock, let owner): [.acquire(lock, owner: owner)]
        case .release(let lock, let owner): [.release(lock, owner: owner)]
        case .compareAndSet, .transaction: []
        }
    }

    /// With repetitions.
    var keys: [String] {
        switch self {
        case .get, .put, .delete, .increment, .acquire, .release: steps.map(\.key)
        case .compareAndSet(let condition, let key, _): [condition.key, key]
        case .transaction(let conditions, let then, let otherwise):
            conditions.map(\.key) + then.map(\.key) + otherwise.map(\.key)
        }
    }
}
