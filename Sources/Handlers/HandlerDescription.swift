// SPDX-License-Identifier: Apache-2.0
// Owns reading one file of handlers.d: every problem is collected with its line, none is skipped.

import AdminModel
import ClusterTypes
import DaemonConfig
import Delivery

/// Reads one description; the rules of values are those of the daemon's configuration.
struct HandlerDescription {
    static let keys = [
        "events", "command", "members", "tags", "timeout", "concurrency", "queue", "batch_window", "batch_max",
    ]
    private static let eventsMax = 64
    private static let problemsMax = 100

    private let file: String
    private let kinds: Set<String>
    private let locations: [[String]: TOMLLocation]
    private let values: [String: TOMLNode]
    private var problems: [ConfigurationError.Problem] = []

    /// - Parameters:
    ///   - bytes: the file's content, whatever it is.
    ///   - file: its path, for errors.
    ///   - kinds: events that there are.
    /// - Throws: all problems of the file.
    static func parse(
        _ bytes: [UInt8], file: String, name: String, kinds: Set<String>
    ) throws(ConfigurationError) -> HandlerSpec {
        let document = try TOMLDocument.parse(bytes, file: file)
        var description = HandlerDescription(file: file, kinds: kinds, document: document)
        return try description.spec(name: name)
    }

    private init(file: String, kinds: Set<String>, document: TOMLDocument) {
        self.file = file
        self.kinds = kinds
        locations = document.locations
        values = Dictionary(document.members.map { ($0.key, $0.value) }) { first, _ in first }
        for member in document.members where !Self.keys.contains(member.key) {
            report(
                [member.key],
                KeySuggestion.sentence(for: member.key, among: Self.keys, isTable: member.value.isTable))
        }
    }

    private mutating func report(_ path: [String], _ reason: String) {
        guard problems.count < Self.problemsMax else { return }
        let location = locations[path]
        problems.append(
            .init(
                place: .file(file, line: location?.line, column: location?.column), key: TOMLText.path(path),
                reason: reason))
    }

    /// The value at `key` by a rule; nil when it is not written or, reported, refused.
    private mutating func take<Value>(
        _ key: String, _ decode: (TOMLNode) throws(Refusal) -> Value
    ) -> Value? {
        guard let node = values[key] else { return nil }
        do throws(Refusal) {
            return try decode(node)
        } catch {
            report([key] + error.element, error.reason)
            return nil
        }
    }

    private mutating func spec(name: String) throws(ConfigurationError) -> HandlerSpec {
        if values["events"] == nil { report(["events"], "missing: write events = [\"member_failed\"]") }
        if values["command"] == nil { report(["command"], "missing: write command = [\"/path/of/a/program\"]") }
        let kinds = kinds
        let events = take("events") { node throws(Refusal) in try Self.events(node, kinds: kinds) }
        // The blanks stand only until the problems are thrown below.
        var spec = HandlerSpec(name: name, events: events ?? [], command: take("command", Self.command) ?? [])
        spec.members = take("members", Self.members) ?? spec.members
        spec.tags = take("tags", Self.tags) ?? spec.tags
        spec.timeout = takeDuration("timeout", .milliseconds(100)...(.seconds(3_600))) ?? spec.timeout
        spec.batchWindow = takeDuration("batch_window", .zero...(.seconds(600))) ?? spec.batchWindow
        spec.concurrency = take("concurrency", ValueRule<Int>.integer(1...16).decode) ?? spec.concurrency
        spec.queue = take("queue", ValueRule<Int>.integer(1...100_000).decode) ?? spec.queue
        spec.batchMax = take("batch_max", ValueRule<Int>.integer(1...1_000).decode) ?? spec.batchMax
        guard problems.isEmpty else {
            throw ConfigurationError(problems: ConfigurationError.ordered(problems))
        }
        return spec
    }

    private mutating func takeDuration(_ key: String, _ range: ClosedRange<Interval>) -> Duration? {
        take(key, ValueRule<Interval>.duration(range).decode).map { .nanoseconds($0.nanoseconds) }
    }

    // MARK: Rules

    private static func texts(_ node: TOMLNode, _ what: String) throws(Refusal) -> [String] {
        let texts = try ValueRule<[String]>.texts(max: eventsMax, sizeMax: 4_096).decode(node)
        guard !texts.isEmpty else { throw Refusal(reason: "must name \(what)") }
        return texts
    }

    private static func events(_ node: TOMLNode, kinds: Set<String>) throws(Refusal) -> [EventPattern] {
        var patterns: [EventPattern] = []
        for (index, text) in try texts(node, "events, such as [\"member_failed\", \"user_event:deploy\"]").enumerated()
        {
            let place = ["[\(index)]"]
            let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let kind = parts[0]
            guard !kind.hasPrefix("handler_") else {
                throw Refusal(
                    reason: "must not be an event about handlers: they would set each other off", element: place)
            }
            guard kinds.contains(kind) else {
                throw Refusal(
                    reason: KeySuggestion.sentence(for: kind, among: kinds.sorted(), isTable: false)
                        .replacingKey(with: "is no event that there is: \(shown(kind))"),
                    element: place)
            }
            guard parts.count == 2 else {
                patterns.append(EventPattern(kind: kind))
                continue
            }
            guard kind == "user_event" else {
                throw Refusal(reason: "only user_event has a name behind a colon, not \(shown(kind))", element: place)
            }
            let name = parts[1]
            guard UserEventRequest.isName(name.hasSuffix("*") ? String(name.dropLast()) + "x" : name) else {
                throw Refusal(
                    reason:
                        "must name a user event by 1 to 64 letters, digits, . _ or -, or by its beginning and *, not \(shown(name))",
                    element: place)
            }
            patterns.append(EventPattern(kind: kind, name: name))
        }
        return patterns
    }

    private static func command(_ node: TOMLNode) throws(Refusal) -> [String] {
        let words = try texts(node, "a program and its arguments, such as [\"/usr/local/bin/page\", \"ops\"]")
        guard words[0].hasPrefix("/") else {
            throw Refusal(
                reason: "must be the program's path from the root, not \(shown(words[0])): no shell looks it up",
                element: ["[0]"])
        }
        return words
    }

    private static func members(_ node: TOMLNode) throws(Refusal) -> [String] {
        let names = try texts(node, "members, such as [\"web-*\"]")
        for (index, name) in names.enumerated() {
            let stem = name.hasSuffix("*") ? name.dropLast() : name[...]
            guard !name.isEmpty, !stem.contains("*") else {
                throw Refusal(
                    reason: "must be a member's name, or its beginning and *, not \(shown(name))",
                    element: ["[\(index)]"])
            }
        }
        return names
    }

    private static func tags(_ node: TOMLNode) throws(Refusal) -> [String: String] {
        guard case .table(let members) = node else { throw .type("a table such as { role = \"web\" }", node) }
        guard (1...Bounds.tagsMax).contains(members.count) else {
            throw Refusal(reason: "must name 1 to \(Bounds.tagsMax) tags")
        }
        var tags: [String: String] = [:]
        for member in members {
            do throws(Refusal) {
                tags[member.key] = try decodeString(member.value)
            } catch {
                throw Refusal(reason: error.reason, element: [member.key])
            }
        }
        return tags
    }
}

extension String {
    /// The sentence about an unknown key, said of a value.
    fileprivate func replacingKey(with beginning: String) -> String {
        hasPrefix("unknown key") ? beginning + dropFirst("unknown key".count) : beginning
    }
}
