// SPDX-License-Identifier: Apache-2.0
// Owns the scenario language's statements: one a line, read from top to bottom like a story.

import ClusterTypes
import SWIMCore

/// Parses scenario files; Docs/simulation.md describes the language.
package struct ScenarioParser {
    private var scenario: Scenario
    /// Where an `expect` without `at` looks from: the end of the last `at` before it.
    private var storyTime = Interval.zero
    private var line = 0
    private var lineText = ""

    private init(name: String) { scenario = Scenario(name: name) }

    /// Parses `text`; `file` is for messages, the scenario's name is `name`. `nodes` and `duration` replace what the
    /// text says.
    package static func parse(
        _ text: String, file: String, name: String, nodes: Int? = nil, duration: Interval? = nil
    ) throws(ScenarioFailure) -> Scenario {
        var parser = ScenarioParser(name: name)
        for (index, content) in text.split(separator: Character("\n"), omittingEmptySubsequences: false).enumerated() {
            parser.line = index + 1
            do {
                try parser.statement(content)
            } catch {
                throw ScenarioFailure(file: file, line: index + 1, reason: error.reason)
            }
        }
        parser.scenario.nodes = nodes ?? parser.scenario.nodes
        parser.scenario.duration = duration ?? parser.scenario.duration
        try parser.scenario.check(file: file)
        return parser.scenario
    }

    private mutating func statement(_ content: Substring) throws(LineFailure) {
        var line = try ScenarioLine(content)
        guard !line.isAtEnd else { return }
        lineText = Self.trimmed(content)
        if line.accept("at") {
            let at = try line.duration()
            storyTime = at
            if line.accept("expect") {
                try expectation(&line, isAtOnce: true)
            } else {
                try step(&line, at: at)
            }
        } else if line.accept("expect") {
            try expectation(&line, isAtOnce: false)
        } else if !(try setting(&line)) {
            try step(&line, at: .zero)
        }
        try line.finish()
    }

    /// The statements about the cluster as a whole; false when the line is none of them.
    private mutating func setting(_ line: inout ScenarioLine) throws(LineFailure) -> Bool {
        if line.accept("nodes") {
            scenario.nodes = try line.integer("a number of nodes", in: 1...Scenario.nodesMax)
        } else if line.accept("seeds") {
            scenario.seeds = try line.integer("a number of seeds", in: 1...64)
        } else if line.accept("preformed") {
            scenario.isPreformed = true
        } else if line.accept("start-over") {
            scenario.startSpread = try line.duration()
        } else if line.accept("run") {
            scenario.duration = try line.duration()
        } else if line.accept("hold") {
            scenario.held.append(try line.selector())
        } else if line.accept("grace") {
            scenario.grace = try line.duration()
        } else if line.accept("collect-every") {
            scenario.collectionInterval = try line.duration()
        } else if line.accept("failed-retention") {
            scenario.failedRetention = try line.duration()
        } else if line.accept("strict") {
            try strictSetting(&line)
        } else if line.accept("profile") {
            let word = try line.word("a profile")
            guard let profile = SWIMConfiguration.Profile(rawValue: word) else {
                throw LineFailure(reason: "'\(word)' is no profile; write lan, wan or local")
            }
            scenario.profile = profile
        } else {
            return false
        }
        return true
    }

    /// `strict PREFIX voters N [log SIZE] [groups N]`
    private mutating func strictSetting(_ line: inout ScenarioLine) throws(LineFailure) {
        let prefix = try line.word("the prefix of strict keys")
        try line.require("voters")
        let voters = try line.integer("a number of voters", in: 1...9)
        let bytes = line.accept("log") ? try line.size() : 16_384
        let groups = line.accept("groups") ? try line.integer("a number of groups", in: 1...9) : 1
        scenario.strict = Scenario.StrictSetting(prefix: prefix, voters: voters, logBytes: bytes, groups: groups)
    }

    private mutating func step(_ line: inout ScenarioLine, at: Interval) throws(LineFailure) {
        var repetition: (every: Interval, during: Interval)?
        if line.accept("every") {
            let every = try line.duration()
            try line.require("for")
            let during = try line.duration()
            guard every > .zero else { throw LineFailure(reason: "'every' needs a duration above zero") }
            repetition = (every, during)
            storyTime = at + during
        }
        let action = try line.action()
        scenario.steps.append(
            Scenario.Step(at: at, repetition: repetition, action: action, line: self.line, text: lineText))
    }

    /// `isAtOnce`: written with `at`, so that without `within` it must hold at that very moment.
    private mutating func expectation(_ line: inout ScenarioLine, isAtOnce: Bool) throws(LineFailure) {
        let condition = try line.condition()
        let hasPatience = line.accept("within")
        if hasPatience, !condition.isWorthWaitingFor {
            throw LineFailure(reason: "'\(condition.name)' does not become true by waiting: leave 'within' out")
        }
        let within: Interval? = hasPatience ? try line.duration() : isAtOnce ? .zero : nil
        scenario.expectations.append(
            Scenario.Expectation(
                condition: condition, from: storyTime, within: within, line: self.line, text: lineText))
    }

    private static func trimmed(_ text: Substring) -> String {
        var text = text.drop { $0 == " " || $0 == "\t" }
        while let last = text.last, last == " " || last == "\t" || last == "\r" { text.removeLast() }
        return String(text)
    }
}

