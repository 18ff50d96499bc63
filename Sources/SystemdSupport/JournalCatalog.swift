// SPDX-License-Identifier: Apache-2.0
// Owns the journal's catalog: what `journalctl -x` says below each event.

internal import Logging

/// Renders `Packaging/gossipd.catalog` from `EventKind`.
package enum JournalCatalog {
    /// The text of the file, in the format of the systemd message catalog.
    package static func render() -> String {
        """
        # SPDX-License-Identifier: Apache-2.0
        # The catalog of gossipd's journal entries, shown by "journalctl -x".
        # Rendered from EventKind; a test compares the two.

        """
            + EventKind.allCases.map { event in
                """

                # \(event.rawValue)
                -- \(event.messageID)
                Subject: \(event.subject)
                Defined-By: gossipd

                \(event.meaning)

                What to do: \(event.action)

                """
            }.joined()
    }
    /// The events as a Markdown table for Docs/operations.md.
    package static func markdown() -> String {
        "| Event | Level | MESSAGE_ID | Meaning | What to do |\n|---|---|---|---|---|\n"
            + EventKind.allCases.map { event in
                let cells = [
                    "`\(event.rawValue)`", event.level.rawValue, "`\(event.messageID)`", event.meaning, event.action,
                ]
                return "| " + cells.map(cell).joined(separator: " | ") + " |\n"
            }.joined()
    }

    /// One line; fields as code; a vertical bar would end the cell.
    private static func cell(_ text: String) -> String {
        let line = text.split(separator: "\n").joined(separator: " ")
        let parts = line.split(separator: "@", omittingEmptySubsequences: false)
        let marked = parts.count % 2 == 1 ? parts.joined(separator: "`") : line
        return marked.split(separator: "|", omittingEmptySubsequences: false).joined(separator: "\\|")
    }
}
