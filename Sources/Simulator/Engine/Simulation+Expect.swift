// SPDX-License-Identifier: Apache-2.0
// Owns looking at the cluster: whether what a scenario expects can be seen, and whether the nodes agree.

import ClusterTypes
import NodeKernel
import SWIMCore
import StoreCore

extension Simulation {
    mutating func poll(_ index: Int) throws(ScenarioFailure) {
        let expectation = expectations[index].expectation
        guard let within = expectation.within, expectations[index].metAt == nil else { return }
        let due = .origin + expectation.from + within
        let finding = try finding(against: expectation.condition, line: expectation.line)
        if finding == nil {
            expectations[index].metAt = now - .origin
            tell("seen: \(expectation.condition.name), after \(Figure.seconds(now - .origin - expectation.from))")
        } else if now >= due {
            fail(index, finding ?? "")
        } else {
            queue.push(.poll(index), at: min(due, now + pollInterval))
        }
    }

    mutating func fail(_ index: Int, _ finding: String) {
        expectations[index].failed = true
        expectations[index].finding = finding
        tell("NOT seen: \(expectations[index].expectation.condition.name): \(finding)")
    }

    mutating func pollHealing(since: Instant) {
        // A later partition ends the wait: the cluster was not given the time.
        guard topology.barriers.isEmpty else { return }
        if disagreement() == nil {
            figures.agreed(since: since, at: now)
        } else {
            queue.push(.pollHealing(since: since), at: now + pollInterval)
        }
    }

    /// What contradicts the condition now; nil when it holds.
    func finding(against condition: Scenario.Condition, line: Int) throws(ScenarioFailure) -> String? {
        switch condition {
        case .formed: return figures.formation != nil && views.isFormed ? nil : unknownPair()
        case .converged: return disagreement()
        case .noFalseFailures:
            return falseFailures.count == 0
                ? nil : "\(falseFailures.count) false failures of \(falseFailures.subjectCount) nodes"
        case .noFalseFailuresBut(let selector):
            var generator = rng
            let others = falseFailures.subjects(except: try draw(selector, using: &generator, line: line))
            return others.first.map { "\(others.count) other nodes were called failed, n\($0 + 1) first" }
        case .noFailures(but: let selector): return try failureFinding(but: selector, line: line)
        case .failed(let selector): return try finding(selector, line: line, .failed)
        case .alive(let selector): return try finding(selector, line: line, .alive)
        case .left(let selector): return try finding(selector, line: line, .left)
        case .members(let count):
            for node in views.runningNodes where views.activeCount(by: node) != count {
                return "n\(node + 1) counts \(views.activeCount(by: node))"
            }
            return nil
        case .strictAgreed: return strictDisagreement
        case .strictSettled: return strictUnrest
        case .strictCorrected(let isExpected):
            guard isExpected != (strictCorrections > 0) else { return nil }
            return "copies of \(strictCorrections) strict keys were corrected"
        case .value(let key, let text):
            return keyFinding(key) { $0?.content == .register(Array(text.utf8)) }
        case .counter(let key, let count): return keyFinding(key) { $0?.content == .counter(count) }
        case .missing(let key): return keyFinding(key) { $0 == nil }
        case .element(let key, let text):
            return keyFinding(key) { Self.contains(Array(text.utf8), in: $0) }
        case .noElement(let key, let text):
            return keyFinding(key) { !Self.contains(Array(text.utf8), in: $0) }
        case .actors(let most): return boundFinding(most, "actors") { $0.store.context.entries.count }
        case .rows(let most): return boundFinding(most, "rows") { $0.store.rowCount }
        case .versions(let most): return versionsFinding(most)
        case .queued(let selector, let count): return try queueFinding(selector, count, line: line)
        case .estimates(let most): return estimatesFinding(most)
        }
    }

