// SPDX-License-Identifier: Apache-2.0
// Owns how numbers, times and states read in tables.

import AdminModel

enum Format {
    /// `0.42 ms`, `12.3 ms`; `-` when nothing was measured.
    static func milliseconds(_ value: Double?) -> String {
        guard let value else { return "-" }
        return value < 10 ? "\(fixed(value, 2)) ms" : "\(fixed(value, 1)) ms"
    }

    /// A number with that many digits after the point.
    static func fixed(_ value: Double, _ digits: Int) -> String {
        guard value.isFinite, value.magnitude < 1e12 else { return "\(value)" }
        let scale = (0..<digits).reduce(1) { power, _ in power * 10 }
        let scaled = Int64((value.magnitude * Double(scale)).rounded())
        let sign = value < 0 && scaled > 0 ? "-" : ""
        guard digits > 0 else { return sign + "\(scaled)" }
        let fraction = String(scaled % Int64(scale))
        return sign + "\(scaled / Int64(scale))." + String(repeating: "0", count: digits - fraction.count) + fraction
    }

    /// `45s`, `12m 5s`, `3h 12m`, `4d 3h`.
    static func duration(seconds: Double) -> String {
        guard seconds.isFinite, seconds >= 0, seconds < 1e12 else { return "-" }
        let total = Int(seconds)
        switch total {
        case ..<60: return "\(total)s"
        case ..<3600: return "\(total / 60)m \(total % 60)s"
        case ..<86_400: return "\(total / 3600)h \(total / 60 % 60)m"
        default: return "\(total / 86_400)d \(total / 3600 % 24)h"
        }
    }

    /// `512 B`, `1.5 KiB`, `3.0 MiB`.
    static func bytes(_ count: Int) -> String {
        var value = Double(count)
        var unit = "B"
        for larger in ["KiB", "MiB", "GiB", "TiB"] where value >= 1024 {
            value /= 1024
            unit = larger
        }
        return unit == "B" ? "\(count) B" : "\(fixed(value, 1)) \(unit)"
    }

    /// `role=web,zone=b`, sorted by name.
    static func tags(_ tags: [String: String]) -> String {
        tags.isEmpty ? "-" : tags.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
    }

    static func colour(_ state: MemberState) -> Colour {
        switch state {
        case .alive: .green
        case .suspect: .yellow
        case .failed: .red
        case .left, .unknown: .grey
        }
    }

    /// Bytes in one line: text, or base64 when it is none.
    static func preview(_ bytes: [UInt8]) -> String {
        let (text, base64) = ByteText.split(Array(bytes.prefix(4096)))
        if let text { return text }
        return "base64:" + (base64 ?? "")
    }

    /// A content in one line.
    static func preview(_ content: KeyContent) -> String {
        switch content {
        case .register(let bytes): preview(bytes)
        case .set(let elements): elements.prefix(64).map(preview).joined(separator: ", ")
        case .counter(let value): String(value)
        }
    }

    /// Bytes of a value in a cell of a table.
    private static let cellBytesMax = 200
    /// Of what is no text: the rest says as little.
    private static let cellBinaryBytesMax = 48

    /// Bytes in a cell of a table. Of what is long there is the size and the beginning: the size first, for the terminal's width cuts
    /// the end.
    static func cell(_ bytes: [UInt8]) -> String {
        if let text = String(validating: bytes, as: UTF8.self) {
            guard bytes.count > cellBytesMax else { return text }
            return cut(begin(text), of: bytes.count)
        }
        guard bytes.count > cellBinaryBytesMax else { return "base64:" + ByteText.base64(bytes) }
        return cut("base64:" + ByteText.base64(Array(bytes.prefix(cellBinaryBytesMax))), of: bytes.count)
    }

    /// A content in a cell of a table.
    static func cell(_ content: KeyContent) -> String {
        switch content {
        case .register(let bytes): return cell(bytes)
        case .counter(let value): return String(value)
        case .set(let elements):
            var shown: [String] = []
            var bytes = 0
            for element in elements {
                bytes += element.count
                guard shown.isEmpty || bytes <= cellBytesMax else {
                    return "(\(elements.count) elements) " + shown.joined(separator: ", ") + ", \u{2026}"
                }
                shown.append(cell(element))
            }
            return shown.joined(separator: ", ")
        }
    }

    private static func cut(_ start: String, of bytes: Int) -> String { "(\(Self.bytes(bytes))) \(start)\u{2026}" }

    /// The first characters that fit.
    private static func begin(_ text: String) -> String {
        var taken = 0
        return String(
            text.prefix { character in
                taken += character.utf8.count
                return taken <= cellBytesMax
            })
    }
}
