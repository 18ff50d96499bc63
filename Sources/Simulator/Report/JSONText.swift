// SPDX-License-Identifier: Apache-2.0
// Owns writing JSON with the fields in the order given, so that equal reports are equal bytes.

import ClusterTypes

/// A JSON value whose objects keep their order.
package indirect enum JSONText: Sendable {
    case null
    case bool(Bool)
    case integer(Int)
    /// Written with three decimals.
    case decimal(Double)
    /// Written with six decimals.
    case precise(Double)
    case string(String)
    case array([JSONText])
    case object([(String, JSONText)])

    /// Seconds with three decimals, or null.
    package static func seconds(_ interval: Interval?) -> JSONText {
        guard let interval else { return .null }
        return .decimal(interval.seconds)
    }

    package var text: String {
        var out = ""
        write(to: &out, indent: 0)
        return out + "\n"
    }

    private func write(to out: inout String, indent: Int) {
        switch self {
        case .null: out += "null"
        case .bool(let value): out += value ? "true" : "false"
        case .integer(let value): out += String(value)
        case .decimal(let value): out += Figure.decimal(value, digits: 3)
        case .precise(let value): out += value.isFinite ? Figure.decimal(value, digits: 6) : "null"
        case .string(let value): Self.write(value, to: &out)
        case .array(let values):
            Self.writeList(values.map { (nil, $0) }, "[", "]", to: &out, indent: indent)
        case .object(let fields):
            Self.writeList(fields.map { ($0.0, $0.1) }, "{", "}", to: &out, indent: indent)
        }
    }

    private static func writeList(
        _ items: [(String?, JSONText)], _ open: String, _ close: String, to out: inout String, indent: Int
    ) {
        guard !items.isEmpty else {
            out += open + close
            return
        }
        out += open
        for (index, item) in items.enumerated() {
            out += index == 0 ? "\n" : ",\n"
            out += String(repeating: "  ", count: indent + 1)
            if let name = item.0 {
                write(name, to: &out)
                out += ": "
            }
            item.1.write(to: &out, indent: indent + 1)
        }
        out += "\n" + String(repeating: "  ", count: indent) + close
    }

    private static func write(_ string: String, to out: inout String) {
        out += "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\u{0}"..<"\u{20}": out += "\\u00" + Hex.string(UInt8(truncatingIfNeeded: scalar.value))
            default: out.unicodeScalars.append(scalar)
            }
        }
        out += "\""
    }
}
