// SPDX-License-Identifier: Apache-2.0
// Owns what has to hold before a template is rendered: every name is in the data, and the result is bounded.

import Delivery

/// Walks a template with its data as the renderer will, and counts instead of writing.
struct TemplateCheck {
    /// Tags and texts of all turns of all loops.
    static let stepsMax = 1_000_000
    private static let problemsMax = 16

    /// What a name can be looked up in, innermost last.
    private enum Scope {
        case value(RenderValue)
        /// The element of a list that has none: any name may be in it.
        case unknown
    }

    private enum Found {
        case value(RenderValue)
        case unknown
        /// A tag that this member, if it has a name, does not have; others may.
        case noTag(String, of: String)
        case nothing
    }

    private struct Problem {
        var name: TemplateName
        var reason: String
        /// The member that lacks a tag, when that is the problem,
        var member: String?
        /// and the other ones.
        var others: Set<String> = []
    }

    private var scopes: [Scope]
    private var steps = 0
    private var size = 0
    private var problems: [Problem] = []
    /// Where in `problems` a reason or a tag already is; nil when there was no room for it.
    private var known: [String: Int?] = [:]

    /// Nil when the template can be rendered.
    ///
    /// - Parameter isRendered: false when the values only stand for others of their kind, so that nothing is printed.
    static func problem(
        _ nodes: [TemplateNode], _ values: [String: RenderValue], isRendered: Bool = true
    ) -> String? {
        var check = TemplateCheck(scopes: [.value(.table(values))])
        guard check.walk(nodes, isRendered: isRendered) else {
            return "the template goes through more than \(Self.stepsMax) tags or makes more than"
                + " \(RenderBounds.textBytesMax >> 20) MiB: loop over less"
        }
        return check.problems.isEmpty ? nil : check.problems.map(Self.sentence).joined(separator: "; ")
    }

    private init(scopes: [Scope]) { self.scopes = scopes }

    /// False when a bound is passed.
    private mutating func walk(_ nodes: [TemplateNode], isRendered: Bool) -> Bool {
        for node in nodes {
            steps += 1
            switch node {
            case .text(let count): if isRendered { size += count }
            case .variable(let name): variable(name, isRendered: isRendered)
            case .section(let name, let isInverted, let body):
                guard section(name, isInverted, body, isRendered: isRendered) else { return false }
            }
            // The library leaves lines out that hold nothing but a tag, so the result may be a little smaller.
            guard steps <= Self.stepsMax, size <= 2 * RenderBounds.textBytesMax else { return false }
        }
        return true
    }

    private mutating func variable(_ name: TemplateName, isRendered: Bool) {
        switch look(up: name) {
        case .nothing, .unknown: break
        case .noTag(let tag, let member):
            // What is not printed for this member may be missing, such as what its own section leaves out.
            if isRendered { reportMissing(tag, of: member, name) }
        case .value(let value):
            guard let text = value.shown else {
                report(
                    name, "{{\(name.text)}} is \(value.kind), not a text: write {{#\(name.text)}}...{{/\(name.text)}}")
                return
            }
            if isRendered { size += text.utf8.count }
        }
    }

    private mutating func section(
        _ name: TemplateName, _ isInverted: Bool, _ body: [TemplateNode], isRendered: Bool
    ) -> Bool {
        switch look(up: name) {
        case .nothing: return true
        case .unknown: return inside(.unknown, body, isRendered: false)
        // False, as an empty tag is; were it there, it would be a text.
        case .noTag: return inside(isInverted ? nil : .value(.text("")), body, isRendered: isRendered && isInverted)
        case .value(let value):
            // What is not rendered now is looked at all the same: names must not go missing on the day it is needed.
            guard !isInverted else {
                // As in the library, "." is the empty list there.
                let scope: Scope? = value == .list([]) ? .value(value) : nil
                return inside(scope, body, isRendered: isRendered && value.isFalsy)
            }
            switch value {
            case .flag(let flag): return inside(nil, body, isRendered: isRendered && flag)
            case .text(let text): return inside(.value(value), body, isRendered: isRendered && !text.isEmpty)
            case .table: return inside(.value(value), body, isRendered: isRendered)
            case .list(let elements):
                guard !elements.isEmpty else { return inside(.unknown, body, isRendered: false) }
                return elements.allSatisfy { inside(.value($0), body, isRendered: isRendered) }
            }
        }
    }

