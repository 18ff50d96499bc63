// SPDX-License-Identifier: Apache-2.0
// Owns the ring's bytes, on the wire (only within what is sealed) and in its file.

/// Why bytes are no ring.
package enum KeyRingCodecFailure: Error, Hashable, Sendable {
    case version
    case length
    /// Unsorted, repeated, more than allowed, a state that is not known, an installed key that is missing.
    case value
    /// A key that does not have the id it is given under.
    case id
}

extension KeyRing {
    /// offset  bytes
    /// 0       1      format, 1
    /// 1       4      key id chosen, 0 when none
    /// 5       8      stamp of the choice
    /// 13      1      number of entries, at most 64
    /// 14             entries, sorted by id: id 4, state 1 (0 installed, 1 retired; bit 7: the key follows), stamp 8, key 32
    package func encoded() -> [UInt8] {
        var bytes: [UInt8] = [1]
        bytes += BigEndian.bytes(chosen?.id.rawValue ?? 0)
        bytes += BigEndian.bytes(chosen?.stamp ?? 0)
        bytes.append(UInt8(entries.count))
        for entry in entries {
            bytes += BigEndian.bytes(entry.id.rawValue)
            bytes.append(entry.state.rawValue | (entry.key == nil ? 0 : 0x80))
            bytes += BigEndian.bytes(entry.stamp)
            if let key = entry.key { bytes += key.secretBytes }
        }
        return bytes
    }

    package static let encodedBytesMax = 14 + entriesMax * 45

    package init(encoded bytes: [UInt8]) throws(KeyRingCodecFailure) {
        var rest = bytes[...]
        guard rest.popFirst() == 1 else { throw bytes.isEmpty ? .length : .version }
        let chosenID = KeyID(rawValue: UInt32(truncatingIfNeeded: try Self.number(4, &rest)))
        let chosenStamp = try Self.number(8, &rest)
        let count = try Self.number(1, &rest)
        guard count <= UInt64(Self.entriesMax) else { throw .value }
        for _ in 0..<count {
            let id = KeyID(rawValue: UInt32(truncatingIfNeeded: try Self.number(4, &rest)))
            let code = UInt8(truncatingIfNeeded: try Self.number(1, &rest))
            let stamp = try Self.number(8, &rest)
            guard let state = State(rawValue: code & 0x7f) else { throw .value }
            if let last = entries.last, last.id >= id { throw .value }
            var entry = Entry(id: id, key: nil, state: state, stamp: stamp)
            if code & 0x80 != 0 {
                guard rest.count >= ClusterKey.byteCount else { throw .length }
                guard let key = ClusterKey(bytes: Array(rest.prefix(ClusterKey.byteCount))), key.id == id else {
                    throw .id
                }
                entry.key = key
                rest = rest.dropFirst(ClusterKey.byteCount)
            } else if state == .installed {
                throw .value
            }
            entries.append(entry)
        }
        guard rest.isEmpty else { throw .length }
        if entries.isEmpty, chosenID.rawValue != 0 || chosenStamp != 0 { throw .value }
        chosen = entries.isEmpty ? nil : (chosenID, chosenStamp)
    }

    private static func number(_ count: Int, _ rest: inout ArraySlice<UInt8>) throws(KeyRingCodecFailure) -> UInt64 {
        guard rest.count >= count else { throw .length }
        let value = rest.prefix(count).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        rest = rest.dropFirst(count)
        return value
    }
}
