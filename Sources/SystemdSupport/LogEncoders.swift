// SPDX-License-Identifier: Apache-2.0
// Owns the three forms of a log entry: journal fields, JSON objects, text.

internal import Logging

/// Fields for systemd-journald (systemd.journal-fields(7)).
///
/// MESSAGE, PRIORITY, SYSLOG_IDENTIFIER and CODE_* as everywhere; MESSAGE_ID for known events, which leads
/// `journalctl -x` to the catalog; and each metadata key as `GOSSIPD_KEY`.
package struct JournalLogEncoder: LogEncoder {
    private let identifier: String

    /// Bytes of a field's name (journald refuses more).
    private static let fieldNameSizeMax = 64

    package init(identifier: String = "gossipd") { self.identifier = identifier }

    package func encode(_ entry: LogEntry) -> LogRecord {
        var fields: [[UInt8]] = []
        func add(_ name: String, _ value: String) { fields.append(Array("\(name)=\(value)".utf8)) }
        add("MESSAGE", LogText.printable(entry.message))
        add("PRIORITY", "\(Self.priority(entry.level))")
        add("SYSLOG_IDENTIFIER", identifier)
        if let event = entry.event { add("MESSAGE_ID", event.messageID) }
        if !entry.file.isEmpty {
            add("CODE_FILE", entry.file)
            add("CODE_LINE", "\(entry.line)")
            add("CODE_FUNC", entry.function)
        }
        add("GOSSIPD_LOGGER", entry.label)
        for (key, value) in entry.metadata {
            add(Self.fieldName(key), "\(value)")
        }
        return LogRecord(fields: fields)
    }

    /// syslog(3) priorities.
    static func priority(_ level: Logger.Level) -> Int {
        switch level {
        case .critical: 2
        case .error: 3
        case .warning: 4
        case .notice: 5
        case .info: 6
        case .debug, .trace: 7
        }
    }

    /// `GOSSIPD_` and the key in capitals; what journald does not take in a name becomes `_`.
    static func fieldName(_ key: String) -> String {
        let name = key.utf8.map { byte -> UInt8 in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"): byte - 32
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): byte
            default: UInt8(ascii: "_")
            }
        }
        return String(decoding: Array("GOSSIPD_".utf8) + name.prefix(fieldNameSizeMax - 8), as: UTF8.self)
    }
}

/// One JSON object a line: `time`, `level`, `message`, `logger`, then the metadata under its own keys.
///
/// A metadata key that collides with the first four gets a `_` behind it.
package struct JSONLogEncoder: LogEncoder {
    private static let reserved: Set<String> = ["time", "level", "message", "logger"]

    package init() {}

    package func encode(_ entry: LogEntry) -> LogRecord {
        var line = Array("{\"time\":\"\(entry.time.text)\",\"level\":\"\(entry.level)\",\"message\":".utf8)
        LogText.appendJSON(entry.message, to: &line)
        line += Array(",\"logger\":".utf8)
        LogText.appendJSON(entry.label, to: &line)
        for (key, value) in entry.metadata {
            line.append(UInt8(ascii: ","))
            LogText.appendJSON(Self.reserved.contains(key) ? key + "_" : key, to: &line)
            line.append(UInt8(ascii: ":"))
            Self.append(value, to: &line)
        }
        line += Array("}\n".utf8)
        return LogRecord(line: line)
    }

    private static func append(_ value: Logger.MetadataValue, to line: inout [UInt8]) {
        switch value {
        case .string(let text):
            LogText.appendJSON(text, to: &line)
        case .stringConvertible(let value):
            switch value {
            case let value as Bool: line += Array("\(value)".utf8)
            case let value as any FixedWidthInteger: line += Array("\(value)".utf8)
            case let value as Double where value.isFinite: line += Array("\(value)".utf8)
            default: LogText.appendJSON("\(value)", to: &line)
            }
        case .array(let values):
            line.append(UInt8(ascii: "["))
            for (index, value) in values.enumerated() {
                if index > 0 { line.append(UInt8(ascii: ",")) }
                append(value, to: &line)
            }
            line.append(UInt8(ascii: "]"))
        case .dictionary(let values):
            line.append(UInt8(ascii: "{"))
            for (index, (key, value)) in values.sorted(by: { $0.key < $1.key }).enumerated() {
                if index > 0 { line.append(UInt8(ascii: ",")) }
                LogText.appendJSON(key, to: &line)
                line.append(UInt8(ascii: ":"))
                append(value, to: &line)
            }
            line.append(UInt8(ascii: "}"))
        }
    }
}

/// For people: `2026-11-20T12:00:01.123Z notice member web-3 failed: ...`
///
/// The message of an event says in words what its fields say to programs, so those fields are not repeated; any
/// other metadata follows as `key=value`.
package struct TextLogEncoder: LogEncoder {
    private static let said: Set<String> = [EventKind.metadataKey, "member", "member_id", "address", "reason"]

    private let isColoured: Bool

    package init(isColoured: Bool) { self.isColoured = isColoured }

    package func encode(_ entry: LogEntry) -> LogRecord {
        var line = "\(entry.time.text) \(coloured(entry.level)) \(LogText.printable(entry.message))"
        let isEvent = entry.event != nil
        for (key, value) in entry.metadata where !(isEvent && Self.said.contains(key)) {
            line += " \(LogText.printable(key))=\(Self.quoted(LogText.printable("\(value)")))"
        }
        line += "\n"
        return LogRecord(line: Array(line.utf8))
    }

    private static func quoted(_ text: String) -> String {
        guard text.isEmpty || text.contains(where: { $0 == " " || $0 == "\"" || $0 == "=" }) else { return text }
        return "\"" + text.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\\\"") + "\""
    }

    /// Red for errors, yellow for warnings, bold for notices (ECMA-48 SGR).
    private func coloured(_ level: Logger.Level) -> String {
        guard isColoured else { return level.rawValue }
        switch level {
        case .critical, .error: return "\u{1b}[31m\(level)\u{1b}[0m"
        case .warning: return "\u{1b}[33m\(level)\u{1b}[0m"
        case .notice: return "\u{1b}[1m\(level)\u{1b}[0m"
        case .info, .debug, .trace: return level.rawValue
        }
    }
}