    private mutating func inside(_ scope: Scope?, _ body: [TemplateNode], isRendered: Bool) -> Bool {
        if let scope { scopes.append(scope) }
        defer { if scope != nil { scopes.removeLast() } }
        return walk(body, isRendered: isRendered)
    }

    // MARK: Names

    /// The value of a name; what is nowhere is reported.
    private mutating func look(up name: TemplateName) -> Found {
        let parts = name.parts
        guard let first = parts.first else {
            switch scopes[scopes.count - 1] {
            case .value(let value): return .value(value)
            case .unknown: return .unknown
            }
        }
        var found = Found.nothing
        var owner: RenderValue?
        search: for scope in scopes.reversed() {
            switch scope {
            case .unknown:
                found = .unknown
                break search
            case .value(let value):
                guard let child = value[first] else { continue }
                found = .value(child)
                owner = value
                break search
            }
        }
        if case .nothing = found {
            let isTop = scopes.count == 1
            report(
                name,
                "{{\(name.text)}} is declared nowhere: add \(first) to [keys], [prefixes], [sets] or [members]"
                    + (isTop ? "" : ", or correct the field's name"))
        }
        for (index, part) in parts.enumerated().dropFirst() {
            guard case .value(let value) = found else { break }
            guard let child = value[part] else {
                // The one table with fields that come and go: everything else is made by gossipd, with all of its fields.
                if case .table = value, first == RenderValue.tagsName, index == parts.count - 1 {
                    return .noTag(part, of: owner?["name"]?.shown ?? "")
                }
                report(name, "{{\(name.text)}}: there is no \(part) in \(value.kind)\(value.namesText)")
                return .nothing
            }
            found = .value(child)
        }
        return found
    }

    /// Each name and reason once, at its first place.
    private mutating func report(_ name: TemplateName, _ reason: String) {
        note(Problem(name: name, reason: reason), as: reason)
    }

    /// Each tag once, at its first place, with the first member that lacks it and the number of the others.
    private mutating func reportMissing(_ tag: String, of member: String, _ name: TemplateName) {
        let key = "tag \(name.text)"
        if let index = known[key] {
            if let index, problems[index].member != member { problems[index].others.insert(member) }
            return
        }
        var problem = Problem(name: name, reason: "the member \(member) has no tag \(tag)")
        problem.member = member
        note(problem, as: key)
    }

    private mutating func note(_ problem: Problem, as key: String) {
        guard known[key] == nil else { return }
        let hasRoom = problems.count < Self.problemsMax
        known[key] = .some(hasRoom ? problems.count : nil)
        if hasRoom { problems.append(problem) }
    }

    private static func sentence(_ problem: Problem) -> String {
        let (name, place) = (problem.name.text, problem.name.place)
        var sentence = "line \(place.line), column \(place.column): \(problem.reason)"
        guard problem.member != nil else { return sentence }
        if !problem.others.isEmpty { sentence += ", and \(problem.others.count) more have none" }
        return sentence
            + ": write {{#\(name)}}...{{/\(name)}} around {{\(name)}}, or list with tags = { ... } only members"
            + " that have it"
    }
}

extension RenderValue {
    /// The field of a member that has its tags.
    fileprivate static let tagsName = "tags"

    /// What `{{name}}` prints; an element of a set or a prefix prints its value.
    var shown: String? {
        switch self {
        case .text(let text): text
        case .flag(let flag): flag ? "true" : "false"
        case .table(let fields):
            if case .text(let text) = fields["value"] { text } else { nil }
        case .list: nil
        }
    }

    /// Whether `{{^name}}` is rendered instead of `{{#name}}`.
    var isFalsy: Bool {
        switch self {
        case .text(let text): text.isEmpty
        case .flag(let flag): !flag
        case .list(let elements): elements.isEmpty
        case .table: false
        }
    }

    fileprivate subscript(_ name: String) -> RenderValue? {
        if case .table(let fields) = self { fields[name] } else { nil }
    }

    fileprivate var kind: String {
        switch self {
        case .text: "a text"
        case .flag: "true or false"
        case .list: "a list"
        case .table: "a table"
        }
    }

    /// The fields of a table, a few of them, for a sentence.
    fileprivate var namesText: String {
        guard case .table(let fields) = self, !fields.isEmpty else { return "" }
        return " of " + fields.keys.sorted().prefix(8).joined(separator: ", ")
    }
}