extension Scenario {
    /// Checks what needs the whole scenario: named nodes exist, and everything lies within the run.
    package func check(file: String) throws(ScenarioFailure) {
        guard !isPreformed || held.isEmpty else {
            throw ScenarioFailure(
                file: file, line: 0, reason: "nodes that are preformed all start at once: leave out 'hold'")
        }
        for step in steps {
            for selector in step.action.selectors where selector.highestNumber > nodes {
                let failure = NodeSelectorFailure(number: selector.highestNumber, count: nodes)
                throw ScenarioFailure(file: file, line: step.line, reason: failure.reason)
            }
            if case .partition(let groups) = step.action {
                try checkDisjoint(groups, file: file, line: step.line)
            }
            guard step.end <= duration else {
                throw ScenarioFailure(
                    file: file, line: step.line,
                    reason: "this goes on until \(Figure.seconds(step.end)), after the end of the run")
            }
        }
        for expectation in expectations {
            for selector in expectation.condition.selectors where selector.highestNumber > nodes {
                let failure = NodeSelectorFailure(number: selector.highestNumber, count: nodes)
                throw ScenarioFailure(file: file, line: expectation.line, reason: failure.reason)
            }
            let end = expectation.from + (expectation.within ?? .zero)
            guard end <= duration else {
                throw ScenarioFailure(
                    file: file, line: expectation.line,
                    reason: "this may take until \(Figure.seconds(end)), after the end of the run")
            }
        }
    }
}

extension Scenario {
    private func checkDisjoint(_ groups: [NodeSelector], file: String, line: Int) throws(ScenarioFailure) {
        var unused = SeededGenerator(seed: 0)
        var seen = Set<Int>()
        for group in groups {
            guard let members = try? group.resolve(count: nodes, running: [], using: &unused) else { continue }
            for member in members where !seen.insert(member).inserted {
                throw ScenarioFailure(file: file, line: line, reason: "n\(member + 1) is on two sides of the partition")
            }
        }
    }
}

extension Scenario.Action {
    /// The nodes that the action names.
    var selectors: [NodeSelector] {
        switch self {
        case .start(let nodes), .kill(let nodes), .hostDown(let nodes), .bounce(let nodes, down: _, isOrderly: _),
            .leave(let nodes), .roll(let nodes, down: _, every: _), .tag(let nodes, _), .stall(let nodes, _),
            .mute(let nodes, _),
            .isolate(let nodes, _),
            .disk(latency: _, jitter: _, let nodes), .clockJump(let nodes, milliseconds: _), .clockRight(let nodes),
            .clockDrift(let nodes, _), .write(let nodes, _), .userEvent(let nodes, name: _, payload: _),
            .call(let nodes, keys: _, together: _), .strictTransfer(by: let nodes), .strictRecover(let nodes):
            [nodes]
        case .fault(.clone(of: let source, isSameID: _), let nodes): [nodes, .numbers([(source + 1)...(source + 1)])]
        case .fault(_, let nodes): [nodes]
        case .strictAdd(let a, by: let b), .strictRemove(let a, by: let b), .forget(let a, by: let b),
            .cut(let a, let b), .mend(let a, let b), .link(_, from: let a, to: let b):
            [a, b]
        case .partition(let groups): groups
        case .heal, .allLinks, .measure, .note: []
        }
    }
}

extension Scenario.Condition {
    var selectors: [NodeSelector] {
        switch self {
        case .failed(let nodes), .alive(let nodes), .left(let nodes), .queued(let nodes, _),
            .noFalseFailuresBut(let nodes):
            [nodes]
        case .noFailures(let nodes): nodes.map { [$0] } ?? []
        case .formed, .converged, .noFalseFailures, .members, .value, .counter, .missing, .element, .noElement, .actors,
            .rows, .versions, .estimates, .strictAgreed, .strictCorrected, .strictSettled:
            []
        }
    }
}
