// SPDX-License-Identifier: Apache-2.0
// Owns reading one file of render.d: every problem is collected with its line, none is skipped.

import AdminModel
import ClusterTypes
import DaemonConfig

/// Reads one description; the rules of values are those of the daemon's configuration.
struct RenderDescription {
    /// The keys at the top of the file.
    static let keys = [
        "destination", "template", "template_text", "key", "owner", "group", "mode", "check", "check_timeout",
        "reload_unit", "reload_command", "reload_timeout", "wait_min", "wait_max", "allow_empty", "size_min_percent",
    ]
    /// The tables of the file, each of names that the template may use.
    static let tables = ["keys", "prefixes", "sets", "members"]
    private static let problemsMax = 100

    private let file: String
    private let locations: [[String]: TOMLLocation]
    private let values: [String: TOMLNode]
    private var problems: [ConfigurationError.Problem] = []

    /// - Parameters:
    ///   - bytes: the file's content, whatever it is.
    ///   - file: its path, for errors.
    ///   - limits: where a destination may not be.
    /// - Throws: all problems of the file.
    static func parse(
        _ bytes: [UInt8], file: String, name: String, within limits: DestinationLimits = .init()
    ) throws(ConfigurationError) -> RenderSpec {
        let document = try TOMLDocument.parse(bytes, file: file)
        var description = RenderDescription(file: file, document: document)
        return try description.spec(name: name, within: limits)
    }

    private init(file: String, document: TOMLDocument) {
        self.file = file
        locations = document.locations
        values = Dictionary(document.members.map { ($0.key, $0.value) }) { first, _ in first }
        for member in document.members where !(Self.keys + Self.tables).contains(member.key) {
            let isTable = member.value.isTable
            report(
                [member.key],
                KeySuggestion.sentence(
                    for: member.key, among: isTable ? Self.tables + Self.keys : Self.keys + Self.tables,
                    isTable: isTable))
        }
    }

    mutating func report(_ path: [String], _ reason: String) {
        guard problems.count < Self.problemsMax else { return }
        let location = locations[path]
        problems.append(
            .init(
                place: .file(file, line: location?.line, column: location?.column),
                key: path.isEmpty ? nil : TOMLText.path(path), reason: reason))
    }

    /// The value at `key` by a rule; nil when it is not written or, reported, refused.
    private mutating func take<Value>(
        _ key: String, _ decode: (TOMLNode) throws(Refusal) -> Value
    ) -> Value? {
        values[key].flatMap { self.decode($0, at: [key], decode) }
    }

    /// The value of `node` by a rule; nil when it was refused, which is reported.
    mutating func decode<Value>(
        _ node: TOMLNode, at path: [String], _ decode: (TOMLNode) throws(Refusal) -> Value
    ) -> Value? {
        do throws(Refusal) {
            return try decode(node)
        } catch {
            report(path + error.element, error.reason)
            return nil
        }
    }

    // MARK: The whole

    private mutating func spec(name: String, within limits: DestinationLimits) throws(ConfigurationError) -> RenderSpec
    {
        let destination = take("destination") { node throws(Refusal) in
            try RenderRules.destination(node, within: limits)
        }
        if values["destination"] == nil {
            report(["destination"], "missing: write destination = \"/path/of/the/file\"")
        }
        // The blank stands only until the problems are thrown below.
        var spec = RenderSpec(name: name, source: takeSource() ?? .template(""), destination: destination ?? "")
        takeOwnership(&spec)
        takeActions(&spec)
        takeWaits(&spec)
        spec.allowEmpty = take("allow_empty", ValueRule<Bool>.boolean.decode) ?? spec.allowEmpty
        spec.sizeMinPercent = take("size_min_percent", ValueRule<Int>.integer(0...100).decode) ?? spec.sizeMinPercent
        spec.inputs = takeInputs()
        if case .key = spec.source, let table = Self.tables.first(where: { values[$0] != nil }) {
            report([table], "names are for templates: with key = \"...\" the file is that key's value as it is")
        }
        guard problems.isEmpty else {
            throw ConfigurationError(problems: ConfigurationError.ordered(problems))
        }
        return spec
    }