    private func finding(
        _ selector: NodeSelector, line: Int, _ view: MembershipViews.View
    ) throws(ScenarioFailure) -> String? {
        var generator = rng
        let subjects = try draw(selector, using: &generator, line: line)
        if views.agree(on: subjects, view) { return nil }
        for observer in views.runningNodes {
            for subject in subjects where subject != observer && views[observer, subject] != view {
                // A node that met a departed member only in a peer's table takes it in without an event.
                let seen =
                    views[observer, subject] == .unknown
                    ? tableView(of: subject, by: observer) : views[observer, subject]
                if seen != view { return "n\(observer + 1) holds n\(subject + 1) for \(seen)" }
            }
        }
        return nil
    }

    private func tableView(of subject: Int, by observer: Int) -> MembershipViews.View {
        guard case .members(let members)? = nodes[observer].query(.members, at: now),
            let member = members.first(where: { $0.member.id == nodes[subject].id })?.member
        else { return .unknown }
        switch member.state {
        case .alive: return .alive
        case .suspect: return .suspect
        case .failed: return .failed
        case .left: return .left
        case .forgotten: return .unknown
        }
    }

    private func unknownPair() -> String {
        for observer in views.runningNodes {
            for subject in views.runningNodes where subject != observer && !views[observer, subject].isActive {
                return "n\(observer + 1) does not know n\(subject + 1)"
            }
        }
        return "not every node has started"
    }

    /// How the running nodes' tables and stores differ, from each other or from the truth; nil when they do not.
    func disagreement() -> String? {
        let running = views.runningNodes
        guard let first = running.first else { return nil }
        var reference: StatusView?
        for node in running {
            guard case .status(let status)? = nodes[node].query(.status, at: now) else {
                return "n\(node + 1) does not answer"
            }
            guard status.alive == running.count, status.suspect == 0 else {
                return "n\(node + 1) counts \(status.alive) alive and \(status.suspect) suspect of \(running.count)"
            }
            if let reference, reference.root != status.root {
                return
                    "the stores of n\(first + 1) and n\(node + 1) have the roots \(reference.root) and \(status.root)"
            }
            reference = reference ?? status
        }
        var agreed: [TableRow]?
        for node in running {
            let rows = table(of: node)
            if let agreed, agreed != rows { return "the tables of n\(first + 1) and n\(node + 1) differ" }
            if agreed == nil, let wrong = falsehood(in: rows) { return wrong }
            agreed = agreed ?? rows
        }
        return nil
    }

    /// One row of a member table, as far as nodes must agree.
    private struct TableRow: Equatable {
        var id: NodeID
        var incarnation: UInt64
        var state: MemberState
        var info: MemberInfo
    }

    private func table(of node: Int) -> [TableRow] {
        guard case .members(let members)? = nodes[node].query(.members, at: now) else { return [] }
        return members.map {
            TableRow(
                id: $0.member.id, incarnation: $0.member.incarnation, state: $0.member.state, info: $0.member.info)
        }.sorted { $0.id < $1.id }
    }

    /// A row of an agreed table that does not tell the truth.
    private func falsehood(in rows: [TableRow]) -> String? {
        for row in rows {
            guard let node = SimulatedNode.index(of: row.info.address, count: nodes.count) else {
                return "the tables name \(row.id.short) at an address that nobody has"
            }
            if nodes[node].formerIDs.contains(row.id), !row.state.isActive { continue }
            guard nodes[node].id == row.id else { return "the tables name \(row.id.short), whom nobody knows" }
            if row.state.isActive != nodes[node].isRunning {
                return
                    "the tables hold n\(node + 1) for \(row.state), and it \(nodes[node].isRunning ? "runs" : "is gone")"
            }
        }
        return nil
    }

    private func keyFinding(_ key: String, _ isExpected: (KeyView?) -> Bool) -> String? {
        for node in views.runningNodes where !isExpected(read(key, at: node)) {
            return "n\(node + 1) reads \(Self.describe(read(key, at: node)))"
        }
        return nil
    }

