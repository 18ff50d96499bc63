// SPDX-License-Identifier: Apache-2.0
// Owns how documents become JSON bytes and back: sorted keys, so that equal documents have equal bytes.

import FoundationEssentials

package enum AdminJSON {
    /// One line of JSON without a line feed.
    package static func encode(_ document: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(document))
    }

    package static func decode<Document: Decodable>(
        _ type: Document.Type, from bytes: some Sequence<UInt8>
    ) throws -> Document {
        try JSONDecoder().decode(type, from: Data(bytes))
    }

    /// Decodes a request's body, or another text named by `subject`; fails with `bad_request` and the place of the fault.
    package static func decodeRequest<Document: Decodable>(
        _ type: Document.Type, from bytes: some Sequence<UInt8>,
        subject: String = "the body is not the JSON this endpoint takes"
    ) throws(AdminFailure) -> Document {
        do {
            return try decode(type, from: bytes)
        } catch let failure as AdminFailure {
            throw failure
        } catch let error as DecodingError {
            throw AdminFailure(.badRequest, "\(subject): \(reason(error))")
        } catch {
            throw AdminFailure(.badRequest, "\(subject): it is not valid JSON")
        }
    }

    /// What a user calls the type that was wanted.
    private static func word(for type: any Any.Type) -> String {
        switch type {
        case is String.Type: "a text"
        case is Bool.Type: "true or false"
        case is any BinaryInteger.Type: "a whole number"
        case is [Any].Type: "a list"
        case is [String: Any].Type: "an object"
        default: "of the right type"
        }
    }

    private static func reason(_ error: DecodingError) -> String {
        func place(_ context: DecodingError.Context) -> String {
            context.codingPath.isEmpty ? "it" : context.codingPath.map(\.stringValue).joined(separator: ".")
        }
        switch error {
        case .keyNotFound(let key, _): return "field \(key.stringValue.quoted) is missing"
        case .typeMismatch(let type, let context): return "\(place(context)) is not \(word(for: type))"
        case .valueNotFound(_, let context): return "\(place(context)) is null"
        case .dataCorrupted(let context) where context.codingPath.isEmpty: return "it is not valid JSON"
        case .dataCorrupted(let context): return "\(place(context)) cannot be read"
        @unknown default: return "it cannot be read"
        }
    }
}