    private mutating func takeSource() -> RenderSpec.Source? {
        if case .table = values["key"] {
            report(["key"], "must be a key such as \"app/motd\", not a table: the names of a template are in [keys]")
            return nil
        }
        let written = ["template", "template_text", "key"].filter { values[$0] != nil }
        guard written.count == 1 else {
            report(
                written.last.map { [$0] } ?? ["template"],
                written.isEmpty
                    ? "missing: write template = \"FILE\", template_text = \"\"\"...\"\"\" or key = \"KEY\""
                    : "only one of template, template_text and key can be the source of a file")
            return nil
        }
        return take("template", RenderRules.path).map { .templateFile($0) }
            ?? take("template_text", RenderRules.templateText).map { .template($0) }
            ?? take("key", RenderRules.key).map { .key($0) }
    }

    private mutating func takeOwnership(_ spec: inout RenderSpec) {
        spec.owner = take("owner", ValueRule<String?>.account.decode) ?? nil
        spec.group = take("group", ValueRule<String?>.account.decode) ?? nil
        // At most 0777 by the rule: nothing delivered runs as somebody else.
        if let mode = take("mode", ValueRule<UInt32>.mode.decode) { spec.mode = UInt16(mode) }
    }

    private mutating func takeActions(_ spec: inout RenderSpec) {
        spec.check = take("check", RenderRules.check)
        let unit = take("reload_unit", RenderRules.unit)
        let command = take("reload_command", RenderRules.command)
        if values["reload_unit"] != nil, values["reload_command"] != nil {
            report(["reload_command"], "only one of reload_unit and reload_command can be the reload of a file")
        }
        spec.reload = unit.map { .unit($0) } ?? command.map { .command($0) }
        spec.checkTimeout = takeDuration("check_timeout", RenderBounds.timeoutMilliseconds) ?? spec.checkTimeout
        spec.reloadTimeout = takeDuration("reload_timeout", RenderBounds.timeoutMilliseconds) ?? spec.reloadTimeout
    }

    private mutating func takeWaits(_ spec: inout RenderSpec) {
        let shortest = takeDuration("wait_min", RenderBounds.waitMilliseconds)
        let longest = takeDuration("wait_max", RenderBounds.waitMilliseconds)
        spec.waitMin = shortest ?? spec.waitMin
        spec.waitMax = longest ?? spec.waitMax
        guard spec.waitMin > spec.waitMax else { return }
        // Whichever is written is the one to correct; both written, the longer wait is.
        report(
            longest == nil ? ["wait_min"] : ["wait_max"],
            "wait_min (\(RenderRules.text(spec.waitMin))) must be at most wait_max (\(RenderRules.text(spec.waitMax)))")
    }

    private mutating func takeDuration(_ key: String, _ milliseconds: ClosedRange<Int>) -> Duration? {
        let range = Interval.milliseconds(milliseconds.lowerBound)...Interval.milliseconds(milliseconds.upperBound)
        return take(key, ValueRule<Interval>.duration(range).decode).map { .nanoseconds($0.nanoseconds) }
    }

    // MARK: Names

    private mutating func takeInputs() -> [String: RenderSpec.Input] {
        var inputs: [String: RenderSpec.Input] = [:]
        var seen: [String: String] = [:]
        for table in Self.tables {
            guard let node = values[table] else { continue }
            guard case .table(let members) = node else {
                report([table], "must be a table, written as [\(table)], not \(node.kind)")
                continue
            }
            for member in members {
                let path = [table, member.key]
                if let reason = RenderRules.refusal(ofName: member.key) {
                    report(path, reason)
                } else if let other = seen.updateValue(table, forKey: member.key) {
                    report(path, "\(member.key) is declared in [\(other)] already: take another name")
                } else if seen.count == RenderBounds.namesMax + 1 {
                    report(path, "a template may use at most \(RenderBounds.namesMax) names")
                } else {
                    inputs[member.key] = takeInput(member.value, of: table, at: path)
                }
            }
        }
        refuseHidden(seen)
        return inputs
    }