    private func boundFinding(_ most: Int, _ what: String, _ count: (NodeKernel) -> Int) -> String? {
        for node in views.runningNodes {
            guard let kernel = nodes[node].kernel, count(kernel) > most else { continue }
            return "n\(node + 1) has \(count(kernel)) \(what)"
        }
        return nil
    }

    private func versionsFinding(_ most: Int) -> String? {
        for node in views.runningNodes {
            let worst = nodes[node].disk.content.rows.values.max { $0.versions.count < $1.versions.count }
            guard let worst, worst.versions.count > most else { continue }
            return "n\(node + 1) has a row that names \(worst.versions.count) actors"
        }
        return nil
    }

    private func failureFinding(but selector: NodeSelector?, line: Int) throws(ScenarioFailure) -> String? {
        var generator = rng
        var excused: [Int] = []
        if let selector { excused = try draw(selector, using: &generator, line: line) }
        let others = failedSubjects.subtracting(excused).sorted().map { "n\($0 + 1)" }
        return others.isEmpty ? nil : "called failed: \(others.joined(separator: ", "))"
    }

    private func queueFinding(_ selector: NodeSelector, _ count: Int, line: Int) throws(ScenarioFailure) -> String? {
        var generator = rng
        for node in try draw(selector, using: &generator, line: line) {
            let found = nodes[node].disk.content.queued.count
            if found != count { return "n\(node + 1) has \(found) writes in its import queue" }
        }
        return nil
    }

    func read(_ key: String, at node: Int) -> KeyView? {
        guard case .key(let view, author: _)? = nodes[node].query(.read(key: key), at: now) else { return nil }
        return view
    }

    private static func contains(_ element: [UInt8], in view: KeyView?) -> Bool {
        guard case .set(let elements)? = view?.content else { return false }
        return elements.contains(element)
    }

    private static func describe(_ view: KeyView?) -> String {
        switch view?.content {
        case nil: "nothing"
        case .register(let bytes)?: "\"\(String(decoding: bytes.prefix(60), as: UTF8.self))\""
        case .counter(let count)?: "\(count)"
        case .set(let elements)?: "a set of \(elements.count) elements"
        }
    }
}

extension Scenario.Condition {
    /// False for what is broken once and for all.
    var isWorthWaitingFor: Bool {
        switch self {
        case .noFalseFailures, .noFalseFailuresBut, .noFailures: false
        case .formed, .converged, .failed, .alive, .left, .members, .value, .counter, .missing, .element, .noElement,
            .actors, .rows, .versions, .queued, .estimates, .strictAgreed, .strictCorrected, .strictSettled:
            true
        }
    }

    /// The condition for people, without its nodes and values.
    var name: String {
        switch self {
        case .formed: "formed"
        case .converged: "converged"
        case .failed: "failed"
        case .alive: "alive"
        case .left: "left"
        case .noFalseFailures: "no false failures"
        case .noFalseFailuresBut: "no false failures of others"
        case .noFailures: "no failures"
        case .members(let count): "\(count) members"
        case .value(let key, _): "value of \(key)"
        case .counter(let key, let count): "counter \(key) = \(count)"
        case .missing(let key): "no key \(key)"
        case .element(let key, let element): "element \(element) in \(key)"
        case .noElement(let key, let element): "no element \(element) in \(key)"
        case .actors(let most): "at most \(most) actors"
        case .rows(let most): "at most \(most) rows"
        case .versions(let most): "at most \(most) actors in a row"
        case .queued(_, let count): "\(count) queued writes"
        case .strictAgreed: "strict agreed"
        case .strictSettled: "strict settled"
        case .strictCorrected(let isExpected): isExpected ? "strict corrected" : "strict uncorrected"
        case .estimates(let most): "estimates off by \(Figure.decimal(most * 100, digits: 0)) %"
        }
    }
}
