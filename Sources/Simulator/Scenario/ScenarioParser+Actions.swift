// SPDX-License-Identifier: Apache-2.0
// Owns how the actions and conditions of a scenario are written.

import ClusterTypes
import SWIMCore

extension ScenarioLine {
    private static let verbs = [
        "start", "kill", "down", "bounce", "roll", "leave", "forget", "tag", "stall", "mute", "cut", "mend",
        "partition",
        "isolate", "heal", "loss", "delay", "duplicate", "reorder", "corrupt", "disk", "clock", "drift", "put",
        "delete", "add", "remove", "increment", "import", "event", "crash", "measure", "note", "call", "add-voter",
        "remove-voter", "transfer", "recover",
    ]

    mutating func action() throws(LineFailure) -> Scenario.Action {
        let verb = try word("a statement")
        if let process = try processAction(verb) { return process }
        if let network = try networkAction(verb) { return network }
        if let write = try writeAction(verb) { return write }
        if let fault = try diskAction(verb) { return fault }
        switch verb {
        case "disk":
            let latency = try duration()
            let jitter = accept("jitter") ? try duration() : .zero
            return .disk(latency: latency, jitter: jitter, isAtEnd ? .all : try selector())
        case "clock":
            let nodes = try selector()
            if accept("right") { return .clockRight(nodes) }
            return .clockJump(nodes, milliseconds: try jump())
        case "drift":
            let nodes = try selector()
            return .clockDrift(nodes, try partsPerMillion())
        case "event":
            let nodes = try selector()
            let name = try word("the event's name")
            return .userEvent(nodes, name: name, payload: isAtEnd ? "" : try text("the payload"))
        case "call":
            let nodes = try selector()
            try require("keys")
            let keys = try integer("a number of keys", in: 1...10_000)
            let together = accept("together") ? try integer("a number of calls", in: 1...1_000) : 1
            return .call(nodes, keys: keys, together: together)
        case "add-voter", "remove-voter":
            let nodes = try selector()
            try require("by")
            let by = try selector()
            return verb == "add-voter" ? .strictAdd(nodes, by: by) : .strictRemove(nodes, by: by)
        case "transfer":
            try require("by")
            return .strictTransfer(by: try selector())
        case "recover":
            try require("by")
            return .strictRecover(try selector())
        case "measure": return .measure(try duration())
        case "note": return .note(try text("a note"))
        default:
            throw LineFailure(
                reason: "'\(verb)' is no statement; write nodes, seeds, start-over, hold, profile, run, at, expect, "
                    + Self.verbs.joined(separator: ", "))
        }
    }

