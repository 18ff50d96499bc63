// SPDX-License-Identifier: Apache-2.0
// Owns the search for an order of calls that explains all that was observed (Wing and Gong 1993, Lowe 2017).

/// A call of a partition as the search sees it.
struct Item: Sendable {
    enum Role: Hashable, Sendable {
        /// Has its place in the order, between its invocation and its return.
        case required
        /// Once, between its invocation and its return, or never.
        case optional
        /// Any number of times after it was invoked, whatever its conditions: the calls that an explanation leaves out.
        case pooled
    }

    var program: Program
    var invoked: Int64
    /// The end of time when there was no answer.
    var returned: Int64
    var role: Role
}

/// Which required calls are in the order: all before `low`, and those whose bits are set.
struct DoneSet: Hashable, Sendable {
    private(set) var low = 0
    /// From the word of `low` on; bits before `low` are clear, and so is no last word.
    private var words: [UInt64] = []

    func contains(_ place: Int) -> Bool {
        if place < low { return true }
        let word = place / 64 - low / 64
        return word < words.count && words[word] >> UInt64(place % 64) & 1 == 1
    }

    /// The last place that is in; -1: none.
    var highest: Int {
        guard let word = words.last else { return low - 1 }
        return (low / 64 + words.count) * 64 - 1 - word.leadingZeroBitCount
    }

    mutating func insert(_ place: Int) {
        guard place == low else {
            let word = place / 64 - low / 64
            while words.count <= word { words.append(0) }
            words[word] |= 1 << UInt64(place % 64)
            return
        }
        repeat {
            if !words.isEmpty { words[0] &= ~(1 << UInt64(low % 64)) }
            low += 1
            if low % 64 == 0, !words.isEmpty { words.removeFirst() }
        } while contains(low)
        while words.last == 0 { words.removeLast() }
    }
}

struct Search {
    enum Verdict: Equatable {
        case explained
        case contradicted
        /// More than `configurationsMax` were looked at.
        case undecided
    }

    /// What is reached; two ways that lead to equal ones go on alike.
    private struct Configuration: Hashable {
        var done: DoneSet
        var state: [KeyState]
    }

    private struct Frame {
        var configuration: Configuration
        /// Optional calls in the order, as bits.
        var used: [UInt64]
        /// What may come next, the last first.
        var next: [(configuration: Configuration, used: [UInt64])]
    }

    /// By time of invocation.
    private let required: [Item]
    private let optional: [Item]
    /// Each program once.
    private let pooled: [Item]
    /// The optional call before each that asks for the very same; it comes first, for nothing tells the two apart.
    private let twins: [Int?]
    private let demand: Demand
    /// Keys of whose versions nothing was seen: states that differ in these alone are one.
    private let unversioned: [Int]
    private let configurationsMax: Int
    private let triesMax: Int
    /// Calls that were tried in a state.
    private(set) var tries = 0
    /// Optional calls with which a configuration was reached: more than needed are never better.
    private var seen: [Configuration: [[UInt64]]] = [:]
    private var count = 0

    init(_ items: [Item], keys keyCount: Int, configurationsMax: Int, triesMax: Int = .max) {
        let sorted = items.sorted { $0.invoked < $1.invoked }
        required = sorted.filter { $0.role == .required }
        // A read that need not be explains nothing.
        let optional = sorted.filter { $0.role == .optional && !$0.program.isRead }
        var last: [Program: Int] = [:]
        twins = optional.indices.map { place in
            // Only where neither has a last moment are they alike.
            guard optional[place].returned == .max else { return nil }
            return last.updateValue(place, forKey: optional[place].program)
        }
        self.optional = optional
        var programs: Set<Program> = []
        pooled = sorted.filter { $0.role == .pooled && !$0.program.isRead && programs.insert($0.program).inserted }
        var keys: Set<Int> = []
        for item in items { keys.formUnion(item.program.versionedKeys) }
        unversioned = (0..<keyCount).filter { !keys.contains($0) }
        demand = Demand(required: required, optional: optional, pooled: pooled)
        self.configurationsMax = configurationsMax
        self.triesMax = triesMax
    }

