// SPDX-License-Identifier: Apache-2.0
// Owns that a request's JSON has no fields but those it may have: a condition with a misspelt name must not be none.

extension Decoder {
    /// What is in this object, which has no other fields than those of `Key`.
    /// - Throws: `AdminFailure` of code `bad_request` that names the field and those there are.
    func fields<Key: CodingKey & CaseIterable>(
        _ keys: Key.Type, of subject: String
    ) throws -> KeyedDecodingContainer<Key> {
        let names = try container(keyedBy: AnyField.self).allKeys.map(\.stringValue)
        if let unknown = names.filter({ Key(stringValue: $0) == nil }).min() {
            let known = Key.allCases.map(\.stringValue).joined(separator: ", ")
            throw AdminFailure(.badRequest, "\(subject) has no field \(unknown.quoted): there are \(known)")
        }
        return try container(keyedBy: keys)
    }
}

private struct AnyField: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }

    init?(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}
