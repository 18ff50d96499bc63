// SPDX-License-Identifier: Apache-2.0
// Owns the documents about the keys that seal packets: ids and states, never a key.

/// `GET /v1/keys`: the ring of keys as one node knows it.
package struct SealKeysDocument: Codable, Hashable, Sendable {
    /// Open for newer daemons: an unknown text decodes as `unknown`.
    package enum State: String, Codable, Hashable, Sendable {
        /// Packets are sealed with it.
        case active
        /// Packets under it are opened, and it may be used.
        case installed
        /// Packets under it are opened until its grace is over.
        case retiring
        /// Nothing is left of it but its id.
        case retired
        case unknown

        package init(from decoder: any Decoder) throws {
            self = State(rawValue: try decoder.singleValueContainer().decode(String.self)) ?? .unknown
        }
    }

    package struct Key: Codable, Hashable, Sendable {
        /// Eight hexadecimal digits, which tell nothing of the key.
        package var id: String
        package var state: State
        /// When it was installed, used or retired last; nil when it came from a file and nothing was decided about it.
        package var since: Timestamp?
        /// Of a retiring key: until when packets under it are opened.
        package var acceptedUntil: Timestamp?
        /// Members that seal with it by their own choice, as far as this node has heard, itself included.
        package var membersUsing: Int

        package init(
            id: String, state: State, since: Timestamp? = nil, acceptedUntil: Timestamp? = nil, membersUsing: Int = 0
        ) {
            self.id = id
            self.state = state
            self.since = since
            self.acceptedUntil = acceptedUntil
            self.membersUsing = membersUsing
        }

        private enum CodingKeys: String, CodingKey {
            case id, state, since
            case acceptedUntil = "accepted_until"
            case membersUsing = "members_using"
        }
    }

    /// The active one first, then the installed, retiring and retired ones, each by id.
    package var keys: [Key]
    /// Members that are known to hold exactly this ring durably, this node included.
    package var membersConfirming: Int
    /// Members that are alive or suspect, this node included.
    package var membersTotal: Int

    package init(keys: [Key], membersConfirming: Int, membersTotal: Int) {
        self.keys = keys
        self.membersConfirming = membersConfirming
        self.membersTotal = membersTotal
    }

    private enum CodingKeys: String, CodingKey {
        case keys
        case membersConfirming = "members_confirming"
        case membersTotal = "members_total"
    }
}

/// The answer to a change of the ring: durable here, on its way to the others.
package struct SealKeyResult: Codable, Hashable, Sendable {
    package var key: SealKeysDocument.Key
    package var membersTotal: Int

    package init(key: SealKeysDocument.Key, membersTotal: Int) {
        self.key = key
        self.membersTotal = membersTotal
    }

    private enum CodingKeys: String, CodingKey {
        case key
        case membersTotal = "members_total"
    }
}

/// The id of a key that seals packets.
package struct SealKeyReference: Hashable, Sendable, CustomStringConvertible {
    package let rawValue: UInt32

    package init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Eight hexadecimal digits. What is no id is not repeated in the failure: it might be a key.
    package init(_ text: some StringProtocol) throws(AdminFailure) {
        let isID = text.utf8.count == 8 && text.utf8.allSatisfy { Self.isDigit($0) }
        guard isID, let value = UInt32(text, radix: 16) else {
            throw AdminFailure(
                .badRequest, "a key is named by its id, eight hexadecimal digits: see \"gossipctl key list\"")
        }
        rawValue = value
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
            UInt8(ascii: "A")...UInt8(ascii: "F"):
            true
        case _: false
        }
    }

    package var description: String {
        let digits = String(rawValue, radix: 16)
        return String(repeating: "0", count: 8 - digits.utf8.count) + digits
    }
}