    /// A name that is a field of a loop's elements too would mean another thing inside the loop than outside.
    private mutating func refuseHidden(_ names: [String: String]) {
        for (name, table) in names.sorted(by: { $0.key < $1.key }) {
            guard let loop = Self.tables.first(where: { RenderRules.fields[$0]?.contains(name) == true }),
                names.values.contains(loop)
            else { continue }
            report(
                [table, name],
                "\(name) is a field of what [\(loop)] lists, and inside such a loop it would hide this: take another name"
            )
        }
    }

    private mutating func takeInput(_ node: TOMLNode, of table: String, at path: [String]) -> RenderSpec.Input? {
        switch table {
        case "keys":
            guard
                let (key, fallback) = takeKey(
                    node, at: path,
                    default: { node throws(Refusal) in
                        try RenderRules.fallbackText(node)
                    })
            else { return nil }
            return .key(key, default: fallback)
        case "prefixes":
            return decode(node, at: path, RenderRules.prefix).map { .prefix($0) }
        case "sets":
            let rule = ValueRule<[String]>.texts(
                max: RenderBounds.elementsMax, sizeMax: AdminLimits.elementBytesMax)
            guard let (key, fallback) = takeKey(node, at: path, default: rule.decode) else { return nil }
            return .set(key, default: fallback)
        default:
            return takeMembers(node, at: path).map { .members($0) }
        }
    }

    /// `"KEY"` or `{ key = "KEY", default = ... }`.
    private mutating func takeKey<Fallback>(
        _ node: TOMLNode, at path: [String], default decodeFallback: (TOMLNode) throws(Refusal) -> Fallback
    ) -> (ConfigurationKey, Fallback?)? {
        guard case .table(let members) = node else {
            return decode(node, at: path, RenderRules.key).map { ($0, nil) }
        }
        var (key, fallback): (ConfigurationKey?, Fallback?) = (nil, nil)
        for member in members {
            switch member.key {
            case "key": key = decode(member.value, at: path + ["key"], RenderRules.key)
            case "default": fallback = decode(member.value, at: path + ["default"], decodeFallback)
            default: reportUnknown(member, at: path, ["key", "default"])
            }
        }
        if !members.contains(where: { $0.key == "key" }) {
            report(path, "missing key: write { key = \"KEY\", default = ... }")
        }
        return key.map { ($0, fallback) }
    }

    /// `{ state = ["alive"], tags = { role = "web" } }`, each of both optional.
    private mutating func takeMembers(_ node: TOMLNode, at path: [String]) -> MemberFilter? {
        guard case .table(let members) = node else {
            report(path, "must be a table such as {} or { tags = { role = \"web\" } }, not \(node.kind)")
            return nil
        }
        // Suspects are members until they are found dead: a lost packet must not reload a load balancer.
        var filter = MemberFilter(states: [.alive, .suspect])
        for member in members {
            switch member.key {
            case "state":
                filter.states = decode(member.value, at: path + ["state"], RenderRules.states) ?? filter.states
            case "tags":
                filter.tags =
                    decode(member.value, at: path + ["tags"], ValueRule<[String: String]>.tags.decode) ?? filter.tags
            default:
                reportUnknown(member, at: path, ["state", "tags"])
            }
        }
        return filter
    }

    private mutating func reportUnknown(_ member: TOMLNode.Member, at path: [String], _ known: [String]) {
        report(
            path + [member.key],
            KeySuggestion.sentence(for: member.key, among: known, isTable: member.value.isTable))
    }
}
