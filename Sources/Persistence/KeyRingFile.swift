// SPDX-License-Identifier: Apache-2.0
// Owns the file `keys`: the ring of the cluster's keys as this node knows it. It is secret: mode 0600.
//
//     gossipd keys 1
//     ring HEX                the encoded ring, see Sources/Sealing/KeyRing+Codec.swift; two digits a byte
//     checksum HEX            see SealedText

import ClusterTypes
import Glibc

enum KeyRingFile {
    static let name = "keys"
    /// Bytes; 64 entries with their keys take less than 6 000.
    static let bytesMax = 16_384
    private static let kind = "keys"
    private static let version = 1

    static func encode(_ ring: [UInt8]) -> [UInt8] {
        SealedText.seal(kind: kind, version: version, lines: ["ring " + Hex.text(ring)])
    }

    /// The ring's bytes; nil when there is no file. One that others than its owner may use is not read, one that is damaged is left
    /// as it is: another node has the same keys, and this one's may be all that it has.
    static func read(_ handle: DirectoryHandle) throws(PersistenceFailure) -> [UInt8]? {
        let file = handle.name(name)
        guard try checkMode(handle, file), let bytes = try handle.read(name, limit: bytesMax) else { return nil }
        let lines: [String]
        do {
            lines = try SealedText.open(bytes, kind: kind, version: version)
        } catch {
            switch error {
            case .damaged(let reason): throw .corruptKeys(file: file, reason: reason)
            case .newerVersion(let version): throw .newerFormat(file: file, version: version)
            }
        }
        guard lines.count == 1, let line = lines.first, line.hasPrefix("ring "),
            let ring = Hex.bytes(line.dropFirst("ring ".count))
        else { throw .corruptKeys(file: file, reason: "its line is not the ring") }
        return ring
    }

    /// False when there is no file.
    private static func checkMode(_ handle: DirectoryHandle, _ file: String) throws(PersistenceFailure) -> Bool {
        var status = stat()
        guard fstatat(handle.descriptor, name, &status, 0) == 0 else {
            let code = errno
            if code == ENOENT { return false }
            throw .system(operation: "stat", path: file, errno: code)
        }
        let mode = status.st_mode & 0o777
        guard mode & 0o077 == 0 else { throw .exposedKeys(file: file, mode: UInt32(mode)) }
        return true
    }

    private enum Hex {
        static func text(_ bytes: [UInt8]) -> String {
            let digits = Array("0123456789abcdef".utf8)
            var text: [UInt8] = []
            text.reserveCapacity(bytes.count * 2)
            for byte in bytes {
                text.append(digits[Int(byte >> 4)])
                text.append(digits[Int(byte & 15)])
            }
            return String(decoding: text, as: UTF8.self)
        }

        static func bytes(_ text: Substring) -> [UInt8]? {
            let digits = Array(text.utf8)
            guard digits.count.isMultiple(of: 2) else { return nil }
            var bytes: [UInt8] = []
            bytes.reserveCapacity(digits.count / 2)
            for index in stride(from: 0, to: digits.count, by: 2) {
                guard let high = value(digits[index]), let low = value(digits[index + 1]) else { return nil }
                bytes.append(high << 4 | low)
            }
            return bytes
        }

        private static func value(_ digit: UInt8) -> UInt8? {
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
            case _: nil
            }
        }
    }
}
