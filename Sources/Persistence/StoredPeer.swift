// SPDX-License-Identifier: Apache-2.0
// Owns the file `peers`: where to look for the cluster after a restart, in order of preference.
//
//     gossipd peers 1
//     peer HEX ADDRESS NAME [KEY]   node id (32 digits), IPV4:PORT or [IPV6]:PORT, the name; bytes up to 0x20, 0x25
//                             and 0x7f of the name as % and two hexadecimal digits; the pinned key (64 digits)
//     checksum HEX            see SealedText

import ClusterTypes

/// A peer to try after a restart.
package struct StoredPeer: Hashable, Sendable {
    package var id: NodeID
    package var name: String
    package var address: Address
    /// The key that it signs with, as it was pinned; nil: it was never heard signing.
    package var key: AuthorKey?

    package init(id: NodeID, name: String, address: Address, key: AuthorKey? = nil) {
        self.key = key
        self.id = id
        self.name = name
        self.address = address
    }
}

extension StoredPeer {
    static let fileName = "peers"
    static let setAsideName = "peers.corrupt"
    /// Peers kept; of a longer list the first ones. Enough to find any cluster again, and a file of at most 400 KiB.
    package static let countMax = 1_024
    static let fileBytesMax = 1 << 20
    private static let kind = "peers"
    private static let version = 1

    static func encode(_ peers: [StoredPeer]) -> [UInt8] {
        SealedText.seal(
            kind: kind, version: version,
            lines: peers.prefix(countMax).map { peer in
                "peer \(peer.id) \(peer.address) \(escape(peer.name))" + (peer.key.map { " \($0)" } ?? "")
            })
    }

    static func decode(_ bytes: [UInt8]) throws(SealedText.Problem) -> [StoredPeer] {
        let lines = try SealedText.open(bytes, kind: kind, version: version)
        if lines.count > countMax { throw .damaged("it has \(lines.count) lines") }
        var peers: [StoredPeer] = []
        peers.reserveCapacity(lines.count)
        for line in lines {
            // By bytes: a name may begin with a combining mark, which would join the space to one character.
            let parts = line.utf8.split(separator: UInt8(ascii: " "), maxSplits: 4, omittingEmptySubsequences: false)
                .map { Substring($0) }
            guard (4...5).contains(parts.count), parts[0] == "peer", let id = NodeID(parts[1]),
                let address = Address(parts[2]),
                let name = unescape(parts[3])
            else { throw .damaged("a line is not peer HEX ADDRESS NAME [KEY]") }
            var key: AuthorKey?
            if parts.count == 5 {
                key = AuthorKey(parts[4])
                if key == nil { throw .damaged("a key is not 64 hexadecimal digits") }
            }
            peers.append(StoredPeer(id: id, name: name, address: address, key: key))
        }
        return peers
    }

    private static let percent = UInt8(ascii: "%")

    private static func escape(_ name: String) -> String {
        var bytes: [UInt8] = []
        for byte in name.utf8 {
            if byte <= 0x20 || byte == percent || byte == 0x7f {
                bytes += [percent] + Array(Hex.string(byte).utf8)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func unescape(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == percent else {
                bytes.append(byte)
                continue
            }
            let digits = rest.prefix(2)
            guard digits.count == 2, let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16) else {
                return nil
            }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
