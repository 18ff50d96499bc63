// SPDX-License-Identifier: Apache-2.0
// Owns the step from what the node holds to the data of a template: types, text, and what is missing.

import AdminModel
import ClusterTypes

extension RenderSpec {
    private var namedInputs: [(name: String, input: Input)] {
        inputs.map { (name: $0.key, input: $0.value) }.sorted { $0.name < $1.name }
    }

    /// The data of the template.
    ///
    /// - Parameter contents: of `readInputs`, in their order.
    /// - Throws: `.missing` with everything that is not there or not text, in one sentence with what to do.
    package func values(_ contents: [InputContent]) throws(DeliveryFailure) -> [String: RenderValue] {
        let names = namedInputs
        precondition(names.count == contents.count, "\(name): \(contents.count) contents for \(names.count) inputs")
        var reading = InputReading()
        var values: [String: RenderValue] = [:]
        for ((name, input), content) in zip(names, contents) {
            values[name] = reading.value(of: content, for: input)
        }
        try reading.finish()
        return values
    }

    /// The bytes of the one key that the file is.
    ///
    /// - Throws: `.missing` as `values`.
    package func keyBytes(_ contents: [InputContent]) throws(DeliveryFailure) -> [UInt8] {
        guard case .key(let key) = source, contents.count == 1, case .key(let document) = contents[0] else {
            preconditionFailure("\(name): \(contents.count) contents for a file that is one key")
        }
        var reading = InputReading()
        var bytes: [UInt8] = []
        switch document?.content {
        case nil: reading.missing.append(key.description)
        case .register(let value): bytes = value
        case .counter(let number): bytes = Array("\(number)\n".utf8)
        case .set:
            reading.wrong.append(
                "key \(key.description.quoted) is a set, not the text of a file: declare it under [sets] of a template")
        }
        try reading.finish()
        return bytes
    }
}

/// Gathers what is wrong with the inputs of one description, so that one sentence names all of it.
private struct InputReading {
    /// Keys that are not there.
    var missing: [String] = []
    /// Whole clauses.
    var wrong: [String] = []
    /// Clauses and keys that a sentence names; more are counted.
    private static let shownMax = 16

    func finish() throws(DeliveryFailure) {
        var clauses: [String] = []
        if !missing.isEmpty {
            let one = missing.count == 1
            clauses.append(
                "\(one ? "key" : "keys") \(Self.list(missing.map(\.quoted), ", ")) \(one ? "is" : "are") missing: write"
                    + " \(one ? "it" : "them") with gossipctl or give \(one ? "it a default" : "them defaults")")
        }
        if !wrong.isEmpty { clauses.append(Self.list(wrong, "; ")) }
        guard clauses.isEmpty else { throw .missing(clauses.joined(separator: "; ")) }
    }

    private static func list(_ items: [String], _ separator: String) -> String {
        items.prefix(shownMax).joined(separator: separator)
            + (items.count > shownMax ? "\(separator)\(items.count - shownMax) more" : "")
    }

    // MARK: Values

    /// Nil when there is none, which is noted.
    mutating func value(of content: InputContent, for input: RenderSpec.Input) -> RenderValue? {
        switch (input, content) {
        case (.key(let key, let fallback), .key(let document)):
            guard let document else { return missing(key, fallback.map { .text($0) }) }
            return text(document, asksFor: "declare it under [sets]").map { .text($0) }
        case (.set(let key, let fallback), .key(let document)):
            guard let document else { return missing(key, fallback.map { Self.elements($0) }) }
            return elements(document)
        case (.prefix(let prefix), .keys(let documents)):
            return entries(documents, below: prefix)
        case (.members, .members(let members)):
            return Self.rows(members)
        case (.key, _), (.set, _), (.prefix, _), (.members, _):
            preconditionFailure("the content \(content) is not that of the input \(input)")
        }
    }

    private mutating func missing(_ key: ConfigurationKey, _ fallback: RenderValue?) -> RenderValue? {
        // Two names may stand for one key.
        if fallback == nil, !missing.contains(key.description) { missing.append(key.description) }
        return fallback
    }

    /// The text of a register or a counter.
    private mutating func text(_ document: KeyDocument, asksFor remedy: String) -> String? {
        switch document.content {
        case .register(let bytes):
            if let text = String(validating: bytes, as: UTF8.self) { return text }
            wrong.append(
                "the value of \(document.key.quoted) is not UTF-8 text: write it anew, or deliver it as it is with"
                    + " key = \"...\" instead of a template")
        case .counter(let number):
            return "\(number)"
        case .set:
            wrong.append("key \(document.key.quoted) is a set, not a value: \(remedy)")
        }
        return nil
    }

    private mutating func elements(_ document: KeyDocument) -> RenderValue? {
        guard case .set(let elements) = document.content else {
            wrong.append(
                "key \(document.key.quoted) is a \(document.content.type.rawValue), not a set: declare it under [keys]")
            return nil
        }
        let texts = elements.compactMap { String(validating: $0, as: UTF8.self) }
        guard texts.count == elements.count else {
            wrong.append(
                "\(elements.count - texts.count) of the elements of \(document.key.quoted) are not UTF-8 text: remove"
                    + " them with gossipctl set remove")
            return nil
        }
        return Self.elements(texts)
    }

    private static func elements(_ texts: [String]) -> RenderValue {
        list(texts.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }.map { ["value": .text($0)] })
    }

    private mutating func entries(_ documents: [KeyDocument], below prefix: KeyPrefix) -> RenderValue {
        let sorted = documents.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
        var rows: [[String: RenderValue]] = []
        for document in sorted {
            guard let value = text(document, asksFor: "keep sets out of the prefix and declare them under [sets]")
            else { continue }
            let name = String(decoding: document.key.utf8.dropFirst(prefix.description.utf8.count), as: UTF8.self)
            rows.append(["key": .text(document.key), "name": .text(name), "value": .text(value)])
        }
        return Self.list(rows)
    }

    private static func rows(_ members: [MemberDocument]) -> RenderValue {
        let sorted = members.sorted {
            $0.name == $1.name ? $0.id < $1.id : $0.name.utf8.lexicographicallyPrecedes($1.name.utf8)
        }
        return list(
            sorted.map { member in
                let (host, port) = Address.splitHostPort(member.address) ?? (member.address, 0)
                return [
                    "id": .text(member.id), "name": .text(member.name), "address": .text(member.address),
                    "host": .text(host), "url_host": .text(host.contains(":") ? "[\(host)]" : host),
                    "port": .text("\(port)"), "state": .text(member.state.rawValue),
                    "tags": .table(member.tags.mapValues { .text($0) }),
                ]
            })
    }

    /// Tables that know whether they are the first or the last, for what stands between two.
    private static func list(_ rows: [[String: RenderValue]]) -> RenderValue {
        .list(
            rows.enumerated().map { index, row in
                var row = row
                row["first"] = .flag(index == 0)
                row["last"] = .flag(index == rows.count - 1)
                return .table(row)
            })
    }
}
