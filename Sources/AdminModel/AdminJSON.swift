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

    /// Decodes a request's body; fails with `bad_request` and the place of the fault.
    package static func decodeRequest<Document: Decodable>(
        _ type: Document.Type, from bytes: some Sequence<UInt8>
    ) throws(AdminFailure) -> Document {
        do {
            return try decode(type, from: bytes)
        } catch let error as DecodingError {
            throw AdminFailure(.badRequest, "the body is not the JSON this endpoint takes: \(reason(error))")
        } catch {
            throw AdminFailure(.badRequest, "the body is not valid JSON")
        }
    }

    private static func reason(_ error: DecodingError) -> String {
        func place(_ context: DecodingError.Context) -> String {
            context.codingPath.isEmpty ? "the document" : context.codingPath.map(\.stringValue).joined(separator: ".")
        }
        switch error {
        case .keyNotFound(let key, _): return "field \(key.stringValue.quoted) is missing"
        case .typeMismatch(let type, let context): return "\(place(context)) is not of type \(type)"
        case .valueNotFound(_, let context): return "\(place(context)) is null"
        case .dataCorrupted(let context): return "\(place(context)) cannot be read"
        @unknown default: return "it cannot be read"
        }
    }
}
