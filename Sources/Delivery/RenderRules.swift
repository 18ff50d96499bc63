// SPDX-License-Identifier: Apache-2.0
// Owns the rules of values that only a description in render.d has: paths, commands, units, keys and names.

import AdminModel
import ClusterTypes
import DaemonConfig
import Glibc

/// Each takes what is written and gives the value, or the end of a sentence about its key.
enum RenderRules {
    /// An absolute path without `.`, `..`, empty parts or control characters.
    static func path(_ node: TOMLNode) throws(Refusal) -> String {
        let path = try ValueRule<String>.path(max: ConfigurationBounds.pathSizeMax).decode(node)
        let parts = path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).dropFirst()
        guard path.utf8.first == UInt8(ascii: "/"), let last = parts.last else {
            throw Refusal(reason: "must be an absolute path, not \(shown(path))")
        }
        guard !last.isEmpty, !parts.contains(where: { $0.isEmpty || [".", ".."].contains(String(Substring($0))) })
        else {
            throw Refusal(reason: "must be a file's path without \"//\", \".\" and \"..\", not \(shown(path))")
        }
        return path
    }

    static func templateText(_ node: TOMLNode) throws(Refusal) -> String {
        let text = try decodeString(node, "a template as text")
        guard !text.isEmpty else { throw Refusal(reason: "must not be empty") }
        return text
    }

    static func fallbackText(_ node: TOMLNode) throws(Refusal) -> String {
        let text = try decodeString(node)
        let size = text.utf8.count
        guard size <= AdminLimits.valueBytesMax else {
            throw Refusal(reason: "must be at most \(AdminLimits.valueBytesMax) bytes, not \(size)")
        }
        return text
    }

    /// A program with its arguments.
    static func command(_ node: TOMLNode) throws(Refusal) -> [String] {
        let words = try ValueRule<[String]>.texts(max: RenderBounds.wordsMax, sizeMax: RenderBounds.wordBytesMax)
            .decode(node)
        guard let program = words.first, !program.isEmpty else {
            throw Refusal(reason: "must name a program and its arguments, such as [\"nginx\", \"-t\"]")
        }
        return words
    }

    /// What stands for the new file's path in a check.
    static let fileMark = "{file}"

    /// A program with its arguments, one of which names the new file.
    static func check(_ node: TOMLNode) throws(Refusal) -> [String] {
        let words = try command(node)
        guard words.contains(where: { $0.contains(fileMark) }) else {
            throw Refusal(
                reason:
                    "must name {file}, the path of the new file, in one of its words: without it the check sees what is"
                    + " in place already, and lets any new file pass")
        }
        return words
    }

    /// A unit's name (systemd.unit(5)).
    static func unit(_ node: TOMLNode) throws(Refusal) -> String {
        let unit = try decodeString(node, "a unit such as \"nginx.service\"")
        let types = ["service", "socket", "target", "timer", "path", "mount", "automount", "swap", "slice", "scope"]
        let isNameByte = { (byte: UInt8) in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: ":_.\\@-".utf8.contains(byte)
            }
        }
        // A leading "-" would be an option of systemctl.
        guard let dot = unit.lastIndex(of: "."), dot > unit.startIndex, !unit.hasPrefix("-"),
            types.contains(String(unit[unit.index(after: dot)...])), unit.utf8.allSatisfy(isNameByte),
            unit.utf8.count <= RenderBounds.unitBytesMax
        else { throw Refusal(reason: "must be a unit such as \"nginx.service\", not \(shown(unit))") }
        return unit
    }

    // MARK: What is read

    /// What the elements of each table's lists hold, as `RenderSpec.values` makes them.
    static let fields = [
        "prefixes": ["key", "name", "value", "first", "last"],
        "sets": ["value", "first", "last"],
        "members": ["id", "name", "address", "host", "url_host", "port", "state", "tags", "first", "last"],
    ]

    /// gossipd's own keys hold what hosts say about their files: a file that followed them would never be done.
    private static let ownKeys = ".gossipd/"

    static func key(_ node: TOMLNode) throws(Refusal) -> ConfigurationKey {
        let text = try decodeString(node, "a key such as \"app/port\"")
        do throws(AdminFailure) {
            let key = try ConfigurationKey(text)
            guard !text.hasPrefix(ownKeys) else {
                throw AdminFailure(.badRequest, "keys in .gossipd/ are gossipd's own")
            }
            return key
        } catch {
            throw Refusal(reason: error.message)
        }
    }

    static func prefix(_ node: TOMLNode) throws(Refusal) -> KeyPrefix {
        let text = try decodeString(node, "a prefix such as \"app/backends/\"")
        do throws(AdminFailure) {
            let prefix = try KeyPrefix(text)
            guard !text.hasPrefix(ownKeys), !ownKeys.hasPrefix(text) else {
                throw AdminFailure(
                    .badRequest, "prefix \(text.quoted) takes in .gossipd/, gossipd's own keys: write a longer one")
            }
            return prefix
        } catch {
            throw Refusal(reason: error.message)
        }
    }

    static func states(_ node: TOMLNode) throws(Refusal) -> Set<MemberState> {
        let known = MemberState.allCases.filter { $0 != .unknown }.map(\.rawValue)
        let names = try ValueRule<[String]>.texts(max: known.count, sizeMax: 64).decode(node)
        guard !names.isEmpty else {
            throw Refusal(reason: "must name at least one state: \(known.joined(separator: ", "))")
        }
        var states: Set<MemberState> = []
        for (index, name) in names.enumerated() {
            guard let state = MemberState(rawValue: name), state != .unknown else {
                throw Refusal(
                    reason: "must be one of \(known.joined(separator: ", ")), not \(shown(name))",
                    element: ["[\(index)]"])
            }
            states.insert(state)
        }
        return states
    }

    /// Why a template cannot use `name`; nil when it can.
    static func refusal(ofName name: String) -> String? {
        let isGood = name.utf8.enumerated().allSatisfy { offset, byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"): true
            case UInt8(ascii: "0")...UInt8(ascii: "9"): offset > 0
            default: false
            }
        }
        guard !name.isEmpty, isGood, name.utf8.count <= RenderBounds.nameBytesMax else {
            return "a name in a template is 1 to \(RenderBounds.nameBytesMax) letters, digits and \"_\","
                + " the first no digit"
        }
        return nil
    }

    static func text(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        return DaemonConfig.DurationText.format(
            Interval(nanoseconds: seconds * 1_000_000_000 + attoseconds / 1_000_000_000))
    }
}
