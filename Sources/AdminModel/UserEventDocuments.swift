// SPDX-License-Identifier: Apache-2.0
// Owns the request that sends a user event to all members, and its answer.

/// `POST /v1/events`
package struct UserEventRequest: Codable, Hashable, Sendable {
    package var name: String
    /// At most one of the two; neither: no payload.
    package var payload: String?
    package var payloadBase64: String?

    package init(name: String, payload: [UInt8]) {
        self.name = name
        if !payload.isEmpty { (self.payload, payloadBase64) = ByteText.split(payload) }
    }

    /// The payload. Fails with `bad_request` when the name is not 1 to 64 ASCII letters, digits, `.`, `_` and `-`, or the
    /// base64 is broken, and with `too_large` when the payload has more than 1000 bytes.
    package func check() throws(AdminFailure) -> [UInt8] {
        guard Self.isName(name) else {
            throw AdminFailure(
                .badRequest,
                "\(name.quoted) is no name of an event: use 1 to \(AdminLimits.eventNameBytesMax) letters, digits, . _ or -"
            )
        }
        guard payload == nil || payloadBase64 == nil else {
            throw AdminFailure(.badRequest, "give payload or payload_base64, one of the two")
        }
        if payload == nil, payloadBase64 == nil { return [] }
        guard let bytes = ByteText.join(text: payload, base64: payloadBase64) else {
            throw AdminFailure(.badRequest, "payload_base64 is not base64")
        }
        guard bytes.count <= AdminLimits.eventPayloadBytesMax else {
            throw AdminFailure(
                .tooLarge,
                "the payload has \(bytes.count) bytes: at most \(AdminLimits.eventPayloadBytesMax) are allowed; put more "
                    + "into a key and send its name")
        }
        return bytes
    }

    package static func isName(_ text: String) -> Bool {
        (1...AdminLimits.eventNameBytesMax).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }

    private enum CodingKeys: String, CodingKey {
        case name, payload
        case payloadBase64 = "payload_base64"
    }
}

/// The answer: the event is on its way.
package struct UserEventResult: Codable, Hashable, Sendable {
    package var name: String
    /// `EPOCH-NUMBER`: the numbers of one sender's events grow by one, its epochs with its restarts.
    package var id: String
    package var bytes: Int

    package init(name: String, id: String, bytes: Int) {
        self.name = name
        self.id = id
        self.bytes = bytes
    }
}