    private mutating func processAction(_ verb: String) throws(LineFailure) -> Scenario.Action? {
        switch verb {
        case "start", "restart": return .start(try selector())
        case "kill": return .kill(try selector())
        case "down": return .hostDown(try selector())
        case "leave": return .leave(try selector())
        case "bounce":
            let nodes = try selector()
            try require("for")
            return .bounce(nodes, down: try duration(), isOrderly: accept("orderly"))
        case "roll":
            let nodes = try selector()
            try require("for")
            let down = try duration()
            try require("every")
            return .roll(nodes, down: down, every: try duration())
        case "stall":
            let nodes = try selector()
            try require("for")
            return .stall(nodes, try duration())
        case "mute":
            let nodes = try selector()
            try require("for")
            return .mute(nodes, try duration())
        case "forget":
            let nodes = try selector()
            try require("by")
            return .forget(nodes, by: try selector())
        case "tag":
            let nodes = try selector()
            let word = try word("NAME=VALUE")
            let parts = word.split(separator: Character("="), maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[0].isEmpty else {
                throw LineFailure(reason: "'\(word)' is no tag; write NAME=VALUE")
            }
            return .tag(nodes, Tag(name: String(parts[0]), value: String(parts[1])))
        default: return nil
        }
    }

    private mutating func networkAction(_ verb: String) throws(LineFailure) -> Scenario.Action? {
        switch verb {
        case "heal": return .heal
        case "cut":
            let (from, to) = try arrow()
            return .cut(from, to)
        case "mend":
            let (from, to) = try arrow()
            return .mend(from, to)
        case "isolate":
            let nodes = try selector()
            try require("for")
            return .isolate(nodes, try duration())
        case "partition":
            var groups = [try selector()]
            while accept("|") { groups.append(try selector()) }
            guard groups.count >= 2 else { throw LineFailure(reason: "a partition needs two sides: 1-25 | 26-50") }
            guard !groups.contains(where: \.isRandom) else {
                throw LineFailure(reason: "the sides of a partition cannot be random: they could overlap")
            }
            return .partition(groups)
        default:
            guard let change = try linkChange(verb) else { return nil }
            if isAtEnd { return .allLinks(change) }
            let (from, to) = try arrow()
            return .link(change, from: from, to: to)
        }
    }

    private mutating func linkChange(_ verb: String) throws(LineFailure) -> LinkChange? {
        switch verb {
        case "loss": return .loss(try percentage())
        case "duplicate": return .duplication(try percentage())
        case "corrupt": return .corruption(try percentage())
        case "delay":
            let delay = try duration()
            return .delay(delay, jitter: accept("jitter") ? try duration() : .zero)
        case "reorder":
            let probability = try percentage()
            return .reordering(probability, by: accept("by") ? try duration() : .milliseconds(10))
        default: return nil
        }
    }

    private mutating func arrow() throws(LineFailure) -> (NodeSelector, NodeSelector) {
        let from = try selector()
        try require("->")
        return (from, try selector())
    }

    private mutating func writeAction(_ verb: String) throws(LineFailure) -> Scenario.Action? {
        guard ["put", "delete", "add", "remove", "increment", "import"].contains(verb) else { return nil }
        let nodes = try selector()
        let key = try word("a key")
        switch verb {
        case "put":
            let value: Scenario.Value = accept("size") ? .size(try size()) : .text(try text("the value"))
            return .write(nodes, .put(key: key, value, ttl: accept("ttl") ? try duration() : nil))
        case "import":
            let count = try integer("a number of keys", in: 1...Bounds.transactionWritesMax)
            return .write(nodes, .transaction(key: key, count: count, try text("the values")))
        case "delete": return .write(nodes, .delete(key: key))
        case "add": return .write(nodes, .add(key: key, try text("the element")))
        case "remove": return .write(nodes, .remove(key: key, try text("the element")))
        default:
            let amount = accept("by") ? try integer("an amount", in: -1_000_000_000...1_000_000_000) : 1
            return .write(nodes, .increment(key: key, Int64(amount)))
        }
    }

    /// Faults of disks: `disk` and a word, or `crash`.
    private mutating func diskAction(_ verb: String) throws(LineFailure) -> Scenario.Action? {
        if verb == "crash" {
            let word = try word("what a crash leaves")
            guard let mode = CrashMode(rawValue: word) else {
                throw LineFailure(
                    reason: "'\(word)' is nothing that a crash leaves; write lost, torn, half or unsynced")
            }
            return .fault(.crash(mode), isAtEnd ? .all : try selector())
        }
        guard verb == "disk", let word = peekWord(), Self.duration(word) == nil else { return nil }
        _ = accept(word)
        switch word {
        case "full":
            let nodes = try selector()
            try require("for")
            return .fault(.full(try duration()), nodes)
        case "stall":
            let nodes = try selector()
            try require("for")
            return .fault(.stall(try duration()), nodes)
        case "error":
            let nodes = try selector()
            try require("for")
            return .fault(.error(down: try duration()), nodes)
        case "damage": return .fault(.damage, try selector())
        case "save": return .fault(.save, try selector())
        case "restore": return .fault(.restore, try selector())
        case "wipe": return .fault(.wipe, try selector())
        case "clone": return try clone()
        default:
            throw LineFailure(
                reason: "'\(word)' is no fault of a disk; write full, stall, error, save, restore, wipe, clone or a "
                    + "latency")
        }
    }

    private mutating func clone() throws(LineFailure) -> Scenario.Action {
        guard case .numbers(let ranges) = try selector(), let source = ranges.first?.lowerBound else {
            throw LineFailure(reason: "a clone has one source: disk clone n1 -> n5")
        }
        try require("->")
        let target = try selector()
        return .fault(.clone(of: source - 1, isSameID: accept("same-id")), target)
    }

    /// `+30s` or `-2s`, in milliseconds; up to 20 years.
    private mutating func jump() throws(LineFailure) -> Int64 {
        let word = try word("a jump such as +30s or -2s")
        guard let sign = word.first, sign == "+" || sign == "-",
            let size = Self.duration(String(word.dropFirst()), secondsMax: 20 * 366 * 86_400)
        else { throw LineFailure(reason: "'\(word)' is no jump; write +30s or -2s") }
        let milliseconds = size.nanoseconds / 1_000_000
        return sign == "-" ? -milliseconds : milliseconds
    }

    /// `200ppm` or `-200ppm`, as a factor.
    private mutating func partsPerMillion() throws(LineFailure) -> Double {
        let word = try word("a drift such as 200ppm")
        guard word.hasSuffix("ppm"), let count = Int(word.dropLast(3)), count.magnitude <= 500_000 else {
            throw LineFailure(reason: "'\(word)' is no drift; write 200ppm or -200ppm")
        }
        return Double(count) / 1e6
    }

    private mutating func atMost() throws(LineFailure) -> Int {
        try require("at")
        try require("most")
        return try integer("a bound", in: 0...1_000_000_000)
    }

    mutating func condition() throws(LineFailure) -> Scenario.Condition {
        let word = try word("what to expect")
        switch word {
        case "formed": return .formed
        case "converged": return .converged
        case "failed": return .failed(try selector())
        case "alive": return .alive(try selector())
        case "left": return .left(try selector())
        case "members": return .members(try integer("a number of members", in: 0...Scenario.nodesMax))
        case "value": return .value(key: try self.word("a key"), try text("the value"))
        case "counter":
            let key = try self.word("a key")
            return .counter(key: key, Int64(try integer("a count", in: Int(Int32.min)...Int(Int32.max))))
        case "actors": return .actors(most: try atMost())
        case "rows": return .rows(most: try atMost())
        case "versions": return .versions(most: try atMost())
        case "queued":
            let nodes = try selector()
            return .queued(nodes, try integer("a number of writes", in: 0...1_000_000))
        case "estimates":
            try require("off")
            try require("by")
            return .estimates(offBy: try percentage())
        case "strict":
            if accept("settled") { return .strictSettled }
            if accept("corrected") { return .strictCorrected(true) }
            if accept("uncorrected") { return .strictCorrected(false) }
            try require("agreed")
            return .strictAgreed
        case "element": return .element(key: try self.word("a key"), try text("the element"))
        case "no":
            if accept("false") {
                try require("failures")
                return accept("but") ? .noFalseFailuresBut(try selector()) : .noFalseFailures
            }
            if accept("failures") { return .noFailures(but: accept("but") ? try selector() : nil) }
            if accept("key") { return .missing(key: try self.word("a key")) }
            if accept("element") { return .noElement(key: try self.word("a key"), try text("the element")) }
            throw LineFailure(
                reason:
                    "after 'expect no' comes 'false failures', 'failures [but N]', 'key KEY' or 'element KEY \"TEXT\"'")
        default:
            throw LineFailure(
                reason: "'\(word)' cannot be expected; write formed, converged, failed, alive, left, members, value, "
                    + "counter, element, actors, rows, versions, queued, estimates, no key, no element or no false failures"
            )
        }
    }
}
