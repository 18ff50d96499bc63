// SPDX-License-Identifier: Apache-2.0
// Owns the header's JSON: flat, one fixed set of fields, so that no JSON library is needed.

import ClusterTypes

extension BackupHeader {
    var json: [UInt8] {
        let text =
            "{\"created_at_ms\":\(createdAt.milliseconds),\"node\":\(Self.quoted(node)),"
            + "\"store_id\":\(Self.quoted(storeID)),\"revision\":\(revision)"
            + (strict.map { ",\"strict_group\":\($0.group),\"strict_version\":\($0.version)" } ?? "") + "}"
        return Array(text.utf8)
    }

    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": quoted += "\\" + String(scalar)
            case _ where scalar.value < 0x20: quoted += "\\u" + Hex.string(UInt16(scalar.value))
            case _: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }

    /// Nil unless the bytes are what `json` writes, with the fields in that order; fields after them are passed over.
    init?(json bytes: some Collection<UInt8>) {
        guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
        var scanner = Scanner(rest: text.unicodeScalars[...])
        guard scanner.skip("{\"created_at_ms\":"), let time = scanner.number(), scanner.skip(",\"node\":"),
            let node = scanner.text(), scanner.skip(",\"store_id\":"), let storeID = scanner.text(),
            scanner.skip(",\"revision\":"), let revision = scanner.number(), text.hasSuffix("}")
        else { return nil }
        self.init(createdAt: WallTime(milliseconds: time), node: node, storeID: storeID, revision: revision)
        guard scanner.skip(",\"strict_group\":") else { return }
        guard let group = scanner.number(), scanner.skip(",\"strict_version\":"), let version = scanner.number() else {
            return nil
        }
        strict = StrictPoint(group: group, version: version)
    }

    private struct Scanner {
        var rest: Substring.UnicodeScalarView

        mutating func skip(_ text: String) -> Bool {
            guard rest.starts(with: text.unicodeScalars) else { return false }
            rest = rest.dropFirst(text.unicodeScalars.count)
            return true
        }

        mutating func number() -> UInt64? {
            let digits = rest.prefix { ("0"..."9").contains($0) }
            rest = rest.dropFirst(digits.count)
            return UInt64(Substring(digits))
        }

        mutating func text() -> String? {
            guard skip("\"") else { return nil }
            var text = String.UnicodeScalarView()
            while let scalar = rest.popFirst() {
                if scalar == "\"" { return String(text) }
                guard scalar == "\\" else {
                    text.append(scalar)
                    continue
                }
                guard let escaped = rest.popFirst() else { return nil }
                if escaped == "u" {
                    let digits = rest.prefix(4)
                    guard digits.count == 4, let value = UInt32(Substring(digits), radix: 16),
                        let scalar = Unicode.Scalar(value)
                    else { return nil }
                    rest = rest.dropFirst(4)
                    text.append(scalar)
                } else {
                    text.append(escaped)
                }
            }
            return nil
        }
    }
}
