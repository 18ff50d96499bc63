// SPDX-License-Identifier: Apache-2.0
// Owns writing SVG: elements with escaped attributes and text, numbers alike on every machine.

/// SVG 1.1 as text, without scripts, styles from elsewhere or fonts of its own.
package struct SVGText: Sendable {
    package private(set) var text: String
    private var open: [String] = []

    /// - Parameters:
    ///   - title: What the picture shows; readers that do not see it are told this.
    package init(width: Int, height: Int, title: String) {
        text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        begin(
            "svg",
            [
                ("xmlns", "http://www.w3.org/2000/svg"), ("width", String(width)), ("height", String(height)),
                ("viewBox", "0 0 \(width) \(height)"), ("role", "img"), ("font-family", "sans-serif"),
                ("font-size", "13"),
            ])
        element("title", [], title)
    }

    package mutating func begin(_ name: String, _ attributes: [(String, String)]) {
        text += indent + tag(name, attributes) + ">\n"
        open.append(name)
    }

    package mutating func end() {
        guard let name = open.popLast() else { preconditionFailure("no element is open") }
        text += indent + "</\(name)>\n"
    }

    package mutating func element(_ name: String, _ attributes: [(String, String)], _ content: String? = nil) {
        text += indent + tag(name, attributes)
        text += content.map { ">\(Self.escape($0))</\(name)>\n" } ?? "/>\n"
    }

    /// The whole document.
    package consuming func finished() -> String {
        while !open.isEmpty { end() }
        return text
    }

    private var indent: String { String(repeating: " ", count: 2 * open.count) }

    private func tag(_ name: String, _ attributes: [(String, String)]) -> String {
        "<" + name + attributes.map { " \($0.0)=\"\(Self.escape($0.1))\"" }.joined()
    }

    static func escape(_ text: String) -> String {
        var out = ""
        for character in text.unicodeScalars {
            switch character {
            case "&": out += "&amp;"
            case "<": out += "&lt;"
            case ">": out += "&gt;"
            case "\"": out += "&quot;"
            default:
                // Control characters are no part of XML.
                out.unicodeScalars.append(character.value < 32 ? " " : character)
            }
        }
        return out
    }
}
