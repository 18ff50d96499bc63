// SPDX-License-Identifier: Apache-2.0
// Owns how bytes appear in JSON: as text when they are UTF-8, otherwise in base64 (RFC 4648 section 4).

import FoundationEssentials

package enum ByteText {
    /// Exactly one of the two is set.
    package static func split(_ bytes: [UInt8]) -> (text: String?, base64: String?) {
        if let text = String(validating: bytes, as: UTF8.self) { return (text, nil) }
        return (nil, base64(bytes))
    }

    /// The bytes again; nil when neither is set or the base64 is broken.
    package static func join(text: String?, base64: String?) -> [UInt8]? {
        if let text { return Array(text.utf8) }
        return base64.flatMap { Data(base64Encoded: $0) }.map { Array($0) }
    }

    /// For a line of a log: quoted text when it is UTF-8, else base64 and what it is.
    package static func shown(_ bytes: [UInt8]) -> String {
        switch split(bytes) {
        case (let text?, _): text.quoted
        case (nil, let base64): "\(base64 ?? "") (base64)"
        }
    }

    package static func base64(_ bytes: [UInt8]) -> String { Data(bytes).base64EncodedString() }
}