    mutating func run(from initial: [KeyState]) -> Verdict {
        let words = [UInt64](repeating: 0, count: (optional.count + 63) / 64)
        if required.isEmpty { return .explained }
        if demand.isAbsurd(from: initial) { return .contradicted }
        var start = Configuration(done: DoneSet(), state: initial)
        ignoreVersions(&start.state)
        var stack = [Frame(configuration: start, used: words, next: successors(of: start, words))]
        while !stack.isEmpty {
            guard let (configuration, used) = stack[stack.count - 1].next.popLast() else {
                stack.removeLast()
                continue
            }
            if configuration.done.low == required.count { return .explained }
            guard isNew(configuration, used) else { continue }
            count += 1
            if count > configurationsMax || tries > triesMax { return .undecided }
            stack.append(
                Frame(configuration: configuration, used: used, next: successors(of: configuration, used)))
        }
        return .contradicted
    }

    private func ignoreVersions(_ state: inout [KeyState]) {
        for key in unversioned { state[key].ignoreVersion() }
    }

    /// - Returns: Whether the call fits.
    private mutating func attempt(_ item: Item, on state: inout [KeyState]) -> Bool {
        tries += 1
        if item.role == .pooled {
            item.program.applyFreely(to: &state)
        } else if !item.program.apply(to: &state) {
            return false
        }
        ignoreVersions(&state)
        return true
    }

    private mutating func isNew(_ configuration: Configuration, _ used: [UInt64]) -> Bool {
        let known = seen[configuration, default: []]
        for other in known where zip(other, used).allSatisfy({ $0 & ~$1 == 0 }) { return false }
        seen[configuration, default: []].append(used)
        return true
    }

    /// The best guess last.
    private mutating func successors(
        of configuration: Configuration, _ used: [UInt64]
    ) -> [(configuration: Configuration, used: [UInt64])] {
        var next: [(returned: Int64, configuration: Configuration)] = []
        // Whatever returned before another was invoked comes before it.
        var horizon = Int64.max
        var place = configuration.done.low
        while place < required.count, required[place].invoked <= horizon {
            defer { place += 1 }
            if configuration.done.contains(place) { continue }
            let item = required[place]
            horizon = min(horizon, item.returned)
            var after = configuration
            guard attempt(item, on: &after.state) else { continue }
            after.done.insert(place)
            // It fits here and changes nothing wherever it fits: it can be no better anywhere later.
            if item.program.isInert, after.state == configuration.state { return [(after, used)] }
            if !demand.isStranded(from: configuration.state, to: after.state, after.done, used) {
                next.append((item.returned, after))
            }
        }
        var result: [(configuration: Configuration, used: [UInt64])] = []
        for item in pooled where item.invoked <= horizon {
            var after = configuration
            if attempt(item, on: &after.state), after.state != configuration.state { result.append((after, used)) }
        }
        // What was invoked after its return is not in the order yet.
        let highest = configuration.done.highest
        let latest = highest < 0 ? Int64.min : required[highest].invoked
        for place in optional.indices.reversed()
        where optional[place].invoked <= horizon && optional[place].returned >= latest && !used.has(place) {
            if let twin = twins[place], !used.has(twin) { continue }
            var after = configuration
            guard attempt(optional[place], on: &after.state), after.state != configuration.state else { continue }
            var more = used
            more[place / 64] |= 1 << UInt64(place % 64)
            if !demand.isStranded(from: configuration.state, to: after.state, after.done, more) {
                result.append((after, more))
            }
        }
        next.sort { $0.returned > $1.returned }
        for item in next { result.append((item.configuration, used)) }
        return result
    }
}

extension [UInt64] {
    /// As bits.
    func has(_ place: Int) -> Bool { self[place / 64] >> UInt64(place % 64) & 1 == 1 }
}
