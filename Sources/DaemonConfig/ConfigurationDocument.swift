// SPDX-License-Identifier: Apache-2.0
// Owns the texts made from the table of keys: the example file and the manual's tables.

/// Renders what people read about the configuration.
package enum ConfigurationDocument {
    /// Columns of the example file.
    private static let columnsMax = 100

    // MARK: Config/gossipd.toml

    /// The example file: every key with its meaning, commented out at its default.
    ///
    /// Comments begin with `# `; a line that begins with `#` and a letter is a setting to uncomment.
    package static func example() -> String {
        var out = """
            # SPDX-License-Identifier: Apache-2.0
            # The configuration of gossipd, usually /etc/gossipd/gossipd.toml (TOML 1.0).
            #
            # A line such as "#key = value" shows a key at its default, or an example where the default depends on
            # the host; remove the "#" to change it. Check a change with "gossipd check-config FILE". Keys marked
            # "reloads" take effect on "systemctl reload gossipd", the others on a restart.

            """
        for table in KeyTable.tables {
            out += "\n" + comment("---- " + table.documentation)
            if !table.name.isEmpty { out += "[\(table.name)]\n" }
            if table.name == "tags" {
                out += tagsExample()
            } else {
                for key in KeyTable.all where key.table == table.name && key.name != "tags" {
                    out += "\n" + describe(key) + "#\(key.leaf) = \(key.exampleText)\n"
                }
            }
        }
        return out
    }

    private static func tagsExample() -> String {
        guard let key = KeyTable.all.first(where: { $0.name == "tags" }) else { return "" }
        return "\n" + comment("\(key.range.first?.uppercased() ?? "")\(key.range.dropFirst()).") + "#role = \"web\"\n"
    }

    private static func describe(_ key: KeySpecification) -> String {
        var facts = "\(key.type.first?.uppercased() ?? "")\(key.type.dropFirst())"
        if !key.range.isEmpty { facts += ": \(key.range)" }
        facts += ". Default: \(key.defaultText)."
        if let flag = key.flag { facts += " Flag: \(flag)." }
        if key.reload == .atOnce { facts += " Reloads." }
        var out = comment(key.documentation) + comment(facts)
        if let source = key.source { out += comment("Source: \(source).") }
        return out
    }

    /// `text` as comment lines, broken between words.
    private static func comment(_ text: String) -> String {
        var lines: [String] = []
        var line = "#"
        for word in text.split(separator: " ") {
            if line.count + 1 + word.count > columnsMax {
                lines.append(line)
                line = "#"
            }
            line += " " + word
        }
        lines.append(line)
        return lines.joined(separator: "\n") + "\n"
    }

    // MARK: Docs/operations.md

    /// The keys as Markdown: one table for each table of the file.
    package static func markdown() -> String {
        var out = ""
        for table in KeyTable.tables where table.name != "tags" {
            out += out.isEmpty ? "" : "\n"
            out += table.name.isEmpty ? "### Top level\n\n" : "### `[\(table.name)]`\n\n"
            out += "\(table.documentation)\n\n"
            out += "| Key | Type and range | Default | Takes effect | Meaning |\n|---|---|---|---|---|\n"
            for key in KeyTable.all where key.table == table.name {
                let range = key.range.isEmpty ? key.type : "\(key.type): \(key.range)"
                let fallback = key.isDerived ? key.defaultText : "`\(key.defaultText)`"
                var meaning = key.documentation
                if let flag = key.flag { meaning += " Flag: `\(flag)`." }
                if let source = key.source { meaning += " Source: \(source)." }
                let cells = ["`\(key.leaf)`", range, fallback, effect(key.reload), meaning]
                out += "| " + cells.map(cell).joined(separator: " | ") + " |\n"
            }
        }
        return out
    }

    private static func effect(_ reload: ReloadEffect) -> String {
        switch reload {
        case .atOnce: "on SIGHUP"
        case .restart: "after a restart"
        }
    }

    /// A vertical bar would end the cell.
    private static func cell(_ text: String) -> String {
        text.split(separator: "|", omittingEmptySubsequences: false).joined(separator: "\\|")
    }

    // MARK: A configuration in force

    /// Every key of `configuration` with its value, as TOML that loads to the same configuration.
    package static func render(_ configuration: DaemonConfiguration) -> String {
        var out = ""
        for table in KeyTable.tables where table.name != "tags" {
            if !table.name.isEmpty { out += "\n[\(table.name)]\n" }
            for key in KeyTable.all where key.table == table.name {
                // An absent group has no TOML value.
                if key.name == "admin.group", configuration.admin.group == nil { continue }
                out += "\(key.leaf) = \(key.render(configuration))\n"
            }
        }
        return out
    }
}
