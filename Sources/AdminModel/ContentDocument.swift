// SPDX-License-Identifier: Apache-2.0
// Owns how a key's content is written in JSON, wherever a document shows one.

/// A register has `value`, or `value_base64` when it is not UTF-8; a set has `elements` (and `elements_base64` for those
/// that are not UTF-8); a counter has `counter`. `type` says which it is.
package struct ContentDocument: Codable, Hashable, Sendable {
    package var content: KeyContent

    package init(_ content: KeyContent) { self.content = content }

    private enum CodingKeys: String, CodingKey {
        case type, value, elements, counter
        case valueBase64 = "value_base64"
        case elementsBase64 = "elements_base64"
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        switch try container.decode(KeyType.self, forKey: .type) {
        case .register:
            let text = try container.decodeIfPresent(String.self, forKey: .value)
            let base64 = try container.decodeIfPresent(String.self, forKey: .valueBase64)
            guard let bytes = ByteText.join(text: text, base64: base64) else {
                throw DecodingError.dataCorruptedError(
                    forKey: .valueBase64, in: container, debugDescription: "neither value nor value_base64")
            }
            content = .register(bytes)
        case .set:
            content = .set(
                ElementLists(
                    elements: try container.decode([String].self, forKey: .elements),
                    base64: try container.decodeIfPresent([String].self, forKey: .elementsBase64)
                ).bytes)
        case .counter:
            content = .counter(try container.decode(Int64.self, forKey: .counter))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(content.type, forKey: .type)
        switch content {
        case .register(let bytes):
            let (text, base64) = ByteText.split(bytes)
            try container.encodeIfPresent(text, forKey: .value)
            try container.encodeIfPresent(base64, forKey: .valueBase64)
        case .set(let elements):
            let lists = ElementLists(elements)
            try container.encode(lists.elements, forKey: .elements)
            try container.encodeIfPresent(lists.base64, forKey: .elementsBase64)
        case .counter(let value):
            try container.encode(value, forKey: .counter)
        }
    }
}

/// Set elements in JSON: the UTF-8 ones as text, the others in base64 beside them.
struct ElementLists {
    var elements: [String]
    var base64: [String]?

    init(elements: [String], base64: [String]?) {
        self.elements = elements
        self.base64 = base64
    }

    init(_ all: [[UInt8]]) {
        let parts = all.map(ByteText.split)
        elements = parts.compactMap(\.text)
        let encoded = parts.compactMap(\.base64)
        base64 = encoded.isEmpty ? nil : encoded
    }

    var bytes: [[UInt8]] {
        let decoded =
            elements.map { Array($0.utf8) } + (base64 ?? []).compactMap { ByteText.join(text: nil, base64: $0) }
        return decoded.sorted { $0.lexicographicallyPrecedes($1) }
    }
}
