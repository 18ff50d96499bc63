// SPDX-License-Identifier: Apache-2.0
// Owns the bodies of requests, and the bounds each must keep before the node sees it.

/// `POST /v1/join`
package struct JoinRequest: Codable, Hashable, Sendable {
    package var addresses: [String]

    package init(addresses: [String]) { self.addresses = addresses }

    /// Fails with `bad_request`: one to 64 addresses, none empty or longer than 255 bytes.
    package func validate() throws(AdminFailure) {
        guard (1...AdminLimits.joinAddressesMax).contains(addresses.count) else {
            throw AdminFailure(.badRequest, "give 1 to \(AdminLimits.joinAddressesMax) addresses to join")
        }
        for address in addresses where !(1...AdminLimits.referenceBytesMax).contains(address.utf8.count) {
            throw AdminFailure(.badRequest, "\(address.quoted) is not an address: write host:port")
        }
    }
}

/// `PATCH /v1/tags`: `set` first, then `unset`.
package struct TagsRequest: Codable, Hashable, Sendable {
    package var set: [String: String]?
    package var unset: [String]?

    package init(set: [String: String]? = nil, unset: [String]? = nil) {
        self.set = set
        self.unset = unset
    }

    /// Fails with `bad_request`: one to 64 tags, names of 1 to 64 ASCII letters, digits, `.`, `_` and `-`, names and
    /// values to set of at most 864 bytes together, no control characters. The node holds the sum of all its tags to
    /// the same bound.
    package func validate() throws(AdminFailure) {
        let names = Array((set ?? [:]).keys) + (unset ?? [])
        guard (1...AdminLimits.tagsPerRequestMax).contains(names.count) else {
            throw AdminFailure(.badRequest, "give 1 to \(AdminLimits.tagsPerRequestMax) tags to set or unset")
        }
        for name in names.sorted() where !Self.isName(name) {
            throw AdminFailure(
                .badRequest,
                "\(name.quoted) is not a tag name: use 1 to \(AdminLimits.tagNameBytesMax) letters, digits, . _ or -")
        }
        var bytes = 0
        for (name, value) in (set ?? [:]).sorted(by: { $0.key < $1.key }) {
            guard !value.unicodeScalars.contains(where: \.isControl) else {
                throw AdminFailure(.badRequest, "the value of tag \(name.quoted) has control characters: remove them")
            }
            bytes += name.utf8.count + value.utf8.count
        }
        guard bytes <= AdminLimits.tagBytesMax else {
            throw AdminFailure(
                .badRequest,
                "the names and values of all tags may take at most \(AdminLimits.tagBytesMax) bytes together, "
                    + "not \(bytes): shorten them")
        }
    }

    /// As in the configuration file.
    private static func isName(_ text: String) -> Bool {
        (1...AdminLimits.tagNameBytesMax).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }
}

/// `POST /v1/sets/KEY`: elements to add or to remove, not both at once.
package struct SetRequest: Codable, Hashable, Sendable {
    package var add: [String]?
    package var addBase64: [String]?
    package var remove: [String]?
    package var removeBase64: [String]?

    package init(add: [String]? = nil, remove: [String]? = nil) {
        self.add = add
        self.remove = remove
    }

    package enum Change: Hashable, Sendable {
        case add([[UInt8]])
        case remove([[UInt8]])
    }

    /// Fails with `bad_request` when there is nothing to do, both, or broken base64, and with `too_large` when an
    /// element is above 4 KiB.
    package func change() throws(AdminFailure) -> Change {
        let added = try Self.bytes(add, addBase64)
        let removed = try Self.bytes(remove, removeBase64)
        guard added.isEmpty != removed.isEmpty else {
            throw AdminFailure(.badRequest, "give elements to add or elements to remove, one of the two")
        }
        guard added.count + removed.count <= AdminLimits.elementsPerRequestMax else {
            throw AdminFailure(
                .tooLarge, "too many elements in one request: at most \(AdminLimits.elementsPerRequestMax)")
        }
        for element in added + removed where element.count > AdminLimits.elementBytesMax {
            throw AdminFailure(
                .tooLarge,
                "an element has \(element.count) bytes: at most \(AdminLimits.elementBytesMax) are allowed")
        }
        return added.isEmpty ? .remove(removed) : .add(added)
    }

    private static func bytes(_ text: [String]?, _ base64: [String]?) throws(AdminFailure) -> [[UInt8]] {
        var result = (text ?? []).map { Array($0.utf8) }
        for encoded in base64 ?? [] {
            guard let bytes = ByteText.join(text: nil, base64: encoded) else {
                throw AdminFailure(.badRequest, "\(encoded.quoted) is not base64")
            }
            result.append(bytes)
        }
        return result
    }

    private enum CodingKeys: String, CodingKey {
        case add, remove
        case addBase64 = "add_base64"
        case removeBase64 = "remove_base64"
    }
}

/// `POST /v1/counters/KEY`
package struct CounterRequest: Codable, Hashable, Sendable {
    /// May be negative, but not zero.
    package var increment: Int64

    package init(increment: Int64) { self.increment = increment }
}
