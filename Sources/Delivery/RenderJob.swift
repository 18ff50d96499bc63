// SPDX-License-Identifier: Apache-2.0
// Owns what goes to gossipd-render and what comes back: a template with its data, and a text or the reasons why not.

/// What a name in a template stands for.
package enum RenderValue: Hashable, Codable, Sendable {
    case text(String)
    case flag(Bool)
    case list([RenderValue])
    case table([String: RenderValue])
}

/// One template to render: a JSON document on the program's standard input.
package struct RenderJob: Hashable, Codable, Sendable {
    package var template: String
    package var values: [String: RenderValue]
    /// Whether the template is only read, with values that stand for others of their kind: the outcome's text is empty
    /// then. Absent: it is rendered.
    package var isCheckOnly: Bool?

    package init(template: String, values: [String: RenderValue], isCheckOnly: Bool? = nil) {
        self.template = template
        self.values = values
        self.isCheckOnly = isCheckOnly
    }
}

/// What the program writes on its standard output; one of both is there.
package struct RenderOutcome: Hashable, Codable, Sendable {
    package var text: String?
    /// A sentence: where the template is wrong, or which names it uses that are declared nowhere.
    package var error: String?

    package init(text: String? = nil, error: String? = nil) {
        self.text = text
        self.error = error
    }
}
